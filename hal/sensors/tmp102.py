"""TMP102: 12 bits of 0.0625 °C, left-justified, the low four bits zero. Source: Texas Instruments SBOS397."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hal.errors import BadReading
from hal.sensors.i2c import I2cChip, signed
from hal.units import CentiCelsius

if TYPE_CHECKING:
    from collections.abc import Callable

TEMPERATURE = 0
RANGE_CENTI_CELSIUS = (-4_000, 12_500)
"""Specified range of the chip."""


class Tmp102:
    """One TMP102 in its normal, not extended, mode."""

    def __init__(self, bus: int, address: int, *, open_bus: Callable[[int], Any] | None = None) -> None:
        self._chip = I2cChip("tmp102", bus, address, open_bus)

    def read_centi_celsius(self) -> CentiCelsius:
        """Return a fresh temperature. Raises: BadReading outside -40..125 °C."""
        word = self._chip.read_word(TEMPERATURE)
        if word & 0xF:
            raise BadReading(f"{self._chip.name}: {word:#06x} has bits that a TMP102 keeps at zero")
        centi_celsius = signed(word >> 4, 12) * 25 // 4
        low, high = RANGE_CENTI_CELSIUS
        if not low <= centi_celsius <= high:
            raise BadReading(f"{self._chip.name}: {centi_celsius} centi-°C; must be {low}..{high}")
        return CentiCelsius(centi_celsius)

    def close(self) -> None:
        """Release the bus."""
        self._chip.close()
