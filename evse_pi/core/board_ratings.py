"""What the board can carry and what is fitted on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hal.units import MILLISECOND, SECOND

if TYPE_CHECKING:
    from hal.units import Milliamps, Millivolts

OPEN_WITHIN_NS = 100 * MILLISECOND
"""From the vehicle leaving C to the contacts apart. Source: IEC 61851-1 Table A.6 sequence 8.1."""
LATE_TICK_NS = 50 * MILLISECOND
"""A tick this late has spent half of that alone: the vehicle was not watched meanwhile."""


@dataclass(frozen=True, slots=True)
class CoilChannels:
    """The two switches in series with the contactor's coil, and what can prove each of them.

    The gate conducts `arm_ns` after the first pulse at the latest, and for `hold_min_ns` to `hold_max_ns` after the
    last. `supply_mv` is between what the coil's supply must read, by the node behind the coil; None where nothing reads
    that, and the mirror contact alone proves.
    """

    hold_min_ns: int
    hold_max_ns: int
    arm_ns: int
    supply_mv: tuple[Millivolts, Millivolts] | None


@dataclass(frozen=True, slots=True)
class BoardRatings:
    """What the board can carry, how fast its contactor is, and what is fitted on it.

    `tethered_cable_ma` is the rating of the fixed cable; None means a socket, whose cable is read by proximity.
    `contactor_min_off_ns` keeps the contacts cool between two closes. `load_phases` of the load side are seen each
    against PE, 0 where couplers take any voltage for live; those show one that has gone for `load_hold_ns`.
    `pilot_supply_mv` is how far from 0 V both rails
    of the pilot's generator must read, None where the board does not see them. `bench_only` is why the board must not
    energise a vehicle, None where it may. `weld_output_fitted` says that a welded contactor can trip a switch ahead of
    the box. `rcd_dc_ma` and `rcd_ac_ma` are the smooth direct and the alternating residual current that its device
    surely sees, None where it sees none. `north_american` says that it is made for a supply of 60 Hz with two live
    poles and protects persons itself. `late_limit_ns` is how long after an edge of the watchdog its gate is certain
    to hold still; `open_within_ns` is more than the norm allows on a board for the bench alone. `coil_channels` is
    None on a board without a gate in the coil's supply.
    """

    rated_current_ma: Milliamps
    phases: int
    contactor_pull_in_ns: int
    contactor_release_ns: int
    contactor_min_off_ns: int = 10 * SECOND
    tethered_cable_ma: Milliamps | None = None
    mirror_fitted: bool = False
    load_sense_fitted: bool = False
    load_phases: int = 0
    load_hold_ns: int = 0
    rcd_fitted: bool = False
    lock_fitted: bool = False
    emergency_stop_fitted: bool = False
    meter_fitted: bool = False
    temperature_fitted: bool = False
    pilot_supply_mv: tuple[Millivolts, Millivolts] | None = None
    bench_only: str | None = None
    coil_channels: CoilChannels | None = None
    weld_output_fitted: bool = False
    rcd_dc_ma: Milliamps | None = None
    rcd_ac_ma: Milliamps | None = None
    north_american: bool = False
    open_within_ns: int = OPEN_WITHIN_NS
    late_limit_ns: int = LATE_TICK_NS

    @property
    def reaction_ns(self) -> int:
        """What the process has from the vehicle's change to its order, before the contactor's release."""
        return self.open_within_ns - self.contactor_release_ns

    @property
    def proximity_fitted(self) -> bool:
        """A socket needs the cable's coding, a fixed cable has none."""
        return self.tethered_cable_ma is None
