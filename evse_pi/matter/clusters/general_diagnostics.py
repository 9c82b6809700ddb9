"""GeneralDiagnostics: interfaces, restarts, uptime, and the triggers by which a test makes things happen."""

from __future__ import annotations

import asyncio
import hmac
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from evse_pi.matter.clusters.network_interface import NetworkInterface, is_wireless
from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Command, Event, Feature, Field, Struct
from evse_pi.matter.model.transaction import independent
from evse_pi.matter.model.watch import Watch
from evse_pi.matter.wire.chip_objects import GeneralDiagnostics
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

if TYPE_CHECKING:
    from evse_pi.matter.environment import WallClock
    from evse_pi.matter.identity.accessor import Accessor

ENABLE_KEY_BYTES = 16
MAX_INTERFACES = 8
MAX_IPV4_ADDRESSES = 4
MAX_IPV6_ADDRESSES = 8
_IPV4_BYTES = 4
_HARDWARE_ADDRESS_BYTES = (6, 8)
_BootReason = GeneralDiagnostics.Enums.BootReasonEnum
_InterfaceType = GeneralDiagnostics.Enums.InterfaceTypeEnum

TriggerHandler = Callable[[int], bool | Awaitable[bool]]

SCHEMA = ClusterSchema(
    GeneralDiagnostics,
    revision=2,
    diagnostics=True,
    features=(Feature("DMTEST", "DataModelTest", "X"),),
    attributes=(
        Attribute("NetworkInterfaces", "list", constraint=f"max {MAX_INTERFACES}"),
        Attribute("RebootCount", "uint16", "R V", "N", default=0),
        Attribute("UpTime", "uint64", "R V", "C"),
        Attribute("BootReason", "enum8", "R V", "", "O"),
        Attribute("TestEventTriggersEnabled", "bool", "R V", default=False),
    ),
    commands=(
        Command("TestEventTrigger", "M", fields=(Field("eventTrigger", "uint64"),)),
        Command("TimeSnapshot", "O"),
    ),
    events=(Event("BootReason", "critical"),),
    structs=(
        Struct(
            "NetworkInterface",
            (
                Field("name", "string", "max 32"),
                Field("IPv4Addresses", "list", "max 4[4 to 4]"),
                Field("IPv6Addresses", "list", "max 8[16 to 16]"),
            ),
        ),
        Struct("TestEventTrigger", (Field("enableKey", "octets", "16 to 16"),)),
    ),
)


class GeneralDiagnosticsServer(ClusterServer, enable=("BootReason",)):
    """The state of the machine under the node."""

    schema = SCHEMA

    def __init__(
        self,
        interfaces: Callable[[], Sequence[NetworkInterface]],
        wall_clock: WallClock,
        *,
        enable_key: bytes | None = None,
        **state: Any,
    ) -> None:
        """Make the server; without `enable_key` no test event trigger is accepted.

        Raises: ValueError when the key is not 16 bytes, or all zero.
        """
        if enable_key is not None and (len(enable_key) != ENABLE_KEY_BYTES or not any(enable_key)):
            raise ValueError(f"enable_key of {len(enable_key)} bytes: allowed are 16, not all zero")
        super().__init__(test_event_triggers_enabled=enable_key is not None, **state)
        self._interfaces = interfaces
        self._wall_clock = wall_clock
        self._enable_key = enable_key
        self._triggers: list[TriggerHandler] = []
        self._started_s = 0.0
        self._watch = Watch(self, "network_interfaces")

    def initialize(self) -> None:
        """Count this start, and follow cables and addresses."""
        self._started_s = asyncio.get_running_loop().time()
        self.state.reboot_count = min(self.state.reboot_count + 1, 0xFFFF)
        self._watch.start()

    def close(self) -> None:
        """Follow cables and addresses no more."""
        self._watch.close()

    def started(self) -> None:
        """Tell why the node began to serve."""
        self.events.boot_reason.emit(bootReason=self.state.boot_reason)

    def on_trigger(self, handler: TriggerHandler) -> None:
        """Ask `handler` about test event triggers; it answers, maybe later, whether it knew the code and acted."""
        self._triggers.append(handler)

    def read_network_interfaces(self, _accessor: Accessor | None) -> list[Any]:
        """Return the interfaces as they are now."""
        found = [one for one in self._interfaces() if len(one.hardware_address) in _HARDWARE_ADDRESS_BYTES]
        return [_describe(one) for one in found[:MAX_INTERFACES]]

    def read_up_time(self, _accessor: Accessor | None) -> int:
        """Return the seconds since the node was started."""
        return self._system_time_ms() // 1000

    async def test_event_trigger(self, request: Any) -> None:
        """Make happen what a code stands for, if the requester has the key."""
        key = self._enable_key
        if len(request.enableKey) != ENABLE_KEY_BYTES:
            raise MatterStatus(StatusCode.CONSTRAINT_ERROR, f"a key has {ENABLE_KEY_BYTES} bytes")
        if key is None or not hmac.compare_digest(key, request.enableKey):
            raise MatterStatus(StatusCode.CONSTRAINT_ERROR, "the enable key is not the one configured")
        with independent():
            for handler in self._triggers:
                known = handler(request.eventTrigger)
                if await known if inspect.isawaitable(known) else known:
                    return
        raise MatterStatus(StatusCode.INVALID_COMMAND, f"trigger 0x{request.eventTrigger:016X} is unknown")

    def time_snapshot(self) -> Any:
        """Return uptime and time of day of one moment."""
        unix_us = self._wall_clock.unix_us()
        posix_ms = None if unix_us is None else unix_us // 1000
        return GeneralDiagnostics.Commands.TimeSnapshotResponse(self._system_time_ms(), posix_ms)

    def _system_time_ms(self) -> int:
        return int((asyncio.get_running_loop().time() - self._started_s) * 1000)


def _describe(interface: NetworkInterface) -> Any:
    ipv4 = [address for address in interface.addresses if len(address) == _IPV4_BYTES]
    ipv6 = [address for address in interface.addresses if len(address) != _IPV4_BYTES]
    return GeneralDiagnostics.Structs.NetworkInterface(
        name=interface.name[:32],
        isOperational=True,
        offPremiseServicesReachableIPv4=None,
        offPremiseServicesReachableIPv6=None,
        hardwareAddress=interface.hardware_address,
        IPv4Addresses=ipv4[:MAX_IPV4_ADDRESSES],
        IPv6Addresses=ipv6[:MAX_IPV6_ADDRESSES],
        type=_InterfaceType.kWiFi if is_wireless(interface.name) else _InterfaceType.kEthernet,
    )
