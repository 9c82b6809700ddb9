from __future__ import annotations

from evse_pi.charging.transition_cursor import TransitionCursor
from evse_pi.sim.harness.virtual_clock import VirtualClock
from tests.support.node_box import FakeSafety


def test_every_transition_is_handed_on_once() -> None:
    safety = FakeSafety(VirtualClock())
    cursor, changes = TransitionCursor().accept(safety.become("B"))
    assert [change.number for change in changes] == [1]
    assert cursor.accept(safety.snapshot()) == (cursor, ())
    safety.become("C")
    cursor, changes = cursor.accept(safety.become("B"))
    assert [change.number for change in changes] == [2, 3]


def test_what_fell_out_of_the_last_sixteen_is_counted() -> None:
    safety = FakeSafety(VirtualClock())
    for state in "BC" * 10:
        last = safety.become(state)
    cursor, changes = TransitionCursor().accept(last)
    assert (len(changes), cursor.lost, cursor.number) == (16, 4, 20)


def test_a_restarted_safety_process_counts_from_one() -> None:
    clock = VirtualClock()
    cursor, _ = TransitionCursor().accept(FakeSafety(clock).become("B"))
    reborn = FakeSafety(clock, safety_run_id=8)
    fresh, changes = cursor.accept(reborn.snapshot())
    assert (fresh.safety_run_id, fresh.number, changes) == (8, 0, ())
    fresh, changes = fresh.accept(reborn.become("A"))
    assert ([change.number for change in changes], fresh.lost) == ([1], 0)
