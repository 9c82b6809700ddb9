from __future__ import annotations

from dataclasses import replace

from evse_pi.charging.session import SavedSession, Session, Sessions
from evse_pi.sim.harness.virtual_clock import UNIX_S, VirtualClock
from hal.units import SECOND, MilliwattHours
from tests.support.node_box import FakeSafety


def told(*states: str, each_s: float = 60) -> tuple[Sessions, FakeSafety]:
    """Let a car go through `states`, `each_s` seconds each, told by transitions."""
    clock = VirtualClock()
    safety, sessions = FakeSafety(clock), Sessions()
    for state in states:
        clock.advance_s(each_s)
        sessions = sessions.advance(safety.become(state).transitions[-1], clock.unix_s())
    clock.advance_s(each_s)
    return sessions, safety


def test_a_session_lasts_from_plugging_in_to_unplugging() -> None:
    sessions, _ = told("A", "B", "C", "B", "A")
    assert sessions.current is None
    assert sessions.last is not None
    assert sessions.last.duration_ns(10**18) == 180 * SECOND
    assert sessions.last.closed_ns(10**18) == 60 * SECOND
    assert sessions.last.ended_unix_s == UNIX_S + 300
    assert sessions.next_number == 2


def test_a_short_or_uncertain_pilot_neither_begins_nor_ends_a_session() -> None:
    assert told("A", "E", "?")[0].current is None
    sessions, safety = told("A", "B", "E", "?", "B")
    assert sessions.current is not None
    assert sessions.current.number == 1
    assert sessions.current.duration_ns(safety.clock.monotonic_ns()) == 240 * SECOND


def test_a_running_session_counts_the_closed_contactor_up_to_now() -> None:
    sessions, safety = told("A", "B", "C")
    assert sessions.current is not None
    assert sessions.current.closed_ns(safety.clock.monotonic_ns()) == 60 * SECOND


def test_a_transition_told_twice_changes_nothing() -> None:
    sessions, safety = told("A", "B", "C")
    assert sessions.advance(safety.transitions[-1], UNIX_S) is sessions


def test_a_snapshot_makes_good_for_lost_transitions() -> None:
    clock = VirtualClock()
    safety = FakeSafety(clock)
    safety.become("C")
    sessions = Sessions().observe(safety.snapshot(), clock.unix_s())
    assert sessions.current is not None
    assert sessions.current.closed_since_ns == clock.now_ns
    safety.become("A")
    assert sessions.observe(safety.snapshot(), clock.unix_s()).current is None


def test_energy_without_a_session_belongs_to_none() -> None:
    assert Sessions().add(1_000, estimated=False) == Sessions()


def test_an_estimate_marks_the_session_for_good() -> None:
    session = Session(1, 0).add(100, estimated=True).add(100, estimated=False)
    assert (session.energy_mwh, session.estimated) == (200, True)


def saved(session: Session, at_s: int) -> SavedSession:
    return SavedSession(session, "first", at_s * SECOND, MilliwattHours(0))


CHARGING = Session(3, 100 * SECOND, UNIX_S, MilliwattHours(5_000), closed_since_ns=160 * SECOND)


def test_a_restart_of_the_process_goes_on_exactly() -> None:
    resumed = saved(CHARGING, 200).resumed(500 * SECOND, "first", UNIX_S + 400)
    assert resumed == CHARGING
    assert resumed.duration_ns(500 * SECOND) == 400 * SECOND


def test_a_power_cut_counts_into_the_duration_and_not_into_the_charging_time() -> None:
    resumed = saved(CHARGING, 200).resumed(30 * SECOND, "second", UNIX_S + 1_000)
    assert resumed.duration_ns(30 * SECOND) == 1_000 * SECOND
    assert resumed.closed_ns(30 * SECOND) == 40 * SECOND
    assert (resumed.number, resumed.energy_mwh, resumed.outage) == (3, 5_000, False)


def test_an_outage_is_counted_as_soon_as_the_clock_is_right() -> None:
    resumed = saved(CHARGING, 200).resumed(30 * SECOND, "second", None)
    assert resumed.duration_ns(30 * SECOND) == 100 * SECOND
    assert resumed.outage
    dated = resumed.dated(90 * SECOND, UNIX_S + 1_060)
    assert dated.duration_ns(90 * SECOND) == 1_060 * SECOND
    assert dated.dated(95 * SECOND, UNIX_S + 99_999) == dated


def test_a_clock_that_is_wrong_by_months_is_not_believed() -> None:
    resumed = saved(CHARGING, 200).resumed(30 * SECOND, "second", UNIX_S + 86_400 * 365)
    assert resumed.duration_ns(30 * SECOND) == 100 * SECOND
    backwards = saved(CHARGING, 200).resumed(30 * SECOND, "second", UNIX_S - 5)
    assert backwards.duration_ns(30 * SECOND) == 100 * SECOND


def test_a_session_that_began_without_a_clock_is_dated_later() -> None:
    session = Session(1, 0)
    assert session.dated(60 * SECOND, UNIX_S).started_unix_s == UNIX_S - 60
    assert session.dated(60 * SECOND, None) is session


def test_a_clock_set_back_cannot_end_a_session_before_it_began() -> None:
    ended = replace(CHARGING, outage=True).ended(50 * SECOND, UNIX_S - 100)
    assert (ended.ended_ns, ended.ended_unix_s, ended.outage) == (100 * SECOND, UNIX_S, False)
