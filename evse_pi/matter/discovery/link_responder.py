"""One responder for one interface: what is asked on a link is answered there, with the addresses that it has there."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from zeroconf import DNSOutgoing, IPVersion  # type: ignore[attr-defined] # left out of its __all__
from zeroconf._handlers.query_handler import QueryHandler
from zeroconf._services.registry import ServiceRegistry
from zeroconf.asyncio import AsyncZeroconf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zeroconf import ServiceInfo

    from evse_pi.matter.discovery.host_interfaces import HostInterface

log = logging.getLogger(__name__)

_RESPONSE = 0x8400  # an authoritative response, RFC 6762 18
_IPV4_BYTES, _IPV6_BYTES = 4, 16
_IP_MULTICAST_ALL, _IPV6_MULTICAST_ALL = 49, 29
"""Options of linux/in.h and linux/in6.h that the socket module does not name."""


class TypeRegistry(ServiceRegistry):
    """Tells who enumerates services their types as they are written, and no subtypes, which are none of their own.

    Zeroconf's own keeps types by their lower case and tells those. Source: RFC 6763 9.
    """

    def async_get_types(self) -> list[str]:
        """Return the types of all services."""
        return list(dict.fromkeys(info.type for info in self.async_get_service_infos() if "._sub." not in info.type))


class LinkResponder:
    """Answers for record sets on one interface and announces them there."""

    def __init__(self, interface: HostInterface) -> None:
        """Open the sockets. Raises: OSError where an address is not there yet."""
        self.interface = interface
        self._zeroconf = AsyncZeroconf(interfaces=_choice(interface), ip_version=_ip_version(interface))
        core = self._zeroconf.zeroconf
        core.registry = TypeRegistry()
        core.query_handler = QueryHandler(core)  # before its sockets listen, which take both over

    async def start(self) -> None:
        """Begin to answer, and to hear what is said on this interface alone."""
        await self._zeroconf.zeroconf.async_wait_for_start()
        for reader in self._zeroconf.zeroconf.engine.readers:
            _hear_own_groups_alone(reader.sock)

    def add(self, infos: Sequence[ServiceInfo]) -> None:
        """Answer for these record sets."""
        for info in infos:
            self._zeroconf.zeroconf.registry.async_add(info)

    def remove(self, infos: Sequence[ServiceInfo]) -> None:
        """Answer for them no more."""
        self._zeroconf.zeroconf.registry.async_remove(list(infos))

    def send(self, infos: Sequence[ServiceInfo], ttl_s: int | None) -> None:
        """Send the records of one service and its subtypes in one response; time to live 0 is a goodbye."""
        response = DNSOutgoing(_RESPONSE)
        for info in infos:
            response.add_answer_at_time(info.dns_pointer(ttl_s), 0)
        response.add_answer_at_time(infos[0].dns_service(ttl_s), 0)
        response.add_answer_at_time(infos[0].dns_text(ttl_s), 0)
        if ttl_s is None:  # the host stays, whatever becomes of its services
            for address in infos[0].dns_addresses():
                response.add_answer_at_time(address, 0)
        self._zeroconf.zeroconf.async_send(response)

    async def close(self) -> None:
        """Fall silent."""
        registry = self._zeroconf.zeroconf.registry
        registry.async_remove(registry.async_get_service_infos())
        await self._zeroconf.async_close()


def _hear_own_groups_alone(sock: socket.socket) -> None:
    """Keep what another socket of this machine joined a group for from a socket that did not."""
    for level, option in ((socket.IPPROTO_IP, _IP_MULTICAST_ALL), (socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL)):
        with suppress(OSError):  # an address family that the socket does not have
            sock.setsockopt(level, option, 0)


def _choice(interface: HostInterface) -> list[str | int]:
    """Return the interface as zeroconf takes it: IPv4 addresses and, for IPv6, its index."""
    chosen: list[str | int] = [*interface.ipv4()]
    if any(len(address) == _IPV6_BYTES for address in interface.addresses):
        chosen.append(interface.index)
    return chosen


def _ip_version(interface: HostInterface) -> IPVersion:
    lengths = {len(address) for address in interface.addresses}
    if lengths == {_IPV4_BYTES}:
        return IPVersion.V4Only
    return IPVersion.V6Only if lengths == {_IPV6_BYTES} else IPVersion.All
