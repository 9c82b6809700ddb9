"""The tables of the node's database, as the steps that lead to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from evse_pi.storage.plan_migration import move_mode_and_plan
from evse_pi.storage.settings_migration import merge_copies

if TYPE_CHECKING:
    import sqlite3

Step = str | Callable[["sqlite3.Connection"], None]

MIGRATIONS: tuple[Step, ...] = (
    """
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
        high_mv INTEGER NOT NULL, low_mv INTEGER NOT NULL, current_ma INTEGER
    ) STRICT;
    CREATE TABLE transition (
        number INTEGER PRIMARY KEY,
        at_ns INTEGER NOT NULL, unix_s INTEGER, machine_boot TEXT NOT NULL,
        evse_state TEXT NOT NULL, contactor_closed INTEGER NOT NULL, offered_ma INTEGER NOT NULL,
        faults TEXT NOT NULL, reason TEXT NOT NULL
    ) STRICT;
    """,
    "ALTER TABLE fault ADD COLUMN readings TEXT;",
    # Before, Matter's own connection made this table.
    "CREATE TABLE IF NOT EXISTS matter_values (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;",
    merge_copies,
    move_mode_and_plan,
)
"""Step n leads from version n to n + 1. A step that was ever released is never changed, only followed by another."""

KEPT_ROWS = {"session": 10_000, "fault": 1_000, "transition": 5_000}
"""How many rows of history stay; ten sessions a day for the twelve months that a regulator may ask for fit."""
