from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from evse_pi.sim.contactor_model import ContactorSettings
from evse_pi.sim.converter import AdcInput, ConverterRange, codes
from evse_pi.sim.plant import Plant, PlantSettings, WatchdogSettings
from evse_pi.sim.plant_settings import build
from evse_pi.sim.residual import Injection, RcdSettings
from evse_pi.sim.signals import Analog, Drive, Sense

MS = 1_000_000
SECOND = 1000 * MS
STIFF = PlantSettings(contactor=ContactorSettings(bounce_ns=0))


def closed_plant(settings: PlantSettings = STIFF) -> Plant:
    plant = Plant(settings)
    plant.drive(Drive.CONTACTOR, True, 0)
    plant.advance(SECOND)
    return plant


def instants(plant: Plant, signal: str) -> list[tuple[int, int]]:
    return [(change.at_ns, change.value) for change in plant.history.changes if change.signal == signal]


def test_the_contactor_takes_its_time_both_ways() -> None:
    plant = closed_plant()
    plant.drive(Drive.CONTACTOR, False, SECOND)
    plant.advance(2 * SECOND)
    assert instants(plant, "poles") == [(0, 0), (18 * MS, 3), (SECOND + 12 * MS, 0)]


def test_the_main_contacts_bounce_and_end_closed() -> None:
    plant = Plant(PlantSettings(contactor=ContactorSettings(bounces=3)))
    plant.drive(Drive.CONTACTOR, True, 0)
    plant.advance(SECOND)
    values = [value for _, value in instants(plant, "poles")]
    assert values == [0, 3, 0, 3, 0, 3, 0, 3]
    assert instants(plant, "mirror")[-1][0] <= 20 * MS


def test_a_coil_pulse_shorter_than_the_pull_in_time_closes_nothing() -> None:
    plant = Plant(STIFF)
    plant.drive(Drive.CONTACTOR, True, 0)
    plant.drive(Drive.CONTACTOR, False, 10 * MS)
    plant.advance(SECOND)
    assert plant.contactor.closings == 0


def test_with_an_economiser_the_boost_pulls_in_and_the_contactor_line_holds() -> None:
    plant = Plant(replace(STIFF, economiser=True))
    plant.drive(Drive.CONTACTOR, True, 0)
    plant.advance(SECOND)
    assert not plant.sense(Sense.MIRROR)
    plant.drive(Drive.CONTACTOR_BOOST, True, SECOND)
    plant.drive(Drive.CONTACTOR_BOOST, False, 2 * SECOND)
    plant.advance(3 * SECOND)
    assert plant.sense(Sense.MIRROR)
    plant.drive(Drive.CONTACTOR, False, 3 * SECOND)
    plant.drive(Drive.CONTACTOR_BOOST, True, 3 * SECOND)
    plant.advance(4 * SECOND)
    assert not plant.sense(Sense.MIRROR)


@pytest.mark.parametrize(
    ("verb", "args", "mirror", "live"),
    [
        ("weld", {}, True, True),
        ("weld", {"poles": [1]}, True, False),  # one pole with all others open drives no current
        ("weld", {"poles": [0, 1]}, True, True),
        ("stick_mirror", {"closed": True}, True, False),
        ("stick_sense", {"line": "load_voltage", "value": True}, False, True),
    ],
)
def test_faults_of_an_open_contactor_show_where_they_should(
    verb: str, args: dict[str, list[int]], mirror: bool, live: bool
) -> None:
    plant = closed_plant()
    plant.apply(verb, args, SECOND)
    plant.drive(Drive.CONTACTOR, False, SECOND)
    plant.advance(2 * SECOND)
    assert (plant.sense(Sense.MIRROR), plant.sense(Sense.LOAD_VOLTAGE)) == (mirror, live)
    plant.apply("repair", {}, 3 * SECOND)
    plant.advance(4 * SECOND)  # the couplers' capacitor
    assert (plant.sense(Sense.MIRROR), plant.sense(Sense.LOAD_VOLTAGE)) == (False, False)


@pytest.mark.parametrize("verb", ["dry", "break_coil"])
def test_a_contactor_that_fails_to_close_shows_no_voltage(verb: str) -> None:
    plant = Plant(STIFF)
    plant.apply(verb, {}, 0)
    plant.drive(Drive.CONTACTOR, True, 0)
    plant.advance(SECOND)
    assert not plant.sense(Sense.LOAD_VOLTAGE)
    assert not plant.sense(Sense.MIRROR)


