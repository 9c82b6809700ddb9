"""A database of version 0.1.0, written here row by row as that version left it, is taken over with its permissions.

0.1.0 made its own tables by two steps (user_version 2); Matter's connection made `matter_values` beside them. The rows
are literal: octets and texts of that version, not of the code under test.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evse_pi.charging.charging_plan_memory import held_back
from evse_pi.charging.modes import ChargeMode
from evse_pi.charging.settings import SETTINGS, ChargingSettings, settings_of
from evse_pi.charging.targets import DaySchedule, Target
from evse_pi.core.states import FaultState, LimitSource
from evse_pi.device.reported_state import ReportedState, SessionTotals, Transfer, decode
from evse_pi.storage.database import Store
from evse_pi.storage.recall import load_startup_state

if TYPE_CHECKING:
    from pathlib import Path

TABLES = """
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE session (
    number INTEGER PRIMARY KEY,
    started_ns INTEGER NOT NULL, started_unix_s INTEGER, ended_ns INTEGER, ended_unix_s INTEGER,
    energy_mwh INTEGER NOT NULL, estimated INTEGER NOT NULL,
    charging_ns INTEGER NOT NULL, closed_since_ns INTEGER, outage INTEGER NOT NULL,
    machine_boot TEXT NOT NULL, saved_ns INTEGER NOT NULL, register_mwh INTEGER
) STRICT;
CREATE TABLE fault (
    number INTEGER PRIMARY KEY,
    fault TEXT NOT NULL, machine_boot TEXT NOT NULL,
    set_ns INTEGER NOT NULL, set_unix_s INTEGER, cleared_ns INTEGER, cleared_unix_s INTEGER,
    evse_state TEXT NOT NULL, contactor_closed INTEGER NOT NULL,
    high_mv INTEGER NOT NULL, low_mv INTEGER NOT NULL, current_ma INTEGER, readings TEXT
) STRICT;
CREATE TABLE transition (
    number INTEGER PRIMARY KEY,
    at_ns INTEGER NOT NULL, unix_s INTEGER, machine_boot TEXT NOT NULL,
    evse_state TEXT NOT NULL, contactor_closed INTEGER NOT NULL, offered_ma INTEGER NOT NULL,
    faults TEXT NOT NULL, reason TEXT NOT NULL
) STRICT;
CREATE TABLE matter_values (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
PRAGMA user_version = 2;
"""
RECORD = (
    b'{"grant":{"charging_until":853318800,"discharging_until":0,"minimum_ma":7000,"maximum_ma":16000,'
    b'"discharge_maximum_ma":0,"user_maximum_ma":20000},"told":{"session":1,"transfer":{"energy_mwh":0,'
    b'"suspended":false,"lapses_ns":null},"latest":1,"fault":0},"targets":[{"days":127,"targets":'
    b'[{"minutes_past_midnight":420,"soc_percent":null,"added_energy_mwh":5000}]}],"window_s":1200}'
)
ASKED = (
    '[{"source":"ENABLE_CHARGING","permitted":true,"limit_ma":16000,"until_unix_s":1800003600,"lapse":"STOPPED",'
    '"machine_boot":"3f2c"},{"source":"USER_MAXIMUM","permitted":true,"limit_ma":20000,"until_unix_s":null,'
    '"lapse":"FORGOTTEN","machine_boot":"3f2c"},{"source":"RANDOM_DELAY","permitted":false,"limit_ma":null,'
    '"until_unix_s":1800000600,"lapse":"FORGOTTEN","machine_boot":"3f2c"}]'
)
VALUES = {
    "energy-evse/1": RECORD,
    "fabric/1/record": b"read by the Matter node alone",
    "state/1/00000099/0003": bytes.fromhex("152600909cdc3218"),
    "state/1/00000099/0005": bytes.fromhex("152100007d18"),
    "state/1/00000099/0006": bytes.fromhex("152100581b18"),
    "state/1/00000099/0007": bytes.fromhex("152100803e18"),
    "state/1/00000099/0009": bytes.fromhex("152100204e18"),
    "state/1/00000099/000a": bytes.fromhex("152500b00418"),
    "state/1/00000099/0027": bytes.fromhex("152500e80318"),
    "state/1/00000099/0040": bytes.fromhex("1524000018"),
    "state/1/00000099/0041": bytes.fromhex("1524003c18"),
    "state/1/00000099/0042": bytes.fromhex("152100b80b18"),
}
MIGRATED = ChargingSettings(
    charging_until_s=1_800_003_600,  # 853318800 s after 2000-01-01, which is 946684800 s after 1970-01-01
    minimum_ma=7_000,
    maximum_ma=16_000,
    user_maximum_ma=20_000,
    window_s=1_200,
    targets=(DaySchedule(127, (Target(420, None, 5_000),)),),  # type: ignore[arg-type]
)


def database(path: Path, *, asked: str | None = ASKED, **values: Any) -> Path:
    """Write a database of 0.1.0; a value by its key's last part replaces the one above, None leaves it out."""
    path.unlink(missing_ok=True)
    found: dict[str, Any] = {**VALUES, **{key: values[key.split("/")[-1]] for key in VALUES if key[-4:] in values}}
    if "record" in values:
        found["energy-evse/1"] = values["record"]
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TABLES)
        if asked is not None:
            connection.execute("INSERT INTO setting VALUES ('asks', CAST(? AS TEXT))", (asked,))
        connection.execute("INSERT INTO setting VALUES ('owner', '{\"permitted\":true,\"limit_ma\":null}')")
        rows = [(key, value) for key, value in found.items() if value is not None]
        connection.executemany("INSERT INTO matter_values VALUES (?, ?)", rows)
        connection.commit()
    return path


