"""What tests share is looked at before every test and replaced where it is broken."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.kept import Kept, kept_open

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Counterpart:
    number: int
    works: bool = True
    end: str = ""

    def check(self) -> None:
        if not self.works:
            raise OSError("it is dead")

    def stop(self) -> None:
        self.end = "stopped"

    def abandon(self) -> None:
        self.end = "abandoned"
        raise OSError("it is dead")


@pytest.fixture
def kept() -> Kept[Counterpart]:
    made = iter(range(9))
    return Kept(
        lambda: Counterpart(next(made)),
        check=Counterpart.check,
        stop=Counterpart.stop,
        abandon=Counterpart.abandon,
    )


def test_one_that_works_is_used_again(kept: Kept[Counterpart]) -> None:
    assert kept.get() is kept.get()
    assert kept.starts == 1


def test_one_that_does_not_is_ended_by_force_and_replaced(kept: Kept[Counterpart]) -> None:
    one = kept.get()
    one.works = False
    other = kept.get()
    assert (one.end, other.number, kept.starts) == ("abandoned", 1, 2)
    kept.discard()
    assert (other.end, kept.get().number) == ("abandoned", 2)


def test_one_that_cannot_be_started_is_tried_again_for_the_next_test() -> None:
    ready = False

    def start() -> Counterpart:
        if not ready:
            raise OSError("not yet")
        return Counterpart(1)

    kept = Kept(start, check=Counterpart.check, stop=Counterpart.stop, abandon=Counterpart.abandon)
    with pytest.raises(OSError, match="not yet"):
        kept.get()
    ready = True
    assert kept.get().number == 1


def test_a_context_is_left_and_another_one_entered() -> None:
    told: list[str] = []

    @contextmanager
    def opened() -> Iterator[Counterpart]:
        one = Counterpart(len(told))
        told.append("entered")
        try:
            yield one
        finally:
            told.append("left")

    kept = kept_open(opened, check=Counterpart.check)
    kept.get().works = False
    assert kept.get().number == 2
    kept.close()
    assert told == ["entered", "left", "entered", "left"]


def test_a_sound_one_ends_cleanly_and_once(kept: Kept[Counterpart]) -> None:
    one = kept.get()
    kept.close()
    kept.close()
    assert one.end == "stopped"
