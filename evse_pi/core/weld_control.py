"""The relay that trips a switch ahead of the box while the contactor is welded.

A shunt release is built for pulses, and what it trips takes the box's own supply away. The supply
is switched on again behind a new contactor with the fault still latched: so only the first pulse follows the fault, all
others what is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.core.faults import NO_FAULTS, Fault
from hal.units import MILLISECOND, SECOND

if TYPE_CHECKING:
    from evse_pi.core.board_ratings import BoardRatings
    from evse_pi.core.contactor_monitor import ContactorMonitor
    from evse_pi.core.load_monitor import LoadMonitor

PULSE_NS = SECOND
EVERY_NS = 10 * SECOND
ENOUGH_NS = 10 * SECOND
"""A load side that is dead for so long needs no further pulse. Source of the three: docs/boards/reference.md."""
MOVED_NS = 100 * MILLISECOND
"""A relay of this size has moved and ceased to bounce by then."""


@dataclass(frozen=True, slots=True)
class WeldControl:
    """What the output does. `welded` says that the fault was latched, `pulsed_ns` when the last pulse began.

    `dead_ns` is since when the load side is dead, `wrong_ns` since when the relay's second contact contradicts the
    order that it got at `switched_ns`.
    """

    welded: bool = False
    pulsed_ns: int | None = None
    dead_ns: int | None = None
    driving: bool = False
    switched_ns: int = 0
    wrong_ns: int | None = None

    def advance(
        self,
        now_ns: int,
        faults: frozenset[Fault],
        seen: bool | None,
        readback: bool | None,
        *,
        dead: bool,
    ) -> WeldControl:
        """Return the output after a tick in which `faults` were active.

        `seen`: the contradiction is seen now, None where nothing but one phase's sense says so, which may hum;
        `dead`: no voltage is behind the contacts; `readback`: the relay's second contact, None where there is
        none. Hazard: H-03.
        """
        welded = Fault.CONTACTOR_WELDED in faults
        dead_ns = (now_ns if self.dead_ns is None else self.dead_ns) if dead else None
        pulsed_ns = self.pulsed_ns if welded else None
        rested = pulsed_ns is None or now_ns - pulsed_ns >= EVERY_NS
        enough = dead_ns is not None and now_ns - dead_ns >= ENOUGH_NS
        if welded and seen is not None and (not self.welded or (seen and rested and not enough)):
            pulsed_ns = now_ns
        driving = pulsed_ns is not None and now_ns - pulsed_ns < PULSE_NS
        switched_ns = self.switched_ns if driving is self.driving else now_ns
        wrong = readback is not None and driving is self.driving and readback is not driving
        wrong_ns = (now_ns if self.wrong_ns is None else self.wrong_ns) if wrong else None
        after = WeldControl(welded, pulsed_ns, dead_ns, driving, switched_ns, wrong_ns)
        return self if after == self else after

    def faults(self, now_ns: int) -> frozenset[Fault]:
        """Return WELD_OUTPUT_FAILED while the relay is not where it was told to be."""
        stuck = self.wrong_ns is not None and now_ns - max(self.wrong_ns, self.switched_ns) >= MOVED_NS
        return frozenset((Fault.WELD_OUTPUT_FAILED,)) if stuck else NO_FAULTS


def first_weld_control(former: frozenset[Fault]) -> WeldControl:
    """Return the output at the start of the process: a weld that it was told before gets no first pulse again."""
    return WeldControl(welded=Fault.CONTACTOR_WELDED in former)


def seen_by_one_sense(contactor: ContactorMonitor, load: LoadMonitor, board: BoardRatings) -> bool:
    """Return whether one phase's sense alone says that a pole is closed, against the mirror contact of all poles.

    Mains that couples into one sense would take the supply from the house: it forbids to close, and trips nothing.
    """
    return board.mirror_fitted and contactor.wet_ns is None and load.sense.phases.count(True) == 1


def weld_seen(contactor: ContactorMonitor, load: LoadMonitor) -> bool:
    """Return whether the contactor looks closed at this moment though it was told to open."""
    return contactor.wet_ns is not None or load.live_ns is not None
