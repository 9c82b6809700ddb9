"""From Matter's values to the charge point's settings: the mode of charging, and what the planner keeps.

Until version 4 of the database the mode was an attribute of the Energy EVSE Mode cluster, and the plan a record beside
Matter's. The formats are those of that version and never change.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from evse_pi.charging.stored_fields import UnknownRecord, parsed

if TYPE_CHECKING:
    import sqlite3

MODE = "state/1/0000009d/0001"
MODES = {bytes.fromhex("1524000018"): "MANUAL", bytes.fromhex("1524000118"): "TIME_OF_USE"} | {
    bytes.fromhex("1524000218"): "SOLAR"
}  # fmt: skip
"""The attribute CurrentMode, a structure with an unsigned integer of one octet as its field 0."""
PLAN = "charging-plan"
SESSION_ID = "state/1/00000099/0040"
"""A copy of what the cluster's record says as well, the latest session that controllers were told of."""
NAMES: dict[str, str] = {"machine_boot": "kernel_boot_id", "pursuit": "progress"}
NOTHING_SET: dict[str, Any] = {
    "charging_until_s": 0,
    "discharging_until_s": 0,
    "minimum_ma": 6_000,
    "maximum_ma": 0,
    "discharge_maximum_ma": 0,
    "user_maximum_ma": None,
    "window_s": None,
    "targets": [],
}


def move_mode_and_plan(connection: sqlite3.Connection) -> None:
    """Write the mode into the setting `charging` and the plan into the setting `plan`.

    Settings that cannot be read stay so, and permit nothing. A plan that cannot be read becomes one that still cannot,
    for which the planner lets the random delay of a power cut begin.
    """
    mode, plan = _value(connection, MODE), _value(connection, PLAN)
    settings = _setting(connection, "charging")
    if isinstance(settings, dict):
        _write(connection, "charging", {**settings, "mode": MODES.get(mode, "MANUAL")})
    if plan is not None:
        _write(connection, "plan", _renamed(plan))
    connection.execute("DELETE FROM matter_values WHERE key IN (?, ?, ?)", (MODE, PLAN, SESSION_ID))


def _setting(connection: sqlite3.Connection, name: str) -> Any:
    rows = connection.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchall()
    try:
        return parsed(rows[0][0]) if rows else NOTHING_SET
    except UnknownRecord:
        return None


def _value(connection: sqlite3.Connection, key: str) -> Any:
    rows = connection.execute("SELECT value FROM matter_values WHERE key = ?", (key,)).fetchall()
    return rows[0][0] if rows else None


def _renamed(record: Any) -> dict[str, Any]:
    """Return the plan under the names of today, no fields where it cannot be read."""
    try:
        plan = parsed(record) if isinstance(record, bytes) else None
    except UnknownRecord:
        plan = None
    return {NAMES.get(str(name), str(name)): value for name, value in plan.items()} if isinstance(plan, dict) else {}


def _write(connection: sqlite3.Connection, name: str, value: Any) -> None:
    text = json.dumps(value, separators=(",", ":"))
    connection.execute("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", (name, text))
