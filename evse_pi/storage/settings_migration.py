"""From the three copies that version 0.1.0 kept of what controllers had set to the one setting.

That version stored an EnableCharging as attributes of the cluster (TLV), as the cluster's own record, which was the one
that counted, and as requests in the setting `asks`. Charging stays permitted only where all copies agree that it is:
one that cannot be read or contradicts may be the trace of a Disable. What the planner had asked for stood in `asks` as
well; of that its own record tells. The formats are those of 0.1.0 and never change.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from evse_pi.charging.stored_fields import LATEST_UNIX_S, StoredFields, UnknownRecord, parsed

if TYPE_CHECKING:
    import sqlite3

log = logging.getLogger(__name__)

RECORD = "energy-evse/1"
PLAN = "charging-plan"
ATTRIBUTE = "state/1/00000099/"
UNTIL, MINIMUM, DURATION, ENERGY = "0003", "0006", "0041", "0042"
COPIES = (UNTIL, "0004", "0005", MINIMUM, "0007", "0008", "0009", "000a", DURATION, ENERGY, "0043")
"""The stored attributes that follow from something else; ApproximateEVEfficiency and SessionID stay."""
MATTER_EPOCH_UNIX_S = 946_684_800
MATTER_DEFAULTS = {UNTIL: 0, MINIMUM: 6_000}
"""What an attribute was that no row stood for."""
HIGHEST_OFFER_MA = 80_000
UNREADABLE = "?"
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
_INTEGERS = {0x20: (1, True), 0x21: (2, True), 0x22: (4, True), 0x23: (8, True)} | {
    0x24: (1, False), 0x25: (2, False), 0x26: (4, False), 0x27: (8, False)
}  # fmt: skip


def merge_copies(connection: sqlite3.Connection) -> None:
    """Write the setting `charging`, and leave of the copies only what says something else."""
    record, asks = _record(connection), _asks(connection)
    attributes = {name: _attribute(connection, name) for name in COPIES}
    settings = NOTHING_SET if record is None else _settings(record)
    if record is not None and not _agree(record["grant"], attributes, asks):
        log.warning("the stored copies of what controllers had set contradict each other: nothing is permitted")
        settings = {**settings, "charging_until_s": 0, "minimum_ma": 0, "maximum_ma": 0}
    _write(connection, "setting", "name", "charging", json.dumps(settings, separators=(",", ":")))
    for name in COPIES:
        connection.execute("DELETE FROM matter_values WHERE key = ?", (ATTRIBUTE + name,))
    if record is None:
        connection.execute("DELETE FROM matter_values WHERE key = ?", (RECORD,))
    else:
        told = {**record["told"], "figures": _figures(attributes)}
        _write(connection, "matter_values", "key", RECORD, json.dumps(told, separators=(",", ":")).encode())
    connection.execute("DELETE FROM setting WHERE name = 'asks'")
    _complete_plan(connection)


def _complete_plan(connection: sqlite3.Connection) -> None:
    """Say in the planner's record whether it holds charging back; one that cannot be read stays what it is."""
    rows = connection.execute("SELECT value FROM matter_values WHERE key = ?", (PLAN,)).fetchall()
    with suppress(UnknownRecord):
        plan = parsed(rows[0][0]) if rows and isinstance(rows[0][0], bytes) else None
        if isinstance(plan, dict):
            progress = plan.get("pursuit")
            plan["holds"] = isinstance(progress, dict) and progress.get("goal_s") is None
            _write(connection, "matter_values", "key", PLAN, json.dumps(plan, separators=(",", ":")).encode())


