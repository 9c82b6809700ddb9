"""DNS-SD: how commissioners and controllers find the node. Source: Matter core 4.3, RFC 6762, RFC 6763."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zeroconf import ServiceInfo

from evse_pi.matter.discovery.host_interfaces import network_interfaces
from evse_pi.matter.discovery.link_responder import LinkResponder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from evse_pi.matter.channel.peer_session import SessionParameters
    from evse_pi.matter.discovery.host_interfaces import HostInterface
    from evse_pi.matter.environment import Entropy

log = logging.getLogger(__name__)

_COMMISSIONABLE = "_matterc._udp.local."
_OPERATIONAL = "_matter._tcp.local."
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
RecordSets = dict[LinkResponder, list[ServiceInfo]]
"""The record sets of one service on each link: one for its type and one for each subtype."""


class Advertiser:
    """Answers for the node's services on each of the chosen interfaces and announces every change.

    It shares port 5353 with the system's own responder. Records go out in the call that changes them, since a
    commissioner looks for the operational service as soon as it has the NOCResponse. Each interface tells its own
    addresses and no other's: a peer on one link can do nothing with the link-local address of another.
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
        self._host_name = self._random_host
        self._links: list[LinkResponder] = []
        self._services: dict[Service, RecordSets] = {}
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
        for link in self._links:
            await link.close()
        self._links = []

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
        gone = [sets for service, sets in self._services.items() if service not in wanted]
        fresh = [service for service in dict.fromkeys(wanted) if service not in self._services]
        for sets in gone:
            for link, infos in sets.items():
                self._withdraw(link, infos)
        self._services = {service: sets for service, sets in self._services.items() if service in wanted}
        for service in fresh:
            self._services[service] = {link: self._register(link, service) for link in self._links}

    def _register(self, link: LinkResponder, service: Service) -> list[ServiceInfo]:
        infos = self._infos(link.interface, service)
        link.add(infos)
        link.send(infos, None)
        for delay_s in _ANNOUNCE_AFTER_S:
            self._later(delay_s, link, infos, None)
        return infos

    def _withdraw(self, link: LinkResponder, infos: list[ServiceInfo]) -> None:
        link.remove(infos)
        link.send(infos, 0)
        for delay_s in _GOODBYE_AFTER_S:
            self._later(delay_s, link, infos, 0)

    def _later(self, delay_s: float, link: LinkResponder, infos: list[ServiceInfo], ttl_s: int | None) -> None:
        """Send again after `delay_s`, unless the service or the link came or went meanwhile."""
        loop = asyncio.get_running_loop()
        announcing = ttl_s is None

        def send() -> None:
            self._timers.discard(timer)
            present = [sets[link] for sets in self._services.values() if link in sets]
            current = any(known is infos for known in present)
            renamed = any(known[0].name == infos[0].name for known in present)
            if link in self._links and (current if announcing else not renamed):
                link.send(infos, ttl_s)

        timer = loop.call_later(delay_s, send)
        self._timers.add(timer)

    def _infos(self, interface: HostInterface, service: Service) -> list[ServiceInfo]:
        """Return the record sets of `service` on an interface: one for its type and one for each subtype."""
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
                server=f"{self._host_name}.local.",
                addresses=list(interface.addresses),
            )
            if type_ != base:
                # The registry holds one entry per key, and a subtype has the instance name of its base type.
                info.key = f"{info.key}|{type_.lower()}"
            infos.append(info)
        return infos

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(_REFRESH_S)
            await self._follow_interfaces()

    async def _follow_interfaces(self) -> None:
        """Speak on the interfaces that are there now; what is new, or has other addresses, is announced on them."""
        present = tuple(self._interfaces())
        host_name = self._host(present)
        renamed, self._host_name = host_name != self._host_name, host_name
        # A new host name makes every link stale: what it has announced points to the old one.
        stale = [link for link in self._links if renamed or link.interface not in present]
        missing = [one for one in present if one not in {link.interface for link in self._links if link not in stale}]
        if not stale and not missing:
            return
        log.info("mdns interfaces=%s", ",".join(interface.name for interface in present) or "none")
        for link in stale:
            await self._drop(link)
        for interface in missing:
            await self._take_up(interface)

    async def _drop(self, link: LinkResponder) -> None:
        self._links.remove(link)
        for sets in self._services.values():
            sets.pop(link, None)
        await link.close()

    async def _take_up(self, interface: HostInterface) -> None:
        try:
            link = LinkResponder(interface)
        except OSError as error:
            log.warning("mdns cannot use %s yet: %s", interface.name, error)
            return
        try:
            await link.start()
        except BaseException:
            await link.close()
            raise
        self._links.append(link)
        for service, sets in self._services.items():
            sets[link] = self._register(link, service)

    def _host(self, present: Sequence[HostInterface]) -> str:
        for interface in present:
            if len(interface.hardware_address) in _MAC_BYTES and any(interface.hardware_address):
                return interface.hardware_address.hex().upper()
        return self._random_host
