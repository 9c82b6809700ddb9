"""A wall clock that is late, stepped or wrong: what is said of it, and what becomes of the history."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.api.texts.trouble_texts import clock_trouble
from evse_pi.charging.charge_point import ChargePoint
from evse_pi.charging.clock import SystemClock
from evse_pi.charging.history_rows import transition_row
from evse_pi.charging.startup_state import StartupState
from evse_pi.charging.wall_clock import TOLD_NS, WallClockWatch
from evse_pi.core.faults import Fault
from evse_pi.sim.harness.virtual_clock import UNIX_S, VirtualClock
from evse_pi.storage.database import Store
from evse_pi.storage.recall import latest_before
from hal.clock_trust import MADE_UNIX_S, ClockTrust, SystemTime
from hal.units import SECOND
from tests.support.node_box import RATINGS, FakeSafety, HandWriter

if TYPE_CHECKING:
    from evse_pi.core.records import Transition

EPOCH_S = UNIX_S - 1_000  # the hand clock has run for 1,000 s


def told(calendar: WallClockWatch) -> str:
    return "" if calendar.trouble is None else clock_trouble(calendar.trouble)


def test_a_clock_that_becomes_known_dates_everything_and_then_nothing_more() -> None:
    clock = VirtualClock(unix_s=None)
    calendar = WallClockWatch(clock)
    assert calendar.look() is None
    assert "not known" in told(calendar)
    clock.tell(UNIX_S)
    assert (calendar.look(), calendar.trouble) == (EPOCH_S, None)
    clock.advance_s(3600)
    assert calendar.look() is None


@pytest.mark.parametrize(("by_s", "words"), [(7_200, "set forward by 7200 s"), (-90, "set back by 90 s")])
def test_a_clock_that_is_set_dates_everything_again_and_is_shown_for_an_hour(by_s: int, words: str) -> None:
    clock = VirtualClock()
    calendar = WallClockWatch(clock)
    calendar.look()
    clock.set_unix_s(UNIX_S + by_s)
    assert calendar.look() == EPOCH_S + by_s
    assert words in told(calendar)
    clock.advance_s(TOLD_NS / SECOND)
    assert (calendar.look(), calendar.trouble) == (None, None)


def test_a_time_server_that_corrects_by_seconds_changes_no_dates() -> None:
    clock = VirtualClock()
    calendar = WallClockWatch(clock)
    calendar.look()
    for _ in range(3):
        clock.set_unix_s(UNIX_S + 4)
        assert (calendar.look(), calendar.trouble) == (None, None)


def test_what_happened_while_the_clock_was_lost_is_dated_once_it_is_back() -> None:
    clock = VirtualClock()
    calendar = WallClockWatch(clock)
    calendar.look()
    clock.set_unix_s(None)
    assert calendar.look() is None
    clock.set_unix_s(UNIX_S)
    assert calendar.look() == EPOCH_S


def test_a_clock_behind_the_history_of_an_earlier_run_is_called_wrong(tmp_path: Path) -> None:
    store, safety = Store(tmp_path / "evse.db"), FakeSafety(VirtualClock())
    changes: tuple[Transition, ...] = (safety.become("B").transitions[-1], safety.become("C").transitions[-1])
    store.write([transition_row(1, changes[0], UNIX_S, "former"), transition_row(2, changes[1], 99, "this")])
    assert latest_before(store, "this") == UNIX_S
    clock = VirtualClock(unix_s=UNIX_S - 86_400)
    calendar = WallClockWatch(clock, latest_before(store, "this"))
    then = datetime.fromtimestamp(UNIX_S - 86_400, UTC)
    assert f"the clock shows {then:%Y-%m-%d %H:%M} UTC and is wrong" in told(calendar)
    clock.set_unix_s(UNIX_S)
    assert calendar.trouble is None


def test_session_and_fault_that_last_are_dated_again() -> None:
    clock = VirtualClock(unix_s=UNIX_S - 1_000_000)
    safety, box = FakeSafety(clock), ChargePoint(clock, RATINGS, None, StartupState(), HandWriter())
    box.on_snapshot(safety.become("B"))
    box.on_snapshot(safety.become("E", frozenset({Fault.PILOT_SHORT})))
    clock.set_unix_s(UNIX_S)
    box.event_recorder.redate(EPOCH_S)
    assert box.event_recorder.session is not None
    assert box.event_recorder.session.started_unix_s == UNIX_S
    assert [record.set_unix_s for record in box.event_recorder.faults] == [UNIX_S]


def test_a_session_from_before_a_power_cut_counts_the_outage_again_once_the_clock_is_right() -> None:
    clock = VirtualClock()
    safety, box = FakeSafety(clock), ChargePoint(clock, RATINGS, None, StartupState(), HandWriter())
    box.on_snapshot(safety.become("B"))
    clock.advance_s(600)
    box.tick()
    (saved,) = (row for row in _written(box) if row.session.number == 1)
    clock.boot(outage_s=0)  # the clock was kept on the card: it shows when the power went
    again = ChargePoint(clock, RATINGS, None, StartupState(session=saved), HandWriter())
    again.on_snapshot(FakeSafety(clock, safety_run_id=8).become("B"))
    assert _lasts_s(again, clock) == 600
    clock.set_unix_s(UNIX_S + 600 + 7_200)
    again.event_recorder.redate(UNIX_S + 600 + 7_200 - clock.now_ns // SECOND)
    again.tick()
    assert _lasts_s(again, clock) == pytest.approx(600 + 7_200, abs=30)


def _written(box: ChargePoint) -> list[Any]:
    from evse_pi.charging.history_rows import session_of

    box.event_recorder.save()
    rows = box.event_recorder.write_queue.take(box.clock.monotonic_ns(), all_rows=True)
    return [session_of(row.values) for row in rows if row.table == "session"]


def _lasts_s(box: ChargePoint, clock: VirtualClock) -> int:
    assert box.event_recorder.session is not None
    return box.event_recorder.session.duration_ns(clock.now_ns) // SECOND


class PlayedTime(SystemTime):
    """A machine whose clock can be believed that far."""

    def __init__(self, played: ClockTrust) -> None:
        super().__init__(flag=NOWHERE, chip=NOWHERE, kernel=lambda: False)
        self._played = played

    def trust(self, unix_s: float) -> ClockTrust:
        return min(self._played, super().trust(unix_s) if unix_s < MADE_UNIX_S else self._played)


NOWHERE = Path("/nonexistent")


def test_a_synchronized_clock_goes_before_what_a_person_told(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock(PlayedTime(ClockTrust.SYNCHRONIZED))
    monkeypatch.setattr("time.time", lambda: UNIX_S + 500.0)
    clock.tell(UNIX_S)
    assert clock.unix_s() == UNIX_S + 500
    monkeypatch.setattr("time.time", lambda: 1_000.0)  # a Pi that has just started, without a clock chip
    assert clock.unix_s() in (UNIX_S, UNIX_S + 1)


def test_a_clock_from_before_a_power_cut_is_no_time_until_a_person_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock(PlayedTime(ClockTrust.UNKNOWN))
    monkeypatch.setattr("time.time", lambda: UNIX_S - 5 * 3600.0)
    assert clock.unix_s() is None
    clock.tell(UNIX_S)
    assert clock.unix_s() in (UNIX_S, UNIX_S + 1)


def test_a_clock_chip_counts_until_a_person_tells_another_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock(PlayedTime(ClockTrust.CLOCK_CHIP))
    monkeypatch.setattr("time.time", lambda: UNIX_S + 90.0)
    assert clock.unix_s() == UNIX_S + 90
    clock.tell(UNIX_S)
    assert clock.unix_s() in (UNIX_S, UNIX_S + 1)