def test_the_watchdog_gate_opens_the_coil_when_pulses_stop() -> None:
    plant = Plant(replace(STIFF, watchdog=WatchdogSettings(hold_min_ns=100 * MS, hold_max_ns=100 * MS)))
    plant.drive(Drive.CONTACTOR, True, 0)
    plant.advance(SECOND)
    assert not plant.sense(Sense.MIRROR)
    for tick in range(200):
        plant.drive(Drive.WATCHDOG, tick % 2 == 0, SECOND + tick * 10 * MS)
    assert plant.sense(Sense.MIRROR)
    plant.advance(10 * SECOND)
    last_pulse_ns = SECOND + 198 * 10 * MS  # its rising edge
    assert instants(plant, "poles")[-1] == (last_pulse_ns + 112 * MS, 0)


def test_a_watchdog_may_trip_the_residual_current_device_instead() -> None:
    plant = Plant(replace(STIFF, watchdog=WatchdogSettings(trips_rcd=True)))
    plant.drive(Drive.WATCHDOG, True, 0)
    plant.drive(Drive.CONTACTOR, True, 0)
    plant.advance(SECOND)
    assert plant.sense(Sense.RCD_TRIPPED)
    assert not plant.sense(Sense.MIRROR)


@pytest.mark.parametrize(("args", "within_ns"), [({"dc_ma": 6}, 10 * SECOND), ({"dc_ma": 60}, 300 * MS),
                                                 ({"dc_ma": 200}, 100 * MS), ({"ac_ma": 30}, 300 * MS)])  # fmt: skip
def test_residual_current_trips_in_its_time_and_takes_the_coil(args: dict[str, int], within_ns: int) -> None:
    plant = closed_plant()
    plant.apply("leak", args, SECOND)
    plant.advance(SECOND + within_ns + 20 * MS)
    tripped_ns, value = instants(plant, "rcd_tripped")[-1]
    assert value == 1
    assert tripped_ns - SECOND <= within_ns
    assert not plant.sense(Sense.MIRROR)


@pytest.mark.parametrize("args", [{"dc_ma": 5.9}, {"ac_ma": 29}])
def test_less_residual_current_does_not_trip(args: dict[str, float]) -> None:
    plant = closed_plant()
    plant.apply("leak", args, SECOND)
    plant.advance(60 * SECOND)
    assert not plant.sense(Sense.RCD_TRIPPED)


def test_the_rcd_test_trips_and_the_reset_clears() -> None:
    plant = Plant(STIFF)
    plant.drive(Drive.RCD_TEST, True, 0)
    plant.advance(100 * MS)
    assert plant.sense(Sense.RCD_TRIPPED)
    plant.drive(Drive.RCD_RESET, True, 110 * MS)
    assert plant.sense(Sense.RCD_TRIPPED), "the test current still flows"
    plant.drive(Drive.RCD_TEST, False, 120 * MS)
    plant.drive(Drive.RCD_RESET, False, 120 * MS)
    plant.drive(Drive.RCD_RESET, True, 130 * MS)
    assert not plant.sense(Sense.RCD_TRIPPED)


def test_a_toggled_test_winding_needs_an_alternating_drive() -> None:
    plant = Plant(replace(STIFF, rcd=RcdSettings(test=Injection.TOGGLE)))
    plant.drive(Drive.RCD_TEST, True, 0)
    plant.advance(SECOND)
    assert not plant.sense(Sense.RCD_TRIPPED)
    for half in range(8):
        plant.drive(Drive.RCD_TEST, half % 2 == 1, SECOND + half * 8_333_333)
    assert plant.sense(Sense.RCD_TRIPPED)


@pytest.mark.parametrize(
    ("fault", "after_test", "after_leak", "after_reset"),
    [
        ("blind", True, True, False),
        ("test_dead", False, True, False),
        ("stuck_clear", False, False, False),
        ("stuck_tripped", True, True, True),
        ("reset_dead", True, True, True),
    ],
)
def test_each_broken_residual_current_device_fails_in_its_way(
    fault: str, after_test: bool, after_leak: bool, after_reset: bool
) -> None:
    plant = closed_plant(replace(STIFF, rcd=RcdSettings(cuts_coil=False)))
    plant.apply("break_rcd", {"how": fault}, SECOND)
    plant.drive(Drive.RCD_TEST, True, SECOND)
    plant.advance(2 * SECOND)
    assert plant.sense(Sense.RCD_TRIPPED) is after_test
    plant.drive(Drive.RCD_TEST, False, 2 * SECOND)
    plant.apply("leak", {"dc_ma": 60}, 2 * SECOND)
    plant.advance(3 * SECOND)
    assert plant.sense(Sense.RCD_TRIPPED) is after_leak
    plant.apply("leak", {}, 3 * SECOND)
    plant.drive(Drive.RCD_RESET, True, 3 * SECOND)
    assert plant.sense(Sense.RCD_TRIPPED) is after_reset


