"""What can go wrong with meter and thermometers, by the same names in the plant and behind the emulated devices."""

from __future__ import annotations

import struct

import pytest

from evse_pi.sim.devices.modbus import ModbusMeter, crc
from evse_pi.sim.mains import MainsSettings
from evse_pi.sim.meter_model import MeterFault, MeterRegisters
from evse_pi.sim.plant import Plant, PlantSettings
from evse_pi.sim.signals import Drive, I2cFault

SECOND = 1_000_000_000


def drawing(swing_mhz: int = 0, swing_c: float = 0.0) -> Plant:
    """Return a plant in which 10 A flow through three phases since 1 s."""
    mains = MainsSettings(line_milliohm=0, power_factor_ppm=1_000_000, frequency_swing_mhz=swing_mhz)
    plant = Plant(PlantSettings(mains=mains, ambient_swing_c=swing_c))
    plant.mains.amps = [10.0] * 3
    plant.agenda.now_ns = SECOND
    plant._integrate()
    return plant


def after(plant: Plant, seconds: int) -> MeterRegisters:
    plant.agenda.now_ns += seconds * SECOND
    return plant.meter()


def test_a_phase_that_goes_through_backwards_counts_as_export() -> None:
    """Eastron: positive power is imported, negative exported, each into a register of its own."""
    plant = drawing()
    plant.apply("reverse_meter", {"phase": 1}, SECOND)
    before = plant.meter()
    plant.mains.amps = [10.0] * 3
    meter = after(plant, 3_600)
    assert meter.watts == (2_300.0, -2_300.0, 2_300.0)
    assert meter.amps == (10.0,) * 3
    assert meter.total_kwh - before.total_kwh == pytest.approx(4.6)
    assert meter.exported_kwh - before.exported_kwh == pytest.approx(2.3)
    plant.apply("repair", {}, plant.agenda.now_ns)
    assert all(each >= 0 for each in plant.meter().watts)


def test_a_phase_that_is_not_connected_shows_nothing_though_current_flows() -> None:
    plant = drawing()
    plant.apply("disconnect_meter", {"phase": 2}, SECOND)
    plant.mains.amps = [10.0] * 3
    meter = after(plant, 1)
    assert (meter.volts, meter.amps) == ((230.0, 230.0, 0.0), (10.0, 10.0, 0.0))
    assert meter.line_volts[0] == pytest.approx(398.4, abs=0.1)  # the square root of 3 times 230 V


def test_kilowatts_and_a_counter_that_falls() -> None:
    plant = drawing()
    plant.apply("scale_meter_power", {"ppm": 1_000}, SECOND)
    plant.apply("step_meter_energy", {"kwh": -1.0}, SECOND)
    plant.mains.amps = [10.0] * 3
    meter = after(plant, 3_600)
    assert meter.total_watts == pytest.approx(6.9)
    assert meter.total_kwh == pytest.approx(5.9, abs=0.01)


def test_a_grid_and_the_air_never_stand_still_unless_they_are_told_to() -> None:
    plant = drawing(swing_mhz=20, swing_c=1.0)
    hertz = {after(plant, 7).hertz for _ in range(40)}
    assert len(hertz) == 40
    assert max(hertz) - min(hertz) == pytest.approx(0.04, abs=0.002)
    celsius = [(after(plant, 60), plant.thermometer("board"))[1] for _ in range(240)]
    assert max(celsius) - min(celsius) == pytest.approx(2.0, abs=0.01)


