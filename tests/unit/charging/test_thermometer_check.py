"""Thermometers that answer and are wrong: frozen under load, stuck at what a dead bus reads, or jumping."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evse_pi.charging.charge_point import ChargePoint
from evse_pi.charging.startup_state import StartupState
from evse_pi.charging.thermometer_check import ThermometerCheck
from evse_pi.core.installation_limits import Installation
from evse_pi.core.records import TemperatureSample
from evse_pi.core.states import LimitSource
from evse_pi.sim.harness.virtual_clock import VirtualClock
from hal.units import CentiCelsius, Milliamps
from tests.support.node_box import RATINGS, FakeSafety, HandWriter, meter_reading

S = 1_000_000_000
HOUR_S = 3_600
CURRENTS_MA = [6_000, 30_000, 80_000]


def at(second: int, centi_celsius: int) -> TemperatureSample:
    return TemperatureSample(second * S, CentiCelsius(centi_celsius))


def read(values: list[int], *, loaded: bool = True, every_s: int = 2) -> ThermometerCheck:
    check = ThermometerCheck()
    for number, value in enumerate(values):
        check = check.accept(at(number * every_s, value), loaded=loaded)
    return check


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize("value", [0, -6, 25_00, 64_00])
def test_one_that_stands_still_for_an_hour_under_load_is_doubted_until_it_moves(value: int) -> None:
    """A TMP102 shows 0 and -0.0625 degrees for sixteen zeros and twelve ones (TI SBOS397, temperature register)."""
    readings = HOUR_S // 2
    assert not read([value] * readings).still
    check = read([value] * (readings + 1))
    assert check.still
    assert not check.accept(at(HOUR_S + 2, value + 6), loaded=True).still


def test_one_that_stands_still_without_load_says_nothing_wrong() -> None:
    assert not read([25_00] * HOUR_S * 2, loaded=False).still


@pytest.mark.parametrize("code_centi_c", [6, 50])
def test_one_step_of_the_coarsest_chip_within_the_hour_is_enough(code_centi_c: int) -> None:
    """TMP102 and MCP9808 step by 0.0625 degrees, LM75 by 0.5."""
    steady = [25_00 + (number // 1_700 % 2) * code_centi_c for number in range(20_000)]
    assert not read(steady).still


@pytest.mark.hazard("H-16")
def test_one_reading_that_jumps_is_not_used_and_two_that_agree_are() -> None:
    check = read([25_00, 25_00, 85_00])
    assert check.jumps
    assert check.used == at(2, 25_00)
    assert check.accept(at(6, 85_50), loaded=True).used == at(6, 85_50)
    assert check.accept(at(6, 25_00), loaded=True).accept(at(8, 25_00), loaded=True).used == at(8, 25_00)


@pytest.mark.hazard("H-16")
def test_one_that_keeps_jumping_counts_as_silent() -> None:
    check = read([25_00, 65_00] * 30)
    assert check.used == at(0, 25_00)


def test_a_silence_is_no_jump() -> None:
    assert read([25_00, 65_00], every_s=16).used == at(16, 65_00)


def test_a_box_that_heats_up_as_fast_as_a_fire_is_followed() -> None:
    """4.5 K a second: from 25 to 71 degrees in 10 s."""
    check = read([25_00 + 9_00 * number for number in range(8)])
    assert check.used == at(14, 88_00)


class Box:
    """A box that charges, with its thermometers."""

    def __init__(self, current_ma: int, *, meter: bool = True) -> None:
        self.clock, self.current_ma = VirtualClock(), current_ma
        self.safety = FakeSafety(self.clock)
        ratings = replace(RATINGS, rated_current_ma=Milliamps(80_000), meter_fitted=meter)
        house = Installation(Milliamps(max(current_ma, 6_000)), 3, "DE")
        self.box = ChargePoint(self.clock, ratings, house, StartupState(), HandWriter())
        self.box.commission(commissioned=False)
        self.box.on_snapshot(self.safety.become("C"))
        self.energy_mwh = 0

    def run(self, seconds: int, celsius: float | None = 40.0, others: float | None = None) -> None:
        for _ in range(seconds // 2):
            self.clock.advance_s(2)
            self.energy_mwh += self.current_ma * 690 * 2 // 3_600
            told = replace(self.safety.snapshot(), offered_current_ma=Milliamps(self.current_ma))
            self.box.on_snapshot(told)
            if self.box.ratings.meter_fitted:
                power_mw = self.current_ma * 690
                self.box.measure(meter_reading(self.clock.now_ns, self.energy_mwh, power_mw, self.current_ma))
            shown = {"board": celsius, "socket": others}
            self.box.feel(
                {
                    place: TemperatureSample(self.clock.now_ns, CentiCelsius(round(100 * value)))
                    for place, value in shown.items()
                    if value is not None
                }
            )


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize("meter", [True, False])
@pytest.mark.parametrize("current_ma", CURRENTS_MA)
def test_a_thermometer_that_froze_halves_the_current_and_gives_it_back(current_ma: int, meter: bool) -> None:
    box = Box(current_ma, meter=meter)
    box.run(HOUR_S + 10)
    demand = box.box.demand()
    assert demand.offered_current_ma == max(current_ma // 2, 6_000)
    assert demand.limit_source is LimitSource.SENSOR_DOUBT
    assert box.box.thermometers.still == ("board",)
    assert demand.temperature is not None  # the other limits of a hot box still act
    box.run(4, 40.5)
    assert box.box.demand().limit_source is not LimitSource.SENSOR_DOUBT


@pytest.mark.parametrize("current_ma", [0, 5_000])
def test_a_box_that_does_not_charge_may_be_as_steady_as_it_likes(current_ma: int) -> None:
    box = Box(current_ma)
    box.run(2 * HOUR_S)
    assert box.box.thermometers.still == ()


@pytest.mark.hazard("H-12")
def test_the_hottest_place_is_as_old_as_the_most_silent_thermometer() -> None:
    box = Box(6_000)
    box.run(4, 30.0, 70.0)
    hottest = box.box.thermometers.hottest
    assert hottest is not None
    assert hottest.centi_celsius == 70_00
    former_ns = box.clock.now_ns
    late = {
        "board": TemperatureSample(former_ns, CentiCelsius(30_00)),
        "socket": TemperatureSample(former_ns + 9 * S, CentiCelsius(71_00)),
    }
    box.box.feel(late)
    assert box.box.temperature == TemperatureSample(former_ns, CentiCelsius(71_00))
    box.box.feel({})
    assert box.box.temperature is None
