from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest

from evse_pi.sim.circuit import (
    CORNERS,
    NOMINAL_CAR,
    CarResistors,
    Disturbance,
    Generator,
    PilotLoad,
    PilotWire,
    plateau_v,
    proximity_v,
    waveform,
)

if TYPE_CHECKING:
    from evse_pi.sim.circuit import Edge
    from hal.units import DutyPpm

TABLE_A1 = {  # SAE J1772 Table A1: lowest, nominal and highest plateau in V, and the car's resistance
    "A": (11.40, 12.00, 12.60, None),
    "B": (8.36, 9.00, 9.56, 2740.0),
    "C": (5.48, 6.00, 6.49, NOMINAL_CAR.in_c()),
    "D": (2.62, 3.00, 3.25, NOMINAL_CAR.in_d()),
}


def tolerated(ohm: float | None) -> list[float]:
    corners = itertools.product((0.95, 1.05), (0.97, 1.03), (0.97, 1.03), (0.55, 0.85))
    return [
        plateau_v(12 * rail, Generator(source_ohm=1000 * source), PilotLoad(ohm and ohm * resistor, diode_v=diode))
        for rail, source, resistor, diode in corners
    ]


@pytest.mark.parametrize("state", TABLE_A1)
def test_tolerances_of_source_and_car_span_the_published_table(state: str) -> None:
    low, nominal, high, ohm = TABLE_A1[state]
    volts = tolerated(ohm)
    assert min(volts) == pytest.approx(low, abs=0.042)
    assert max(volts) == pytest.approx(high, abs=0.042)
    assert plateau_v(12, Generator(), PilotLoad(ohm)) == pytest.approx(nominal, abs=0.08)


@pytest.mark.parametrize(
    ("corner", "volts"),
    [("b_low", 8.06), ("b_nominal", 8.98), ("b_high", 9.99), ("c_low", 4.99), ("c_nominal", 5.99), ("c_high", 6.99)],
)
def test_the_six_corner_resistors_stand_on_the_edges_of_the_bands(corner: str, volts: float) -> None:
    car: CarResistors = CORNERS[corner]
    ohm = car.in_b() if corner.startswith("b") else car.in_c()
    assert plateau_v(12, Generator(), PilotLoad(ohm)) == pytest.approx(volts, abs=0.006)


def test_the_diode_keeps_the_negative_half_at_the_rail() -> None:
    assert plateau_v(-12, Generator(), PilotLoad(NOMINAL_CAR.in_c())) == -12.0


def test_without_diode_the_negative_half_mirrors_the_positive() -> None:
    load = PilotLoad(2740, diode_v=None)
    assert plateau_v(12, Generator(), load) == pytest.approx(-plateau_v(-12, Generator(), load))


def test_a_short_before_the_diode_takes_both_halves() -> None:
    load = PilotLoad(2740, short_before_diode_ohm=1.0)
    assert abs(plateau_v(12, Generator(), load)) < 0.02
    assert abs(plateau_v(-12, Generator(), load)) < 0.02


def test_a_short_behind_the_diode_leaves_the_negative_half() -> None:
    load = PilotLoad(2740, short_behind_diode_ohm=1.0)
    assert plateau_v(12, Generator(), load) == pytest.approx(0.7, abs=0.05)
    assert plateau_v(-12, Generator(), load) == -12.0


def crossing_ns(edge: Edge, volts: float) -> int:
    rising = edge.at(0) < volts
    return next(ns for ns in range(0, 60_000, 10) if (edge.at(ns) >= volts) is rising)


@pytest.mark.parametrize(
    ("load", "low", "high", "rise_us", "fall_us"),
    [
        (PilotLoad(None, farad=0.1e-9), -9.6, 9.6, 2, 2),
        (PilotLoad(2740, farad=3.9e-9), -9.9, 6.9, 10, 13),
        (PilotLoad(NOMINAL_CAR.in_c(), farad=3.9e-9), -9.9, 4.2, 7, 13),
    ],
)
def test_edges_are_as_slow_as_the_largest_capacitance_allows(
    load: PilotLoad, low: float, high: float, rise_us: int, fall_us: int
) -> None:
    form = waveform(Generator(), load, 266_667)
    rise_ns = crossing_ns(form.rise, high) - crossing_ns(form.rise, low)
    fall_ns = crossing_ns(form.fall, low) - crossing_ns(form.fall, high)
    assert 0.5 * rise_us * 1000 < rise_ns <= rise_us * 1000
    assert 0.5 * fall_us * 1000 < fall_ns <= fall_us * 1000


@pytest.mark.parametrize("load", [PilotLoad(), PilotLoad(2740, farad=4e-9), PilotLoad(2740, diode_v=None)])
def test_the_waveform_has_no_step_at_its_seams(load: PilotLoad) -> None:
    form = waveform(Generator(), load, 100_000)
    volts = [form.at(ns) for ns in range(0, 1_000_000, 20)]
    assert max(abs(b - a) for a, b in itertools.pairwise(volts)) < 0.7
    assert form.at(0) == pytest.approx(form.at(999_999), abs=0.2)


@pytest.mark.parametrize(("duty_ppm", "volts"), [(0, -12.0), (1_000_000, 12.0)])
def test_the_ends_of_the_duty_cycle_are_constant_levels(duty_ppm: DutyPpm, volts: float) -> None:
    form = waveform(Generator(), PilotLoad(), duty_ppm)
    assert {form.at(ns) for ns in range(0, 1_000_000, 1000)} == {volts}


def quiet_wire() -> PilotWire:
    return PilotWire(random.Random(1), Disturbance(noise_v=0.0))


def test_a_burst_across_a_change_sees_both_sides_of_it() -> None:
    wire = quiet_wire()
    wire.set(0, waveform(Generator(), PilotLoad(NOMINAL_CAR.in_c()), 1_000_000))
    wire.set(2_000_000, waveform(Generator(), PilotLoad(2740), 1_000_000))
    assert wire.sample([1_999_999, 2_000_000]) == pytest.approx([5.995, 8.979], abs=0.001)


def test_sampling_finds_the_duty_cycle() -> None:
    wire = quiet_wire()
    wire.set(0, waveform(Generator(), PilotLoad(2740), 266_667))
    volts = wire.sample(range(0, 10_000_000, 7_001))
    assert sum(volt > 0 for volt in volts) / len(volts) == pytest.approx(0.2667, abs=0.01)


def test_ticks_of_the_computer_meet_every_phase_of_the_pilot() -> None:
    wire = PilotWire(random.Random(1), Disturbance(noise_v=0.0), clock_ppm=80)
    wire.set(0, waveform(Generator(), PilotLoad(), 500_000))
    volts = wire.sample(range(0, 60_000_000_000, 10_000_000))
    assert sum(volt > 0 for volt in volts) / len(volts) == pytest.approx(0.5, abs=0.1)


def test_noise_offset_and_spikes_are_added_and_repeat_with_the_seed() -> None:
    def burst() -> list[float]:
        wire = PilotWire(random.Random(7), Disturbance(0.05, offset_v=0.1, ripple_v=0.1, spike_v=2, spike_share=0.01))
        wire.set(0, waveform(Generator(), PilotLoad(), 1_000_000))
        return wire.sample(range(0, 200_000_000, 40_000))

    volts = burst()
    assert volts == burst()
    assert sum(volts) / len(volts) == pytest.approx(12.1, abs=0.02)
    assert 20 < sum(abs(volt - 12.1) > 1.5 for volt in volts) < 100


def test_the_proximity_divider_tells_the_cables_apart() -> None:
    assert proximity_v(None, 3.3, 1000) == 3.3
    assert proximity_v(220, 3.3, 1000) == pytest.approx(0.595, abs=0.001)
