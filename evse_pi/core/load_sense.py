"""What the load side of the contactor shows: alternating voltage, a voltage that only stands, or none.

A vehicle's capacitors keep direct voltage for seconds after an opening, and no weld does that. So a phase is live only
if its voltage turns round: half a period of 50 Hz is a tick, and two looks a tick apart differ by up to both peaks. Of
the two looks within one tick, 3.2 to 4.5 ms apart, one is never at a zero crossing: it has 0.48 of the peak or more
(0.57 at 60 Hz). Source of all figures: docs/boards/reference.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hal.units import MILLISECOND

if TYPE_CHECKING:
    from evse_pi.core.io_records import LoadVoltages

LIVE_MV = 80_000
"""How far two looks half a period apart differ on a live phase: every voltage from 59 V on, none below 28 V (rms)."""
DEAD_MV = 42_000
"""Below that nothing is felt: 60 V of direct voltage may be touched, and a sense is off by some. Source: IEC 61140."""
DEAD_TICKS = 5
APART_NS = (5 * MILLISECOND, 13 * MILLISECOND)
"""Looks nearer or further apart than that may miss half a period, of 60 Hz as well, and tell nothing."""
HELD_NS = 20 * MILLISECOND
"""A phase stays live for two ticks more: a window that took 10 ms instead of 4 may have met two zero crossings."""
KNOWN_NS = 50 * MILLISECOND
"""For how long the last verdict stands when no two looks can be compared."""


@dataclass(frozen=True, slots=True)
class LoadSense:
    """What is known of the load side.

    `phases` says of each phase, L1 first, whether alternating voltage stands there; it is empty where that is not known
    or where couplers see all phases as one. `live` is the same of any phase, None while it is not known. `quiet` counts
    the ticks in a row in which nothing stood there at all, `turned_ns` is when the voltage of each phase last turned.
    """

    live: bool | None = None
    phases: tuple[bool, ...] = ()
    quiet: int = 0
    looked_ns: int = 0
    looked: LoadVoltages | None = None
    judged_ns: int = 0
    turned_ns: tuple[int, ...] = ()

    @property
    def dead(self) -> bool:
        """No voltage of either kind was seen in the last ticks. Hazard: H-13."""
        return self.quiet >= DEAD_TICKS

    def advance(self, now_ns: int, voltages: LoadVoltages | None) -> LoadSense:
        """Return what is known after a tick on a board that sees each phase against PE; None: it could not look."""
        last = self.looked
        if voltages is None:
            return self._unseen(now_ns)
        quiet = min(self.quiet + 1, DEAD_TICKS) if _quiet(voltages) else 0
        comparable = last is not None and APART_NS[0] <= now_ns - self.looked_ns <= APART_NS[1]
        if last is None or not comparable:
            return replace(self._unseen(now_ns), quiet=quiet, looked_ns=now_ns, looked=voltages)
        before_ns = self.turned_ns or (now_ns - HELD_NS - 1,) * len(voltages.before_mv)
        turned_ns = tuple([now_ns if new else old for new, old in zip(_turned(last, voltages), before_ns, strict=True)])
        phases = tuple([now_ns - at_ns <= HELD_NS for at_ns in turned_ns])
        return LoadSense(any(phases), phases, quiet, now_ns, voltages, now_ns, turned_ns)

    def advance_couplers(self, live: bool | None) -> LoadSense:
        """Return what is known after a tick on a board whose couplers take any voltage for live."""
        if live is not False:
            return LoadSense(live)
        quiet = min(self.quiet + 1, DEAD_TICKS)
        return self if self.live is False and quiet == self.quiet else LoadSense(live=False, quiet=quiet)

    def _unseen(self, now_ns: int) -> LoadSense:
        if now_ns - self.judged_ns < KNOWN_NS or self.live is None:
            return self if self.quiet == 0 else replace(self, quiet=0)
        return LoadSense(looked_ns=self.looked_ns, looked=self.looked, judged_ns=self.judged_ns)


def _quiet(voltages: LoadVoltages) -> bool:
    return max(map(abs, (*voltages.before_mv, *voltages.after_mv))) < DEAD_MV


def _turned(last: LoadVoltages, now: LoadVoltages) -> list[bool]:
    pairs = zip(last.before_mv, now.before_mv, last.after_mv, now.after_mv, strict=True)
    return [abs(b - a) >= LIVE_MV or abs(d - c) >= LIVE_MV for a, b, c, d in pairs]
