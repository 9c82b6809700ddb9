from __future__ import annotations

from evse_pi.charging.transition_cursor import Feed
from tests.support.node_box import FakeSafety, HandClock


def test_every_transition_is_handed_on_once() -> None:
    safety = FakeSafety(HandClock())
    feed, changes = Feed().accept(safety.become("B"))
    assert [change.number for change in changes] == [1]
    assert feed.accept(safety.snapshot()) == (feed, ())
    safety.become("C")
    feed, changes = feed.accept(safety.become("B"))
    assert [change.number for change in changes] == [2, 3]


def test_what_fell_out_of_the_last_sixteen_is_counted() -> None:
    safety = FakeSafety(HandClock())
    for state in "BC" * 10:
        last = safety.become(state)
    feed, changes = Feed().accept(last)
    assert (len(changes), feed.lost, feed.number) == (16, 4, 20)


def test_another_life_of_the_safety_process_counts_from_one() -> None:
    clock = HandClock()
    feed, _ = Feed().accept(FakeSafety(clock).become("B"))
    reborn = FakeSafety(clock, boot_id=8)
    fresh, changes = feed.accept(reborn.snapshot())
    assert (fresh.boot_id, fresh.number, changes) == (8, 0, ())
    fresh, changes = fresh.accept(reborn.become("A"))
    assert ([change.number for change in changes], fresh.lost) == ([1], 0)