def _record(connection: sqlite3.Connection) -> Any:
    """Return the cluster's record where its parts can be read, None where there is none or they cannot."""
    rows = connection.execute("SELECT value FROM matter_values WHERE key = ?", (RECORD,)).fetchall()
    try:
        found = parsed(rows[0][0]) if rows and isinstance(rows[0][0], bytes) else None
        if found is not None:
            fields = StoredFields(found)
            grant = fields.record("grant")
            for name in ("charging_until", "discharging_until"):
                grant.optional_integer(name, 0, LATEST_UNIX_S - MATTER_EPOCH_UNIX_S)
            for name in ("minimum_ma", "maximum_ma", "discharge_maximum_ma"):
                grant.integer(name)
            grant.optional_integer("user_maximum_ma")
            fields.record("told")
            fields.items("targets")
            fields.optional_integer("window_s", 0)
    except UnknownRecord as error:
        log.warning("what controllers had set cannot be read, and nothing is permitted: %s", error)
        return None
    return found


def _settings(record: Any) -> dict[str, Any]:
    grant = record["grant"]
    return {
        "charging_until_s": _unix_s(grant["charging_until"]),
        "discharging_until_s": _unix_s(grant["discharging_until"]),
        **{name: grant[name] for name in ("minimum_ma", "maximum_ma", "discharge_maximum_ma", "user_maximum_ma")},
        "window_s": record["window_s"],
        "targets": record["targets"],
    }


def _unix_s(until: int | None) -> int | None:
    return until + MATTER_EPOCH_UNIX_S if until else until


def _agree(grant: Any, attributes: dict[str, Any], asks: Any) -> bool:
    """Return whether all copies permit the same; where the record permits nothing, there is nothing to agree on."""
    if grant["charging_until"] == 0:
        return True
    # A copy that differs may be the trace of a Disable: a power cut can fall between the three writes.
    if attributes[UNTIL] != grant["charging_until"] or attributes[MINIMUM] != grant["minimum_ma"]:
        return False
    if asks is None:
        return True
    if asks == UNREADABLE:
        return False
    limit_ma = min(grant["maximum_ma"], HIGHEST_OFFER_MA)
    asked = [ask for ask in asks if ask.get("source") == "ENABLE_CHARGING"]
    return all(ask.get("permitted") is True and ask.get("limit_ma") == limit_ma for ask in asked)


def _asks(connection: sqlite3.Connection) -> Any:
    """Return the stored requests, None where there are none, UNREADABLE where they cannot be read."""
    rows = connection.execute("SELECT value FROM setting WHERE name = 'asks'").fetchall()
    try:
        found = parsed(rows[0][0]) if rows else None
    except UnknownRecord:
        return UNREADABLE
    readable = found is None or (isinstance(found, list) and all(isinstance(ask, dict) for ask in found))
    return found if readable and not (rows and found is None) else UNREADABLE


def _figures(attributes: dict[str, Any]) -> dict[str, Any] | None:
    """Return duration and energy of the last session, None where they are not known."""
    duration_s, energy_mwh = attributes[DURATION], attributes[ENERGY]
    if not isinstance(duration_s, int) or not isinstance(energy_mwh, int):
        return None
    return {"duration_s": duration_s, "energy_mwh": energy_mwh}


def _attribute(connection: sqlite3.Connection, name: str) -> Any:
    """Return a stored attribute, which is a structure with the value as its field 0."""
    rows = connection.execute("SELECT value FROM matter_values WHERE key = ?", (ATTRIBUTE + name,)).fetchall()
    if not rows:
        return MATTER_DEFAULTS.get(name)
    data = rows[0][0]
    if not isinstance(data, bytes) or len(data) < 4 or (data[0], data[2], data[-1]) != (0x15, 0, 0x18):
        return UNREADABLE
    if data[1] == 0x34 and len(data) == 4:
        return None
    size, signed = _INTEGERS.get(data[1], (0, False))
    return int.from_bytes(data[3:-1], "little", signed=signed) if len(data) == 4 + size else UNREADABLE


def _write(connection: sqlite3.Connection, table: str, key: str, name: str, value: str | bytes) -> None:
    connection.execute(f"INSERT OR REPLACE INTO {table} ({key}, value) VALUES (?, ?)", (name, value))  # noqa: S608
