"""Whether a vehicle shows what the line shows, or a worn surge suppressor that holds it there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evse_pi.core.states import PilotState

if TYPE_CHECKING:
    from evse_pi.core.pilot_supply import SupplyWatch
    from hal.units import Millivolts

JUMP_MV = 1_000
"""A plug or a switch moves the line by 1.8 V or more, every resistor and rail at its limit. Source: docs/adr/0016."""

_ASKING = (PilotState.C, PilotState.D)
_JUDGED = (PilotState.B, *_ASKING)


@dataclass(frozen=True, slots=True)
class VehicleProof:
    """What speaks for a vehicle since the line last showed A, or since nothing could be seen of it.

    `showed_b`: B has lasted for 200 ms. `crept`: the line left A from below its rail, or came to B or to C slowly.
    `at_once`: the cable came into the socket with the vehicle. `level_mv` is what the state `last` last read.
    Hazard: H-02, a junction of the suppressor that breaks down holds a line without a vehicle in B or in C.
    """

    showed_b: bool = False
    crept: bool = False
    at_once: bool = False
    last: PilotState = PilotState.INVALID
    level_mv: Millivolts | None = None

    @property
    def given(self) -> bool:
        """A request that comes now is a vehicle's."""
        return self.at_once or (self.showed_b and not self.crept)

    def without_vehicle(self, high_mv: Millivolts | None, supply: SupplyWatch, *, cable_in: bool) -> VehicleProof:
        """Return the proof while the line shows A. `cable_in`: a cable is there already that a vehicle may come to."""
        level_mv = self.level_mv if high_mv is None else high_mv
        return VehicleProof(crept=supply.sags, at_once=not cable_in, last=PilotState.A, level_mv=level_mv)

    def advance(self, state: PilotState, high_mv: Millivolts, *, slow: bool, lasts: bool) -> VehicleProof:
        """Return the proof after a window to be believed that shows the accepted `state`.

        `slow`: between `last` and this the line stood in no state for longer than a plug bounces. `lasts`: the state
        has lasted for 200 ms.
        """
        crept, among_asking = self.crept, state in _ASKING and self.last in _ASKING
        if self.level_mv is not None and state is not self.last and state in _JUDGED and not among_asking:
            crept |= slow or abs(high_mv - self.level_mv) < JUMP_MV
        showed_b = self.showed_b or (state is PilotState.B and lasts)
        return replace(self, showed_b=showed_b, crept=crept, last=state, level_mv=high_mv)
