"""MCP9808: 13 bits of 0.0625 °C below three alert flags, and a register that names the maker.

15 14 13 | 12   | 11 ........ 0
alerts   | sign | 0.0625 °C each       Source: Microchip DS25095A, register 5-4
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hal.errors import BadReading, DeviceNotFound
from hal.sensors.i2c import I2cChip, signed
from hal.units import CentiCelsius

if TYPE_CHECKING:
    from collections.abc import Callable

TEMPERATURE = 5
MANUFACTURER = 6
MICROCHIP = 0x0054
RANGE_CENTI_CELSIUS = (-4_000, 12_500)
"""Specified range of the chip."""


class Mcp9808:
    """One MCP9808; another chip at its address is refused."""

    def __init__(self, bus: int, address: int, *, open_bus: Callable[[int], Any] | None = None) -> None:
        self._chip = I2cChip("mcp9808", bus, address, open_bus)
        try:
            self._check_maker()
        except BaseException:
            self._chip.close()
            raise

    def read_centi_celsius(self) -> CentiCelsius:
        """Return a fresh temperature. Raises: BadReading outside -40..125 °C."""
        centi_celsius = signed(self._chip.read_word(TEMPERATURE) & 0x1FFF, 13) * 25 // 4
        low, high = RANGE_CENTI_CELSIUS
        if not low <= centi_celsius <= high:
            raise BadReading(f"{self._chip.name}: {centi_celsius} centi-°C; must be {low}..{high}")
        return CentiCelsius(centi_celsius)

    def close(self) -> None:
        """Release the bus."""
        self._chip.close()

    def _check_maker(self) -> None:
        maker = self._chip.read_word(MANUFACTURER)
        if maker != MICROCHIP:
            raise DeviceNotFound(f"{self._chip.name}: manufacturer {maker:#06x}; an MCP9808 says {MICROCHIP:#06x}")
