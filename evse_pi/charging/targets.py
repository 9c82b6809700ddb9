"""Charging targets: until when, on which days, the vehicle shall have how much."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hal.units import MilliwattHours

DAYS = 0x7F  # one bit a day of the week, Sunday is bit 0
MINUTES_PER_DAY = 1440
MAX_SCHEDULES = 7
MAX_TARGETS_PER_DAY = 10


@dataclass(frozen=True, slots=True)
class Target:
    """What shall be reached by a minute of the day, local time: a state of charge, or so much energy added."""

    minutes_past_midnight: int
    soc_percent: int | None = None
    added_energy_mwh: MilliwattHours | None = None


@dataclass(frozen=True, slots=True)
class DaySchedule:
    """The targets of a set of days; no day stands in two schedules."""

    days: int
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Due:
    """A target and the instant by which it is to be reached. Units: s since 1970."""

    at_s: int
    target: Target


def merged(present: Iterable[DaySchedule], new: Iterable[DaySchedule]) -> tuple[DaySchedule, ...]:
    """Return `present` with the days that `new` names replaced, in place where the set of days is the same.

    A day that only `present` names keeps its targets. Source: Matter Application Cluster Specification, SetTargets.
    """
    result = list(present)
    for schedule in new:
        place = next((index for index, kept in enumerate(result) if kept.days == schedule.days), None)
        if place is not None:
            result[place] = schedule
            continue
        rest = [replace(kept, days=kept.days & ~schedule.days) for kept in result]
        result = [kept for kept in rest if kept.days]
        result.append(schedule)
    return tuple(result)


def coming(schedules: Iterable[DaySchedule], now_s: int, zone: tzinfo) -> tuple[Due, ...]:
    """Return the targets of the week that begins now, the next first; what is due now is over.

    Units: `now_s` in s since 1970.
    """
    week = _week(datetime.fromtimestamp(now_s, zone).date())
    found = [
        Due(instant(day, target.minutes_past_midnight, zone), target)
        for schedule in schedules
        for day, bit in week
        if schedule.days & bit
        for target in schedule.targets
    ]
    return tuple(sorted((due for due in found if due.at_s > now_s), key=lambda due: due.at_s))


def instant(day: date, minutes: int, zone: tzinfo) -> int:
    """Return when the clocks of `zone` first show that minute of `day` or a later one, in s since 1970.

    A minute that is skipped in spring comes when the clocks jump, one that comes twice in autumn counts at once.
    """
    wall = datetime.combine(day, time(minutes // 60, minutes % 60))
    latest_s = int(wall.replace(tzinfo=zone).timestamp())
    if _shown(latest_s, zone) == wall:
        return latest_s
    earliest_s = int(wall.replace(tzinfo=zone, fold=1).timestamp())
    return earliest_s + bisect_left(range(earliest_s, latest_s), wall, key=lambda at_s: _shown(at_s, zone))


def _week(today: date) -> list[tuple[date, int]]:
    """Return today and the seven days after it, each with its bit."""
    days = [today + timedelta(days=ahead) for ahead in range(8)]
    return [(day, 1 << day.isoweekday() % 7) for day in days]


def _shown(at_s: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(at_s, zone).replace(tzinfo=None, fold=0)
