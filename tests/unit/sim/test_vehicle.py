from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.sim.plant import Plant, PlantSettings
from evse_pi.sim.signals import Drive
from evse_pi.sim.vehicle import VehicleSettings, offered_ma

if TYPE_CHECKING:
    from hal.units import DutyPpm

MS = 1_000_000
SECOND = 1000 * MS
OFFER_16_A = 266_667


def box(**car: Any) -> Plant:
    plant = Plant(PlantSettings(vehicle=VehicleSettings(**car)))
    plant.set_pilot(1_000_000, 0)
    return plant


def charging_box(**car: Any) -> Plant:
    """A car in C that has drawn its current for a while, at 10 s."""
    plant = box(**car)
    plant.apply("plug_in", {}, 0)
    plant.set_pilot(OFFER_16_A, SECOND)
    plant.apply("close_s2", {}, 2 * SECOND)
    plant.drive(Drive.CONTACTOR, True, 2 * SECOND)
    plant.advance(10 * SECOND)
    return plant


def high_v(plant: Plant) -> float:
    return plant.wire.present.high_v


@pytest.mark.parametrize(
    ("duty_ppm", "ma"),
    [
        (0, 0),
        (50_000, 0),
        (79_999, 0),
        (80_000, 6_000),
        (100_000, 6_000),
        (266_667, 16_000),
        (533_333, 31_999),
        (850_000, 51_000),
        (892_000, 63_000),
        (960_000, 80_000),
        (970_000, 80_000),
        (970_001, 0),
        (1_000_000, 0),
    ],
)
def test_the_car_reads_the_duty_cycle_as_the_norm_says(duty_ppm: DutyPpm, ma: int) -> None:
    assert offered_ma(duty_ppm) == ma


def test_each_verb_shows_its_pilot_voltage() -> None:
    plant = box()
    assert high_v(plant) == 12.0
    for verb, volts in (("plug_in", 8.98), ("close_s2", 5.99), ("ask_ventilation", 2.93), ("open_s2", 8.98)):
        plant.apply(verb, {}, 0)
        assert high_v(plant) == pytest.approx(volts, abs=0.01)
    plant.apply("unplug", {}, 0)
    assert high_v(plant) == 12.0


def test_the_car_draws_no_more_than_offered() -> None:
    assert charging_box(demand_ma=32_000).meter().amps == (16.0, 16.0, 16.0)


def test_the_car_draws_no_more_than_it_wants() -> None:
    plant = charging_box(phases=1)
    plant.apply("draw", {"ma": 7_000}, 10 * SECOND)
    assert plant.meter().amps == (7.0, 0.0, 0.0)


def test_the_car_follows_a_new_offer_within_five_seconds() -> None:
    plant = charging_box()
    plant.set_pilot(100_000, 10 * SECOND)
    assert plant.meter().amps[0] == 16.0
    plant.advance(15 * SECOND)
    assert plant.meter().amps[0] == 6.0


def test_the_car_stops_and_opens_s2_within_three_seconds_of_the_pwm() -> None:
    plant = charging_box()
    plant.set_pilot(1_000_000, 10 * SECOND)
    plant.advance(13 * SECOND)
    assert plant.meter().amps[0] == 0.0
    assert high_v(plant) == pytest.approx(8.98, abs=0.01)


def test_an_obstinate_car_draws_on_without_pwm() -> None:
    plant = charging_box()
    plant.apply("ignore_pwm_stop", {}, 10 * SECOND)
    plant.set_pilot(1_000_000, 10 * SECOND)
    plant.advance(60 * SECOND)
    assert plant.meter().amps[0] == 16.0


def test_opening_the_contactor_on_an_obstinate_car_is_counted() -> None:
    plant = charging_box()
    plant.apply("ignore_pwm_stop", {}, 10 * SECOND)
    plant.drive(Drive.CONTACTOR, False, 20 * SECOND)
    plant.advance(21 * SECOND)
    assert plant.openings_under_load == 1
    assert plant.meter().amps[0] == 0.0


