"""Charging forbidden by what a database file holds, while no node has it open."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evse_pi.charging.settings import NOTHING_SET, SETTINGS, settings_of, settings_row
from evse_pi.charging.startup_state import FORBIDDEN, OWNER, owner_of, owner_row
from evse_pi.charging.stored_fields import UnknownRecord, parsed

if TYPE_CHECKING:
    from pathlib import Path

    from evse_pi.api.troubles import PermissionDoubt


def forbid_charging(database: Path, doubt: PermissionDoubt) -> None:
    """End the owner's and the controllers' permission in `database`; `doubt` tells why, until a person permits.

    All else stays, the owner's limit among it; what cannot be read permits nothing already. The file holds it all on
    return, and no log beside it. Raises: sqlite3.Error, and the file may then permit what it did.
    """
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("BEGIN IMMEDIATE")
        try:
            owner = owner_of(_stored(connection, OWNER))
        except UnknownRecord:
            owner = FORBIDDEN
        try:
            settings = settings_of(_stored(connection, SETTINGS))
        except UnknownRecord:
            settings = NOTHING_SET
        for row in (owner_row(replace(owner, permitted=False), doubt), settings_row(settings.disabled())):
            connection.execute("INSERT OR REPLACE INTO setting (name, value) VALUES (:name, :value)", row.values)
        connection.execute("COMMIT")


def _stored(connection: sqlite3.Connection, name: str) -> Any:
    """Return a setting as it is stored. Raises: UnknownRecord where it is absent or no JSON."""
    found = connection.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
    if found is None:
        raise UnknownRecord(f"{name}: missing")
    return parsed(found[0])
