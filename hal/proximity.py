"""The cable's coding resistor: a divider of the pull-up and the resistor between proximity and earth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hal.errors import BadReading
from hal.units import Millivolts, Ohms

if TYPE_CHECKING:
    from hal.interfaces import AnalogInput

OPEN_OHMS = 100_000
"""Above it nothing is plugged in; the largest coding resistor is 1.5 kΩ, leakage of a wet socket about 1 MΩ."""
OVERRANGE_MV = 200
"""How far above its supply the input may read by tolerance."""


class ResistorProximity:
    """Turns the voltage at the proximity contact into ohms."""

    def __init__(self, source: AnalogInput, *, supply_mv: Millivolts, pull_up_ohms: Ohms) -> None:
        self._source = source
        self._supply_mv = supply_mv
        self._pull_up_ohms = pull_up_ohms

    def read_ohms(self) -> Ohms | None:
        """Return the resistance to earth, None for an open circuit. Raises: BadReading above the supply."""
        voltage_mv = max(self._source.read_mv(), 0)
        if voltage_mv > self._supply_mv + OVERRANGE_MV:
            raise BadReading(f"proximity: {voltage_mv} mV is above the supply of {self._supply_mv} mV")
        if voltage_mv >= self._supply_mv:
            return None
        ohms = self._pull_up_ohms * voltage_mv // (self._supply_mv - voltage_mv)
        return Ohms(ohms) if ohms < OPEN_OHMS else None
