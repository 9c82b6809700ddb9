"""What a self-test measured, and how far that is from failing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Check(IntEnum):
    """What is proven; the comment is the unit of the evidence."""

    PILOT_LOW_RAIL = 1  # mV
    MIRROR_OPEN = 2  # 1 for closed
    LOAD_DEAD = 3  # 1 for live
    RCD_TRIPS = 4  # ms until it tripped
    RCD_RESETS = 5  # ms until it had reset
    EMERGENCY_STOP = 6  # 1 for pressed
    PROXIMITY = 7  # rating of the cable in mA, 0 for none, -1 for an invalid one
    PILOT_HIGH_RAIL = 8  # mV
    PILOT_POSITIVE_SUPPLY = 9  # mV ahead of the source resistor
    PILOT_NEGATIVE_SUPPLY = 10  # mV


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measured value and the band that it must lie in."""

    check: Check
    at_ns: int
    measured: int
    lowest: int
    highest: int

    @property
    def margin(self) -> int:
        """Distance to the nearer end of the band; negative outside of it."""
        return min(self.measured - self.lowest, self.highest - self.measured)

    @property
    def passed(self) -> bool:
        """It lies in the band."""
        return self.margin >= 0
