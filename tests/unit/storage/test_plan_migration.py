"""Mode and plan of a version 4 database, written here as that version left them, are taken over into the settings."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.charging.charge_point import ChargePoint
from evse_pi.charging.charging_plan_memory import UNREADABLE, PersistedPlan, plan_row
from evse_pi.charging.modes import ChargeMode
from evse_pi.charging.random_delay import DelayCause, RandomDelay
from evse_pi.charging.schedule import TargetProgress
from evse_pi.charging.targets import Target
from evse_pi.installation.files import SIMULATED_INSTALLATION
from evse_pi.sim.harness.virtual_clock import VirtualClock
from evse_pi.storage.database import Store
from evse_pi.storage.recall import load_startup_state
from evse_pi.storage.schema import MIGRATIONS
from hal.units import SECOND, MilliwattHours
from tests.support.node_box import RATINGS, HandWriter

if TYPE_CHECKING:
    from pathlib import Path

    from evse_pi.charging.startup_state import StartupState

SETTINGS = (
    '{"charging_until_s":null,"discharging_until_s":0,"minimum_ma":6000,"maximum_ma":16000,"discharge_maximum_ma":0,'
    '"user_maximum_ma":null,"window_s":null,"targets":[]}'
)
TIME_OF_USE = bytes.fromhex("1524000118")  # TLV: a structure, context tag 0, unsigned integer of one octet, 1, its end
PLAN = (
    b'{"window_s":900,"mode":"TIME_OF_USE","holds":true,"delay":{"cause":"PLANNED_START","until_ns":1200000000000},'
    b'"machine_boot":"first","pursuit":{"session":4,"due_s":1800003600,"target":{"minutes_past_midnight":420,'
    b'"soc_percent":null,"added_energy_mwh":5000},"base_mwh":7,"start_s":1800000900,"goal_s":null}}'
)
MOVED = PersistedPlan(
    "first",
    900,
    TargetProgress(4, 1_800_003_600, Target(420, None, MilliwattHours(5_000)), 7, 1_800_000_900),
    RandomDelay(DelayCause.PLANNED_START, 1_200 * SECOND),
    ChargeMode.TIME_OF_USE,
    holds=True,
)


def database(path: Path, *, settings: str | None = SETTINGS, **values: Any) -> Path:
    path.unlink(missing_ok=True)
    Store(path, MIGRATIONS[:4]).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM setting")
        if settings is not None:
            connection.execute("INSERT INTO setting VALUES ('charging', ?)", (settings,))
        keys = {"mode": "state/1/0000009d/0001", "plan": "charging-plan"}
        rows = [(keys[name], value) for name, value in values.items()]
        connection.executemany("INSERT INTO matter_values VALUES (?, ?)", rows)
        connection.commit()
    return path


def started(path: Path) -> StartupState:
    store = Store(path)
    try:
        assert store.trouble is None
        assert not {"state/1/0000009d/0001", "charging-plan"} & set(store.key_values())
        return load_startup_state(store, 1_800_000_000)
    finally:
        store.close()


@pytest.mark.parametrize(
    ("record", "mode"),
    [
        (bytes.fromhex("1524000018"), ChargeMode.MANUAL),
        (TIME_OF_USE, ChargeMode.TIME_OF_USE),
        (bytes.fromhex("1524000218"), ChargeMode.SOLAR),
        (bytes.fromhex("1524000918"), ChargeMode.MANUAL),
        ("text", ChargeMode.MANUAL),
    ],
)
def test_the_mode_stands_with_all_else_that_is_set(tmp_path: Path, record: Any, mode: ChargeMode) -> None:
    found = started(database(tmp_path / "evse.db", mode=record)).settings
    assert (found.mode, found.charging_until_s, found.maximum_ma) == (mode, None, 16_000)
    assert started(tmp_path / "evse.db").settings == found, "a second start changes nothing"


def test_a_box_where_nothing_was_set_but_the_mode_keeps_it(tmp_path: Path) -> None:
    found = started(database(tmp_path / "evse.db", settings=None, mode=TIME_OF_USE)).settings
    assert (found.mode, found.charging(None)) == (ChargeMode.TIME_OF_USE, False)


@pytest.mark.hazard("H-18")
@pytest.mark.parametrize("settings", ["", "[]", SETTINGS[:-9], "null"])
def test_settings_that_cannot_be_read_permit_nothing(tmp_path: Path, settings: str) -> None:
    assert not started(database(tmp_path / "evse.db", settings=settings, mode=TIME_OF_USE)).settings.charging(None)


def test_a_plan_goes_on_with_what_it_had(tmp_path: Path) -> None:
    assert started(database(tmp_path / "evse.db", plan=PLAN)).plan == MOVED
    assert started(tmp_path / "evse.db").plan == MOVED
    assert started(database(tmp_path / "other.db")).plan is None


@pytest.mark.parametrize("plan", [PLAN[:-9], b"", b"7", "text", b"{}"])
def test_a_plan_that_cannot_be_read_is_one_from_before_a_power_cut(tmp_path: Path, plan: Any) -> None:
    found = started(database(tmp_path / "evse.db", plan=plan))
    assert found.plan == UNREADABLE
    box = ChargePoint(
        VirtualClock(), RATINGS, SIMULATED_INSTALLATION, found, HandWriter(), draw=lambda below: below - 1
    )
    assert not box.demand().permitted, "the random delay has begun"


def test_what_is_kept_is_read_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "evse.db")
    for plan in (MOVED, PersistedPlan("first")):
        row = plan_row(plan)
        assert store.write([row])
        assert load_startup_state(store, None).plan == plan
        assert json.loads(str(row.values["value"]))["kernel_boot_id"] == "first"
    store.close()
