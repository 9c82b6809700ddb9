"""DNS-SD: how commissioners and controllers find the node. Source: Matter core 4.3, RFC 6762, RFC 6763."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zeroconf import DNSOutgoing, IPVersion, ServiceInfo  # type: ignore[attr-defined] # left out of its __all__
from zeroconf.asyncio import AsyncZeroconf

from evse_pi.matter.discovery.host_interfaces import network_interfaces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from evse_pi.matter.channel.peer_session import SessionParameters
    from evse_pi.matter.discovery.host_interfaces import HostInterface
    from evse_pi.matter.environment import Entropy

log = logging.getLogger(__name__)

_COMMISSIONABLE = "_matterc._udp.local."
_OPERATIONAL = "_matter._tcp.local."
_RESPONSE = 0x8400  # an authoritative response, RFC 6762 18
_ANNOUNCE_AFTER_S = (1.0, 3.0, 7.0)  # again after a change, the pauses doubling, RFC 6762 8.3
_GOODBYE_AFTER_S = (1.0,)
_REFRESH_S = 10.0  # how soon a new address, cable or Wi-Fi is announced
_MAC_BYTES = (6, 8)


@dataclass(frozen=True, slots=True)
class CommissionableService:
    """What a node says of itself while a commissioning window is open."""

    instance: str
    discriminator: int
    vendor_id: int
    product_id: int
    device_type: int
    device_name: str
    mode: int = 1
    pairing_hint: int = 33
    pairing_instruction: str = ""

    @classmethod
    def named(cls, entropy: Entropy, **fields: object) -> CommissionableService:
        """Return the service under a fresh random instance name, which each window needs."""
        return cls(instance=entropy.octets(8).hex().upper(), **fields)  # type: ignore[arg-type]

    def subtypes(self) -> tuple[str, ...]:
        """Return what a commissioner may filter by."""
        return (
            f"_L{self.discriminator}",
            f"_S{self.discriminator >> 8}",
            "_CM",
            f"_V{self.vendor_id}",
            f"_T{self.device_type}",
        )

    def properties(self) -> dict[str, str]:
        """Return the TXT entries besides the session parameters."""
        entries = {
            "D": str(self.discriminator),
            "CM": str(self.mode),
            "VP": f"{self.vendor_id}+{self.product_id}",
            "DT": str(self.device_type),
            "DN": self.device_name[:32],
            "PH": str(self.pairing_hint),
        }
        return {**entries, "PI": self.pairing_instruction} if self.pairing_instruction else entries


@dataclass(frozen=True, slots=True)
class OperationalService:
    """The node as a member of one fabric."""

    compressed_fabric_id: bytes
    node_id: int

    @property
    def instance(self) -> str:
        """The name of the service's instance."""
        return f"{self.compressed_fabric_id.hex().upper()}-{self.node_id:016X}"

    def subtypes(self) -> tuple[str, ...]:
        """Return what a controller may filter by."""
        return (f"_I{self.compressed_fabric_id.hex().upper()}",)


Service = CommissionableService | OperationalService


