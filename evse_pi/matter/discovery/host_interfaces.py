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
_IF_INET6 = Path("/proc/net/if_inet6")
_UP, _LOOPBACK, _MULTICAST = 0x1, 0x8, 0x1000  # IFF_ flags of net/if.h
_DADFAILED, _DEPRECATED, _TENTATIVE = 0x08, 0x20, 0x40  # IFA_F_ flags of linux/if_addr.h


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

    An address that is deprecated, or not proven to be unique, is left out, as no connection shall begin at it (RFC 4862
    5.5.4). With `names` only those of them that are named; without, no bridge that serves virtual machines or
    containers alone, and no port of any bridge.
    """
    found, unusable = [], _unusable_addresses()
    for adapter in ifaddr.get_adapters():
        wanted = adapter.name in names if names is not None else not _is_inner(adapter.name)
        if not wanted or adapter.index is None or not _is_usable(adapter.name):
            continue
        octets = {_octets(one.ip) for one in adapter.ips}
        addresses = sorted(octets - unusable.get(adapter.name, set()), key=lambda one: (len(one), one))
        if addresses:
            found.append(HostInterface(adapter.name, adapter.index, _hardware_address(adapter.name), tuple(addresses)))
    return tuple(sorted(found, key=lambda interface: interface.index))


def _unusable_addresses(table: Path | None = None) -> dict[str, set[bytes]]:
    """Return the IPv6 addresses that are not to be told, by interface, as the kernel's table marks them."""
    found: dict[str, set[bytes]] = {}
    try:
        lines = (table or _IF_INET6).read_text().splitlines()
    except OSError:  # a kernel without IPv6
        return found
    for line in lines:
        address, _index, _length, _scope, flags, name = line.split()
        if int(flags, 16) & (_DADFAILED | _DEPRECATED | _TENTATIVE):
            found.setdefault(name, set()).add(bytes.fromhex(address))
    return found


def _is_inner(name: str, folder: Path | None = None) -> bool:
    """Return whether an interface leads to no place outside this machine, or is a port of one that does."""
    own = (folder or _SYS) / name
    if (own / "brport").exists():
        return True
    if not (own / "bridge").exists():
        return False
    ports = (own / "brif").iterdir() if (own / "brif").exists() else ()
    return not any(((folder or _SYS) / port.name / "device").exists() for port in ports)


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
