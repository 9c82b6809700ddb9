"""Less current from a hot box, none from a box that is too hot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hal.units import Milliamps

if TYPE_CHECKING:
    from evse_pi.core.machine_settings import TemperatureThresholds
    from hal.units import CentiCelsius

FULL, HALF, QUARTER, TOO_HOT = range(4)


@dataclass(frozen=True, slots=True)
class Derating:
    """How far the offer is taken back; it goes up with the temperature at once and down with hysteresis.

    Hazard: H-12 the box overheats.
    """

    level: int = FULL

    def advance(self, temperature: CentiCelsius | None, thresholds: TemperatureThresholds) -> Derating:
        """Return the derating at `temperature`; without one the level stays, for a stale sensor has its own rule."""
        if temperature is None:
            return self
        reached = (thresholds.half, thresholds.quarter, thresholds.stop)
        left = (
            thresholds.half - thresholds.hysteresis,
            thresholds.quarter - thresholds.hysteresis,
            thresholds.resume,
        )
        for level in (TOO_HOT, QUARTER, HALF):
            if temperature >= reached[level - 1] or (self.level >= level and temperature > left[level - 1]):
                return self if level == self.level else Derating(level)
        return self if self.level == FULL else Derating()

    @property
    def too_hot(self) -> bool:
        """The hard limit was reached and the box has not cooled down since."""
        return self.level == TOO_HOT

    def limit_ma(self, full_ma: Milliamps) -> Milliamps:
        """Return what is left of `full_ma`."""
        return Milliamps((full_ma, full_ma // 2, full_ma // 4, 0)[self.level])
