"""The network interfaces through which a node is found."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ifaddr

if TYPE_CHECKING:
    from collections.abc import Collection

_SYS = Path("/sys/class/net")
_UP, _LOOPBACK, _MULTICAST = 0x1, 0x8, 0x1000  # IFF_ flags of net/if.h


@dataclass(frozen=True, slots=True)
class HostInterface:
    """One interface with its addresses: 4 or 16 octets each, the link-local one included."""

    name: str
    index: int
    hardware_address: bytes
    addresses: tuple[bytes, ...]

    def ipv4(self) -> tuple[str, ...]:
        """Return the IPv4 addresses as text."""
        return tuple(socket.inet_ntoa(address) for address in self.addresses if len(address) == 4)


def network_interfaces(names: Collection[str] | None = None) -> tuple[HostInterface, ...]:
    """Return the interfaces that are up, speak multicast, have an address and are no loopback, by index.

    With `names` only those of them that are named.
    """
    found = []
    for adapter in ifaddr.get_adapters():
        if (names is None or adapter.name in names) and adapter.index is not None and _is_usable(adapter.name):
            addresses = sorted({_octets(one.ip) for one in adapter.ips}, key=lambda octets: (len(octets), octets))
            found.append(HostInterface(adapter.name, adapter.index, _hardware_address(adapter.name), tuple(addresses)))
    return tuple(sorted(found, key=lambda interface: interface.index))


def _octets(address: str | tuple[str, int, int]) -> bytes:
    if isinstance(address, str):
        return socket.inet_aton(address)
    return socket.inet_pton(socket.AF_INET6, address[0])


def _is_usable(name: str) -> bool:
    try:
        flags = int((_SYS / name / "flags").read_text(), 16)
    except OSError:  # it vanished since it was listed
        return False
    return flags & (_UP | _LOOPBACK | _MULTICAST) == _UP | _MULTICAST


def _hardware_address(name: str) -> bytes:
    try:
        return bytes.fromhex((_SYS / name / "address").read_text().strip().replace(":", ""))
    except (OSError, ValueError):
        return b""