def test_a_slow_residual_current_device_trips_and_resets_just_in_time() -> None:
    plant = Plant(STIFF)
    plant.apply("break_rcd", {"how": "slow"}, 0)
    plant.drive(Drive.RCD_TEST, True, 0)
    plant.advance(800 * MS)
    assert not plant.sense(Sense.RCD_TRIPPED)
    plant.advance(950 * MS)
    assert plant.sense(Sense.RCD_TRIPPED)
    plant.drive(Drive.RCD_TEST, False, 1_000 * MS)
    plant.drive(Drive.RCD_RESET, True, 1_000 * MS)
    plant.advance(2_200 * MS)
    assert plant.sense(Sense.RCD_TRIPPED)
    plant.advance(2_400 * MS)
    assert not plant.sense(Sense.RCD_TRIPPED)
    plant.drive(Drive.RCD_RESET, False, 2_500 * MS)
    plant.drive(Drive.RCD_RESET, True, 2_600 * MS)
    plant.apply("break_rcd", {"how": "slow", "on": False}, 2_700 * MS)
    assert not plant.sense(Sense.RCD_TRIPPED), "quick again in the middle of a reset"


def test_a_card_shows_at_the_reader_until_it_is_taken_away() -> None:
    plant = Plant(STIFF)
    plant.apply("hold_card", {"uid": "00AAff"}, 0)
    assert plant.state()["card"] == "00aaff"
    with pytest.raises(ValueError, match="uid 'xy': allowed are pairs of hex digits"):
        plant.apply("hold_card", {"uid": "xy"}, 0)
    plant.apply("hold_card", {}, 0)
    assert plant.state()["card"] == ""


def test_the_lock_moves_only_when_driven_long_enough() -> None:
    plant = Plant(STIFF)
    plant.drive(Drive.LOCK, True, 0)
    plant.drive(Drive.LOCK, False, 200 * MS)
    plant.advance(SECOND)
    assert not plant.sense(Sense.LOCKED)
    plant.drive(Drive.LOCK, True, SECOND)
    plant.drive(Drive.LOCK, False, SECOND + 350 * MS)
    plant.advance(10 * SECOND)
    assert plant.sense(Sense.LOCKED)


@pytest.mark.parametrize(
    ("fault", "bolted", "locked"),
    [("jammed", False, False), ("feedback_open", True, False), ("feedback_closed", True, True)],
)
def test_a_broken_lock_fails_in_its_way(fault: str, bolted: bool, locked: bool) -> None:
    plant = Plant(STIFF)
    plant.apply("break_lock", {"how": fault}, 0)
    plant.drive(Drive.LOCK, True, 0)
    plant.advance(SECOND)
    assert (plant.lock.bolted, plant.sense(Sense.LOCKED)) == (bolted, locked)


def test_the_emergency_stop_takes_the_coil() -> None:
    plant = closed_plant()
    plant.apply("press_stop", {}, SECOND)
    plant.advance(2 * SECOND)
    assert plant.sense(Sense.EMERGENCY_STOP)
    assert not plant.sense(Sense.MIRROR)


def test_the_meter_shows_what_the_supply_does() -> None:
    plant = Plant(STIFF)
    plant.apply("set_voltage", {"volts": 207.0, "phase": 1}, 0)
    plant.apply("lose_phase", {"phase": 2}, 0)
    plant.apply("set_frequency", {"hz": 49.8}, 0)
    meter = plant.meter()
    assert (meter.volts, meter.hertz) == ((230.0, 207.0, 0.0), 49.8)
    plant.apply("order_phases", {"order": [2, 0, 1]}, 0)
    assert plant.meter().volts == (0.0, 230.0, 207.0)
    plant.apply("freeze_meter", {}, 0)
    plant.apply("set_voltage", {"volts": 250.0}, 0)
    assert plant.meter().volts == (0.0, 230.0, 207.0)
    plant.apply("repair", {}, 0)
    assert plant.meter().volts == (230.0, 230.0, 230.0)


