"""Anything may stand in the database: the node comes up, and what it cannot read permits nothing.

A row of the next version, random octets under an intact page, a value of another type: a failing card, a downgrade and
a stranger with the card in his hand leave such rows behind, and SQLite's own check finds nothing wrong with them.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boards.loader import load_board
from evse_pi.api.codec import to_plain
from evse_pi.api.status import Board
from evse_pi.charging.charge_point import ChargePoint
from evse_pi.charging.charging_plan_memory import PLAN as PLAN_NAME
from evse_pi.charging.charging_plan_memory import PersistedPlan, plan_row
from evse_pi.charging.history_rows import FaultRecord, fault_row, session_row, setting_row, transition_row
from evse_pi.charging.random_delay import DelayCause, RandomDelay
from evse_pi.charging.schedule import TargetProgress
from evse_pi.charging.session import SavedSession, Session
from evse_pi.charging.settings import SETTINGS as CHARGING
from evse_pi.charging.settings import ChargingSettings, settings_row
from evse_pi.charging.startup_state import CURSOR, OWNER
from evse_pi.charging.targets import DaySchedule, Target
from evse_pi.core.faults import Fault
from evse_pi.core.states import EvseState, LimitSource
from evse_pi.device.reported_state import ReportedState, SessionTotals, Transfer, encode, record_key
from evse_pi.installation.files import SIMULATED_INSTALLATION
from evse_pi.matter.storage import MemoryStore, SqliteStore
from evse_pi.node.box_status import NodeStatus, fault_event, status
from evse_pi.node.charge_point_adapter import ChargePointAdapter
from evse_pi.node.diagnosis_commands import COUNTERS, Diagnosis
from evse_pi.recorder.archive import RecordingArchive
from evse_pi.recorder.reader import Ring, RingFile
from evse_pi.sim.harness.virtual_clock import UNIX_S, VirtualClock
from evse_pi.storage.database import Store
from evse_pi.storage.recall import latest_before, load_startup_state
from hal.units import SECOND, Millivolts, MilliwattHours
from tests.support.node_box import RATINGS, FakeSafety, HandWriter

if TYPE_CHECKING:
    from pathlib import Path

    from evse_pi.charging.history_rows import Row

STOPPED = {"permitted": False, "limit_ma": 10_000}
TARGET = Target(420, None, MilliwattHours(9_000_000))
PLAN = PersistedPlan(
    "first",
    progress=TargetProgress(1, UNIX_S + 3_600, TARGET, 0),
    delay=RandomDelay(DelayCause.POWER_RETURN, 1_100 * SECOND),
)
KEPT = ReportedState(1, Transfer(5), 1, figures=SessionTotals(4, 5))
SET = ChargingSettings(charging_until_s=0, window_s=600, targets=(DaySchedule(127, (TARGET,)),))
COUNTED = {"boot_id": 7, "contactor_cycles": 12, "releases": [[UNIX_S, 20_000], [None, 21_000]]}


def stored_form(row: Row) -> Any:
    """Return what a setting's row holds."""
    return json.loads(str(row.values["value"]))


