"""From a window of codes to what the vehicle shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hal.units import Millivolts


@dataclass(frozen=True, slots=True)
class PilotReading:
    """The two plateaus of one window; a plateau with too few samples to be believed is None.

    Units: medians in mV at the vehicle side of the source resistor; `spread_mv` is how far the believed samples of
    the high plateau scatter; `high_ppm` is the share of samples above the split, to compare with the duty.
    """

    high_mv: Millivolts | None
    low_mv: Millivolts | None
    spread_mv: Millivolts
    high_count: int
    low_count: int
    high_ppm: int
