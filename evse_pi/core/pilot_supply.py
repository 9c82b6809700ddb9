"""Whether the generator's own supplies can be trusted: a state read on a rail that is not there is no state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evse_pi.core.faults import NO_FAULTS, Fault
from evse_pi.core.states import PilotMode, PilotState
from hal.units import SECOND

if TYPE_CHECKING:
    from evse_pi.core.io_records import PilotOutput, PilotReading
    from hal.units import Millivolts

BAD_TICKS = 2
SETTLED_NS = 5 * SECOND
"""A rail that was good for this long was bad once; before that it is the same trouble."""
MOST_IN_A_SESSION = 3

DIVIDER_HIGH_MV, DIVIDER_LOW_MV = -50, 60
"""What the measuring divider takes of an unloaded line. Source: docs/boards/reference.md."""
MAX_HIGH_OFF_MV = 300
MAX_LOW_OFF_MV = 600
OFF_WINDOWS = 50
SAG_WINDOWS = 10
"""As many windows of A that do not stand at their rail are more than a contact that makes while it is pushed in."""


def supplied(reading: PilotReading, window_mv: tuple[Millivolts, Millivolts]) -> bool:
    """Return whether both rails read within `window_mv` of 0 V round this window of the pilot.

    A board that should see its rails and does not counts as one without them. Hazard: H-02, a sagging positive rail
    makes every state of an empty line.
    """
    supply, (lowest, highest) = reading.supply, window_mv
    if supply is None:
        return False
    read = (supply.positive_mv, supply.positive_after_mv, -supply.negative_mv)
    return all(lowest <= each <= highest for each in read)


def agrees(reading: PilotReading, output: PilotOutput, state: PilotState) -> bool:
    """Return whether the line stands where its rails put it: +12 V without a vehicle, and -12 V, which no diode loads.

    A vehicle without its diode does load the negative half; that is for the check of the diode.
    """
    supply, high, low = reading.supply, reading.high_mv, reading.low_mv
    if supply is None:
        return True
    if state is PilotState.A and output.mode is not PilotMode.LOW and high is not None:
        off = min(abs(high - rail - DIVIDER_HIGH_MV) for rail in (supply.positive_mv, supply.positive_after_mv))
        if off > MAX_HIGH_OFF_MV:
            return False
    if output.mode is PilotMode.HIGH or low is None:
        return True
    above = low - supply.negative_mv - DIVIDER_LOW_MV
    return above >= -MAX_LOW_OFF_MV and (state is not PilotState.A or above <= MAX_LOW_OFF_MV)


@dataclass(frozen=True, slots=True)
class SupplyWatch:
    """The rails over time: bad ticks in a row, how often they failed since the vehicle came, and a drifting input.

    From the third failure of a session on the fault stays until the vehicle is unplugged. `off_in_a` counts the last
    windows of A that did not stand at their rail: what leaks there may go on to hold the line in B, where nothing tells
    it from a vehicle, so only an A that does stand there ends it.
    """

    bad: int = 0
    failures: int = 0
    bad_ns: int | None = None
    off: int = 0
    off_in_a: int = 0

    def advance(self, now_ns: int, *, good: bool, agreeing: bool, connected: bool) -> SupplyWatch:
        """Return what is known after one more tick. `connected`: a vehicle was there when the rails were last good."""
        off = 0 if agreeing or not good else min(self.off + 1, OFF_WINDOWS)
        if good:
            return self if self.bad == 0 and off == self.off else replace(self, bad=0, off=off)
        bad = min(self.bad + 1, BAD_TICKS)
        if bad < BAD_TICKS:
            return replace(self, bad=bad, off=off)
        fresh = self.bad_ns is None or now_ns - self.bad_ns >= SETTLED_NS
        return SupplyWatch(bad, self.failures + (fresh and connected), now_ns, off, self.off_in_a)

    def compare_a(self, *, agreeing: bool) -> SupplyWatch:
        """Return the watch after one more window of A on good rails."""
        off_in_a = 0 if agreeing else min(self.off_in_a + 1, OFF_WINDOWS)
        return self if off_in_a == self.off_in_a else replace(self, off_in_a=off_in_a)

    def unplugged(self) -> SupplyWatch:
        """Return the watch when the vehicle has gone."""
        return self if self.failures == 0 else replace(self, failures=0)

    @property
    def failed(self) -> bool:
        """The rails are bad, or were too often."""
        return self.bad >= BAD_TICKS or self.failures >= MOST_IN_A_SESSION

    @property
    def sags(self) -> bool:
        """The last windows of A did not stand at their rail."""
        return self.off_in_a >= SAG_WINDOWS

    @property
    def faults(self) -> frozenset[Fault]:
        """What is wrong with the generator's supply, and with what measures the line."""
        found = frozenset((Fault.PILOT_SUPPLY,)) if self.failed else NO_FAULTS
        return found | {Fault.PILOT_GENERATOR} if OFF_WINDOWS in (self.off, self.off_in_a) else found