def migrated(path: Path) -> tuple[ChargingSettings, dict[str, bytes]]:
    store = Store(path)
    try:
        assert store.trouble is None
        read = store.read_setting(SETTINGS, settings_of, absent=None, unreadable=None)
        assert store.setting("asks") is None
        startup = load_startup_state(store, 1_800_000_000)
        assert startup.settings == (read or ChargingSettings())
        return startup.settings, store.key_values()
    finally:
        store.close()


def test_what_a_controller_had_set_is_taken_over_into_one_copy(tmp_path: Path) -> None:
    found, values = migrated(database(tmp_path / "evse.db"))
    assert found == MIGRATED
    assert set(values) == {"energy-evse/1", "fabric/1/record", "state/1/00000099/0027"}
    assert decode(values["energy-evse/1"]) == ReportedState(
        session=1, transfer=Transfer(0), latest=1, fault=FaultState.NO_ERROR, figures=SessionTotals(60, 3_000)
    )
    assert migrated(tmp_path / "evse.db") == (found, values), "a second start changes nothing"


def test_a_permission_for_good_and_none_are_taken_over_as_what_they_are(tmp_path: Path) -> None:
    for_good = RECORD.replace(b"853318800", b"null")
    found, _ = migrated(database(tmp_path / "evse.db", **{"record": for_good, "0003": bytes.fromhex("15340018")}))  # type: ignore[arg-type]
    assert (found.charging_until_s, found.maximum_ma) == (None, 16_000)
    disabled = RECORD.replace(b"853318800", b"0").replace(b"7000", b"0").replace(b"16000", b"0")
    found, _ = migrated(database(tmp_path / "evse.db", record=disabled, asked=None))
    assert (found.charging_until_s, found.user_maximum_ma, found.window_s) == (0, 20_000, 1_200)


def test_a_box_that_was_never_commissioned_has_nothing_set(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("0003", "0005", "0006", "0007", "0009", "000a", "0027", "0040", "0041", "0042"))
    found, values = migrated(database(tmp_path / "evse.db", asked=None, record=None, **nothing))
    assert found == ChargingSettings()
    assert set(values) == {"fabric/1/record"}