def test_an_automatic_car_goes_to_c_only_when_pwm_offers_current() -> None:
    plant = box(automatic=True)
    plant.apply("plug_in", {}, 0)
    plant.advance(20 * SECOND)
    assert high_v(plant) == pytest.approx(8.98, abs=0.01)
    plant.set_pilot(OFFER_16_A, 20 * SECOND)
    plant.advance(21 * SECOND)
    assert high_v(plant) == pytest.approx(5.99, abs=0.01)


def test_a_sleeping_car_wakes_by_state_f_and_not_by_pwm() -> None:
    plant = box(automatic=True)
    plant.apply("plug_in", {}, 0)
    plant.apply("sleep", {}, 0)
    plant.set_pilot(OFFER_16_A, SECOND)
    plant.advance(60 * SECOND)
    assert not plant.state()["drives"]["contactor"]
    assert plant.vehicle.asleep
    plant.set_pilot(0, 60 * SECOND)
    plant.set_pilot(OFFER_16_A, 64 * SECOND)
    plant.advance(65 * SECOND)
    assert not plant.vehicle.asleep
    assert high_v(plant) == pytest.approx(5.99, abs=0.01)


def test_a_short_f_does_not_wake_the_car() -> None:
    plant = box()
    plant.apply("plug_in", {}, 0)
    plant.apply("sleep", {}, 0)
    plant.set_pilot(0, SECOND)
    plant.set_pilot(OFFER_16_A, 2 * SECOND)
    plant.advance(60 * SECOND)
    assert plant.vehicle.asleep


def test_cutting_the_pilot_wakes_the_car_as_state_e_does() -> None:
    plant = box()
    plant.apply("plug_in", {}, 0)
    plant.apply("sleep", {}, 0)
    plant.drive(Drive.PILOT_CUT, True, SECOND)
    assert high_v(plant) == 12.0
    plant.advance(5 * SECOND)
    assert not plant.vehicle.asleep


def test_flapping_toggles_s2_at_its_rate() -> None:
    plant = box()
    plant.apply("plug_in", {}, 0)
    plant.apply("flap", {"hz": 5}, 0)
    plant.advance(2 * SECOND + MS)
    toggles = [change.at_ns for change in plant.history.changes if change.signal == "s2" and change.at_ns]
    assert toggles == [100 * MS * n for n in range(1, 21)]
    plant.apply("flap", {"hz": 0}, 3 * SECOND)
    plant.advance(10 * SECOND)
    assert sum(change.at_ns > 3 * SECOND for change in plant.history.changes) == 0


def test_the_car_stops_by_itself_when_it_has_what_it_wanted() -> None:
    plant = charging_box()
    before = plant.state()["energy_mwh"]
    plant.apply("want", {"mwh": 500_000}, 10 * SECOND)
    plant.advance(3600 * SECOND)
    assert plant.state()["energy_mwh"] - before == pytest.approx(500_000, abs=5)
    assert high_v(plant) == pytest.approx(8.98, abs=0.01)


def test_unplugging_under_load_ends_the_current() -> None:
    plant = charging_box()
    plant.apply("unplug", {}, 10 * SECOND)
    assert plant.meter().amps[0] == 0.0
    assert high_v(plant) == 12.0


def test_pilot_faults_of_the_car_reach_the_wire() -> None:
    plant = box()
    plant.apply("plug_in", {}, 0)
    plant.set_pilot(OFFER_16_A, 0)
    plant.apply("remove_diode", {}, 0)
    assert plant.wire.present.low_v == pytest.approx(-8.79, abs=0.01)
    plant.apply("restore_diode", {}, 0)
    plant.apply("short_pilot", {"where": "behind_diode"}, 0)
    assert (plant.wire.present.high_v, plant.wire.present.low_v) == (pytest.approx(0.71, abs=0.01), -12.0)
    plant.apply("clear_short", {}, 0)
    assert high_v(plant) == pytest.approx(8.98, abs=0.01)