def test_energy_is_power_times_time() -> None:
    plant = closed_plant()
    plant.set_pilot(266_667, SECOND)
    plant.apply("plug_in", {}, SECOND)
    plant.apply("close_s2", {}, SECOND)
    plant.advance(2 * SECOND)
    start = plant.state()
    plant.advance(2 * SECOND + 1800 * SECOND)
    end = plant.state()
    assert start["power_mw"] == pytest.approx(3 * 227.6 * 16 * 0.99 * 1000, rel=0.001)
    assert end["energy_mwh"] - start["energy_mwh"] == pytest.approx(start["power_mw"] / 2, abs=2)


def test_the_converter_scales_drifts_sticks_and_clips() -> None:
    plant = Plant(replace(STIFF, disturbance=replace(STIFF.disturbance, noise_v=0.0)))
    pilot = AdcInput(Analog.PILOT, zero_mv=1650, gain_ppm=120_000)
    read = lambda: codes(plant, pilot, ConverterRange(3300, 4096), [0])[0]  # noqa: E731
    assert read() == 260
    plant.set_pilot(1_000_000, 0)
    assert read() == 3835
    plant.apply("drift_adc", {"source": "pilot", "offset_mv": 10, "gain_ppm": 1_010_000}, 0)
    assert read() == 3865
    plant.apply("supply_pilot", {"positive_mv": 20_000}, 0)
    assert read() == 4095
    plant.apply("stick_adc", {"source": "pilot", "mv": 825}, 0)
    assert read() == 1024


def test_a_dead_pwm_stage_keeps_its_level_and_the_car_sees_that() -> None:
    plant = Plant(STIFF)
    plant.set_pilot(266_667, 0)
    plant.apply("kill_pwm_stage", {"stuck_duty_ppm": 1_000_000}, 0)
    assert plant.wire.present.low_v == -12.0
    assert plant.analog(Analog.PILOT_LOW) == 12.0
    plant.apply("kill_pwm_stage", {"stuck_duty_ppm": None}, 0)
    assert plant.analog(Analog.PILOT_LOW) == -12.0


def test_losing_the_earth_looks_like_an_unplugged_car() -> None:
    plant = Plant(STIFF)
    plant.set_pilot(1_000_000, 0)
    plant.apply("plug_in", {}, 0)
    plant.apply("lose_earth", {}, 0)
    assert plant.wire.present.high_v == 12.0


def test_the_cable_codes_its_rating() -> None:
    plant = Plant(STIFF)
    assert plant.analog(Analog.PROXIMITY) == pytest.approx(3.3)
    plant.apply("plug_in", {"cable_ma": 20_000}, 0)
    assert plant.analog(Analog.PROXIMITY) == pytest.approx(3.3 * 680 / 1680)
    plant.apply("set_proximity", {"ohm": 40}, 0)
    assert plant.analog(Analog.PROXIMITY) == pytest.approx(3.3 * 40 / 1040)


def test_the_same_seed_gives_the_same_world() -> None:
    def run() -> list[tuple[int, str, int]]:
        plant = Plant(PlantSettings(seed=5))
        for n in range(10):
            plant.drive(Drive.CONTACTOR, n % 2 == 0, n * SECOND)
        plant.advance(20 * SECOND)
        return list(plant.history.changes)

    assert run() == run()


def test_time_never_goes_back() -> None:
    plant = closed_plant()
    plant.advance(0)
    assert plant.agenda.now_ns == SECOND
    plant.drive(Drive.CONTACTOR, False, 5)
    assert instants(plant, "contactor")[-1] == (SECOND, 0)


