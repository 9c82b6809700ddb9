"""The pilot's rails as electricity: what the wire and the taps show when one of them sags, swings or walks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from boards.loader import load_board
from evse_pi.sim.circuit import Generator, PilotLoad, sagged
from evse_pi.sim.converter import AdcInput, ConverterRange, codes
from evse_pi.sim.harness.virtual_box import VirtualBox, VirtualBoxSettings
from evse_pi.sim.plant import Plant, PlantSettings
from evse_pi.sim.signals import Analog

MS, US = 1_000_000, 1_000
QUIET = PlantSettings()
QUIET = replace(QUIET, disturbance=replace(QUIET.disturbance, noise_v=0.0))
CH2 = AdcInput(Analog.PILOT_POSITIVE, gain_ppm=199_360)  # 2.49 / 12.49


def steady_plant() -> Plant:
    plant = Plant(QUIET)
    plant.set_pilot(1_000_000, 0)
    plant.advance(100 * MS)
    return plant


def test_a_step_of_a_rail_is_on_the_wire_at_once_and_at_its_tap_after_the_filter() -> None:
    plant = steady_plant()
    plant.apply("supply_pilot", {"positive_mv": 6_500}, 100 * MS)
    assert plant.wire.present.high_v == 6.5
    assert plant.analog(Analog.PILOT_POSITIVE) == pytest.approx(12.0)
    plant.advance(100 * MS + 937 * US)
    assert plant.analog(Analog.PILOT_POSITIVE) == pytest.approx(6.5 + 5.5 / 2.71828, abs=0.01)
    plant.advance(120 * MS)
    assert plant.analog(Analog.PILOT_POSITIVE) == pytest.approx(6.5, abs=0.001)
    assert plant.analog(Analog.PILOT_NEGATIVE) == pytest.approx(-12.0)


def test_ripple_is_on_the_wire_in_full_and_at_the_tap_as_the_filter_leaves_it() -> None:
    plant = steady_plant()
    plant.apply("disturb_supply", {"rail": "positive", "ripple_v": 2.0, "ripple_hz": 1_000.0}, 100 * MS)
    wire, tap = [], []
    for step in range(100):
        plant.advance(150 * MS + step * 50 * US)
        wire += plant.sample_pilot([plant.agenda.now_ns])
        tap.append(plant.analog(Analog.PILOT_POSITIVE))
    assert max(wire) - min(wire) == pytest.approx(2.0, abs=0.1)
    # |1 / (1 + 2πi·1 kHz·0.937 ms)| = 0.167
    assert max(tap) - min(tap) == pytest.approx(0.335, abs=0.05)


def test_a_ramp_ends_where_it_was_told_and_stays_there() -> None:
    plant = steady_plant()
    plant.apply("ramp_supply", {"rail": "positive", "to_mv": 4_000, "over_ms": 100}, 100 * MS)
    plant.advance(150 * MS)
    assert plant.sample_pilot([150 * MS]) == [pytest.approx(8.0, abs=0.01)]
    plant.advance(300 * MS)
    assert plant.sample_pilot([300 * MS]) == [pytest.approx(4.0)]
    plant.apply("repair", {}, 301 * MS)
    assert plant.sample_pilot([301 * MS]) == [pytest.approx(12.0)]


@pytest.mark.parametrize(("duty_ppm", "volts"), [(100_000, 11.43), (960_000, 8.18)])
def test_a_bad_joint_ahead_of_the_rail_sags_by_the_mean_load(duty_ppm: int, volts: float) -> None:
    """A vehicle in C, 882 ohms behind 0.7 V: U = 12 - duty * (1000 U - 700) / 1882, solved by hand."""
    load = PilotLoad(ohm=882.0)
    rail = sagged(Generator(positive_ohm=1_000.0), load, duty_ppm).positive_v
    high = (rail * 882 + 0.7 * 1_000) / 1_882
    drop = (rail - high) * duty_ppm / 1_000_000
    assert rail + drop == pytest.approx(12.0, abs=0.01)
    assert rail == pytest.approx(volts, abs=0.01)


def test_a_reference_that_is_low_makes_every_voltage_read_high() -> None:
    plant = steady_plant()
    span = ConverterRange(3_000, 4_096)
    assert codes(plant, CH2, span, [100 * MS])[0] * 3.674 == pytest.approx(12_000, abs=10)
    plant.apply("drift_reference", {"ppm": 960_000}, 100 * MS)
    assert codes(plant, CH2, span, [100 * MS])[0] * 3.674 == pytest.approx(12_500, abs=10)


def test_a_multiplexer_that_hangs_shows_one_input_for_all() -> None:
    world = VirtualBox(VirtualBoxSettings(load_board("simulated")))
    world.wait(100 * MS)
    world.do("hang_multiplexer", source="proximity")
    world.wait(20 * MS)
    world.do("hang_multiplexer", source="pilot_positive")
    assert world.loop is not None
    window = world.loop._input_reader._hardware.pilot_adc.read_window()
    assert max(window.codes) - min(window.codes) <= 1
    assert window.before[2] == pytest.approx(window.codes[0], abs=1)
