"""What must survive a power cut, in one SQLite file.

A write that returns True is durable. When the disk is full or broken nothing is lost but durability: reads go on,
writes wait in memory, `trouble` says why, and they are written once the disk takes them again.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from evse_pi.charging.history_rows import DATED, VALUES, Row, fault_of, redated, session_of, transition_of
from evse_pi.charging.stored_fields import HIGHEST_NUMBER, UnknownRecord, parsed
from evse_pi.storage.schema import KEPT_ROWS, MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from evse_pi.charging.history_rows import FaultRecord, TransitionRecord, Value
    from evse_pi.charging.session import SavedSession
    from evse_pi.storage.schema import Step

log = logging.getLogger(__name__)

T = TypeVar("T")

BUSY_TIMEOUT_S = 5.0  # another connection to the file holds it for one transaction
CHECKPOINT_PAGES = 256  # the log goes back into the file after 1 MiB
MAX_WAITING_ROWS = 2_000  # a day without a disk; the oldest history is given up first
TRIM_EVERY = 64
PAGE_OF_ROWS = 200
DAMAGED = b""  # no reader of a value takes this for one

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_UNBINDABLE = (OverflowError, ValueError, TypeError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
"""What a value raises that no column can hold: an integer above 64 bit, half a surrogate pair, another type."""
_REFUSED_ROW = (sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE)
"""What the library says of one row, and not of the file. Source: sqlite.org/rescode.html."""


class Store:
    """The database file, used by one thread at a time.

    The constructor never fails: a file that cannot be opened is tried again with each write, and a damaged one is set
    aside as `damaged`.
    """

    def __init__(self, path: Path, migrations: Sequence[Step] = MIGRATIONS) -> None:
        self.trouble: str | None = None
        self.damaged: Path | None = None
        self.dropped = 0
        self.refused: dict[tuple[str, Value], str] = {}
        """Why rows of the last write can never be stored, by table and key; they wait no longer."""
        self.refusals = 0
        self.skipped: set[tuple[str, Value]] = set()
        """The rows that this version cannot read, by table and key."""
        self._path = path
        self._migrations = migrations
        self._waiting: dict[tuple[str, Value], Row] = {}
        self._connection: sqlite3.Connection | None = None
        with suppress(sqlite3.Error, OSError):
            self._connected()

    @property
    def was_damaged(self) -> bool:
        """Whether a damaged file was ever set aside here, by this start or one before."""
        return _aside(self._path, 1).exists()

    def set_aside(self) -> list[tuple[str, os.stat_result]]:
        """Return the damaged files that were ever set aside here, the newest last."""
        found, number = [], 1
        with suppress(OSError):
            while True:
                aside = _aside(self._path, number)
                found.append((aside.name, aside.stat()))
                number += 1
        return found

    def write(self, rows: Iterable[Row] = ()) -> bool:
        """Write `rows` and all that waits in one transaction; return whether they are durable now.

        Rows that are not stay visible to every read, and wait; one that no column can hold is `refused` and keeps no
        other from being written. Without rows it tries again what waits.
        """
        self.refused = {}
        for row in rows:
            self._waiting.pop(row.key, None)
            self._waiting[row.key] = row
        try:
            if self._waiting or self._connection is None:
                self._commit(self._connected(), list(self._waiting.values()))
        except (sqlite3.Error, OSError) as error:
            self._fail(error)
            return False
        self._waiting.clear()
        self.trouble = None
        return not self.refused

    def setting(self, name: str, default: Any = None) -> Any:
        """Return a setting, or `default` where it was never stored or cannot be read."""
        return self.read_setting(name, lambda value: value, absent=default, unreadable=default)

    def read_setting(self, name: str, read: Callable[[Any], T], *, absent: T, unreadable: T) -> T:
        """Return what `read` makes of a setting: `absent` where it was never stored.

        It is `unreadable` where the file cannot be read, the setting is no JSON, or `read` raises UnknownRecord.
        """
        waiting = self._waiting.get(("setting", name))
        try:
            if waiting is not None:
                return read(parsed(str(waiting.values["value"])))
            rows = self._select("SELECT value FROM setting WHERE name = ?", (name,))
            if rows is None:
                return unreadable
            return read(parsed(rows[0]["value"])) if rows else absent
        except UnknownRecord as error:
            self._skip(("setting", name), error)
            return unreadable

    def sessions(self, limit: int = PAGE_OF_ROWS, before: int | None = None) -> list[SavedSession]:
        """Return the sessions with a number below `before`, the newest first; unreadable ones are left out."""
        return self._page("session", session_of, limit, before)

    def faults(self, limit: int = PAGE_OF_ROWS, before: int | None = None) -> list[FaultRecord]:
        """Return the faults with a number below `before`, the newest first; unreadable ones are left out."""
        return self._page("fault", fault_of, limit, before)

    def transitions(self, limit: int = PAGE_OF_ROWS, before: int | None = None) -> list[TransitionRecord]:
        """Return the transitions with a number below `before`, the newest first; unreadable ones are left out."""
        return self._page("transition", transition_of, limit, before)

    def key_values(self) -> dict[str, bytes]:
        """Return Matter's values by name; one of another type is there, and DAMAGED.

        Raises: sqlite3.Error, OSError while the file cannot be read.
        """
        values: dict[str, bytes] = {}
        for key, value in self._connected().execute(f"SELECT key, value FROM {VALUES}"):  # noqa: S608 (our own name)
            values[str(key)] = value if isinstance(value, bytes) else DAMAGED
            if values[str(key)] is DAMAGED:
                self._skip((VALUES, str(key)), UnknownRecord("it consists of no octets"))
        return values

    def redate(self, kernel_boot_id: str, epoch_s: int) -> bool:
        """Correct the dates of everything of this boot, see `redated`; return whether that is durable now."""
        rows = [Row(table, each) for table in DATED for each in self._newest(table, KEPT_ROWS[table], None)]
        ours = [row for row in rows if row.values["machine_boot"] == kernel_boot_id]
        return self.write(right for row in ours if (right := redated(row, epoch_s)) != row)

    def next_number(self, table: str, unknown: int) -> int:
        """Return a number that no row of `table` has: one more than the highest, `unknown` while there is no file."""
        newest = self._newest(table, 1, None)
        return int(newest[0]["number"]) + 1 if newest else 1 if self._connection else unknown

    def close(self) -> None:
        """Write what waits if the disk lets it, and close the file."""
        self.write()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _fail(self, error: Exception) -> None:
        self.trouble = f"{self._path}: {error}"
        history = [key for key in self._waiting if key[0] in ("fault", "transition")]
        for key in history[: max(len(self._waiting) - MAX_WAITING_ROWS, 0)]:
            del self._waiting[key]
            self.dropped += 1

    def _select(self, query: str, parameters: tuple[Value, ...]) -> list[Mapping[str, Any]] | None:
        """Return the rows, None while the file cannot be read."""
        try:
            return list(self._connected().execute(query, parameters))
        except (sqlite3.Error, OSError) as error:
            self.trouble = f"{self._path}: {error}"
            return None

    def _page(self, table: str, read: Callable[[Mapping[str, Any]], T], limit: int, before: int | None) -> list[T]:
        """Return the newest rows that can be read, as what they stand for."""
        found: list[T] = []
        while len(found) < limit and (rows := self._newest(table, limit - len(found), before)):
            for row in rows:
                try:
                    found.append(read(row))
                except UnknownRecord as error:
                    self._skip((table, row["number"]), error)
            before = rows[-1]["number"]
        return found

    def _skip(self, key: tuple[str, Value], error: UnknownRecord) -> None:
        if key not in self.skipped:
            self.skipped.add(key)
            log.warning("stored row cannot be read and is skipped table=%s key=%s: %s", *key, error)

    def _newest(self, table: str, limit: int, before: int | None) -> list[Mapping[str, Any]]:
        before = HIGHEST_NUMBER if before is None else min(before, HIGHEST_NUMBER)
        query = f"SELECT * FROM {table} WHERE number < ? ORDER BY number DESC LIMIT ?"  # noqa: S608 (our own names)
        rows = {row["number"]: row for row in self._select(query, (before, limit)) or ()}
        # With what the disk has not taken yet: a reader must find what has happened, whether or not the card is full.
        for row in self._waiting.values():
            number = row.values.get("number")
            if row.table == table and isinstance(number, int) and number < before:
                rows[number] = row.values
        return [rows[number] for number in sorted(rows, reverse=True)[:limit]]

    def _commit(self, connection: sqlite3.Connection, rows: list[Row]) -> None:
        """Write `rows` in one transaction, without those that no column can hold. Raises: sqlite3.Error."""
        refused: list[tuple[Row, Exception]] = []
        connection.execute("BEGIN IMMEDIATE")
        try:
            for row in rows:
                try:
                    _write_row(connection, row)
                except (sqlite3.Error, *_UNBINDABLE) as error:
                    if not _is_of_the_row(error):
                        raise
                    refused.append((row, error))
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        for row, reason in refused:
            self._refuse(row, reason)

    def _refuse(self, row: Row, error: Exception) -> None:
        self.refused[row.key] = f"{row.table} {row.key[1]!r:.60} cannot be stored: {error}"
        self.refusals += 1
        log.error("row cannot be stored and is given up table=%s key=%.60r: %s", *row.key, error)

    def _connected(self) -> sqlite3.Connection:
        """Return the open database. Raises: sqlite3.Error, OSError while it cannot be opened, and `trouble` says so."""
        if self._connection is None:
            try:
                self._connection = self._open_or_set_aside()
            except (sqlite3.Error, OSError) as error:
                self.trouble = f"{self._path}: {error}"
                raise
        return self._connection

    def _open_or_set_aside(self) -> sqlite3.Connection:
        try:
            return _open(self._path, self._migrations)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGE:
                raise
        self.damaged = _set_aside(self._path)
        return _open(self._path, self._migrations)


def _write_row(connection: sqlite3.Connection, row: Row) -> None:
    if row.deletes:
        column, key = next(iter(row.values.items()))
        connection.execute(f"DELETE FROM {row.table} WHERE {column} = ?", (key,))  # noqa: S608 (our own names)
        return
    columns, marks = ", ".join(row.values), ", ".join("?" * len(row.values))
    statement = f"INSERT OR REPLACE INTO {row.table} ({columns}) VALUES ({marks})"  # noqa: S608 (our own names)
    connection.execute(statement, tuple(row.values.values()))
    number = row.values.get("number")
    if isinstance(number, int) and number % TRIM_EVERY == 0:
        _trim(connection, row.table)


def _is_of_the_row(error: Exception) -> bool:
    """Return whether `error` says that this row can never be stored, and nothing of the file."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, _UNBINDABLE) if code is None else code & 0xFF in _REFUSED_ROW


