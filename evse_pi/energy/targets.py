"""Charging targets: until when, on which days, the vehicle shall have how much."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
