"""Eastron meters: every quantity is one IEEE 754 number in two input registers, high word first."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hal.errors import BadReading
from hal.interfaces import MeterReading
from hal.meters.plausibility import contradiction
from hal.units import Milliamps, Millihertz, Millivolts, MilliwattHours, Milliwatts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hal.meters.modbus_rtu import ModbusRtu

REGISTERS_PER_VALUE = 2
MILLI = 1_000
KILO_TO_MILLI = 1_000_000

VOLTAGE_MV, LINE_VOLTAGE_MV = (0, 300_000), (0, 520_000)
"""To neutral and between lines; 0 is a phase that is not connected, the other end is beyond what these meters are made
for."""
FREQUENCY_MHZ = (45_000, 65_000)
"""What the meters are made for."""
ENERGY_MWH = (0, 10_000_000 * KILO_TO_MILLI)
"""The widest display has seven digits of kWh."""


@dataclass(frozen=True, slots=True)
class RegisterTable:
    """Where one model keeps what, as addresses of input registers; per phase, L1 first, empty where it has none.

    `overload_ma` is the largest current the meter is made for, with room for what it still shows above it.
    `apparent` are the volt-amperes, which prove that voltage and current are what they are taken for. `line_voltage`
    are the voltages between L1 and L2, L2 and L3, L3 and L1.
    """

    model: str
    voltage: tuple[int, ...]
    current: tuple[int, ...]
    power: tuple[int, ...]
    total_power: int
    import_energy: int
    frequency: int | None
    overload_ma: int
    apparent: tuple[int, ...] = ()
    line_voltage: tuple[int, ...] = ()
    export_energy: int = 0x004A

    def without_neutral(self) -> RegisterTable:
        """Return the table of a meter on three lines without a neutral, whose phases' voltages and powers mean nothing.

        Source: Eastron SDM630-Modbus protocol, where these registers are not those of a 3P3W system.
        """
        return replace(self, voltage=self.line_voltage, power=(), apparent=())

    def turned(self) -> RegisterTable:
        """Return the table of a meter whose current goes through the other way round: what it exports is used."""
        return replace(self, import_energy=self.export_energy, export_energy=self.import_energy)

    def addresses(self) -> Iterator[int]:
        """Yield every address of the table that is read."""
        yield from (*self.voltage, *self.current, *self.power, *self.apparent, self.total_power, self.import_energy)
        if self.frequency is not None:
            yield self.frequency


class EastronMeter:
    """Reads one meter completely or not at all; `inverted` is one whose current goes through the other way round.

    Raises: BusTimeout, and BadReading for a wrong frame, no number, a value outside its limits, values that contradict
    each other, or energy that falls.
    """

    def __init__(
        self,
        bus: ModbusRtu,
        unit: int,
        table: RegisterTable,
        clock: Callable[[], int] = time.monotonic_ns,
        *,
        inverted: bool = False,
    ) -> None:
        self._bus = bus
        self._unit = unit
        self._way = -1 if inverted else 1
        self._voltage_mv = LINE_VOLTAGE_MV if table.line_voltage and table.voltage == table.line_voltage else VOLTAGE_MV
        table = self._table = table.turned() if inverted else table
        self._clock = clock
        self._runs = _runs(sorted(set(table.addresses())))
        self._energy_mwh = ENERGY_MWH[0]
        self.name = f"{table.model} unit {unit} on {bus.name}"

    def read(self) -> MeterReading:
        """Return fresh values, all of them or none."""
        raw: dict[int, int] = {}
        for address, count in self._runs:
            registers = self._bus.read_input_registers(self._unit, address, count)
            for index in range(0, count, REGISTERS_PER_VALUE):
                raw[address + index] = registers[index] << 16 | registers[index + 1]
        read_ns = self._clock()
        table, power_mw = self._table, VOLTAGE_MV[1] * self._table.overload_ma // MILLI
        phases = len(table.power) or 3
        energy_mwh = self._value(raw, table.import_energy, KILO_TO_MILLI, (self._energy_mwh, ENERGY_MWH[1]), "energy")
        reading = MeterReading(
            voltage_mv=tuple(
                Millivolts(self._value(raw, at, MILLI, self._voltage_mv, "voltage")) for at in table.voltage
            ),
            current_ma=tuple(
                Milliamps(self._value(raw, at, MILLI, (-table.overload_ma, table.overload_ma), "current"))
                for at in table.current
            ),
            power_mw=tuple(
                Milliwatts(self._way * self._value(raw, at, MILLI, (-power_mw, power_mw), "power"))
                for at in table.power
            ),
            total_power_mw=Milliwatts(
                self._way
                * self._value(raw, table.total_power, MILLI, (-phases * power_mw, phases * power_mw), "total power")
            ),
            energy_mwh=MilliwattHours(energy_mwh),
            frequency_mhz=None
            if table.frequency is None
            else Millihertz(self._value(raw, table.frequency, MILLI, FREQUENCY_MHZ, "frequency")),
            read_ns=read_ns,
        )
        most_mva = power_mw  # volts times amps are as much as a power factor of 1 makes
        apparent = [abs(self._value(raw, at, MILLI, (-most_mva, most_mva), "apparent power")) for at in table.apparent]
        doubt = contradiction(reading, apparent)
        if doubt is not None:
            raise BadReading(f"{self.name}: {doubt}")
        self._energy_mwh = energy_mwh
        return reading

    def close(self) -> None:
        """Release the port."""
        self._bus.close()

    def _value(self, raw: dict[int, int], address: int, factor: int, limits: tuple[int, int], quantity: str) -> int:
        value = scaled_float32(raw[address], factor)
        if value is None:
            raise BadReading(f"{self.name}: {quantity} (register {address}) is no number: {raw[address]:#010x}")
        low, high = limits
        if not low <= value <= high:
            raise BadReading(f"{self.name}: {quantity} (register {address}) = {value}; must be {low}..{high}")
        return value


def scaled_float32(bits: int, factor: int) -> int | None:
    """Return the IEEE 754 number times `factor`, rounded half away from zero, None for NaN and infinity."""
    exponent, fraction = bits >> 23 & 0xFF, bits & 0x7FFFFF
    if exponent == 0xFF:
        return None
    scaled = (fraction | (1 << 23 if exponent else 0)) * factor
    shift = max(exponent, 1) - 150  # bias 127 and 23 bits of fraction
    magnitude = scaled << shift if shift >= 0 else (scaled + (1 << (-shift - 1))) >> -shift
    return -magnitude if bits >> 31 else magnitude


def _runs(addresses: list[int]) -> list[tuple[int, int]]:
    """Return (address, register count) of each run without a gap; a gap may be refused by the meter."""
    runs: list[tuple[int, int]] = []
    for address in addresses:
        if runs and sum(runs[-1]) == address:
            runs[-1] = (runs[-1][0], runs[-1][1] + REGISTERS_PER_VALUE)
        else:
            runs.append((address, REGISTERS_PER_VALUE))
    return runs
