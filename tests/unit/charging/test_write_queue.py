from __future__ import annotations

from evse_pi.charging.history_rows import Row, setting_row
from evse_pi.charging.write_queue import BURST, WriteQueue
from hal.units import SECOND


def row(value: int, name: str = "n") -> Row:
    return setting_row(name, value)


def test_an_urgent_row_is_due_at_once_and_takes_the_others_along() -> None:
    journal = WriteQueue(0)
    journal.note(row(1))
    assert journal.take(10 * SECOND) == []
    journal.note(row(2, "m"), urgent=True)
    assert journal.take(10 * SECOND) == [row(1), row(2, "m")]
    assert not journal.waiting


def test_what_is_not_urgent_waits_five_minutes() -> None:
    journal = WriteQueue(0)
    journal.note(row(1))
    assert journal.take(300 * SECOND - 1) == []
    assert journal.take(300 * SECOND) == [row(1)]


def test_only_the_newest_version_of_a_row_is_written() -> None:
    journal = WriteQueue(0)
    journal.note(row(1), urgent=True)
    journal.note(row(2))
    assert journal.take(0) == [row(2)]


def test_a_box_that_flaps_all_day_writes_once_a_minute() -> None:
    journal, writes = WriteQueue(0), 0
    for second in range(86_400):
        journal.note(row(second), urgent=True)
        writes += bool(journal.take(second * SECOND))
    assert writes <= 86_400 // 60 + BURST


def test_what_was_said_waits_for_nothing_and_uses_up_nothing() -> None:
    journal = WriteQueue(0)
    for number in range(3 * BURST):
        journal.note(row(number, "word"), said=True)
        assert journal.take(0) == [row(number, "word")]
    for _ in range(BURST):
        journal.note(row(1), urgent=True)
        assert journal.take(0) == [row(1)]
    journal.note(row(1), urgent=True)
    assert journal.take(0) == []
    journal.note(row(2, "word"), said=True)
    assert journal.take(0) == [row(1), row(2, "word")]


def test_everything_can_be_taken_at_the_end() -> None:
    journal = WriteQueue(0)
    journal.note(row(1))
    assert journal.take(0, all_rows=True) == [row(1)]
    assert journal.take(0, all_rows=True) == []
