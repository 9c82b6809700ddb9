"""LM75 and its clones: 9 bits of 0.5 °C, left-justified; finer clones add bits below. Source: National DS012658."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hal.errors import BadReading
from hal.sensors.i2c import I2cChip, signed
from hal.units import CentiCelsius

if TYPE_CHECKING:
    from collections.abc import Callable

TEMPERATURE = 0
RANGE_CENTI_CELSIUS = (-5_500, 12_500)
"""Specified range of the chip."""


class Lm75:
    """One LM75; the bits below 0.5 °C are undefined in the original and not used."""

    def __init__(self, bus: int, address: int, *, open_bus: Callable[[int], Any] | None = None) -> None:
        self._chip = I2cChip("lm75", bus, address, open_bus)

    def read_centi_celsius(self) -> CentiCelsius:
        """Return a fresh temperature. Raises: BadReading outside -55..125 °C."""
        centi_celsius = signed(self._chip.read_word(TEMPERATURE) >> 7, 9) * 50
        low, high = RANGE_CENTI_CELSIUS
        if not low <= centi_celsius <= high:
            raise BadReading(f"{self._chip.name}: {centi_celsius} centi-°C; must be {low}..{high}")
        return CentiCelsius(centi_celsius)

    def close(self) -> None:
        """Release the bus."""
        self._chip.close()
