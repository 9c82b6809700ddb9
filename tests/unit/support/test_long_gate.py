"""The board for a busy machine is the shipped one but for its gate."""

from __future__ import annotations

from tests.support.long_gate import changed_keys, long_gate_board


def test_it_differs_from_the_shipped_board_in_the_gate_s_hold_alone() -> None:
    assert changed_keys() == {"watchdog.hold_min_ms", "watchdog.hold_max_ms", "watchdog.bench_only"}


def test_it_says_that_it_is_for_the_bench() -> None:
    assert "shared machine" in (long_gate_board().bench_only or "")
