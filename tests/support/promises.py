"""What a box was told and acknowledged, and whether what the plant saw of it fits.

Numbers are literal: a limit that the box computes wrongly must not be computed wrongly here as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

MS = 1_000_000
S = 1_000_000_000
BOARD_MA = 32_000
IN_FORCE_NS = 2_000 * MS
"""From the answer, or the end of a permission, to the offer: a second, a demand and a tick, on a shared machine."""
LET_GO_NS = 6_000 * MS + IN_FORCE_NS + 500 * MS
"""A vehicle that is offered nothing any more has 6 s before the contactor opens under it."""
OPEN_NS = 250 * MS
"""100 ms by the standard, and what other programs take of a shared machine."""
REST_NS = 5 * S


@dataclass(frozen=True, slots=True)
class Wishes:
    """Everything that limits the box. Units: `until` in s since 2000, 0 for never, None for good."""

    capacity_ma: int = 32_000
    cable_ma: int = 32_000
    owner_ma: int | None = None
    until: int | None = 0
    minimum_ma: int = 6_000
    maximum_ma: int = 0
    user_ma: int | None = None
    window_s: int = 600
    targets: tuple[Any, ...] = ()

    def enabled(self, now_s: float) -> bool:
        return self.until is None or now_s < self.until

    def disabled(self) -> Wishes:
        return replace(self, until=0, minimum_ma=0, maximum_ma=0)

    def settled(self, now_s: float) -> Wishes:
        """Return them after their time is over."""
        return self if self.until == 0 or self.enabled(now_s) else self.disabled()

    def bound_ma(self, now_s: float) -> int:
        """Return the most that may be offered."""
        if not self.enabled(now_s):
            return 0
        user_ma = max(self.capacity_ma if self.user_ma is None else self.user_ma, self.minimum_ma)
        limits = [BOARD_MA, self.capacity_ma, self.cable_ma, self.maximum_ma, user_ma]
        least = min(limits if self.owner_ma is None else [*limits, self.owner_ma])
        return least if least >= 6_000 else 0


ANYTHING = Wishes(until=None, maximum_ma=80_000)


def offered_ma(duty_ppm: int) -> int:
    """Return what a vehicle may draw at a duty cycle. Source: IEC 61851-1 Table A.8."""
    if not 80_000 <= duty_ppm <= 970_000:
        return 0
    if duty_ppm < 100_000:
        return 6_000
    return duty_ppm * 6 // 100 if duty_ppm <= 850_000 else (duty_ppm - 640_000) // 4


@dataclass
class Ledger:
    """Who was promised what since when. Before an answer both the old and the new may hold."""

    possible: tuple[Wishes, ...] = (ANYTHING,)
    entries: list[tuple[int, tuple[Wishes, ...]]] = field(default_factory=list)
    ever: dict[str, set[Any]] = field(default_factory=dict)

    def become(self, now_ns: int, *possible: Wishes) -> None:
        self.possible = possible
        self.entries.append((now_ns, possible))
        for wishes in possible:
            for name in Wishes.__slots__:
                self.ever.setdefault(name, set()).add(getattr(wishes, name))

    def everywhere(self, now_ns: int, **changes: Any) -> None:
        self.become(now_ns, *(replace(wishes, **changes) for wishes in self.possible))

    def bound_ma(self, since_ns: int, until_ns: int, now_s: float) -> int:
        """Return the most that anything allowed between two instants."""
        held = [wishes for at_ns, wishes in self.entries if at_ns <= since_ns][-1:]
        held += [wishes for at_ns, wishes in self.entries if since_ns < at_ns <= until_ns]
        return max((one.bound_ma(now_s) for wishes in held for one in wishes), default=0)


@dataclass
class Watch:
    """Goes through the plant's changes in their order and collects what must not be."""

    ledger: Ledger
    unix_minus_ns: int  # unix time in ns less CLOCK_MONOTONIC
    epoch_s: int
    findings: list[str] = field(default_factory=list)
    values: dict[str, int] = field(default_factory=dict)
    seen_ns: int = 0
    opened_ns: int = -(10**18)
    asked_ns: int = -(10**18)
    power: list[tuple[int, bool]] = field(default_factory=list)
    closings: int = 0
    slowest_ns: int = 0
    _told: set[str] = field(default_factory=set)

    def see(self, changes: Iterable[tuple[int, str, int]], until_ns: int) -> None:
        """Check everything up to an instant, at every change and at every instant at which time makes a difference."""
        changes = sorted(each for each in changes if self.seen_ns < each[0] <= until_ns)
        stops = {until_ns, *(at_ns for at_ns, _, _ in changes)}
        stops |= {at_ns + wait_ns for at_ns, _ in self.ledger.entries for wait_ns in (IN_FORCE_NS, LET_GO_NS)}
        stops |= {at_ns + OPEN_NS for at_ns, name, _ in changes if name in ("s2", "plugged")}
        stops |= {at_ns + OPEN_NS for at_ns, _ in self.power}
        instants = sorted(stop for stop in stops if self.seen_ns < stop <= until_ns)
        for before_ns, now_ns in pairwise([self.seen_ns, *instants]):
            self._hold(before_ns, now_ns)
            for at_ns, name, value in changes:
                if at_ns == now_ns:
                    self._change(at_ns, name, value)
            self._check(now_ns)
        self.seen_ns = until_ns

    def _hold(self, before_ns: int, now_ns: int) -> None:
        if self._asking() or before_ns == 0:
            self.asked_ns = now_ns

    def _asking(self) -> bool:
        return bool(self.values.get("plugged")) and self.values.get("s2", 0) > 0

    def _powered(self, now_ns: int) -> tuple[bool, int]:
        """Return whether there is power, and since when."""
        at_ns, on = next((each for each in reversed(self.power) if each[0] <= now_ns), (0, False))
        return on, at_ns

    def _change(self, at_ns: int, name: str, value: int) -> None:
        before, self.values[name] = self.values.get(name, 0), value
        if name == "poles" and before and not value and not self._asking():
            self.slowest_ns = max(self.slowest_ns, at_ns - self.asked_ns)
        if name != "coil" or (before > 0) == (value > 0):  # the poles bounce
            return
        if not value:
            self.opened_ns = at_ns
            return
        self.closings += 1
        if not self._asking():
            self._find(at_ns, "closed although the vehicle does not ask")
        on, since_ns = self._powered(at_ns)
        dying = not on and at_ns - since_ns <= OPEN_NS  # what a process wrote last may still arrive
        if not on and not dying:
            self._find(at_ns, "closed without power")
        if at_ns - self.opened_ns < REST_NS - 100 * MS and not dying:
            self._find(at_ns, f"closed {(at_ns - self.opened_ns) / S:.2f} s after it opened")
        if not self._bound_ma(at_ns, IN_FORCE_NS):
            self._find(at_ns, "closed although charging is not permitted")

    def _check(self, now_ns: int) -> None:
        offered, bound = offered_ma(self.values.get("duty_ppm", 0)), self._bound_ma(now_ns, IN_FORCE_NS)
        on, since_ns = self._powered(now_ns)
        if offered > bound:
            self._find(now_ns, f"offers {offered} mA where at most {bound} mA are allowed")
        if not self.values.get("poles"):
            return
        if now_ns - self.asked_ns > OPEN_NS - MS:
            self._find(now_ns, "closed long after the vehicle stopped asking")
        if not on and now_ns - since_ns > OPEN_NS - MS:
            self._find(now_ns, "closed long after the power went")
        if not self._bound_ma(now_ns, LET_GO_NS):
            self._find(now_ns, "closed long after charging was forbidden")

    def _bound_ma(self, now_ns: int, grace_ns: int) -> int:
        then_s = (now_ns - grace_ns + self.unix_minus_ns) / S - self.epoch_s
        return self.ledger.bound_ma(now_ns - grace_ns, now_ns, then_s)

    def _find(self, now_ns: int, text: str) -> None:
        if text not in self._told:  # once is enough
            self._told.add(text)
            self.findings.append(f"at {now_ns / S:.3f} s: {text}; {self.values}, {self.ledger.possible}")