@pytest.mark.parametrize(
    ("verb", "args", "said"),
    [
        ("fly", {}, "verb 'fly': allowed are"),
        ("draw", {"ma": "16"}, "draw.ma '16': allowed is int"),
        ("draw", {}, "draw: missing a required argument: 'ma'"),
        ("draw", {"ma": 1, "volts": 2}, "draw: unknown volts"),
        ("plug_in", {"cable_ma": 25_000}, "cable_ma 25000: allowed are 13000"),
        ("short_pilot", {"where": "inside"}, "inside"),
        ("flap", {"hz": -1}, "hz -1.0: allowed is 0 to 1000"),
        ("flap", {"hz": float("nan")}, "flap.hz nan: allowed is a finite number"),
        ("fit_resistors", {"c_ohm": 0}, "c_ohm 0.0: allowed is 1 to 10000000"),
        ("set_proximity", {"ohm": -1000}, "ohm -1000.0: allowed is 0"),
        ("supply_pilot", {"source_ohm": 0}, "source_ohm 0: allowed is 1"),
        ("kill_pwm_stage", {"stuck_duty_ppm": 1_000_001}, "stuck_duty_ppm 1000001: allowed is 0 to 1000000"),
        ("set_temperature", {"celsius": 300}, "celsius 300.0: allowed is -100 to 200"),
        ("set_temperature", {"celsius": 20, "sensor": "sun"}, "sensor 'sun': allowed are board"),
        ("set_voltage", {"volts": 230, "phase": 3}, "phase 3: allowed is 0 to 2"),
        ("order_phases", {"order": [0, 0, 1]}, "any order of 3 phases"),
        ("weld", {"poles": [3]}, "allowed are"),
    ],
)
def test_bad_verbs_are_refused_by_name(verb: str, args: dict[str, str], said: str) -> None:
    plant = box()
    with pytest.raises(ValueError, match=re.escape(said)):
        plant.apply(verb, args, 0)
    assert not plant.vehicle.plugged


def test_a_car_that_insists_closes_s2_without_an_offer_and_again_after_a_stop() -> None:
    plant = box()
    plant.apply("plug_in", {}, 0)
    plant.apply("insist", {}, 0)
    plant.advance(400 * MS)
    assert plant.vehicle.s2 == "open", "a car shows B before it asks"
    plant.advance(600 * MS)
    assert plant.vehicle.s2 == "closed"
    plant.set_pilot(OFFER_16_A, SECOND)
    plant.set_pilot(1_000_000, 10 * SECOND)
    plant.advance(11 * SECOND + 100 * MS)
    assert plant.vehicle.s2 == "open", "it lets go within 3 s"
    plant.advance(12 * SECOND)
    assert plant.vehicle.s2 == "closed"
    plant.apply("insist", {"on": False}, 13 * SECOND)
    plant.advance(20 * SECOND)
    assert plant.vehicle.s2 == "open"


def test_a_car_that_insists_does_not_ask_in_state_f_and_forgets_it_with_the_plug() -> None:
    plant = box()
    plant.apply("plug_in", {}, 0)
    plant.apply("insist", {}, 0)
    plant.apply("open_s2", {}, SECOND)
    plant.set_pilot(0, SECOND)
    plant.advance(5 * SECOND)
    assert plant.vehicle.s2 == "open"
    plant.apply("unplug", {}, 6 * SECOND)
    plant.apply("plug_in", {}, 7 * SECOND)
    plant.set_pilot(1_000_000, 7 * SECOND)
    plant.advance(9 * SECOND)
    assert plant.vehicle.s2 == "open"


def test_a_car_tells_what_it_was_told_to() -> None:
    plant = box()
    plant.apply("tell_battery", {"percent": 20, "mwh": 70_000_000}, 0)
    plant.apply("tell_identifier", {"identifier": "car"}, 0)
    told = plant.state()["vehicle"]
    assert (told["battery_percent"], told["battery_mwh"], told["identifier"]) == (20, 70_000_000, "car")
    with pytest.raises(ValueError, match="percent 101: allowed is 0 to 100"):
        plant.apply("tell_battery", {"percent": 101}, 0)
    plant.apply("tell_battery", {}, 0)
    plant.apply("tell_identifier", {}, 0)
    told = plant.state()["vehicle"]
    assert (told["battery_percent"], told["battery_mwh"], told["identifier"]) == (None, None, None)