@pytest.mark.hazard("H-18")
@pytest.mark.parametrize(
    "changes",
    [
        {"record": b"{}"},
        {"record": b""},
        {"record": RECORD[:-9]},
        {"record": RECORD.decode()},
        {"record": RECORD.replace(b"853318800", b'"853318800"')},
        {"record": RECORD.replace(b"853318800", b"-1")},
        {"record": None},
        {"0003": None},
        {"0003": bytes.fromhex("15340018")},
        {"0003": bytes.fromhex("152600919cdc3218")},
        {"0003": b"\x15\x26"},
        {"0003": "text"},
        {"0006": None},
        {"0006": bytes.fromhex("1520000018")},
        {"asked": ASKED.replace('"permitted":true', '"permitted":false')},
        {"asked": ASKED.replace('"limit_ma":16000', '"limit_ma":6000')},
        {"asked": ASKED[:-9]},
        {"asked": "null"},
        {"asked": "[1]"},
    ],
)
def test_copies_that_are_damaged_or_contradict_each_other_permit_nothing(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    found, values = migrated(database(tmp_path / "evse.db", **changes))
    assert not found.charging(None)
    assert found.maximum_ma == 0
    assert not {key for key in values if key.startswith("state/")} - {"state/1/00000099/0027"}


PLAN = (
    b'{"machine_boot":"3f2c","window_s":600,"pursuit":{"session":1,"due_s":1800003600,"target":'
    b'{"minutes_past_midnight":420,"soc_percent":null,"added_energy_mwh":5000},"base_mwh":0,"start_s":1800000900,'
    b'"goal_s":null},"delay":{"cause":"POWER_RETURN","until_ns":4000000000},"mode":"TIME_OF_USE"}'
)


@pytest.mark.parametrize(
    ("plan", "held"),
    [
        (PLAN, {LimitSource.SCHEDULE: None, LimitSource.RANDOM_DELAY: 4_000_000_000}),
        (PLAN.replace(b'"goal_s":null', b'"goal_s":1800003600'), {LimitSource.RANDOM_DELAY: 4_000_000_000}),
    ],
)
def test_what_the_planner_held_back_is_still_held_back(
    tmp_path: Path, plan: bytes, held: dict[LimitSource, int | None]
) -> None:
    path = database(tmp_path / "evse.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO matter_values VALUES ('charging-plan', ?)", (plan,))
        connection.execute("INSERT INTO matter_values VALUES ('state/1/0000009d/0001', x'1524000118')")
        connection.commit()
    settings, _ = migrated(path)
    store = Store(path)
    kept = load_startup_state(store, None).plan
    store.close()
    assert kept is not None
    assert (settings.mode, kept.kernel_boot_id) == (ChargeMode.TIME_OF_USE, "3f2c")
    requests = held_back(kept, settings.mode, 3_000_000_000)
    assert {each.source: each.until_ns for each in requests} == held
    assert not any(each.permitted for each in requests)


OCTETS = st.binary(max_size=40) | st.text(max_size=20) | st.integers(-5, 1 << 40) | st.sampled_from((RECORD, b"null"))


@pytest.mark.hazard("H-18")
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.dictionaries(st.sampled_from(("record", "0003", "0006", "0041", "0042")), OCTETS, min_size=1),
    asked=st.sampled_from((None, ASKED)) | st.text(max_size=30).map(json.dumps),
)
def test_whatever_stands_in_the_rows_the_database_opens_and_permits_no_more(
    tmp_path: Path, changes: dict[str, Any], asked: str | None
) -> None:
    found, _ = migrated(database(tmp_path / "evse.db", asked=asked, **changes))
    assert found.charging_until_s in (0, MIGRATED.charging_until_s)
    intact = all(name in ("0041", "0042") or (name, value) == ("record", RECORD) for name, value in changes.items())
    assert found.charging(None) is False or (intact and asked in (None, ASKED))