def _open(path: Path, migrations: Sequence[Step]) -> sqlite3.Connection:
    """Open `path`, readable by its owner only because others keep keys in it, and bring it to the newest version."""
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        _sync_folder(path.parent)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.row_factory = sqlite3.Row
        connection.text_factory = _text
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {CHECKPOINT_PAGES * 4096}")
        _check(connection)
        _migrate(connection, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def _text(stored: bytes) -> str:
    """Return a stored text; octets that are none are shown as such, and no reader takes them for a name."""
    return stored.decode(errors="replace")


def _check(connection: sqlite3.Connection) -> None:
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        error = sqlite3.DatabaseError(verdict)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _migrate(connection: sqlite3.Connection, migrations: Sequence[Step]) -> None:
    """Take the steps that are missing, each in one transaction with its version number."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(migrations):
        raise sqlite3.NotSupportedError(
            f"version {version} is of newer software; this one knows versions up to {len(migrations)}"
        )
    for number, step in enumerate(migrations[version:], version + 1):
        if isinstance(step, str):
            connection.executescript(f"BEGIN IMMEDIATE; {step} PRAGMA user_version = {number}; COMMIT;")
        else:
            _take_step(connection, step, number)


def _take_step(connection: sqlite3.Connection, step: Callable[[sqlite3.Connection], None], number: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        step(connection)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _trim(connection: sqlite3.Connection, table: str) -> None:
    """Delete what is too much: the oldest, of faults the oldest of the most frequent kinds."""
    if table == "fault":
        connection.execute(
            "DELETE FROM fault WHERE number IN (SELECT number FROM (SELECT number, "
            "row_number() OVER (PARTITION BY fault ORDER BY number DESC) AS of_kind FROM fault) "
            "ORDER BY of_kind, number DESC LIMIT -1 OFFSET ?)",
            (KEPT_ROWS[table],),
        )
        return
    connection.execute(
        f"DELETE FROM {table} WHERE number < "  # noqa: S608 (our own names)
        f"(SELECT min(number) FROM (SELECT number FROM {table} ORDER BY number DESC LIMIT ?))",
        (KEPT_ROWS[table],),
    )


def _aside(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.damaged-{number}")


def _set_aside(path: Path) -> Path:
    """Rename the damaged file and its log, and return the new name."""
    number = 1
    while (aside := _aside(path, number)).exists():
        number += 1
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
