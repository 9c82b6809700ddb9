"""Targets on the calendar: weekdays, midnight, both days on which the clocks change."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from evse_pi.charging.targets import DAYS, DaySchedule, Target, coming, instant, merged

BERLIN = ZoneInfo("Europe/Berlin")
SUNDAY, MONDAY, SATURDAY = 1, 2, 64


def unix(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp())


def at(text: str) -> Target:
    hours, minutes = text.split(":")
    return Target(int(hours) * 60 + int(minutes))


@pytest.mark.parametrize(
    ("now", "days", "times", "expected"),
    [
        ("2026-01-07T05:00", DAYS, ["07:00"], "2026-01-07T07:00"),
        ("2026-01-07T07:00", DAYS, ["07:00"], "2026-01-08T07:00"),
        ("2026-01-07T06:59:59", DAYS, ["07:00"], "2026-01-07T07:00"),
        ("2026-01-07T08:00", DAYS, ["07:00", "18:00"], "2026-01-07T18:00"),
        ("2026-01-07T08:00", DAYS, ["18:00", "12:00"], "2026-01-07T12:00"),
        ("2026-01-07T23:59", DAYS, ["00:00"], "2026-01-08T00:00"),
        ("2026-01-07T23:58", DAYS, ["23:59"], "2026-01-07T23:59"),
        ("2026-01-07T08:00", SUNDAY, ["07:00"], "2026-01-11T07:00"),
        ("2026-01-11T08:00", SUNDAY, ["07:00"], "2026-01-18T07:00"),
        ("2026-01-07T08:00", MONDAY | SATURDAY, ["07:00"], "2026-01-10T07:00"),
        ("2026-12-31T20:00", DAYS, ["07:00"], "2027-01-01T07:00"),
        ("2026-03-29T01:00", DAYS, ["07:00"], "2026-03-29T07:00"),
        ("2026-10-25T01:00", DAYS, ["07:00"], "2026-10-25T07:00"),
    ],
)
def test_the_next_target_is_the_earliest_after_now(now: str, days: int, times: list[str], expected: str) -> None:
    schedule = DaySchedule(days, tuple(at(text) for text in times))
    assert coming([schedule], unix(now), BERLIN)[0].at_s == unix(expected)


def test_without_targets_nothing_comes() -> None:
    assert coming([DaySchedule(DAYS, ())], unix("2026-01-07T05:00"), BERLIN) == ()


def test_a_week_has_every_target_of_every_day_in_order() -> None:
    schedules = [DaySchedule(DAYS & ~SATURDAY, (at("07:00"),)), DaySchedule(SATURDAY, (at("12:00"), at("09:00")))]
    found = [datetime.fromtimestamp(due.at_s, BERLIN) for due in coming(schedules, unix("2026-01-07T08:00"), BERLIN)]
    assert [(one.isoweekday(), one.hour) for one in found] == [
        (4, 7), (5, 7), (6, 9), (6, 12), (7, 7), (1, 7), (2, 7), (3, 7),
    ]  # fmt: skip


def test_a_minute_that_spring_skips_comes_when_the_clocks_jump() -> None:
    assert instant(date(2026, 3, 29), 150, BERLIN) == unix("2026-03-29T03:00")
    assert instant(date(2026, 3, 29), 120, BERLIN) == unix("2026-03-29T03:00")
    assert instant(date(2026, 3, 29), 119, BERLIN) == unix("2026-03-29T01:59")


def test_a_minute_that_comes_twice_in_autumn_counts_the_first_time() -> None:
    assert instant(date(2026, 10, 25), 150, BERLIN) == unix("2026-10-25T02:30", fold=0)
    between = unix("2026-10-25T02:45", fold=0)
    found = coming([DaySchedule(DAYS, (at("02:30"),))], between, BERLIN)
    assert found[0].at_s == unix("2026-10-26T02:30")


def test_half_an_hour_of_summer_time_is_no_trouble() -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")
    assert instant(date(2026, 10, 4), 135, lord_howe) == unix("2026-10-04T02:30", lord_howe)


def test_a_day_that_a_country_left_out_ends_when_it_would_have_begun() -> None:
    apia = ZoneInfo("Pacific/Apia")
    assert instant(date(2011, 12, 30), 420, apia) == unix("2011-12-31T00:00", apia)


def test_setting_one_day_leaves_the_others_alone() -> None:
    weekdays, sunday = DaySchedule(0x3E, (at("07:00"),)), DaySchedule(SUNDAY, (at("09:00"),))
    every, new = DaySchedule(DAYS, (at("08:00"),)), DaySchedule(MONDAY, ())
    assert merged([weekdays, sunday], [new]) == (DaySchedule(0x3C, weekdays.targets), sunday, new)
    assert merged([weekdays, sunday], [every]) == (every,)
    assert merged([weekdays], [DaySchedule(0x3E, ())]) == (DaySchedule(0x3E, ()),)
    assert merged([DaySchedule(MONDAY, (at("07:00"),))], [every]) == (every,)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns", "America/Havana", "Pacific/Chatham"])
def test_every_minute_of_a_year_has_an_instant_that_shows_it_or_the_jump(zone: str) -> None:
    here, day = ZoneInfo(zone), date(2026, 1, 1)
    while day.year == 2026:
        for minutes in (0, 30, 119, 120, 150, 179, 180, 1439):
            shown = datetime.fromtimestamp(instant(day, minutes, here), here).replace(tzinfo=None)
            wanted = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minutes)
            assert wanted <= shown <= wanted + timedelta(hours=1)
        day += timedelta(days=1)