def test_settings_are_built_from_plain_data() -> None:
    settings = build(
        PlantSettings,
        {
            "mains": {"phases": 1},
            "watchdog": {"hold_min_ns": 5, "hold_max_ns": 5},
            "rcd": {"test": "toggle"},
            "temperatures": {"a": 20},
        },
    )
    assert settings.mains.phases == 1
    assert settings.rcd.test is Injection.TOGGLE
    assert settings.watchdog == WatchdogSettings(5, 5)
    assert settings.temperatures == {"a": 20.0}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"mains": {"phase": 1}}, "PlantSettings.mains: unknown phase; allowed: phases"),
        ({"mains": {"phases": True}}, "PlantSettings.mains.phases True: allowed is int"),
        ({"rcd": {"test": "x"}}, "PlantSettings.rcd.test 'x': allowed are level, toggle"),
        ({"mains": 5}, "PlantSettings.mains 5"),
    ],
)
def test_bad_settings_are_refused_by_name(data: dict[str, dict[str, bool | int | str]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build(PlantSettings, data)


# --- the load side against earth ---

UNLIT = replace(STIFF, sense_hold_ns=None)


def rms(plant: Plant, phase: int, at_ns: int) -> float:
    """Return the voltage of one phase behind the contactor over the 20 ms that begin at `at_ns`."""
    volts = [plant.load.volts(phase, at_ns + step * MS // 4) for step in range(80)]
    return math.sqrt(sum(each * each for each in volts) / len(volts))


def opened(settings: PlantSettings = UNLIT, **left: Any) -> Plant:
    plant = Plant(settings)
    plant.drive(Drive.CONTACTOR, True, 0)
    plant.advance(SECOND)
    for verb, args in left.items():
        plant.apply(verb, args, SECOND)
    plant.drive(Drive.CONTACTOR, False, SECOND)
    plant.advance(SECOND + 50 * MS)
    return plant


@pytest.mark.parametrize("plugged", [False, True])
def test_one_welded_pole_is_live_against_earth_and_ties_the_others_by_the_vehicle_s_capacitors(plugged: bool) -> None:
    plant = Plant(UNLIT)
    if plugged:
        plant.apply("plug_in", {}, 0)
    plant.apply("weld", {"poles": [1]}, 0)
    plant.advance(SECOND)
    others = 230.0 if plugged else 0.0
    assert [round(rms(plant, phase, SECOND)) for phase in range(3)] == [others, 230, others]
    assert not plant.load.lit


@pytest.mark.parametrize(
    ("args", "seconds"),
    [
        ({"microfarad": 2.2, "bleeder_ohm": 470_000}, 1.4),
        ({"microfarad": 2.2, "bleeder_ohm": 1_000_000}, 2.5),
        ({"microfarad": 2.2}, 7.4),
    ],
)
def test_a_vehicle_s_capacitors_have_60_v_between_the_pins_after(args: dict[str, float], seconds: float) -> None:
    """Times and formula: docs/boards/reference.md. A phase shows half of what stands between the pins."""
    plant = opened(leave_charge=args)
    assert plant.load.volts(0, plant.agenda.now_ns) * 2 == pytest.approx(325, rel=0.1)
    after_ns = 1_012 * MS + round(seconds * SECOND)  # the contacts open 12 ms after the order
    assert plant.load.volts(0, after_ns) * 2 == pytest.approx(60, rel=0.04)


@pytest.mark.parametrize(("microfarad", "seconds"), [(2.2, 0.64), (4.4, 1.3)])
def test_couplers_take_what_a_vehicle_leaves_for_live(microfarad: float, seconds: float) -> None:
    plant = opened(STIFF, leave_charge={"microfarad": microfarad, "bleeder_ohm": 470_000})
    plant.advance(1_012 * MS + round(0.95 * seconds * SECOND))
    assert plant.sense(Sense.LOAD_VOLTAGE)
    plant.advance(1_012 * MS + round(1.05 * seconds * SECOND) + 40 * MS)
    assert not plant.sense(Sense.LOAD_VOLTAGE)


def test_what_a_vehicle_feeds_back_alternates_and_ends() -> None:
    plant = opened(feed_back={"ms": 500})
    assert rms(plant, 2, SECOND + 100 * MS) == pytest.approx(115, rel=0.01), "half of it against earth"
    plant.advance(2 * SECOND)
    assert rms(plant, 2, SECOND + 520 * MS) == 0.0


@pytest.mark.parametrize(("how", "volts"), [("open", 0.0), ("shorted", 460.0), ("hum", 230.0)])
def test_a_broken_sense_shows_what_its_circuit_makes(how: str, volts: float) -> None:
    plant = closed_plant()
    plant.apply("break_load_sense", {"how": how, "phase": 1}, SECOND)
    assert rms(plant, 1, SECOND) == pytest.approx(volts, rel=0.01)
    assert rms(plant, 0, SECOND) == pytest.approx(230, rel=0.01)
    plant.apply("repair", {}, SECOND)
    assert rms(plant, 1, SECOND) == pytest.approx(230, rel=0.01)


def test_the_weld_output_trips_the_switch_ahead_of_the_box_after_20_ms() -> None:
    plant = closed_plant()
    plant.drive(Drive.WELD_OUTPUT, True, SECOND)
    plant.advance(SECOND + 19 * MS)
    assert all(plant.mains.present)
    plant.advance(SECOND + 21 * MS)
    assert not any(plant.mains.present)
