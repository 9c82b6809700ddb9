"""The CHIP SDK's controller in a process of its own: takes orders over a socket, aborts without harming the tests.

Started by `ChipController`; the native library wants a writable /data, kills its process on some errors and cannot be
shut down cleanly, so the process ends with `os._exit`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import logging
import os
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

VENDOR_ID = 0xFFF1


def plain(value: Any) -> Any:
    """Return `value` with the library's classes replaced by plain ones."""
    from chip.clusters.Types import Nullable
    from chip.tlv import uint

    if isinstance(value, Nullable):
        return None
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        fields = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: plain(one) for name, one in fields if one is not None}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {plain(key): plain(one) for key, one in value.items()}
    if isinstance(value, (bool, uint)) or value is None:
        return value  # whether an integer came without sign is part of its type
    for kind in (int, float, str, bytes):
        if isinstance(value, kind):
            return kind(value)  # type: ignore[arg-type]
    return {"error": f"{type(value).__name__}: {value}"}


class Worker:
    """The orders, each a method; the arguments are plain values."""

    def __init__(self, storage: Path, paa_folder: Path, fabric_id: int, verbose: bool) -> None:
        import chip.clusters as clusters
        import chip.logging
        import chip.native
        from chip.CertificateAuthority import CertificateAuthorityManager
        from chip.ChipStack import ChipStack

        chip.native.Init(999)  # 999: no Bluetooth
        logging.basicConfig(filename=storage / "chip.log", level=logging.DEBUG if verbose else logging.ERROR)
        chip.logging.RedirectToPythonLogging()
        chip.logging.SetLogFilter(3 if verbose else 1)
        stack = ChipStack(persistentStoragePath=str(storage / "chip.json"), enableServerInteractions=False)
        self.authorities = CertificateAuthorityManager(stack, stack.GetStorageManager())
        self.authorities.LoadAuthoritiesFromStorage()  # a controller that is started again keeps its fabric
        authority = next(iter(self.authorities.activeCaList), None) or self.authorities.NewCertificateAuthority()
        admin = next(iter(authority.adminList), None) or authority.NewFabricAdmin(VENDOR_ID, fabric_id)
        self.controller = admin.NewController(
            nodeId=112233, paaTrustStorePath=str(paa_folder), useTestCommissioner=False
        )
        self.clusters = clusters
        self.subscriptions: dict[Any, Any] = {}
        self.updates: list[Any] = []
        self.news = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def _find(self, path: str) -> Any:
        """Return what `path`, such as OnOff.Attributes.OnOff, names among the clusters."""
        found = self.clusters
        for name in path.split("."):
            found = getattr(found, name)
        return found

    def _build(self, value: Any) -> Any:
        """Return `value` with every {"$": "Cluster.Structs.Name", …} made that structure, and None made null."""
        from chip.clusters.Types import NullValue

        if isinstance(value, dict) and "$" in value:
            fields = {name: self._build(one) for name, one in value.items() if name != "$"}
            return self._find(value["$"])(**fields)
        if isinstance(value, list):
            return [self._build(one) for one in value]
        return NullValue if value is None else value

    async def ping(self) -> Any:
        """Answer, and that the library's own thread does as well."""
        return self.controller.nodeId

    async def commission(self, node_id: int, passcode: int, discriminator: int) -> Any:
        from chip.discovery import FilterType

        started = time.perf_counter()
        await self.controller.CommissionOnNetwork(node_id, passcode, FilterType.LONG_DISCRIMINATOR, discriminator)
        return time.perf_counter() - started

    async def commission_with_code(self, node_id: int, code: str) -> None:
        from chip.ChipDeviceCtrl import DiscoveryType

        await self.controller.CommissionWithCode(code, node_id, DiscoveryType.DISCOVERY_NETWORK_ONLY)

    async def pase(self, node_id: int, address: str, passcode: int, port: int = 5540) -> Any:
        started = time.perf_counter()
        await self.controller.EstablishPASESessionIP(address, passcode, node_id, port)
        return time.perf_counter() - started

    async def read(self, node_id: int, *paths: tuple[int, str], fabric_filtered: bool = True) -> Any:
        """Return the values of (endpoint, "Cluster.Attributes.Name"), in their order."""
        wanted = [(endpoint, self._find(path)) for endpoint, path in paths]
        found = await self.controller.ReadAttribute(node_id, wanted, fabricFiltered=fabric_filtered)
        return [
            plain(found[endpoint][self._find(path.split(".")[0])][attribute])
            for (endpoint, path), (_, attribute) in zip(paths, wanted, strict=True)
        ]

    async def read_all(self, node_id: int, *, events: bool = False, fabric_filtered: bool = True) -> Any:
        """Return everything the node has as {endpoint: {cluster: {attribute: TLV value}}}, and its events."""
        started = time.perf_counter()
        response = await self.controller.Read(
            node_id, ["*"], events=[("*", 1)] if events else None, fabricFiltered=fabric_filtered
        )
        elapsed = time.perf_counter() - started
        happened = [self._event(event) for event in response.events]
        return {"attributes": plain(response.tlvAttributes), "events": happened, "seconds": elapsed}

    async def read_events(self, node_id: int, minimum: int = 0) -> Any:
        happened = await self.controller.ReadEvent(node_id, [("*", 1)], eventNumberFilter=minimum or None)
        return [self._event(event) for event in happened]

    def _event(self, result: Any) -> Any:
        header = result.Header
        return {
            "endpoint": header.EndpointId,
            "cluster": header.ClusterId,
            "event": header.EventId,
            "number": header.EventNumber,
            "priority": plain(header.Priority),
            "status": plain(result.Status),
            "data": plain(result.Data),
        }

    async def write(self, node_id: int, endpoint: int, path: str, value: Any, timed_ms: int | None = None) -> Any:
        attribute = self._find(path)(self._build(value))
        results = await self.controller.WriteAttribute(node_id, [(endpoint, attribute)], timedRequestTimeoutMs=timed_ms)
        return [int(one.Status) for one in results]

    async def invoke(
        self, node_id: int, endpoint: int, path: str, fields: Any = None, timed_ms: int | None = None
    ) -> Any:
        command = self._find(path)(**{name: self._build(value) for name, value in (fields or {}).items()})
        response = await self.controller.SendCommand(node_id, endpoint, command, timedRequestTimeoutMs=timed_ms)
        return None if response is None else plain(response)

    async def subscribe(
        self, node_id: int, minimum_s: int, maximum_s: int, paths: Any = None, events: Any = True, keep: Any = True
    ) -> Any:
        wanted = ["*"] if paths is None else [(endpoint, self._find(path)) for endpoint, path in paths]
        transaction = await self.controller.Read(
            node_id,
            wanted,
            events=[("*", 1)] if events else None,
            reportInterval=(minimum_s, maximum_s),
            keepSubscriptions=keep,
        )

        def changed(path: Any, transaction: Any) -> None:
            value = transaction.GetTLVAttribute(path)
            self._update(("attribute", path.EndpointId, path.ClusterId, path.AttributeId, plain(value)))

        transaction.SetRawAttributeUpdateCallback(changed)
        transaction.SetEventUpdateCallback(lambda event, _: self._update(("event", self._event(event))))
        transaction.SetErrorCallback(lambda error, _: self._update(("error", str(error))))
        transaction.SetResubscriptionSucceededCallback(lambda _: self._update(("resubscribed",)))
        self.subscriptions[transaction.subscriptionId] = transaction
        primed = plain(transaction.GetTLVAttributes())
        happened = [self._event(event) for event in transaction.GetEvents()]
        return {
            "id": transaction.subscriptionId,
            "intervals": transaction.GetReportingIntervalsSeconds(),
            "attributes": primed,
            "events": happened,
        }

    def _update(self, update: Any) -> None:
        """Keep an update, which comes on whatever thread the library likes."""
        self.updates.append((time.time(), *update))
        self.loop.call_soon_threadsafe(self.news.set)

    async def updates_until(self, kind: str, timeout_s: float, match: Any = ()) -> Any:
        """Return all updates up to the first of `kind` whose next values are `match`; raise TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while True:
                for place, update in enumerate(self.updates):
                    if update[1] == kind and update[2 : 2 + len(match)] == tuple(match):
                        found, self.updates = self.updates[: place + 1], self.updates[place + 1 :]
                        return found
                self.news.clear()
                await self.news.wait()

    async def forget_updates(self) -> None:
        self.updates.clear()

    async def take_updates(self) -> Any:
        """Return all updates since the last that was taken."""
        found, self.updates = self.updates, []
        return found

    async def unsubscribe(self) -> None:
        for transaction in self.subscriptions.values():
            transaction.Shutdown()
        self.subscriptions.clear()

    async def expire_sessions(self, node_id: int) -> None:
        """Drop the sessions so that the next request resumes one."""
        self.controller.ExpireSessions(node_id)

    async def forget_resumption(self) -> None:
        self.controller.DeleteAllSessionResumptionStorage()

    async def open_window(self, node_id: int, discriminator: int, timeout_s: int = 180) -> Any:
        opened = await self.controller.OpenCommissioningWindow(node_id, timeout_s, 1000, discriminator, 1)
        return {"passcode": opened.setupPinCode, "manual": opened.setupManualCode, "qr": opened.setupQRCode}

    async def renew_credentials(self, node_id: int, confirm: bool) -> Any:
        """Give the node a new operational certificate, and confirm it or take it back."""
        commands = self.clusters.OperationalCredentials.Commands
        general = self.clusters.GeneralCommissioning.Commands
        await self.controller.SendCommand(node_id, 0, general.ArmFailSafe(60, 1))
        csr = await self.controller.SendCommand(node_id, 0, commands.CSRRequest(os.urandom(32), True))
        chain = await self.controller.IssueNOCChain(csr, node_id)
        answer = await self.controller.SendCommand(node_id, 0, commands.UpdateNOC(chain.nocBytes, chain.icacBytes))
        self.controller.ExpireSessions(node_id)
        if confirm:
            await self.controller.SendCommand(node_id, 0, general.CommissioningComplete())
        else:
            await self.controller.SendCommand(node_id, 0, general.ArmFailSafe(0, 2))
        return {"status": int(answer.statusCode), "noc": chain.nocBytes}

    async def unpair(self, node_id: int) -> None:
        await self.controller.UnpairDevice(node_id)

    async def stop_before(self, stage: int | None) -> None:
        """Make commissioning stop without its last step, CommissioningComplete."""
        self.controller.SetSkipCommissioningComplete(stage is not None)

    async def find_commissionable(self, discriminator: int) -> Any:
        from chip.discovery import FilterType

        found = await self.controller.DiscoverCommissionableNodes(
            FilterType.LONG_DISCRIMINATOR, discriminator, stopOnFirst=True, timeoutSecond=5
        )
        return bool(found)

    async def time_reads(self, node_id: int, endpoint: int, path: str, count: int) -> Any:
        """Return how long each of `count` reads took, in seconds."""
        wanted, durations = [(endpoint, self._find(path))], []
        for _ in range(count):
            started = time.perf_counter()
            await self.controller.ReadAttribute(node_id, wanted)
            durations.append(time.perf_counter() - started)
        return durations

    async def time_wildcard_reads(self, node_id: int, count: int) -> Any:
        """Return how long each of `count` wildcard reads took until the last report was in, in seconds.

        The library then decodes all attributes in Python, which takes longer than the read and is not the node's.
        """
        from chip.clusters.Attribute import AsyncReadTransaction

        ended, decode = [], AsyncReadTransaction._handleDone

        def done(transaction: Any, *arguments: Any) -> Any:
            ended.append(time.perf_counter())
            return decode(transaction, *arguments)

        durations = []
        AsyncReadTransaction._handleDone = done
        for _ in range(count):
            started = time.perf_counter()
            await self.controller.Read(node_id, ["*"])
            durations.append(ended[-1] - started)
        AsyncReadTransaction._handleDone = decode
        return durations

    async def time_invokes(self, node_id: int, endpoint: int, path: str, count: int) -> Any:
        """Return how long each of `count` commands took, in seconds."""
        command, durations = self._find(path)(), []
        for _ in range(count):
            started = time.perf_counter()
            await self.controller.SendCommand(node_id, endpoint, command)
            durations.append(time.perf_counter() - started)
        return durations

    async def time_sessions(self, node_id: int, count: int, resumed: bool) -> Any:
        """Return how long each of `count` CASE sessions took, in seconds."""
        durations = []
        for _ in range(count):
            self.controller.ExpireSessions(node_id)
            if not resumed:
                self.controller.DeleteAllSessionResumptionStorage()
            started = time.perf_counter()
            await self.controller.GetConnectedDevice(node_id, allowPASE=False)
            durations.append(time.perf_counter() - started)
        return durations

    async def certificates_to_x509(self, certificates: list[bytes]) -> Any:
        from chip.credentials.cert import convert_chip_cert_to_x509_cert

        return [convert_chip_cert_to_x509_cert(certificate) for certificate in certificates]

    async def parse_codes(self, qr: str, manual: str) -> Any:
        from chip.setup_payload import SetupPayload

        scanned = SetupPayload().ParseQrCode(qr)
        typed = SetupPayload().ParseManualPairingCode(manual)
        return {
            "scanned": (scanned.vendor_id, scanned.product_id, scanned.long_discriminator, scanned.setup_passcode),
            "typed": (typed.short_discriminator, typed.setup_passcode),
        }

    async def serve(self, connection: Connection) -> None:
        """Carry out one order after the other until the other end closes."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                name, arguments, named = await loop.run_in_executor(None, connection.recv)
            except EOFError:
                return
            try:
                answer = ("value", await getattr(self, name)(*arguments, **named))
            except Exception as error:  # noqa: BLE001 (whatever happens is the answer)
                code = getattr(error, "status", getattr(error, "err", None))
                answer = ("error", type(error).__name__, str(error), None if code is None else int(code))  # type: ignore[assignment]
            connection.send(answer)


async def main() -> None:
    connection = Connection(int(sys.argv[1]))
    worker = Worker(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), "verbose" in sys.argv)
    connection.send(("value", None))
    await worker.serve(connection)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    finally:
        os._exit(0)
