"""A plan is kept: the energy is in the battery in time, charging never starts outside, the delay is in its range."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_pi.charging.random_delay import DelayCause, draw_delay
from evse_pi.charging.schedule import (
    EFFICIENCY_PERCENT,
    PlanningInput,
    PlanStatus,
    assess_target,
    available_power_mw,
    plan_charging,
)
from evse_pi.charging.targets import DaySchedule, Target, coming
from hal.units import SECOND, Millivolts, MilliwattHours

ZONES = ["Europe/Berlin", "Europe/London", "America/New_York", "Australia/Lord_Howe", "Pacific/Chatham", "UTC"]
CLOCK_CHANGES = ["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"]
STEP_S = 60

zones = st.sampled_from(ZONES).map(ZoneInfo)
moments = st.builds(
    lambda day, hours: int(datetime.fromisoformat(f"{day}T00:00+00:00").timestamp()) + hours,
    st.sampled_from([*CLOCK_CHANGES, "2026-01-15", "2026-12-31"]),
    st.integers(-86_400, 86_400),
)
around_the_change = st.sampled_from([0, 60, 90, 119, 120, 135, 150, 165, 179, 180, 210, 1439])
targets = st.builds(
    lambda minutes, wh: Target(minutes, None, MilliwattHours(wh * 1000)),
    st.integers(0, 1439) | around_the_change,
    st.integers(0, 60_000),
)
schedules = st.lists(
    st.builds(DaySchedule, st.integers(1, 0x7F), st.lists(targets, min_size=1, max_size=3).map(tuple)),
    min_size=1,
    max_size=3,
)
windows = st.sampled_from([0, 1, 600, 1_800, 7_200])
currents = st.integers(6_000, 80_000)


@given(zones, moments, schedules, windows, currents, st.sampled_from([1, 3]))
def test_a_vehicle_is_ready_in_time_or_is_said_not_to_be(
    zone: Any, now_s: Any, weekly: Any, window_s: Any, current_ma: Any, phases: Any
) -> None:
    power_mw = available_power_mw(current_ma, Millivolts(230_000), phases)
    dues = coming(weekly, now_s, zone)
    planning_input = PlanningInput(now_s, dues, 1, 0, power_mw, window_s)
    progress, plan = plan_charging(None, planning_input)
    promised = plan.status is not PlanStatus.LATE
    due, begun_s, open_s = dues[0], None, None
    while now_s < due.at_s:
        before = None if progress is None else progress.goal_s
        progress, plan = plan_charging(progress, replace(planning_input, now_s=now_s, dues=coming(weekly, now_s, zone)))
        if begun_s is None and progress is not None and progress.goal_s is not None:
            begun_s = now_s
            delay = draw_delay(DelayCause.PLANNED_START, now_s * SECOND, plan.delay_below_s, lambda below: below - 1)
            open_s = now_s if delay is None else delay.until_ns // SECOND
            assert 0 <= open_s - now_s <= max(window_s - 1, 0)
        assert (
            before is None or plan.status is not PlanStatus.WAITING or _reached(dues, before, planning_input.energy_mwh)
        )
        charges = not plan.holds and open_s is not None and now_s >= open_s
        step_s = min(STEP_S if begun_s is not None else _sleep(plan, now_s), due.at_s - now_s)
        if charges:
            planning_input = replace(planning_input, energy_mwh=planning_input.energy_mwh + power_mw * step_s // 3600)
        assert not charges or (plan.start_s is not None and plan.start_s <= now_s)
        now_s += step_s
    if promised:
        in_battery_mwh = planning_input.energy_mwh * EFFICIENCY_PERCENT // 100
        assert due.target.added_energy_mwh is not None
        assert in_battery_mwh >= due.target.added_energy_mwh - power_mw * STEP_S // 3600 // 100


def _reached(dues: Any, goal_s: Any, energy_mwh: Any) -> Any:
    """Return whether what was charged is enough for the target of `goal_s`, so that the next one may be waited for."""
    wanted_mwh = sum(-(-due.target.added_energy_mwh * 100 // EFFICIENCY_PERCENT) for due in dues if due.at_s <= goal_s)
    return energy_mwh >= wanted_mwh


def _sleep(plan: Any, now_s: Any) -> Any:
    """Return how long nothing will happen: until the start that was announced."""
    return max(plan.start_s - now_s, 1) if plan.start_s is not None else 86_400 * 8


@given(zones, moments, schedules, windows, currents)
def test_a_start_is_never_before_now_and_never_after_its_target(
    zone: Any, now_s: Any, weekly: Any, window_s: Any, current_ma: Any
) -> None:
    power_mw = available_power_mw(current_ma, Millivolts(230_000), 3)
    dues = coming(weekly, now_s, zone)
    _, plan = plan_charging(None, PlanningInput(now_s, dues, 1, 0, power_mw, window_s))
    assert plan.due == dues[0]
    if plan.start_s is not None:
        assert now_s <= plan.start_s < dues[0].at_s
    assert 0 <= plan.delay_below_s <= window_s


@given(zones, moments, schedules)
def test_targets_come_on_their_days_in_order_within_a_week(zone: Any, now_s: Any, weekly: Any) -> None:
    found = coming(weekly, now_s, zone)
    assert found
    assert [due.at_s for due in found] == sorted(due.at_s for due in found)
    for due in found:
        assert now_s < due.at_s <= now_s + 8 * 86_400 + 7_200
        bit = 1 << datetime.fromtimestamp(due.at_s, zone).isoweekday() % 7
        assert any(schedule.days & bit for schedule in weekly if due.target in schedule.targets)


@given(zones, moments, schedules)
def test_a_week_of_targets_shows_their_minutes_and_misses_no_day(zone: Any, now_s: Any, weekly: Any) -> None:
    found = coming(weekly, now_s, zone)
    for due in found:
        shown = datetime.fromtimestamp(due.at_s, zone)
        minutes = shown.hour * 60 + shown.minute
        if minutes != due.target.minutes_past_midnight:
            before = datetime.fromtimestamp(due.at_s - 1, zone)
            assert before.utcoffset() != shown.utcoffset(), "only where the clocks have just jumped"
            assert before.hour * 60 + before.minute < due.target.minutes_past_midnight < minutes
    today = datetime.fromtimestamp(now_s, zone).date()
    for ahead in range(1, 8):
        day = today + timedelta(days=ahead)
        wanted = [one for schedule in weekly if schedule.days & 1 << day.isoweekday() % 7 for one in schedule.targets]
        on_it = [due.target for due in found if datetime.fromtimestamp(due.at_s, zone).date() == day]
        assert sorted(map(repr, on_it)) == sorted(map(repr, wanted))


@given(zones, moments, schedules, st.integers(1_800, 43_200))
def test_every_target_comes_once_however_the_clocks_change(zone: Any, now_s: Any, weekly: Any, step_s: Any) -> None:
    """A caller that looks at the next target again and again meets each one, in its order, and none of them twice."""
    end_s = now_s + 3 * 86_400
    expected = [due for due in coming(weekly, now_s, zone) if due.at_s <= end_s]
    met = []
    while now_s < end_s:
        dues = coming(weekly, now_s, zone)
        until_s = min(now_s + step_s, end_s)
        passed = [due for due in dues if due.at_s <= until_s]
        met += passed
        now_s = until_s
    assert met == expected


@given(zones, moments, schedules, windows, currents, st.booleans())
def test_where_nothing_waits_a_start_is_never_in_the_future(
    zone: Any, now_s: Any, weekly: Any, window_s: Any, current_ma: Any, flows: Any
) -> None:
    power_mw = available_power_mw(current_ma, Millivolts(230_000), 3)
    first_s, progress, start_s, energy_mwh = now_s, None, None, 0
    for _ in range(20):
        dues = coming(weekly, now_s, zone)
        progress, plan = assess_target(progress, PlanningInput(now_s, dues, 1, energy_mwh, power_mw, window_s))
        assert plan.due == dues[0]
        assert not plan.holds or plan.status is PlanStatus.REACHED
        if plan.start_s is not None:
            assert first_s <= plan.start_s <= now_s
            assert start_s is None or plan.start_s >= start_s
        assert (plan.start_s is None) == (plan.status is PlanStatus.REACHED)
        start_s = plan.start_s or start_s
        now_s += 3_600
        energy_mwh += power_mw if flows else 0


@given(st.integers(0, 86_400), st.integers(0, 10**18), st.randoms(use_true_random=False))
def test_a_delay_lies_in_its_window_to_the_second(below_s: Any, now_ns: Any, random: Any) -> None:
    delay = draw_delay(DelayCause.PLANNED_START, now_ns, below_s, random.randrange)
    if delay is not None:
        assert SECOND <= delay.until_ns - now_ns <= (below_s - 1) * SECOND
        assert (delay.until_ns - now_ns) % SECOND == 0


@pytest.mark.parametrize("below_s", [0, 1, 2, 600])
def test_the_greatest_delay_is_one_second_less_than_the_window(below_s: Any) -> None:
    delay = draw_delay(DelayCause.PLANNED_START, 0, below_s, lambda below: below - 1)
    assert (0 if delay is None else delay.until_ns) == max(below_s - 1, 0) * SECOND
