from __future__ import annotations

from evse_pi.charging.transition_cursor import TransitionCursor
from tests.support.node_box import FakeSafety, HandClock


def test_every_transition_is_handed_on_once() -> None:
    safety = FakeSafety(HandClock())
    cursor, changes = TransitionCursor().accept(safety.become("B"))
    assert [change.number for change in changes] == [1]
    assert cursor.accept(safety.snapshot()) == (cursor, ())
    safety.become("C")
    cursor, changes = cursor.accept(safety.become("B"))
    assert [change.number for change in changes] == [2, 3]


def test_what_fell_out_of_the_last_sixteen_is_counted() -> None:
    safety = FakeSafety(HandClock())
    for state in "BC" * 10:
        last = safety.become(state)
    cursor, changes = TransitionCursor().accept(last)
    assert (len(changes), cursor.lost, cursor.number) == (16, 4, 20)


def test_another_life_of_the_safety_process_counts_from_one() -> None:
    clock = HandClock()
    cursor, _ = TransitionCursor().accept(FakeSafety(clock).become("B"))
    reborn = FakeSafety(clock, safety_run_id=8)
    fresh, changes = cursor.accept(reborn.snapshot())
    assert (fresh.safety_run_id, fresh.number, changes) == (8, 0, ())
    fresh, changes = fresh.accept(reborn.become("A"))
    assert ([change.number for change in changes], fresh.lost) == ([1], 0)
