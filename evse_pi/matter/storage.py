"""Where a node keeps what must survive a power cut: named octet strings, written atomically.

Layout of the keys: everything that belongs to one fabric stands under `fabric/<index>/`, so that removing the fabric
is one transaction, and so that a fabric without its record (a commissioning that was cut off) is found at start.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

log = logging.getLogger(__name__)

SQLITE_BUSY_TIMEOUT_MS = 5000  # another writer of the shared file holds it for one transaction, milliseconds


class DamagedRecord(ValueError):  # noqa: N818 (what was found, not what went wrong)
    """A stored value is not what this software wrote; the message names its key."""


@contextmanager
def decoding(key: str) -> Iterator[None]:
    """Decode the value of `key` inside.

    Raises: DamagedRecord in place of whatever the decoder stumbles over.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise DamagedRecord(f"stored value of {key!r} is damaged: {error!r}") from error


class StoreTransaction(Protocol):
    """Changes that become durable together or not at all."""

    def put(self, key: str, value: bytes) -> None:
        """Set `key` to `value`."""

    def delete(self, key: str) -> None:
        """Forget `key`; an unknown key is fine."""


class KeyValueStore(Protocol):
    """A durable map from names to octets."""

    def get(self, key: str) -> bytes | None:
        """Return the value of `key`, or None."""

    def keys(self, prefix: str = "") -> list[str]:
        """Return all keys that start with `prefix`, sorted."""

    def transaction(self) -> AbstractContextManager[StoreTransaction]:
        """Collect changes and put them in force at the end of the block; an exception in it discards them.

        Raises: OSError or sqlite3.Error where the store knows at once that they cannot be kept.
        """

    @property
    def revision(self) -> int:
        """Return a number that has grown whenever changes are on their way to the disk."""

    async def settled(self, revision: int) -> bool:
        """Return whether everything up to `revision` will survive a power cut; wait for a bounded time."""


class Changes:
    """The changes of one transaction, in the order they were made; None means deleted."""

    def __init__(self) -> None:
        self.values: dict[str, bytes | None] = {}

    def put(self, key: str, value: bytes) -> None:
        """Set `key` to `value`."""
        self.values[key] = bytes(value)

    def delete(self, key: str) -> None:
        """Forget `key`."""
        self.values[key] = None


def delete_prefix(store: KeyValueStore, transaction: StoreTransaction, prefix: str) -> None:
    """Delete every key of `store` that starts with `prefix`, as part of `transaction`."""
    for key in store.keys(prefix):
        transaction.delete(key)


def holds_fabric(keys: Iterable[str]) -> bool:
    """Return whether a node with these keys belongs to a fabric; one without a record was never completed."""
    return any(key.startswith("fabric/") and key.endswith("/record") for key in keys)


class SettledStore:
    """The base of stores whose changes are as durable as they ever get when their transaction ends."""

    revision = 0

    async def settled(self, revision: int) -> bool:  # noqa: ARG002 (nothing is ever on its way)
        """Return that everything is durable."""
        return True


class MemoryStore(SettledStore):
    """A store that lasts as long as the process: for tests and for nodes that need not survive."""

    def __init__(self, values: dict[str, bytes] | None = None) -> None:
        self._values = dict(values or {})

    def get(self, key: str) -> bytes | None:
        """Return the value of `key`, or None."""
        return self._values.get(key)

    def keys(self, prefix: str = "") -> list[str]:
        """Return all keys that start with `prefix`, sorted."""
        return sorted(key for key in self._values if key.startswith(prefix))

    @contextmanager
    def transaction(self) -> Iterator[StoreTransaction]:
        """Apply the changes of the block together at its end."""
        changes = Changes()
        yield changes
        for key, value in changes.values.items():
            if value is None:
                self._values.pop(key, None)
            else:
                self._values[key] = value


class SqliteStore(SettledStore):
    """A store in one table of an SQLite file, for a node without a charger; a box has `evse_pi.storage`.

    A transaction is on the disk when its block ends: write-ahead log with `synchronous=FULL`, so that the log is
    synced at every commit.
    """

    def __init__(self, database: Path | sqlite3.Connection, *, table_prefix: str = "matter_") -> None:
        if not table_prefix.replace("_", "a").isalnum() or not table_prefix.isascii():
            raise ValueError(f"table_prefix={table_prefix!r} must consist of letters, digits and underscores")
        self._table = f"{table_prefix}values"
        self._owned = not isinstance(database, sqlite3.Connection)
        if isinstance(database, sqlite3.Connection):
            self._connection = database
        else:
            self._connection = _open(database)
            self._connection.text_factory = _text
        self._connection.execute(
            f"CREATE TABLE IF NOT EXISTS {self._table} (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
        )
        self._connection.commit()

    def get(self, key: str) -> bytes | None:
        """Return the value of `key`, or None."""
        row = self._connection.execute(f"SELECT value FROM {self._table} WHERE key = ?", (key,)).fetchone()  # noqa: S608
        if row is None or isinstance(row[0], bytes):
            return None if row is None else row[0]
        log.warning("stored value is left out, it consists of no octets key=%s", key)
        return None

    def keys(self, prefix: str = "") -> list[str]:
        """Return all keys that start with `prefix`, sorted."""
        rows = self._connection.execute(
            f"SELECT key FROM {self._table} WHERE substr(key, 1, ?) = ? ORDER BY key",  # noqa: S608
            (len(prefix), prefix),
        )
        return [key for (key,) in rows if isinstance(key, str)]

    @contextmanager
    def transaction(self) -> Iterator[StoreTransaction]:
        """Write the changes of the block in one SQLite transaction at its end."""
        changes = Changes()
        yield changes
        put = [(key, value) for key, value in changes.values.items() if value is not None]
        deleted = [(key,) for key, value in changes.values.items() if value is None]
        if not put and not deleted:
            return
        with self._connection:
            self._connection.executemany(f"INSERT OR REPLACE INTO {self._table} VALUES (?, ?)", put)  # noqa: S608
            self._connection.executemany(f"DELETE FROM {self._table} WHERE key = ?", deleted)  # noqa: S608

    def close(self) -> None:
        """Close the file if this store opened it."""
        if self._owned:
            self._connection.close()


def _text(stored: bytes) -> str:
    return stored.decode(errors="replace")


def _open(path: Path) -> sqlite3.Connection:
    """Open `path`, readable by its owner only because it holds private keys."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection
