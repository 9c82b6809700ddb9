"""What watches currents, at the least current, at half the duty and at the most: 6 A, 30 A and 80 A.

Duty and current are those of IEC 61851-1 Annex A: 10 % is 6 A, 50 % is 30 A, 96 % is 80 A.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from evse_pi.core.faults import Fault
from evse_pi.core.records import MeterSample, TemperatureSample
from evse_pi.core.states import EvseState, LimitSource
from hal.units import CentiCelsius, Milliamps, Millivolts
from tests.support.ideal_box import FULL_BOARD, IdealBox, S, box_in, settings_for

LARGEST_BOARD = replace(FULL_BOARD, rated_current_ma=Milliamps(80_000), tethered_cable_ma=Milliamps(80_000))
OFFERS = [(100_000, 6_000), (500_000, 30_000), (960_000, 80_000)]


def offered(duty_ppm: int, current_ma: int, **house: int) -> IdealBox:
    """Return a box that charges at one of the offers."""
    box = box_in(EvseState.C2, settings_for(LARGEST_BOARD, **{"circuit_capacity_ma": Milliamps(80_000), **house}))  # type: ignore[arg-type]
    box.asked_ma = current_ma
    box.run(10 * S)
    assert box.outputs.pilot.duty_ppm == duty_ppm
    return box


@pytest.mark.hazard("H-04")
@pytest.mark.parametrize("phase", [0, 1, 2])
@pytest.mark.parametrize(("duty_ppm", "current_ma"), OFFERS)
def test_a_vehicle_may_draw_what_its_duty_says_and_on_every_phase(duty_ppm: int, current_ma: int, phase: int) -> None:
    box = offered(duty_ppm, current_ma)
    box.drawn_ma = tuple(current_ma if at == phase else 0 for at in range(3))  # type: ignore[assignment]
    box.run(120 * S)
    assert (box.closed, box.faults) == (True, frozenset())


@pytest.mark.hazard("H-04")
@pytest.mark.parametrize("way", [1, -1])
@pytest.mark.parametrize("phase", [0, 1, 2])
@pytest.mark.parametrize(("duty_ppm", "current_ma"), OFFERS)
def test_a_vehicle_that_draws_more_is_opened(duty_ppm: int, current_ma: int, phase: int, way: int) -> None:
    """EVerest opens at (offer + 0.5 A) x 1.1 as well; the reading is up to 2 s old, and 6.5 s are the vehicle's."""
    box = offered(duty_ppm, current_ma)
    drawn_ma = way * ((current_ma + 500) * 11 // 10 + 1)
    box.drawn_ma = tuple(drawn_ma if at == phase else 0 for at in range(3))  # type: ignore[assignment]
    took_ns = box.run_until(lambda b: not b.closed, 20 * S)
    assert took_ns <= 9 * S
    assert box.faults == {Fault.OVERCURRENT}


@pytest.mark.hazard("H-04")
@pytest.mark.parametrize(
    ("duty_ppm", "current_ma", "below"),
    [(*offer, below) for offer in OFFERS for below in (6_000, 30_000) if below < offer[1]],
)
def test_a_vehicle_that_ignores_a_lower_offer_is_opened(duty_ppm: int, current_ma: int, below: int) -> None:
    box = offered(duty_ppm, current_ma)
    box.drawn_ma = (current_ma,) * 3
    box.run(10 * S)
    box.asked_ma = below
    took_ns = box.run_until(lambda b: not b.closed, 30 * S)
    assert 10 * S <= took_ns <= 12 * S


@pytest.mark.hazard("H-04")
@pytest.mark.parametrize(("duty_ppm", "current_ma"), OFFERS)
def test_far_above_circuit_and_cable_two_readings_are_enough(duty_ppm: int, current_ma: int) -> None:
    """1.5 times what they bear: IEC 60898-1 lets a breaker carry 1.45 times its rating for less than an hour."""
    box = offered(duty_ppm, current_ma, circuit_capacity_ma=current_ma)
    box.drawn_ma = (current_ma * 8 // 5, 0, 0)
    took_ns = box.run_until(lambda b: not b.closed, 20 * S)
    assert took_ns <= 5 * S
    assert box.faults == {Fault.OVERCURRENT}


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize(("duty_ppm", "current_ma"), OFFERS)
def test_a_meter_that_falls_silent_ends_the_offer(duty_ppm: int, current_ma: int) -> None:
    box = offered(duty_ppm, current_ma)
    box.drawn_ma = (current_ma,) * 3
    box.run(5 * S)
    box.meter_alive = False
    box.run_until(lambda b: not b.state.offer.offered_ma, 20 * S)
    assert Fault.METER_STALE in box.faults
    assert box.state.status.limit.source is LimitSource.STALE_SENSOR


def measured(volts: int, amps: int, duty_ppm: int, current_ma: int, drawn_ma: int) -> IdealBox:
    """Return a box whose meter measures so many voltages and currents, after half a minute at `drawn_ma`."""
    box = offered(duty_ppm, current_ma)
    for _ in range(30):
        old = box.demand
        assert old is not None
        meter = MeterSample(box.now_ns, (Millivolts(230_000),) * volts, (Milliamps(drawn_ma),) * amps)
        heat = TemperatureSample(box.now_ns, CentiCelsius(25_00))
        box.demand = replace(
            old, number=old.number + 1, valid_until_ns=box.now_ns + 15 * S, meter=meter, temperature=heat
        )
        box.run(S)
    return box


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize(("duty_ppm", "current_ma"), OFFERS)
@pytest.mark.parametrize(("volts", "amps"), [(0, 0), (1, 1), (2, 2), (3, 3), (0, 3), (3, 0)])
def test_a_phase_that_the_meter_does_not_measure_is_not_one_without_voltage(
    volts: int, amps: int, duty_ppm: int, current_ma: int
) -> None:
    """SDM72D-M version 1 tells totals alone, an SDM120 one phase; B+G e-tech SDM72D-M manual V1.5, Eastron SDM120."""
    assert not measured(volts, amps, duty_ppm, current_ma, current_ma).faults


@pytest.mark.hazard("H-04")
@pytest.mark.parametrize(("duty_ppm", "current_ma"), OFFERS)
@pytest.mark.parametrize("amps", [1, 2, 3])
def test_a_meter_with_fewer_phases_watches_those_that_it_has(amps: int, duty_ppm: int, current_ma: int) -> None:
    box = measured(amps, amps, duty_ppm, current_ma, current_ma * 5 // 4)
    assert box.faults == {Fault.OVERCURRENT}
