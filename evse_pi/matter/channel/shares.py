"""Who may hold how much of a bounded table: no peer, no fabric and no crowd of them takes what others need."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.matter.identity.fabric import FABRIC_CAPACITY

if TYPE_CHECKING:
    from collections.abc import Hashable

GROUPS = 2 * FABRIC_CAPACITY + 1  # administrators and others of each fabric, and commissioners


@dataclass(frozen=True, slots=True)
class Holder:
    """A peer as its share is counted: administrators of a fabric are one group, its other members another."""

    group: tuple[int, bool]
    peer: Hashable


class Shares:
    """Counts what holders have of a table of `total` places.

    `own` places are kept for each group, whatever others take; the rest are for all, up to `per_group` and `per_peer`.
    """

    def __init__(self, *, total: int, own: int, per_group: int, per_peer: int) -> None:
        """Raises: ValueError where the places kept for the groups are more than there are."""
        self._common = total - GROUPS * own
        if self._common < 0:
            raise ValueError(f"own={own} of total={total}: at most {total // GROUPS} for each of {GROUPS} groups")
        self._own = own
        self._per_group = per_group
        self._per_peer = per_peer
        self._groups: Counter[tuple[int, bool]] = Counter()
        self._peers: Counter[Hashable] = Counter()

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return self._groups.total()

    def take(self, holder: Holder, places: int = 1) -> bool:
        """Take places for `holder` and return True, or return False where its share does not reach."""
        of_group = self._groups[holder.group] + places
        if of_group > self._per_group or self._peers[holder.peer] + places > self._per_peer:
            self._tidy(holder)
            return False
        others = sum(max(0, count - self._own) for group, count in self._groups.items() if group != holder.group)
        if of_group > self._own and others + of_group - self._own > self._common:
            self._tidy(holder)
            return False
        self._groups[holder.group] += places
        self._peers[holder.peer] += places
        return True

    def give_back(self, holder: Holder, places: int = 1) -> None:
        """Give back places that `holder` took."""
        self._groups[holder.group] -= places
        self._peers[holder.peer] -= places
        self._tidy(holder)

    def _tidy(self, holder: Holder) -> None:
        """Keep no count of those who hold nothing, since there is no end of them."""
        if not self._groups[holder.group]:
            del self._groups[holder.group]
        if not self._peers[holder.peer]:
            del self._peers[holder.peer]


class HostShares:
    """Counts handshakes by the host that they come from, before a peer has proved anything."""

    def __init__(self, *, total: int, per_host: int) -> None:
        self._total = total
        self._per_host = per_host
        self._hosts: Counter[Hashable] = Counter()

    def take(self, address: Hashable) -> bool:
        """Take a place for the host at `address` and return True, or return False where there is none for it."""
        host = host_of(address)
        if self._hosts.get(host, 0) >= self._per_host or self._hosts.total() >= self._total:
            return False
        self._hosts[host] += 1
        return True

    def give_back(self, address: Hashable) -> None:
        """Give back a place that the host at `address` took."""
        host = host_of(address)
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]


def host_of(address: Hashable) -> Hashable:
    """Return the part of a socket address that stays when its program takes another port."""
    if isinstance(address, tuple) and len(address) >= 2:
        return (address[0], *address[3:])
    return address
