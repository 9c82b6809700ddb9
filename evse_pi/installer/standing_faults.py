"""What the safety process itself says has stood since: the node process, which carries orders, could say anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.core.fault_kinds import Clear
from evse_pi.core.faults import FAULTS, NO_FAULTS
from evse_pi.paths import RING_FILE
from evse_pi.recorder.reader import Ring, RingFile
from evse_pi.recorder.ring import FRAMES, RingError

if TYPE_CHECKING:
    from pathlib import Path

    from evse_pi.core.fault_kinds import Fault


class StandingFaults:
    """The installer's faults that stand in every tick since this was made, by the safety process's black box.

    It is asked before an order is proven again: one proof more for a fault that went and came back would let a
    captured node clear it twice for one order of the installer. Hazard: H-03, H-14.
    """

    def __init__(self, run_dir: Path) -> None:
        """Begin with the newest tick."""
        self._ring = Ring(RingFile(run_dir / RING_FILE))
        self._first = self._newest()

    def left(self) -> frozenset[Fault]:
        """Return them; none where the record cannot be read, or does not reach back."""
        newest = self._newest()
        if self._first is None or newest is None or not 0 <= newest - self._first < FRAMES:
            return NO_FAULTS
        try:
            ticks = self._ring.frames(newest - self._first + 1)
        except (OSError, RingError):
            return NO_FAULTS
        ours = frozenset(fault for fault, row in FAULTS.items() if Clear.BY_INSTALLER in row.clear)
        return ours.intersection(*(tick.outcome.faults for tick in ticks)) if ticks else NO_FAULTS

    def _newest(self) -> int | None:
        try:
            return self._ring.header().newest
        except (OSError, RingError):
            return None
