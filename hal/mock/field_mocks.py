"""Doubles of the slow devices."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hal.interfaces import MeterReading
from hal.mock.script import plus
from hal.units import CentiCelsius, Milliamps, Millihertz, Millivolts, MilliwattHours, Milliwatts

if TYPE_CHECKING:
    from hal.mock.script import Script


class MockStatusLed:
    """Remembers whether it is lit."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.lit = False

    def set(self, lit: bool) -> None:
        """Light it or not."""
        self.script.order("set", lit, lambda: self._put(lit=lit))

    def close(self) -> None:
        """Dark."""
        self.script.order("close", None, lambda: self._put(lit=False))

    def _put(self, *, lit: bool) -> None:
        self.lit = lit


class MockMeter:
    """Answers with the quantities that were driven last, stamped with the present."""

    def __init__(self, script: Script, phases: int = 3) -> None:
        self.script = script
        self._energy_mwh = 0
        self.drive_load((Millivolts(230_000),) * phases, (Milliamps(0),) * phases)

    def drive_load(self, voltage_mv: tuple[Millivolts, ...], current_ma: tuple[Milliamps, ...]) -> None:
        """Let these voltages and currents be there; powers follow from them."""
        self._voltage_mv = voltage_mv
        self._current_ma = current_ma

    def drive_energy(self, energy_mwh: int) -> None:
        """Let the counter show this."""
        self._energy_mwh = energy_mwh

    def read(self) -> MeterReading:
        """Return the driven quantities."""
        pairs = zip(self._voltage_mv, self._current_ma, strict=True)
        power_mw = tuple(Milliwatts(mv * ma // 1_000) for mv, ma in pairs)
        reading = MeterReading(
            self._voltage_mv,
            self._current_ma,
            power_mw,
            Milliwatts(sum(power_mw)),
            MilliwattHours(self._energy_mwh),
            Millihertz(50_000),
            self.script.clock.now_ns,
        )
        return self.script.reading("read", reading, _drifted_currents)

    def close(self) -> None:
        """Note it."""
        self.script.order("close", None, lambda: None)


def _drifted_currents(reading: MeterReading, amount: int) -> MeterReading:
    return replace(reading, current_ma=tuple(Milliamps(ma + amount) for ma in reading.current_ma))


class MockTemperatureSensor:
    """Answers with the temperature that was driven last."""

    def __init__(self, script: Script, centi_celsius: int = 2_500) -> None:
        self.script = script
        self._centi_celsius = centi_celsius

    def drive_centi_celsius(self, centi_celsius: int) -> None:
        """Let it be this warm."""
        self._centi_celsius = centi_celsius

    def read_centi_celsius(self) -> CentiCelsius:
        """Return the driven temperature."""
        return CentiCelsius(self.script.reading("read_centi_celsius", self._centi_celsius, plus))

    def close(self) -> None:
        """Note it."""
        self.script.order("close", None, lambda: None)
