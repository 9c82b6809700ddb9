from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from evse_pi.charging.history_rows import (
    FaultRecord,
    Row,
    fault_row,
    session_row,
    setting_row,
    transition_row,
    value_row,
)
from evse_pi.charging.session import SavedSession, Session
from evse_pi.core.faults import Fault
from evse_pi.core.states import EvseState
from evse_pi.matter.storage import SqliteStore
from evse_pi.sim.harness.virtual_clock import VirtualClock
from evse_pi.storage.database import MAX_WAITING_ROWS, Store
from evse_pi.storage.schema import KEPT_ROWS, MIGRATIONS
from hal.units import SECOND, Milliamps, Millivolts, MilliwattHours
from tests.support.node_box import FakeSafety

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "evse.db"


def saved(number: int, energy_mwh: int = 0) -> SavedSession:
    session = Session(number, 5, 6, MilliwattHours(energy_mwh), estimated=True, charging_ns=7, closed_since_ns=8)
    return SavedSession(session, "boot", 9, MilliwattHours(10))


def fault(number: int, cleared_ns: int | None = None) -> FaultRecord:
    return FaultRecord(
        number=number,
        fault=Fault.RCD_TRIPPED,
        kernel_boot_id="boot",
        set_ns=1,
        set_unix_s=None,
        evse_state=EvseState.C2,
        close_ordered=True,
        high_mv=Millivolts(6_000),
        low_mv=Millivolts(-12_000),
        current_ma=Milliamps(16_000),
        cleared_ns=cleared_ns,
    )


def test_what_was_written_is_there_after_opening_again(path: Path) -> None:
    first = Store(path)
    change = FakeSafety(VirtualClock()).become("C", frozenset((Fault.OVERCURRENT, Fault.METER_STALE))).transitions[-1]
    rows = [setting_row("owner", {"a": [1, None]}), session_row(saved(1)), fault_row(fault(1))]
    assert first.write([*rows, transition_row(1, change, 77, "boot")])
    first.close()
    second = Store(path)
    assert second.setting("owner") == {"a": [1, None]}
    assert second.setting("nobody", 3) == 3
    assert second.sessions() == [saved(1)]
    assert second.faults() == [fault(1)]
    (record,) = second.transitions()
    assert (record.evse_state, record.faults, record.unix_s) == (EvseState.C2, change.faults, 77)
    second.close()


def test_a_row_written_again_replaces_itself(path: Path) -> None:
    store = Store(path)
    store.write([session_row(saved(1, 10))])
    store.write([session_row(saved(1, 20)), session_row(saved(2))])
    assert [record.session.energy_mwh for record in store.sessions()] == [0, 20]
    assert store.next_number("session", 99) == 3
    assert store.next_number("fault", 99) == 1
    store.close()


def test_history_is_read_page_by_page(path: Path) -> None:
    store = Store(path)
    store.write([fault_row(fault(number)) for number in range(1, 11)])
    assert [record.number for record in store.faults(3)] == [10, 9, 8]
    assert [record.number for record in store.faults(3, before=8)] == [7, 6, 5]
    store.close()


def test_the_oldest_history_goes_and_a_jump_in_the_numbers_deletes_nothing(path: Path) -> None:
    store = Store(path)
    kept = KEPT_ROWS["fault"]
    store.write([fault_row(fault(number)) for number in range(1, kept + 129)])
    assert len(store.faults(kept * 2)) <= kept + 64
    store.write([fault_row(fault(64 << 20))])
    assert len(store.faults(kept * 2)) == kept
    store.close()


