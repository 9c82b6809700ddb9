"""The loop's knowledge of its own reaction, and when it refuses to energise."""

from __future__ import annotations

from array import array

import pytest

from boards.loader import load_board
from evse_pi.installation.files import ratings
from evse_pi.safety.loop_timing import GENERATION, LoopTiming
from hal.interfaces import PilotWindow

MS = 1_000_000
BOARD = ratings(load_board("simulated"))  # its contactor releases in 25 ms


class Ticks:
    """Feeds a Timing with ticks every 10 ms whose windows take 4 ms, plus what the test adds."""

    def __init__(self) -> None:
        self.timing = LoopTiming(BOARD)
        self.now_ns = 0

    def run(self, count: int, extra_ms: int = 0) -> None:
        for _ in range(count):
            started_ns = self.now_ns
            self.timing.add_window(PilotWindow(array("H"), started_ns, started_ns + 4 * MS))
            self.timing.add_acted(started_ns + (5 + extra_ms) * MS)
            self.now_ns += 10 * MS


def test_reaction_counts_from_the_window_that_may_have_missed_the_change() -> None:
    ticks = Ticks()
    ticks.run(3)
    assert ticks.timing.reaction.largest_ns == 25 * MS
    assert ticks.timing.window.largest_ns == 4 * MS


@pytest.mark.hazard("H-09")
def test_one_slow_tick_in_a_thousand_is_within_budget() -> None:
    ticks = Ticks()
    for _ in range(GENERATION // 1000):
        ticks.run(999)
        ticks.run(1, extra_ms=80)
    assert ticks.timing.within_budget


@pytest.mark.hazard("H-09")
def test_eleven_slow_ticks_within_a_generation_refuse_at_once() -> None:
    ticks = Ticks()
    ticks.run(500)
    ticks.run(10, extra_ms=51)
    assert ticks.timing.within_budget
    ticks.run(1, extra_ms=51)
    assert not ticks.timing.within_budget


@pytest.mark.hazard("H-09")
def test_contactor_release_is_part_of_the_budget() -> None:
    ticks = Ticks()
    ticks.run(100, extra_ms=49)  # 74 ms of detection and 25 ms of release
    assert ticks.timing.within_budget
    ticks.run(100, extra_ms=51)
    assert not ticks.timing.within_budget


def test_box_that_was_slow_is_trusted_again_after_a_whole_good_generation() -> None:
    ticks = Ticks()
    ticks.run(100, extra_ms=80)
    ticks.run(GENERATION - 100 - 2 + 2)
    assert not ticks.timing.within_budget
    ticks.run(GENERATION - 1)
    assert not ticks.timing.within_budget
    ticks.run(3)
    assert ticks.timing.within_budget


def test_reaction_is_not_counted_across_lost_windows() -> None:
    ticks = Ticks()
    ticks.run(3)
    ticks.timing.lose_window()
    ticks.now_ns += 10_000 * MS
    ticks.run(2)
    assert ticks.timing.reaction.total == 1
