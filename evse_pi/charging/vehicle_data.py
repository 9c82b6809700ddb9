"""What a vehicle tells of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hal.units import MilliwattHours


@dataclass(frozen=True, slots=True)
class VehicleData:
    """What the vehicle told of itself; a control pilot alone tells nothing of it, so None is the rule."""

    state_of_charge_percent: int | None = None
    battery_capacity_mwh: MilliwattHours | None = None
    identifier: str | None = None


NO_VEHICLE_DATA = VehicleData()