def test_only_its_owner_may_read_the_file(path: Path) -> None:
    Store(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def full(store: Store) -> None:
    """Let the file grow no further, as on a full disk: SQLite answers SQLITE_FULL."""
    connection = store._connection
    assert connection is not None
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    assert connection is not None
    connection.execute(f"PRAGMA max_page_count = {pages}")


@pytest.mark.hazard("H-18")
def test_a_full_disk_costs_durability_and_nothing_else(path: Path) -> None:
    store = Store(path)
    store.write([session_row(saved(1))])
    full(store)
    rows = [setting_row(f"long {number}", "x" * 5_000) for number in range(4)]
    assert not store.write(rows)
    assert "full" in str(store.trouble)
    assert store.setting("long 3") == "x" * 5_000
    assert store.sessions() == [saved(1)]
    assert store._connection is not None
    store._connection.execute("PRAGMA max_page_count = 1000000")
    assert store.write()
    assert store.trouble is None
    store.close()
    assert Store(path).setting("long 3") == "x" * 5_000


def test_history_that_waits_for_a_disk_is_bounded_and_settings_are_not_given_up(path: Path) -> None:
    store = Store(path)
    full(store)
    store.write([setting_row("first", "x" * 9_000)])
    for start in range(1, MAX_WAITING_ROWS + 100, 100):
        store.write([fault_row(fault(start + number)) for number in range(100)])
    assert store.dropped > 0
    assert store.setting("first") == "x" * 9_000
    assert len(store._waiting) <= MAX_WAITING_ROWS + 1
    assert store._connection is not None
    store._connection.execute("PRAGMA max_page_count = 1000000")
    store.close()


def test_a_file_that_cannot_be_made_is_tried_again_with_every_write(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    store = Store(folder / "evse.db")
    assert store.trouble is not None
    assert store.next_number("session", 1_700_000_000) == 1_700_000_000
    assert not store.write([setting_row("a", 1)])
    assert store.setting("a") == 1
    folder.mkdir()
    assert store.write()
    assert store.trouble is None
    store.close()


def test_a_damaged_file_is_set_aside_and_a_new_one_begun(path: Path) -> None:
    store = Store(path)
    store.write([setting_row(f"n{number}", "x" * 3_000) for number in range(20)])
    store.close()
    path.write_bytes(b"nonsense" * 100)
    again = Store(path)
    assert again.damaged == path.with_name("evse.db.damaged-1")
    assert again.setting("n1") is None
    assert again.write([setting_row("n1", 1)])
    again.close()
    whole = bytearray(path.read_bytes())
    whole[4096:8192] = b"\xff" * 4096
    path.write_bytes(whole)
    third = Store(path)
    assert third.damaged == path.with_name("evse.db.damaged-2")
    third.close()


def test_a_file_of_newer_software_is_left_alone(path: Path) -> None:
    Store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    store = Store(path)
    assert "newer software" in str(store.trouble)
    assert store.damaged is None
    assert not store.write([setting_row("a", 1)])


def test_an_older_file_is_brought_up_step_by_step(path: Path) -> None:
    store = Store(path)
    store.write([setting_row("a", 1)])
    store.close()
    step = "CREATE TABLE note (number INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;"
    newer = Store(path, (*MIGRATIONS, step))
    assert newer.setting("a") == 1
    assert newer._connection is not None
    assert newer._connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS) + 1
    newer.close()


def test_a_migration_that_fails_leaves_the_old_version(path: Path) -> None:
    store = Store(path)
    store.write([setting_row("a", 1)])
    store.close()
    assert "syntax error" in str(Store(path, (*MIGRATIONS, "CREATE TABLE note (n INTEGER); NONSENSE;")).trouble)
    assert Store(path).setting("a") == 1


def test_the_values_that_matter_kept_by_a_connection_of_its_own_are_taken_over(path: Path) -> None:
    """As 0.1.0 left them: its database is of version 2, and the table is in no migration of it."""
    Store(path, MIGRATIONS[:2]).close()
    before = SqliteStore(path)
    with before.transaction() as changes:
        changes.put("setup", b"code")
        changes.put("gone", b"later")
    before.close()
    store = Store(path)
    assert store.key_values() == {"setup": b"code", "gone": b"later"}
    assert store.write([value_row("setup", b"other"), value_row("gone", None), value_row("new", b"")])
    store.close()
    assert Store(path).key_values() == {"setup": b"other", "new": b""}


def test_what_was_written_by_a_wrong_clock_or_none_is_dated_again_in_this_boot(path: Path) -> None:
    store, change = Store(path), FakeSafety(VirtualClock()).become("C").transitions[-1]
    undated = replace(fault(1, cleared_ns=9 * SECOND), set_ns=3 * SECOND)
    ended = Session(1, 5 * SECOND, 60, ended_ns=8 * SECOND, ended_unix_s=63)
    begun_before = Session(2, -5 * SECOND, 60, ended_ns=8 * SECOND, ended_unix_s=63)
    sessions = [SavedSession(ended, "boot", 9), SavedSession(begun_before, "boot", 9), SavedSession(ended, "other", 9)]
    rows = [session_row(replace(one, session=replace(one.session, number=n))) for n, one in enumerate(sessions, 1)]
    transitions = [transition_row(n, change, dated, "boot") for n, dated in enumerate((None, 77, 6_003), 1)]
    assert store.write([*rows, fault_row(undated), *transitions])
    assert store.redate("boot", 5_000)
    store.close()
    again = Store(path)
    dates = [(one.session.started_unix_s, one.session.ended_unix_s) for one in again.sessions()]
    assert dates == [(60, 63), (60, 5_008), (5_005, 5_008)], "what is of an earlier boot stays"
    assert [(one.set_unix_s, one.cleared_unix_s) for one in again.faults()] == [(5_003, 5_009)]
    at_s = 5_000 + change.at_ns // SECOND
    assert at_s == 6_000
    assert [one.unix_s for one in again.transitions()] == [6_003, at_s, at_s], "3 s are no wrong clock"


# What sqlite3 and its Python binding say of a value that no column of a STRICT table can hold.
POISON = [
    session_row(saved(7, energy_mwh=1 << 64)),
    Row("matter_values", {"key": "7", "value": None}),
    setting_row("\ud800", 1),
    Row("session", {**session_row(saved(7)).values, "energy_mwh": "much"}),
    Row("session", {**session_row(saved(7)).values, "machine_boot": None}),
    Row("fault", {**fault_row(fault(7)).values, "machine_boot": [7]}),  # type: ignore[dict-item]
]


@pytest.mark.parametrize("poison", POISON, ids=lambda row: f"{row.table}")
def test_a_row_that_no_column_can_hold_is_told_and_everything_beside_and_after_it_is_stored(
    path: Path, poison: Row, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(path)
    assert not store.write([setting_row("before", 1), poison, setting_row("behind", 2)])
    assert list(store.refused) == [poison.key]
    assert "cannot be stored" in store.refused[poison.key]
    assert store.trouble is None
    assert store.write([setting_row("after", 3)])
    assert (store.refused, store.refusals) == ({}, 1)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    store.close()
    again = Store(path)
    assert [again.setting(name) for name in ("before", "behind", "after")] == [1, 2, 3]
    assert again.sessions() == []


def test_a_page_before_a_number_beyond_the_file_is_the_newest(path: Path) -> None:
    store = Store(path)
    store.write([session_row(saved(1))])
    assert store.sessions(before=1 << 70) == [saved(1)]


def test_a_flood_of_one_fault_pushes_out_its_own_rows_and_no_rare_one(path: Path) -> None:
    store = Store(path)
    rare = [replace(fault(number), fault=Fault.CONTACTOR_WELDED) for number in (1, 2)]
    flood = [replace(fault(number), fault=Fault.METER_STALE) for number in range(3, 3 + 2 * KEPT_ROWS["fault"])]
    assert store.write(map(fault_row, [*rare, *flood]))
    kept = store.faults(10 * KEPT_ROWS["fault"])
    assert [record.number for record in kept if record.fault is Fault.CONTACTOR_WELDED] == [2, 1]
    assert kept[0] == flood[-1]
    assert len(kept) <= KEPT_ROWS["fault"] + 64
