"""What the board can carry and what is fitted on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hal.units import SECOND

if TYPE_CHECKING:
    from hal.units import Milliamps, Millivolts


@dataclass(frozen=True, slots=True)
class BoardRatings:
    """What the board can carry, how fast its contactor is, and what is fitted on it.

    `tethered_cable_ma` is the rating of the fixed cable; None means a socket, whose cable is read by proximity.
    `contactor_min_off_ns` keeps the contacts cool between two closes. `pilot_supply_mv` is how far from 0 V both rails
    of the pilot's generator must read, None where the board does not see them. `bench_only` is why the board must not
    energise a vehicle, None where it may. `weld_output_fitted` says that a welded contactor can trip a switch ahead of
    the box.
    """

    rated_current_ma: Milliamps
    phases: int
    contactor_pull_in_ns: int
    contactor_release_ns: int
    contactor_min_off_ns: int = 10 * SECOND
    tethered_cable_ma: Milliamps | None = None
    mirror_fitted: bool = False
    load_sense_fitted: bool = False
    rcd_fitted: bool = False
    lock_fitted: bool = False
    emergency_stop_fitted: bool = False
    meter_fitted: bool = False
    temperature_fitted: bool = False
    pilot_supply_mv: tuple[Millivolts, Millivolts] | None = None
    bench_only: str | None = None
    weld_output_fitted: bool = False

    @property
    def proximity_fitted(self) -> bool:
        """A socket needs the cable's coding, a fixed cable has none."""
        return self.tethered_cable_ma is None