def test_thermometers_freeze_stick_and_jump() -> None:
    plant = drawing(swing_c=1.0)
    plant.apply("freeze_thermometer", {}, SECOND)
    frozen = plant.thermometer("board")
    plant.apply("set_temperature", {"celsius": 90.0}, SECOND)
    assert plant.thermometer("board") == frozen
    plant.apply("freeze_thermometer", {"on": False}, SECOND)
    assert plant.thermometer("board") == pytest.approx(90.0, abs=1.0)
    plant.apply("stick_thermometer", {"celsius": 0.0}, SECOND)
    assert plant.thermometer("board") == 0.0
    plant.apply("stick_thermometer", {}, SECOND)
    plant.apply("toss_thermometer", {"celsius": 40.0}, SECOND)
    assert sorted(round(plant.thermometer("board")) for _ in range(4)) == [90, 90, 130, 130]
    plant.apply("repair", {}, SECOND)
    assert plant.thermometer("board") == pytest.approx(25.0, abs=1.0)


@pytest.mark.parametrize(
    ("verb", "arguments", "problem"),
    [
        ("reverse_meter", {"phase": 3}, "phase 3: allowed is 0 to 2"),
        ("break_meter_line", {"how": "silly"}, "allowed are silent, bad_crc"),
        ("break_i2c", {"how": "silly"}, "allowed are no_acknowledge, stuck_high"),
        ("freeze_thermometer", {"sensor": "sun"}, "sensor 'sun': allowed are board"),
        ("scale_meter_power", {"ppm": -1}, "ppm -1: allowed is 0"),
    ],
)
def test_what_cannot_be_is_refused(verb: str, arguments: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        drawing().apply(verb, arguments, 0)


def test_every_argument_says_what_it_may_be() -> None:
    types = drawing().argument_types()
    assert types["break_meter_line"] == {"how": "|".join(MeterFault)}
    assert types["break_i2c"] == {"how": "|".join(I2cFault)}
    assert types["reverse_meter"] == {"phase": "INTEGER", "on": "true|false"}
    assert types["step_meter_energy"] == {"kwh": "NUMBER"}
    assert types["weld"] == {"poles": "[INTEGER, ...]"}
    assert types["set_temperature"] == {"celsius": "NUMBER", "sensor": "TEXT"}


ASK = struct.pack(">BBHH", 1, 4, 0, 2)


def spoilt(fault: MeterFault | None) -> tuple[list[bytes], tuple[int, bytes] | None]:
    plant = drawing()
    plant.apply("break_meter_line", {"how": fault}, SECOND)
    meter = ModbusMeter("sdm630", 1, plant)
    return [part for _, part in meter.transmission(ASK + crc(ASK))], meter.chatter()


RIGHT = b"".join(spoilt(None)[0])


def test_each_fault_spoils_the_line_in_its_own_way() -> None:
    """230.0 as an IEEE 754 number is 0x43660000."""
    body = bytes.fromhex("01 04 04 43 66 00 00")
    assert body + crc(body) == RIGHT
    assert spoilt(MeterFault.ECHO)[0] == [ASK + crc(ASK), RIGHT]
    shifted = bytes.fromhex("01 04 04 00 43 66 00")
    assert spoilt(MeterFault.BYTE_SHIFTED)[0] == [shifted + crc(shifted)]
    total = bytes((1, 4, 4)) + struct.pack(">f", 0.0)  # the power, where voltage was asked for
    assert spoilt(MeterFault.FOREIGN_ANSWER)[0] == [total + crc(total)]
    assert b"".join(spoilt(MeterFault.SPLIT)[0]) == RIGHT
    assert spoilt(MeterFault.CUT)[0] == spoilt(MeterFault.ENDLESS)[0] == [RIGHT[: len(RIGHT) // 2]]
    assert spoilt(MeterFault.SILENT) == ([], None)
    talkative = [fault for fault in MeterFault if spoilt(fault)[1]]
    assert talkative == [MeterFault.SECOND_MASTER, MeterFault.FLOOD, MeterFault.ENDLESS]


def test_the_contactor_is_what_the_meter_stands_in_front_of() -> None:
    plant = Plant(PlantSettings())
    plant.drive(Drive.CONTACTOR, True, 0)
    plant.advance(SECOND)
    assert plant.meter().total_watts == 0.0