class Advertiser:
    """Answers for the node's services on the chosen interfaces and announces every change.

    It shares port 5353 with the system's own responder. Records go out in the call that changes them, since a
    commissioner looks for the operational service as soon as it has the NOCResponse.
    """

    def __init__(
        self,
        *,
        port: int,
        parameters: SessionParameters,
        entropy: Entropy,
        interfaces: Callable[[], Sequence[HostInterface]] = network_interfaces,
    ) -> None:
        self._port = port
        self._interfaces = interfaces
        self._session_properties = {
            "SII": str(parameters.idle_interval_ms),
            "SAI": str(parameters.active_interval_ms),
            "SAT": str(parameters.active_threshold_ms),
            "T": "0",
        }
        self._random_host = entropy.octets(8).hex().upper()
        self._zeroconf: AsyncZeroconf | None = None
        self._present: tuple[HostInterface, ...] = ()
        self._services: dict[Service, list[ServiceInfo]] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._refreshing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to answer; interfaces that come later are taken up as they appear."""
        await self._follow_interfaces()
        self._refreshing = asyncio.create_task(self._refresh(), name="mdns refresh")

    async def stop(self) -> None:
        """Say goodbye and fall silent."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
            self._refreshing = None
        self._set([])
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        await self._close()

    def commissionable(self, service: CommissionableService | None) -> None:
        """Advertise an open commissioning window, or that there is none."""
        kept = [one for one in self._services if isinstance(one, OperationalService)]
        self._set(kept if service is None else [*kept, service])

    def operational(self, services: Iterable[OperationalService]) -> None:
        """Advertise the node in exactly these fabrics."""
        kept = [one for one in self._services if isinstance(one, CommissionableService)]
        self._set([*kept, *services])

    def _set(self, wanted: Sequence[Service]) -> None:
        """Withdraw what is no longer wanted, then announce what is new."""
        gone = [infos for service, infos in self._services.items() if service not in wanted]
        fresh = [service for service in dict.fromkeys(wanted) if service not in self._services]
        for infos in gone:
            self._withdraw(infos)
        self._services = {service: infos for service, infos in self._services.items() if service in wanted}
        for service in fresh:
            self._services[service] = self._register(service)

    def _register(self, service: Service) -> list[ServiceInfo]:
        infos = self._infos(service)
        if self._zeroconf is not None:
            for info in infos:
                self._zeroconf.zeroconf.registry.async_add(info)
            self._send(infos, None)
            for delay_s in _ANNOUNCE_AFTER_S:
                self._later(delay_s, infos, None)
        return infos

    def _withdraw(self, infos: list[ServiceInfo]) -> None:
        if self._zeroconf is not None:
            self._zeroconf.zeroconf.registry.async_remove(infos)
            self._send(infos, 0)
            for delay_s in _GOODBYE_AFTER_S:
                self._later(delay_s, infos, 0)

    def _later(self, delay_s: float, infos: list[ServiceInfo], ttl_s: int | None) -> None:
        """Send again after `delay_s`, unless the services came or went meanwhile."""
        loop = asyncio.get_running_loop()
        announcing = ttl_s is None

        def send() -> None:
            self._timers.discard(timer)
            current = any(known is infos for known in self._services.values())
            renamed = any(known[0].name == infos[0].name for known in self._services.values())
            if current if announcing else not renamed:
                self._send(infos, ttl_s)

        timer = loop.call_later(delay_s, send)
        self._timers.add(timer)

    def _send(self, infos: list[ServiceInfo], ttl_s: int | None) -> None:
        """Send the records of one service and its subtypes in one response; time to live 0 is a goodbye."""
        if self._zeroconf is None:
            return
        response = DNSOutgoing(_RESPONSE)
        for info in infos:
            response.add_answer_at_time(info.dns_pointer(ttl_s), 0)
        response.add_answer_at_time(infos[0].dns_service(ttl_s), 0)
        response.add_answer_at_time(infos[0].dns_text(ttl_s), 0)
        if ttl_s is None:  # the host stays, whatever becomes of its services
            for address in infos[0].dns_addresses():
                response.add_answer_at_time(address, 0)
        self._zeroconf.zeroconf.async_send(response)

    def _infos(self, service: Service) -> list[ServiceInfo]:
        """Return the record sets of `service`: one for its type and one for each subtype."""
        base = _COMMISSIONABLE if isinstance(service, CommissionableService) else _OPERATIONAL
        properties = service.properties() if isinstance(service, CommissionableService) else {}
        types = [base, *(f"{subtype}._sub.{base}" for subtype in service.subtypes())]
        infos = []
        for type_ in types:
            info = ServiceInfo(
                type_,
                f"{service.instance}.{base}",
                port=self._port,
                properties={**properties, **self._session_properties},
                server=f"{self._host()}.local.",
                addresses=[address for interface in self._present for address in interface.addresses],
            )
            if type_ != base:
                # The registry holds one entry per key, and a subtype has the instance name of its base type.
                info.key = f"{info.key}|{type_.lower()}"
            infos.append(info)
        return infos

    def _host(self) -> str:
        for interface in self._present:
            if len(interface.hardware_address) in _MAC_BYTES and any(interface.hardware_address):
                return interface.hardware_address.hex().upper()
        return self._random_host

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(_REFRESH_S)
            await self._follow_interfaces()

    async def _follow_interfaces(self) -> None:
        """Speak on the interfaces that are there now; announce everything again if they or their addresses changed."""
        present = tuple(self._interfaces())
        if present == self._present:
            return
        log.info("mdns interfaces=%s", ",".join(interface.name for interface in present) or "none")
        await self._close()
        self._present = present
        if present:
            try:
                self._zeroconf = AsyncZeroconf(interfaces=_choice(present), ip_version=_ip_version(present))
            except OSError as error:
                log.warning("mdns cannot use its interfaces yet: %s", error)
                self._present = ()
                return
            await self._zeroconf.zeroconf.async_wait_for_start()
        self._services = {service: self._register(service) for service in self._services}

    async def _close(self) -> None:
        if self._zeroconf is not None:
            zeroconf, self._zeroconf = self._zeroconf, None
            registry = zeroconf.zeroconf.registry
            registry.async_remove(registry.async_get_service_infos())
            await zeroconf.async_close()


def _choice(interfaces: Sequence[HostInterface]) -> list[str | int]:
    """Return the interfaces as zeroconf takes them: IPv4 addresses and, for IPv6, interface indexes."""
    chosen: list[str | int] = []
    for interface in interfaces:
        chosen.extend(interface.ipv4())
        if any(len(address) == 16 for address in interface.addresses):
            chosen.append(interface.index)
    return chosen


def _ip_version(interfaces: Sequence[HostInterface]) -> IPVersion:
    lengths = {len(address) for interface in interfaces for address in interface.addresses}
    if lengths == {4}:
        return IPVersion.V4Only
    return IPVersion.V6Only if lengths == {16} else IPVersion.All
