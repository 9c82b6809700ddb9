from __future__ import annotations

import pytest

from evse_pi.charging.metering import EnergyCounter, EnergyEstimate, fresh, meter_sample, offered_power_mw
from hal.interfaces import MeterReading
from hal.units import SECOND, Milliamps, Millivolts, MilliwattHours, Milliwatts
from tests.support.node_box import meter_reading

MAX = Milliwatts(22_000_000)
KWH = 1_000_000


def counted(*readings: MeterReading, counter: EnergyCounter | None = None) -> EnergyCounter:
    counter = counter or EnergyCounter()
    for reading in readings:
        counter = counter.accept(reading, MAX)
    return counter


def test_the_first_reading_is_only_where_counting_begins() -> None:
    counter = counted(meter_reading(0, 123 * KWH))
    assert (counter.total_mwh, counter.register_mwh) == (0, 123 * KWH)


def test_a_register_that_grows_is_counted() -> None:
    counter = counted(meter_reading(0, 5 * KWH), meter_reading(3600 * SECOND, 12 * KWH))
    assert (counter.total_mwh, counter.replaced) == (7 * KWH, 0)


def test_a_register_rounded_down_by_a_step_loses_and_gains_nothing() -> None:
    readings = [meter_reading(0, 100_000), meter_reading(SECOND, 90_000), meter_reading(2 * SECOND, 100_000)]
    assert counted(*readings).total_mwh == 0
    assert counted(*readings, meter_reading(3 * SECOND, 110_000)).total_mwh == 10_000


@pytest.mark.parametrize("register", [0, 900 * KWH])
def test_a_replaced_meter_begins_again_and_the_gap_is_filled_from_the_power(register: int) -> None:
    old = meter_reading(0, 500 * KWH, power_mw=10_800_000)
    new = meter_reading(10 * SECOND, register, power_mw=10_800_000)
    counter = counted(old, new)
    assert (counter.replaced, counter.register_mwh, counter.total_mwh) == (1, register, 30_000)
    assert counted(meter_reading(20 * SECOND, register + 20_000), counter=counter).total_mwh == 50_000


def test_a_gap_longer_than_a_reading_is_good_for_is_not_guessed() -> None:
    old, new = meter_reading(0, 500 * KWH, power_mw=10_800_000), meter_reading(16 * SECOND, 0, power_mw=10_800_000)
    assert counted(old, new).total_mwh == 0


def test_a_jump_that_the_circuit_cannot_carry_is_another_register() -> None:
    counter = counted(meter_reading(0, 0), meter_reading(SECOND, 100_000))
    assert (counter.total_mwh, counter.replaced) == (0, 1)


def test_a_dead_meter_that_comes_back_makes_good_for_the_silence() -> None:
    assert counted(meter_reading(0, 0), meter_reading(3600 * SECOND, 11 * KWH)).total_mwh == 11 * KWH


def test_an_estimate_loses_nothing_to_rounding() -> None:
    estimate = EnergyEstimate().advance(0, Milliwatts(1))
    for tick in range(1, 36_001):
        estimate = estimate.advance(tick * SECOND // 10, Milliwatts(1))
    assert (estimate.total_mwh, estimate.rest) == (1, 0)


def test_an_estimate_never_runs_backwards() -> None:
    estimate = EnergyEstimate().advance(10 * SECOND, Milliwatts(3_600_000))
    assert estimate.advance(5 * SECOND, Milliwatts(0)).total_mwh == 0


def test_the_estimate_is_what_the_offer_allows() -> None:
    assert offered_power_mw(Milliamps(16_000), Millivolts(230_000), 3) == 11_040_000


def test_a_value_is_fresh_for_15_seconds() -> None:
    assert fresh(0, 15 * SECOND - 1)
    assert not fresh(0, 15 * SECOND)


def test_the_safety_process_gets_the_phases_that_the_meter_has_and_no_others() -> None:
    volts, amps = (Millivolts(231_000),), (Milliamps(7_000),)
    power = (Milliwatts(1_600_000),)
    reading = MeterReading(volts, amps, power, power[0], MilliwattHours(0), None, 42)
    sample = meter_sample(reading)
    assert (sample.at_ns, sample.voltage_mv, sample.current_ma) == (42, (231_000,), (7_000,))
