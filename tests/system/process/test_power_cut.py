"""The power goes at any moment of a charging day; `python -m bench.power_cuts` does the same a thousand times."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.charging_day.day import ChargingDay
from tests.support.promises import MS, Ledger, S, Watch, Wishes

if TYPE_CHECKING:
    from pathlib import Path

PORT = 5790
ALLOWED = Wishes(until=None, maximum_ma=16_000)
CHARGING = [(11 * S, "plugged", 1), (12 * S, "s2", 1), (12 * S, "duty_ppm", 266_667), (13 * S, "coil", 1)]
CLOSED = [*CHARGING, (13 * S + 30 * MS, "poles", 3)]


async def live(day: ChargingDay, *kinds: str) -> ChargingDay:
    async with day:
        for kind in kinds:
            await day.round(kind)
    return day


@pytest.mark.hazard("H-18")
@pytest.mark.hazard("H-11")
def test_no_cut_loses_what_was_acknowledged_or_lets_more_flow(tmp_path: Path) -> None:
    day = asyncio.run(live(ChargingDay(tmp_path, PORT, seed=11), "day", "charging", "charging", "torn"))
    assert day.figures.resumed == 1
    assert day.figures.acknowledged.total() > 5


def findings(*changes: tuple[int, str, int], cut_s: int | None = None, **later: Any) -> list[str]:
    """Return what the watch finds in a day on which the wishes change at 20 s."""
    ledger = Ledger()
    ledger.become(1 * S, ALLOWED)
    if later:
        ledger.everywhere(20 * S, **later)
    watch = Watch(ledger, 0, 0)
    watch.power = [(1 * S, True)] + ([] if cut_s is None else [(cut_s * S, False)])
    watch.see([*CLOSED, *changes], 40 * S)
    return [words.split(": ")[1].split(";")[0] for words in watch.findings]


def test_the_watch_is_content_with_a_box_that_obeys() -> None:
    assert findings() == []
    assert findings((20 * S, "duty_ppm", 1_000_000), (26 * S, "coil", 0), (26 * S, "poles", 0), until=0) == []
    assert findings((20 * S, "duty_ppm", 0), (20 * S, "coil", 0), (20 * S + 30 * MS, "poles", 0), cut_s=20) == []
    assert findings((20 * S, "duty_ppm", 100_000), user_ma=6_000) == []


@pytest.mark.parametrize(
    ("found", "story"),
    [
        (["offers 16000 mA where at most 6000 mA are allowed"], {"user_ma": 6_000}),
        (["offers 16000 mA where at most 0 mA are allowed", "closed long after charging was forbidden"], {"until": 0}),
        (["offers 16000 mA where at most 10000 mA are allowed"], {"capacity_ma": 10_000}),
        (["closed long after the power went"], {"cut_s": 20}),
    ],
)
def test_the_watch_sees_a_box_that_does_not(found: list[str], story: dict[str, Any]) -> None:
    assert findings(**story) == found


def test_the_watch_sees_a_vehicle_that_is_not_released_and_a_contactor_that_does_not_rest() -> None:
    assert findings((20 * S, "s2", 0)) == ["closed long after the vehicle stopped asking"]
    again = [(20 * S, "coil", 0), (20 * S, "poles", 0), (22 * S, "coil", 1), (22 * S, "poles", 3)]
    assert findings(*again) == ["closed 2.00 s after it opened"]
    assert findings((20 * S, "coil", 0), (20 * S, "poles", 0), (30 * S, "s2", 0), (31 * S, "coil", 1)) == [
        "closed although the vehicle does not ask"
    ]
