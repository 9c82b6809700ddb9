"""The plan for the next target: required energy, latest start, what is said where it cannot be ready."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evse_pi.charging.schedule import (
    LOOK_AHEAD_S,
    SLACK_S,
    PlanningInput,
    PlanStatus,
    available_power_mw,
    goes_by_soc,
    plan_charging,
)
from evse_pi.charging.targets import Due, Target
from hal.units import Millivolts, MilliwattHours, Milliwatts

NOW_S = 1_800_000_000
HOUR = 3_600
KWH = 1_000_000
NINE_KW = Milliwatts(9_000_000)


def added(kwh: float, hours: float) -> Due:
    return Due(NOW_S + int(hours * HOUR), Target(0, None, MilliwattHours(int(kwh * KWH))))


def soc(percent: int, hours: float, kwh: float | None = None) -> Due:
    energy_mwh = None if kwh is None else MilliwattHours(int(kwh * KWH))
    return Due(NOW_S + int(hours * HOUR), Target(0, percent, energy_mwh))


def planning_input(*dues: Due, **changes: object) -> PlanningInput:
    return replace(PlanningInput(NOW_S, dues, 1, 0, NINE_KW, 600), **changes)  # type: ignore[arg-type]


TABLE = {
    "8.1 kWh in the battery are 9 kWh from the socket, one hour": (
        planning_input(added(8.1, 5)),
        PlanStatus.WAITING,
        4 * HOUR,
    ),
    "half the power takes twice as long": (
        planning_input(added(8.1, 5), power_mw=NINE_KW // 2),
        PlanStatus.WAITING,
        3 * HOUR,
    ),
    "a wider window starts earlier": (
        planning_input(added(8.1, 5), window_s=4_200),
        PlanStatus.WAITING,
        4 * HOUR - 3_600,
    ),
    "without a window only the slack is kept": (
        planning_input(added(8.1, 5), window_s=0),
        PlanStatus.WAITING,
        4 * HOUR + 600,
    ),
    "what is missing to a state of charge": (
        planning_input(soc(80, 5), soc_percent=60, capacity_mwh=40_500_000),
        PlanStatus.WAITING,
        4 * HOUR,
    ),
    "a known state of charge goes before the energy": (
        planning_input(soc(80, 5, 30), soc_percent=60, capacity_mwh=40_500_000),
        PlanStatus.WAITING,
        4 * HOUR,
    ),
    "an unknown state of charge falls back on the energy": (
        planning_input(soc(80, 5, 8.1)),
        PlanStatus.WAITING,
        4 * HOUR,
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_charging_starts_as_late_as_possible(name: str) -> None:
    given, status, before_slack_s = TABLE[name]
    _, plan = plan_charging(None, given)
    assert (plan.status, plan.start_s) == (status, NOW_S + before_slack_s - SLACK_S - 600)
    assert plan.holds


def test_with_the_usual_window_the_start_is_900_s_before_the_duration_alone_would_have_it() -> None:
    _, plan = plan_charging(None, planning_input(added(8.1, 5)))
    assert plan.start_s == NOW_S + 4 * HOUR - 900


def test_a_target_that_cannot_be_reached_starts_at_once_and_says_so() -> None:
    _, plan = plan_charging(None, planning_input(added(50, 2)))
    assert (plan.status, plan.start_s, plan.delay_below_s) == (PlanStatus.LATE, NOW_S, 0)


def test_a_full_vehicle_of_unknown_charge_starts_at_once() -> None:
    _, plan = plan_charging(None, planning_input(soc(100, 20)))
    assert (plan.status, plan.start_s, plan.delay_below_s) == (PlanStatus.BEGUN, NOW_S, 0)


@pytest.mark.parametrize("due", [added(0, 5), soc(80, 5)])
def test_what_needs_no_energy_has_no_start_and_waits_for_the_next_target(due: Due) -> None:
    _, plan = plan_charging(None, planning_input(due, soc_percent=80, capacity_mwh=50_000_000))
    assert (plan.status, plan.start_s, plan.due) == (PlanStatus.REACHED, None, due)
    assert plan.holds


def test_without_current_there_is_no_start_and_nothing_is_held() -> None:
    _, plan = plan_charging(None, planning_input(added(8.1, 5), power_mw=Milliwatts(0)))
    assert (plan.status, plan.start_s, plan.holds) == (PlanStatus.NO_POWER, None, False)


def test_without_targets_nothing_is_planned() -> None:
    progress, plan = plan_charging(None, planning_input())
    assert progress is None
    assert plan.status is PlanStatus.NOTHING


def test_less_current_while_waiting_starts_earlier() -> None:
    progress, first = plan_charging(None, planning_input(added(8.1, 5)))
    _, second = plan_charging(progress, planning_input(added(8.1, 5), power_mw=NINE_KW // 2))
    assert first.start_s is not None
    assert second.start_s == first.start_s - HOUR


def test_a_charge_that_has_begun_goes_on_and_keeps_its_start() -> None:
    progress, waiting = plan_charging(None, planning_input(added(8.1, 5)))
    assert waiting.start_s is not None
    progress, begun = plan_charging(progress, planning_input(added(8.1, 5), now_s=waiting.start_s))
    assert (begun.status, begun.start_s, begun.delay_below_s) == (PlanStatus.BEGUN, waiting.start_s, 600)
    for power_mw in (NINE_KW, NINE_KW * 2):
        later = planning_input(added(8.1, 5), now_s=waiting.start_s + 60, energy_mwh=100_000, power_mw=power_mw)
        progress, plan = plan_charging(progress, later)
        assert (plan.status, plan.start_s, plan.delay_below_s) == (PlanStatus.BEGUN, waiting.start_s, 0)


def test_a_charge_that_has_begun_says_when_less_current_makes_it_late() -> None:
    progress, waiting = plan_charging(None, planning_input(added(8.1, 5)))
    progress, _ = plan_charging(progress, planning_input(added(8.1, 5), now_s=waiting.start_s))
    _, plan = plan_charging(progress, planning_input(added(8.1, 5), now_s=waiting.start_s, power_mw=NINE_KW // 4))
    assert plan.status is PlanStatus.LATE


def test_a_full_vehicle_is_asked_for_until_the_vehicle_itself_stops() -> None:
    full = planning_input(soc(100, 5), soc_percent=90, capacity_mwh=40_500_000)
    progress, waiting = plan_charging(None, full)
    assert waiting.start_s is not None
    later = replace(full, now_s=waiting.start_s)
    progress, _ = plan_charging(progress, later)
    for percent, now_s in ((99, waiting.start_s + 1_800), (100, NOW_S + 5 * HOUR - 1)):
        progress, plan = plan_charging(progress, replace(later, now_s=now_s, soc_percent=percent))
        assert not plan.holds
    _, other = plan_charging(None, planning_input(soc(90, 5), soc_percent=90, capacity_mwh=40_500_000))
    assert other.status is PlanStatus.REACHED


def test_a_full_vehicle_of_unknown_charge_is_planned_by_energy() -> None:
    _, plan = plan_charging(None, planning_input(soc(100, 5, 8.1)))
    assert (plan.status, plan.start_s) == (PlanStatus.WAITING, NOW_S + 4 * HOUR - 900)


def test_a_begun_charge_ends_when_the_energy_is_in() -> None:
    progress, waiting = plan_charging(None, planning_input(added(8.1, 5), energy_mwh=3 * KWH))
    progress, _ = plan_charging(progress, planning_input(added(8.1, 5), now_s=waiting.start_s, energy_mwh=3 * KWH))
    _, almost = plan_charging(progress, planning_input(added(8.1, 5), now_s=waiting.start_s, energy_mwh=12 * KWH - 1))
    _, done = plan_charging(progress, planning_input(added(8.1, 5), now_s=waiting.start_s, energy_mwh=12 * KWH))
    assert (almost.status, done.status) == (PlanStatus.BEGUN, PlanStatus.REACHED)


def test_another_target_or_vehicle_is_planned_again() -> None:
    progress, waiting = plan_charging(None, planning_input(added(8.1, 5)))
    progress, _ = plan_charging(progress, planning_input(added(8.1, 5), now_s=waiting.start_s, energy_mwh=KWH))
    later = {"now_s": waiting.start_s, "energy_mwh": KWH}
    assert plan_charging(progress, planning_input(added(4.5, 5), **later))[1].status is PlanStatus.WAITING
    assert plan_charging(progress, planning_input(added(8.1, 9), **later))[1].status is PlanStatus.WAITING
    other, _ = plan_charging(progress, planning_input(added(8.1, 5), session=2, **later))
    assert other is not None
    assert (other.session, other.base_mwh) == (2, KWH)


def test_a_second_target_close_by_starts_the_charge_earlier() -> None:
    _, plan = plan_charging(None, planning_input(added(8.1, 5), added(16.2, 6)))
    assert plan.start_s == NOW_S + 6 * HOUR - 3 * HOUR - 900
    assert plan.due == added(8.1, 5)


def test_a_target_a_day_later_does_not() -> None:
    _, plan = plan_charging(None, planning_input(added(8.1, 5), added(200, 5 + LOOK_AHEAD_S / HOUR)))
    assert plan.start_s == NOW_S + 4 * HOUR - 900


def test_energy_for_a_second_target_is_not_charged_before_its_time() -> None:
    dues = (added(8.1, 5), added(8.1, 12))
    progress, waiting = plan_charging(None, planning_input(*dues))
    progress, _ = plan_charging(progress, planning_input(*dues, now_s=waiting.start_s))
    assert waiting.start_s is not None
    _, plan = plan_charging(progress, planning_input(*dues, now_s=waiting.start_s + HOUR, energy_mwh=9 * KWH))
    assert (plan.status, plan.start_s) == (PlanStatus.REACHED, None)


@pytest.mark.parametrize(
    ("late_s", "below_s"), [(0, 600), (1, 600), (300, 301), (599, 2), (600, 1), (601, 0), (10_000, 0)]
)
def test_the_delay_never_makes_a_charge_late(late_s: int, below_s: int) -> None:
    start_s = NOW_S + 4 * HOUR - 900
    _, plan = plan_charging(None, planning_input(added(8.1, 5), now_s=start_s + late_s))
    assert plan.delay_below_s == below_s


@pytest.mark.parametrize(
    ("current_ma", "expected"), [(5_999, 0), (6_000, 4_140_000), (16_000, 11_040_000), (32_000, 22_080_000)]
)
def test_power_is_current_times_voltage_times_phases_from_6_a_on(current_ma: int, expected: int) -> None:
    assert available_power_mw(current_ma, Millivolts(230_000), 3) == expected


def test_a_target_is_judged_by_the_state_of_charge_where_it_is_known_or_no_other_is_set() -> None:
    energy = MilliwattHours(1)
    table = [
        (None, energy, False, False),
        (80, energy, False, True),
        (80, None, True, True),
        (100, energy, False, True),
    ]
    for percent, energy_mwh, unknown_soc, known_soc in table:
        target = Target(0, percent, energy_mwh)
        assert (goes_by_soc(target, known=False), goes_by_soc(target, known=True)) == (unknown_soc, known_soc)
