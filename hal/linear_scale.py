"""How a code of an analogue-to-digital converter becomes a voltage."""

from __future__ import annotations

from dataclasses import dataclass

from hal.units import Millivolts


@dataclass(frozen=True, slots=True)
class LinearScale:
    """A straight line through an input stage: millivolts = code × gain + offset.

    Units: `gain_uv_per_code` in microvolts at the far side of the divider, `offset_mv` in millivolts at code 0.
    """

    gain_uv_per_code: int
    offset_mv: Millivolts

    def millivolts(self, code: int) -> Millivolts:
        """Return the voltage that `code` stands for, rounded to the nearest millivolt."""
        return Millivolts((code * self.gain_uv_per_code + 500) // 1000 + self.offset_mv)

    def code(self, voltage_mv: int) -> int:
        """Return the code nearest to `voltage_mv`, which may lie outside the converter's range."""
        return ((voltage_mv - self.offset_mv) * 1000 + self.gain_uv_per_code // 2) // self.gain_uv_per_code
