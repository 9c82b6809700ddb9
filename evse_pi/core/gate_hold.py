"""How long the gate of the contactor's coil holds after its last pulse, measured at every opening."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evse_pi.core.evidence import Check, Evidence
from hal.units import MILLISECOND

if TYPE_CHECKING:
    from evse_pi.core.board_ratings import CoilChannels

SETTLES_NS = 10 * MILLISECOND
"""What is granted beyond the longest hold before a gate that still conducts is called shorted."""
READ_WITHIN_NS = MILLISECOND
"""How exactly the instants of a reading and of a pulse are known."""
GIVEN_UP_NS = 100 * MILLISECOND
ANY_TIME_MS = 60_000


@dataclass(frozen=True, slots=True)
class GateHold:
    """The gate's pulses, and what it was seen to hold for.

    `fed_ns` is the last pulse, `armed_ns` the first of those without a gap. While `due`, a measurement is under way:
    `high_ns` is when the node last stood at the supply, `left` the least and the most for which the gate then held,
    until the node has stayed at rest for as long as the longest hold. `seen_ns` are the shortest and the longest hold
    so far, `wrong` the last one if it was outside its limits.
    """

    fed_ns: int = 0
    armed_ns: int = 0
    due: bool = False
    high_ns: int | None = None
    left: tuple[int, int] | None = None
    seen_ns: tuple[int, int] | None = None
    wrong: Evidence | None = None

    def pulsed(self, fed_ns: int, channels: CoilChannels) -> GateHold:
        """Return the gate after what is the newest pulse; one that came too late has to arm it again."""
        if fed_ns == self.fed_ns:
            return self
        gap = fed_ns - self.fed_ns >= channels.hold_min_ns
        return replace(self, fed_ns=fed_ns, armed_ns=fed_ns if gap else self.armed_ns)

    def conducts(self, at_ns: int, channels: CoilChannels) -> bool | None:
        """Return whether the gate must conduct at an instant, None while it may do either."""
        since_ns = at_ns - self.fed_ns
        if since_ns > channels.hold_max_ns + SETTLES_NS:
            return False
        armed = at_ns - self.armed_ns >= channels.arm_ns + READ_WITHIN_NS
        return True if armed and since_ns < channels.hold_min_ns - READ_WITHIN_NS else None

    def begun(self, channels: CoilChannels) -> GateHold:
        """Return the gate while it is fed: once armed, its hold is measured when that ends."""
        due = self.fed_ns - self.armed_ns >= channels.arm_ns
        known = (self.due, self.high_ns, self.left) == (due, None, None)
        return self if known else replace(self, due=due, high_ns=None, left=None)

    def given_up(self) -> GateHold:
        """Return the gate when nothing can be measured any more."""
        return replace(self, due=False, high_ns=None, left=None) if self.due else self

    def high(self, at_ns: int, channels: CoilChannels) -> GateHold:
        """Return the gate after a reading that saw it conduct; what conducts for long is no hold any more."""
        if at_ns - self.fed_ns > channels.hold_max_ns + GIVEN_UP_NS:
            return self.given_up()
        return replace(self, high_ns=at_ns, left=None) if self.due else self

    def rested(self, at_ns: int, channels: CoilChannels) -> GateHold:
        """Return the gate after a reading of half the supply.

        A supply that collapses to a half looks like that as well, until the gate lets go of it: so it is believed only
        once the longest hold is over.
        """
        if not self.due:
            return self
        if self.left is None:
            least_ns = 0 if self.high_ns is None else self.high_ns - self.fed_ns
            return replace(self, left=(least_ns, at_ns - self.fed_ns))
        return self._measured(at_ns, channels) if self.conducts(at_ns, channels) is False else self

    def evidence(self, now_ns: int, channels: CoilChannels) -> tuple[Evidence, ...]:
        """Return the shortest and the longest hold so far, nothing before the first."""
        if self.seen_ns is None:
            return ()
        shortest_ns, longest_ns = self.seen_ns
        return _shortest(now_ns, shortest_ns, channels), _longest(now_ns, longest_ns, channels)

    def _measured(self, at_ns: int, channels: CoilChannels) -> GateHold:
        least_ns, most_ns = self.left or (0, 0)
        shortest_ns, longest_ns = self.seen_ns or (most_ns, least_ns)
        wrong = None
        if most_ns < channels.hold_min_ns - READ_WITHIN_NS:
            wrong = _shortest(at_ns, most_ns, channels)
        elif least_ns > channels.hold_max_ns + READ_WITHIN_NS:
            wrong = _longest(at_ns, least_ns, channels)
        seen_ns = (min(shortest_ns, most_ns), max(longest_ns, least_ns))
        return replace(self, due=False, high_ns=None, left=None, seen_ns=seen_ns, wrong=wrong)


def _shortest(at_ns: int, hold_ns: int, channels: CoilChannels) -> Evidence:
    limit_ms = channels.hold_min_ns // MILLISECOND
    return Evidence(Check.GATE_HOLD_SHORTEST, at_ns, hold_ns // MILLISECOND, limit_ms, ANY_TIME_MS)


def _longest(at_ns: int, hold_ns: int, channels: CoilChannels) -> Evidence:
    limit_ms = channels.hold_max_ns // MILLISECOND
    return Evidence(Check.GATE_HOLD_LONGEST, at_ns, hold_ns // MILLISECOND, 0, limit_ms)