SETTINGS = {
    OWNER: STOPPED,
    CURSOR: {"boot_id": 7, "number": 0},
    COUNTERS: COUNTED,
    CHARGING: stored_form(settings_row(SET)),
    PLAN_NAME: stored_form(plan_row(PLAN)),
}
HISTORY = {"session": 2, "fault": 2, "transition": 2}
RECORDS = (record_key(1), "fabric/1/record")


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as a year of use leaves it, with the owner's stop, a controller's Disable and an open session."""
    path = tmp_path_factory.mktemp("used") / "evse.db"
    store, change = Store(path), FakeSafety(VirtualClock()).become("C", frozenset((Fault.OVERCURRENT,))).transitions[-1]
    fault = FaultRecord(
        1, Fault.RCD_TRIPPED, "first", 1, UNIX_S, EvseState.C2, True, Millivolts(6_000), Millivolts(-12_000)
    )
    done = Session(1, 5, UNIX_S, MilliwattHours(7), ended_ns=9, ended_unix_s=UNIX_S + 4)
    rows = [
        *(setting_row(name, value) for name, value in SETTINGS.items()),
        session_row(SavedSession(done, "first", 9)),
        session_row(SavedSession(Session(2, 10), "first", 9, MilliwattHours(10))),
        fault_row(fault),
        *(transition_row(number, change, UNIX_S, "first") for number in (1, 2)),
    ]
    assert store.write(rows)
    store.write([fault_row(FaultRecord(**{name: getattr(fault, name) for name in fault.__slots__} | {"number": 2}))])
    store.close()
    with closing(SqliteStore(path)) as keys, keys.transaction() as transaction:
        transaction.put(record_key(1), encode(KEPT))
        transaction.put("fabric/1/record", b"read by the Matter node alone")
    return path


class Started:
    """The parts of a node that read the database, after a start, a plug-in and a charge."""

    def __init__(self, path: Path) -> None:
        clock = VirtualClock()
        self.store = Store(path)
        self.box = ChargePoint(
            clock, RATINGS, SIMULATED_INSTALLATION, load_startup_state(self.store, clock.unix_s()), HandWriter()
        )
        latest_before(self.store, clock.kernel_boot_id)
        self.charger = ChargePointAdapter(self.box, lambda: None)
        self.charger.recall(MemoryStore(self.store.key_values()))
        ring = Ring(RingFile(path.with_name("no-ring")))
        board, archive = load_board("simulated"), RecordingArchive(path.with_name("recordings"))
        diagnosis = Diagnosis(board, self.box, ring, archive, self.store.setting(COUNTERS))
        safety = FakeSafety(clock)
        for state in "BCBAB":
            clock.advance_s(3)
            snapshot = safety.become(state)
            self.box.on_snapshot(snapshot)
            diagnosis.on_snapshot(snapshot)
            self.charger.refresh()
            self.box.tick()
            assert self.store.write(self.box.event_recorder.write_queue.take(clock.monotonic_ns(), all_rows=True))
        assert self.store.redate(clock.kernel_boot_id, UNIX_S - 900)
        beside = NodeStatus(Board("simulated", "simulated"), "0", owner_permits=False)
        json.dumps(to_plain([status(self.box, beside), *map(fault_event, self.store.faults())]))
        assert self.box.demand().valid_until_ns
        self.store.sessions()
        self.store.transitions()
        assert self.box.event_recorder.session is not None
        self.store.close()


def tampered(used: Path, folder: Path, statement: str, *values: Any) -> Path:
    """Return a copy of the database in which `statement` was carried out, as if the card had done it."""
    path = folder / "evse.db"
    for each in folder.glob("evse.db*"):
        each.unlink()
    shutil.copy(used, path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(statement, values)
        connection.commit()
    return path


def test_the_untouched_database_forbids_as_owner_and_controller_said(used: Path, tmp_path: Path) -> None:
    path = tampered(used, tmp_path, "DELETE FROM setting WHERE name = 'no such'")
    started = Started(path)
    assert not started.store.skipped
    assert started.box.owner.limit_ma == 10_000
    assert not started.box.demand().permitted
    assert started.box.arbiter.request_of(LimitSource.ENABLE_CHARGING).permitted is False  # type: ignore[union-attr]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)
NOT_JSON = ("", "{", "[" * 50_000, '{"a":' * 50_000, "1" * 5_000, "NaN", "\ufffd", '"\\ud800"')
OCTETS = st.sampled_from([text.encode() for text in NOT_JSON]) | st.binary(max_size=40)


def with_one_field_changed(record: Any, draw: Any) -> Any:
    """Return the record with one of its values, however deep, replaced, left out or of the next version."""
    if isinstance(record, dict) and record:
        name = draw(st.sampled_from(sorted(record)))
        change = draw(st.sampled_from(("inside", "other", "gone", "more")))
        rest = {key: value for key, value in record.items() if key != name}
        if change == "gone":
            return rest
        if change == "more":
            return {**record, "of the next version": 1}
        return {**rest, name: with_one_field_changed(record[name], draw) if change == "inside" else draw(JSON)}
    if isinstance(record, list) and record:
        return [with_one_field_changed(record[0], draw), *record[1:]]
    return draw(JSON | st.sampled_from(("NEXT", -1, 1 << 40, 1 << 63, 1 << 70)))


QUIET = settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.mark.hazard("H-18")
@QUIET
@given(data=st.data())
def test_no_setting_ends_the_node_or_permits(used: Path, tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(SETTINGS)))
    if data.draw(st.booleans()):
        stored = json.dumps(with_one_field_changed(SETTINGS[name], data.draw)).encode()
    else:
        stored = data.draw(OCTETS)
    statement = "UPDATE setting SET value = CAST(? AS TEXT) WHERE name = ?"
    started = Started(tampered(used, tmp_path, statement, stored, name))
    if name == OWNER and not says_permitted(stored):
        assert not started.box.owner.permitted
    ask = started.box.arbiter.request_of(LimitSource.ENABLE_CHARGING)
    assert ask is not None
    assert not ask.permitted or (name == CHARGING and grants(stored))


def says_permitted(stored: bytes) -> bool:
    """Whether the octets are a word of an owner who permits."""
    try:
        word = json.loads(stored)
    except (ValueError, RecursionError):
        return False
    return isinstance(word, dict) and word.get("permitted") in (True, 1)


INTEGERS = st.sampled_from((-(1 << 63), (1 << 63) - 1, -1, 0, 2, 1 << 40, 1 << 53, 1 << 62)) | st.integers(
    -(1 << 63), (1 << 63) - 1
)
NAMES = st.sampled_from((b"NEXT_FAULT", b"F3", b"RCD_TRIPPED NEXT_FAULT", b"\xff\xfe", b"", b"{", b"[" * 50_000))


@pytest.mark.hazard("H-18")
@QUIET
@given(data=st.data())
def test_no_row_of_history_ends_the_node(used: Path, tmp_path: Path, data: st.DataObject) -> None:
    table = data.draw(st.sampled_from(sorted(HISTORY)))
    with closing(sqlite3.connect(used)) as connection:
        columns = connection.execute(f"SELECT name, type FROM pragma_table_info('{table}')").fetchall()
    name, kind = data.draw(st.sampled_from(columns))
    value = data.draw(INTEGERS if kind == "INTEGER" else NAMES)
    cast = "?" if kind == "INTEGER" else "CAST(? AS TEXT)"
    statement = f"UPDATE {table} SET {name} = {cast} WHERE number = 2"
    Started(tampered(used, tmp_path, statement, value))


@pytest.mark.hazard("H-18")
@QUIET
@given(data=st.data())
def test_no_record_of_controllers_ends_the_node_or_grants(used: Path, tmp_path: Path, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(RECORDS))
    intact = {record_key(1): encode(KEPT)}.get(key)
    if intact is not None and data.draw(st.booleans()):
        value: Any = json.dumps(with_one_field_changed(json.loads(intact), data.draw)).encode()
    else:
        value = data.draw(OCTETS | st.text(max_size=20) | st.integers(-5, 1 << 40) | st.floats(allow_nan=False))
    path = tampered(used, tmp_path, "UPDATE matter_values SET value = ? WHERE key = ?", value, key)
    started = Started(path)
    ask = started.box.arbiter.request_of(LimitSource.ENABLE_CHARGING)
    assert ask is not None
    assert not ask.permitted


def grants(value: Any) -> bool:
    """Whether the octets are settings in which charging is permitted."""
    try:
        until = json.loads(value)["charging_until_s"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return False
    return until is None or (isinstance(until, int) and until > 0)


@pytest.mark.parametrize(
    "statement",
    [
        "PRAGMA user_version = 99",
        "ALTER TABLE fault ADD COLUMN phase TEXT",
        "ALTER TABLE session ADD COLUMN tariff INTEGER",
        "ALTER TABLE transition ADD COLUMN cause TEXT",
        "ALTER TABLE setting ADD COLUMN kind TEXT",
        "CREATE TABLE tariff (number INTEGER PRIMARY KEY) STRICT",
        "DELETE FROM matter_values",
    ],
)
def test_a_schema_of_another_version_lets_the_node_come_up(used: Path, tmp_path: Path, statement: str) -> None:
    path = tampered(used, tmp_path, statement)
    if "user_version" in statement:
        store = Store(path)
        memory = load_startup_state(store, UNIX_S)
        assert not memory.owner.permitted, "it is unknown whether it was forbidden"
        assert "newer software" in (store.trouble or "")
    else:
        assert not Started(path).box.demand().permitted


def test_unreadable_rows_are_told_left_out_and_pages_go_on_behind_them(used: Path, tmp_path: Path) -> None:
    path = tampered(used, tmp_path, "UPDATE fault SET fault = 'NEXT_FAULT' WHERE number = 2")
    store = Store(path)
    assert [record.number for record in store.faults(1)] == [1]
    assert store.skipped == {("fault", 2)}
    assert store.next_number("fault", 1) == 3, "no number is given twice"
    store.close()
