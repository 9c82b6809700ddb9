"""Numbers and limits of the Eastron meters on a fake bus."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.errors import BadReading
from hal.meters.eastron import EastronMeter, scaled_float32
from hal.meters.modbus_rtu import ModbusRtu
from hal.meters.sdm72d_m import SDM72D_M, SDM72D_M_V1
from hal.meters.sdm120 import SDM120
from hal.meters.sdm230 import SDM230
from hal.meters.sdm630 import SDM630

if TYPE_CHECKING:
    from hal.meters.eastron import RegisterTable

TABLES = [SDM120, SDM230, SDM630, SDM72D_M, SDM72D_M_V1]


def bits(value: float) -> int:
    return int(struct.unpack(">I", struct.pack(">f", value))[0])


class Bus(ModbusRtu):
    """Input registers by address, as numbers."""

    name = "/dev/fake"

    def __init__(self, values: dict[int, float]) -> None:
        self.values = values
        self.requests: list[Any] = []
        self.fails_at: Any = None

    def read_input_registers(self, unit: int, address: int, count: int) -> tuple[int, ...]:
        self.requests.append((unit, address, count))
        if self.fails_at == len(self.requests):
            raise BadReading("bus")
        words = []
        for at in range(address, address + count, 2):
            raw = bits(self.values[at])
            words += [raw >> 16, raw & 0xFFFF]
        return tuple(words)


def good_values(table: RegisterTable) -> dict[int, float]:
    values = dict.fromkeys(table.voltage, 230.5)
    values |= dict.fromkeys(table.current, 15.9) | dict.fromkeys(table.power, 3_650.25)
    values |= dict.fromkeys(table.apparent, 230.5 * 15.9)
    values |= {table.total_power: 3_650.25 * max(len(table.power), 1), table.import_energy: 1_234.5}
    return values | ({table.frequency: 49.98} if table.frequency is not None else {})


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.model)
def test_a_complete_reading_has_the_quantities_of_its_model(table: RegisterTable) -> None:
    bus: Any = Bus(good_values(table))
    reading = EastronMeter(bus, 7, table, lambda: 99).read()
    assert reading.voltage_mv == (230_500,) * len(table.voltage)
    assert reading.current_ma == (15_900,) * len(table.current)
    assert reading.power_mw == (3_650_250,) * len(table.power)
    assert reading.energy_mwh == 1_234_500_000
    assert reading.frequency_mhz == (None if table.frequency is None else 49_980)
    assert reading.read_ns == 99
    assert {unit for unit, _, _ in bus.requests} == {7}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.model)
def test_requests_ask_for_no_register_outside_the_table_and_few_enough_at_once(table: RegisterTable) -> None:
    """The manuals allow 30 parameters, which are 60 registers, a request."""
    bus: Any = Bus(good_values(table))
    EastronMeter(bus, 1, table).read()
    asked = [at for _, address, count in bus.requests for at in range(address, address + count, 2)]
    assert sorted(asked) == sorted(set(table.addresses()))
    assert all(count <= 60 for _, _, count in bus.requests)


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        ("voltage", math.nan),
        ("voltage", -1.0),
        ("voltage", 301.0),
        ("current", math.inf),
        ("current", 126.0),
        ("power", 40_000.0),
        ("total_power", -120_000.0),
        ("frequency", 0.0),
        ("frequency", 66.0),
        ("import_energy", -0.5),
        ("import_energy", 2e7),
    ],
)
def test_a_value_that_cannot_be_true_is_refused_by_name_and_value(quantity: str, value: float) -> None:
    values = good_values(SDM630)
    where = getattr(SDM630, quantity)
    values[where[1] if isinstance(where, tuple) else where] = value
    words = quantity.removeprefix("import_").replace("_", " ")
    with pytest.raises(BadReading, match=rf"sdm630 unit 1 on /dev/fake: {words} \(register \d+\)"):
        EastronMeter(Bus(values), 1, SDM630).read()


def test_energy_that_falls_is_refused_and_the_same_is_not() -> None:
    bus: Any = Bus(good_values(SDM120))
    meter = EastronMeter(bus, 1, SDM120)
    meter.read()
    meter.read()
    bus.values[SDM120.import_energy] = 1_234.0
    with pytest.raises(BadReading, match=r"energy.*= 1234000000; must be 1234500000"):
        meter.read()


@pytest.mark.parametrize("broken", [1, 2, 3])
def test_one_broken_request_of_several_gives_no_reading(broken: int) -> None:
    bus: Any = Bus(good_values(SDM630))
    bus.fails_at = broken
    with pytest.raises(BadReading, match="bus"):
        EastronMeter(bus, 1, SDM630).read()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({0x06: 0.0, 0x12: 0.0}, "L1 shows 3.650 kW at 230.5 V and 0.00 A"),
        ({0x08: 30.0}, "L2 shows 3.665 kVA and its volts and amps make 6.915 kVA"),
        ({0x34: 231.7}, "the phases' 10.951 kW are not the total of 0.232 kW"),
        ({0x04: 0.0, 0x16: 0.0, 0x10: 0.0}, "L3 shows 15.90 A without voltage"),
    ],
)
def test_registers_that_contradict_each_other_are_refused(changed: dict[int, float], words: str) -> None:
    """What a frame of another request leaves behind: each value alone is one that the meter may show."""
    bus: Any = Bus(good_values(SDM630) | changed)
    with pytest.raises(BadReading, match=words):
        EastronMeter(bus, 1, SDM630).read()


def test_a_clone_without_apparent_power_is_read() -> None:
    values = good_values(SDM630) | dict.fromkeys(SDM630.apparent, 0.0)
    assert EastronMeter(Bus(values), 1, SDM630).read().current_ma == (15_900,) * 3


def test_an_inverted_meter_shows_import_for_export() -> None:
    """Eastron: 0x0048 imports, 0x004A exports, and power has the sign of its direction."""
    values = good_values(SDM630) | {0x4A: 77.0}
    for at in (0x0C, 0x0E, 0x10, 0x34):
        values[at] = -values[at]
    reading = EastronMeter(Bus(values), 1, SDM630, inverted=True).read()
    assert reading.energy_mwh == 77_000_000
    assert reading.power_mw == (3_650_250,) * 3
    assert reading.total_power_mw == 10_950_750


def test_three_lines_without_a_neutral_have_their_voltages_between_lines() -> None:
    """Eastron: 0x00C8, 0x00CA and 0x00CC are L1 to L2, L2 to L3 and L3 to L1; 230 V and 16 A are 6.4 kW then."""
    table = SDM630.without_neutral()
    values = {0xC8: 229.0, 0xCA: 230.0, 0xCC: 231.0, 0x34: 6_370.0, 0x46: 50.0, 0x48: 12.0}
    reading = EastronMeter(Bus(values | dict.fromkeys((0x06, 0x08, 0x0A), 16.0)), 1, table).read()
    assert reading.voltage_mv == (229_000, 230_000, 231_000)
    assert (reading.power_mw, reading.total_power_mw) == ((), 6_370_000)


@given(st.floats(width=32), st.sampled_from([1_000, 1_000_000]))
def test_the_integer_decoding_agrees_with_the_machines(value: float, factor: int) -> None:
    scaled = scaled_float32(bits(value), factor)
    if math.isfinite(value):
        assert abs(scaled - value * factor) <= 0.5 + abs(value) * factor * 1e-15  # type: ignore[operator]
    else:
        assert scaled is None
