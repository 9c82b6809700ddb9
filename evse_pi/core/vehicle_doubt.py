"""Whether the vehicle that asked is still there, by what does not come from the pilot's state.

A surge suppressor that breaks down while a vehicle charges holds the line in C when the plug is pulled. Two things tell
it from the vehicle: no current flows any more, and the line stands elsewhere than the vehicle's resistors had it. Both
may have another cause, so the vehicle is asked: the offer ends, and a vehicle shows B then. Source: docs/adr/0018.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hal.units import MILLISECOND, SECOND

if TYPE_CHECKING:
    from evse_pi.core.io_records import PilotReading
    from evse_pi.core.records import MeterSample

LOADED_MA = 1_000  # what box and vehicle draw by themselves is below
UNLOADED_NS = 180 * SECOND
"""How long a vehicle may ask and draw nothing; twice as long after each time that it showed B and went on so."""
MOST_DOUBLINGS = 4
PAUSE_NS = 300 * SECOND
"""From an offer's end without a person to the next offer: vehicles of 2025 and 2026 that see an offer come and go more
often go into an error that only replugging clears. Source: openWB/core issues 3796 and 3982."""
MOVED_PPM = 25_000
"""Of the rail, 0.3 V: a diode that warms up by 60 K moves by 0.12 V, a window is off by 0.05 V at 20 mV of noise."""
MOVED_NS = 500 * MILLISECOND
SETTLED_NS = 2 * SECOND
"""After the close: contactor and charger have started, and the mean has forgotten where it began."""
SHARE = 64
"""The mean forgets a window within so many."""
RAIL_MV = 12_000
_PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class VehicleDoubt:
    """What speaks against a vehicle behind a closed contactor.

    `unloaded_ns` is since when the meter shows no current, `level_ppm` the mean of the line as a share of its rail,
    `settled_ppm` where that was when the close had settled, and `moved_ns` since when it stands elsewhere. `asked` says
    that the vehicle was asked during this close, `answers` how often it was since it last drew a current, and
    `pause_ns` until when it is not offered anything after that.
    """

    unloaded_ns: int | None = None
    level_ppm: int | None = None
    settled_ppm: int | None = None
    moved_ns: int | None = None
    asked: bool = False
    answers: int = 0
    pause_ns: int = 0

    def advance(self, now_ns: int, ordered_ns: int, high_mv: int | None, meter: MeterSample | None) -> VehicleDoubt:
        """Return what is known after a tick with the contactor closed since `ordered_ns`.

        `high_mv` is the high plateau at a rail of 12 V, None of a window that is not to be believed. A `meter` that is
        None tells nothing, neither for a vehicle nor against it.
        Hazard: H-02, a line that is held in C keeps a plug live that nothing is plugged into.
        """
        if self.asked:
            return self
        known = _weighed(self, now_ns, ordered_ns, meter)
        if high_mv is not None:
            known = _compared(known, now_ns, ordered_ns, high_mv)
        if not _doubted(known, now_ns):
            return known
        unloaded = known.unloaded_ns is not None
        return replace(known, asked=True, answers=known.answers + unloaded, pause_ns=now_ns + PAUSE_NS)

    def opened(self, *, at_once: bool) -> VehicleDoubt:
        """Return what is kept while the contactor is open: how often the vehicle was asked, and the pause.

        `at_once`: a person ends the pause.
        """
        kept = VehicleDoubt(answers=self.answers, pause_ns=0 if at_once else self.pause_ns)
        return self if kept == self else kept


def levelled_mv(reading: PilotReading | None) -> int | None:
    """Return where the high plateau would stand at a rail of 12 V, None of a window without one."""
    if reading is None or reading.high_mv is None:
        return None
    rail_mv = RAIL_MV if reading.supply is None else reading.supply.positive_mv
    return reading.high_mv * RAIL_MV // max(rail_mv, 1)


def _weighed(known: VehicleDoubt, now_ns: int, ordered_ns: int, meter: MeterSample | None) -> VehicleDoubt:
    if meter is None or not meter.current_ma or meter.at_ns <= ordered_ns:
        return known
    if max(map(abs, meter.current_ma)) >= LOADED_MA:
        return known if known.unloaded_ns is None and not known.answers else replace(known, unloaded_ns=None, answers=0)
    return replace(known, unloaded_ns=now_ns) if known.unloaded_ns is None else known


def _compared(known: VehicleDoubt, now_ns: int, ordered_ns: int, high_mv: int) -> VehicleDoubt:
    seen_ppm = high_mv * _PPM // RAIL_MV
    level_ppm = seen_ppm if known.level_ppm is None else known.level_ppm + (seen_ppm - known.level_ppm) // SHARE
    settled_ppm = known.settled_ppm
    if settled_ppm is None and now_ns - ordered_ns >= SETTLED_NS:
        settled_ppm = level_ppm
    elsewhere = settled_ppm is not None and abs(level_ppm - settled_ppm) > MOVED_PPM
    moved_ns = (now_ns if known.moved_ns is None else known.moved_ns) if elsewhere else None
    return replace(known, level_ppm=level_ppm, settled_ppm=settled_ppm, moved_ns=moved_ns)


def _doubted(known: VehicleDoubt, now_ns: int) -> bool:
    if known.moved_ns is not None and now_ns - known.moved_ns >= MOVED_NS:
        return True
    patience_ns = UNLOADED_NS << min(known.answers, MOST_DOUBLINGS)
    return known.unloaded_ns is not None and now_ns - known.unloaded_ns >= patience_ns
