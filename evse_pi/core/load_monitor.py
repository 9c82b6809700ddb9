"""Whether the load side is live when it should be, and dead when it should be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evse_pi.core.faults import NO_FAULTS, Fault
from evse_pi.core.load_sense import LoadSense
from hal.units import MILLISECOND, SECOND

if TYPE_CHECKING:
    from evse_pi.core.board_ratings import BoardRatings
    from evse_pi.core.contactor_monitor import ContactorMonitor
    from evse_pi.core.installation_limits import Installation

FEEDS_NS = 100 * MILLISECOND
"""Voltage that is there for longer after an opening is fed by a vehicle, or by a welded pole."""
WELD_JUDGED_NS = SECOND
"""A vehicle may feed, and hold couplers live by its capacitors, until then. Source: docs/boards/reference.md."""
WELD_NS = 250 * MILLISECOND
LOST_NS = 500 * MILLISECOND
STUCK_NS = 60 * SECOND
"""No vehicle's capacitors keep direct voltage for as long: half of what 4.4 µF keep is 42 V after 12 s."""


@dataclass(frozen=True, slots=True)
class LoadMonitor:
    """Since when the load side contradicts the contactor; `sense` is what it shows.

    `live_ns`: live behind open contacts, from a second after the order on. `lost_ns` and `dark_ns`: a phase, or every
    phase, dead behind closed ones. `standing_ns`: a voltage that does not turn stands behind open ones. `feeding` says
    that a vehicle, or a welded pole, feeds a load side that was switched off.
    """

    sense: LoadSense = field(default_factory=LoadSense)
    live_ns: int | None = None
    lost_ns: int | None = None
    dark_ns: int | None = None
    standing_ns: int | None = None
    feeding: bool = False

    def advance(
        self,
        now_ns: int,
        sense: LoadSense,
        contactor: ContactorMonitor,
        board: BoardRatings,
        installation: Installation,
    ) -> LoadMonitor:
        """Return the monitor after a tick.

        Hazard: H-03, a contactor that stays closed leaves a live plug.
        """
        if not board.load_sense_fitted:
            return self
        since_ns, live = now_ns - contactor.ordered_ns, sense.live is True
        if contactor.closed:
            wired, dark = installation.phases, _dark(sense, contactor, installation)
            lost_ns = _since(self.lost_ns, now_ns, held=dark > 0)
            return LoadMonitor(sense, lost_ns=lost_ns, dark_ns=_since(self.dark_ns, now_ns, held=dark >= wired))
        judged_ns = WELD_JUDGED_NS + board.load_hold_ns
        standing = sense.phases != () and not live and not sense.quiet
        return LoadMonitor(
            sense,
            live_ns=_since(self.live_ns, now_ns, held=live and since_ns >= judged_ns),
            standing_ns=_since(self.standing_ns, now_ns, held=standing),
            feeding=live and board.load_phases > 0 and contactor.wet_ns is None and since_ns >= FEEDS_NS,
        )

    def faults(self, now_ns: int) -> frozenset[Fault]:
        """Return what has lasted for long enough."""
        if _lasted(self.live_ns, now_ns, WELD_NS):
            return frozenset((Fault.CONTACTOR_WELDED,))
        if _lasted(self.dark_ns, now_ns, LOST_NS):
            return frozenset((Fault.SUPPLY_LOST,))
        if _lasted(self.lost_ns, now_ns, LOST_NS):
            return frozenset((Fault.PHASE_LOST,))
        if _lasted(self.standing_ns, now_ns, STUCK_NS):
            return frozenset((Fault.VOLTAGE_SENSE_FAILED,))
        return NO_FAULTS


def _dark(sense: LoadSense, contactor: ContactorMonitor, installation: Installation) -> int:
    """Return how many of the phases are dead behind contacts that are known to be closed.

    Where no point of the supply is earthed, its first earth fault puts one phase at earth potential and all others at
    the voltage between two. So one that stands at earth is not lost while another turns against it, and of a single
    one nothing can be said: the meter, which reads between two lines, judges those. Source: IEC 60364-4-41, 411.6.
    """
    wired = installation.phases
    if not contactor.touching:
        return 0
    if installation.unearthed and sense.phases:
        return wired if wired > 1 and not any(sense.phases[:wired]) else 0
    if sense.phases:
        return sense.phases[:wired].count(False)
    return wired if sense.live is False else 0


def _since(begun_ns: int | None, now_ns: int, *, held: bool) -> int | None:
    if not held:
        return None
    return now_ns if begun_ns is None else begun_ns


def _lasted(begun_ns: int | None, now_ns: int, long_ns: int) -> bool:
    return begun_ns is not None and now_ns - begun_ns >= long_ns
