from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from evse_pi.matter.storage import KeyValueStore, MemoryStore, SqliteStore, delete_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyValueStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    sqlite_store = SqliteStore(tmp_path / "evse.db")
    yield sqlite_store
    sqlite_store.close()


def test_unknown_key_is_none(store: KeyValueStore) -> None:
    assert store.get("nothing") is None


def test_transaction_puts_and_deletes_together(store: KeyValueStore) -> None:
    with store.transaction() as transaction:
        transaction.put("a", b"1")
        transaction.put("b", b"2")
    with store.transaction() as transaction:
        transaction.delete("a")
        transaction.put("c", b"\x00\xff")
    assert store.get("a") is None
    assert store.get("b") == b"2"
    assert store.get("c") == b"\x00\xff"


def test_the_last_change_of_a_key_in_a_transaction_wins(store: KeyValueStore) -> None:
    with store.transaction() as transaction:
        transaction.put("a", b"1")
        transaction.delete("a")
        transaction.put("b", b"1")
        transaction.delete("b")
        transaction.put("b", b"2")
    assert store.get("a") is None
    assert store.get("b") == b"2"


def test_an_exception_discards_the_whole_transaction(store: KeyValueStore) -> None:
    def spoil() -> None:
        with store.transaction() as transaction:
            transaction.put("a", b"1")
            raise ValueError("power cut")

    with pytest.raises(ValueError, match="power cut"):
        spoil()
    assert store.get("a") is None


def test_changes_are_not_visible_before_the_end_of_the_transaction(store: KeyValueStore) -> None:
    with store.transaction() as transaction:
        transaction.put("a", b"1")
        assert store.get("a") is None


def test_prefix_is_taken_literally(store: KeyValueStore) -> None:
    with store.transaction() as transaction:
        for key in ("fabric/1/record", "fabric/10/record", "fabric/1/acl", "fabric%1", "label"):
            transaction.put(key, b"")
    assert store.keys("fabric/1/") == ["fabric/1/acl", "fabric/1/record"]
    assert store.keys("fabric%") == ["fabric%1"]
    with store.transaction() as transaction:
        delete_prefix(store, transaction, "fabric/1/")
    assert store.keys() == ["fabric%1", "fabric/10/record", "label"]


def test_sqlite_store_survives_kill_right_after_a_transaction(tmp_path: Path) -> None:
    path = tmp_path / "evse.db"
    program = textwrap.dedent("""
        import os, pathlib, signal, sys
        from evse_pi.matter.storage import SqliteStore
        store = SqliteStore(pathlib.Path(sys.argv[1]))
        with store.transaction() as transaction:
            transaction.put("committed", b"1")
        with store.transaction() as transaction:
            transaction.put("half", b"1")
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    ended = subprocess.run([sys.executable, "-c", program, os.fspath(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    store = SqliteStore(path)
    assert store.keys() == ["committed"]
    store.close()


def test_sqlite_file_is_private_to_its_owner(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "evse.db")
    store.close()
    assert stat.S_IMODE((tmp_path / "evse.db").stat().st_mode) == 0o600


def test_sqlite_syncs_every_commit(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "evse.db")
    SqliteStore(tmp_path / "evse.db").close()
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_sqlite_store_lives_beside_other_tables_of_a_shared_connection(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "evse.db")
    connection.execute("CREATE TABLE sessions (id INTEGER)")
    store = SqliteStore(connection, table_prefix="node_")
    with store.transaction() as transaction:
        transaction.put("a", b"1")
    store.close()
    assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (0,)
    assert connection.execute("SELECT key FROM node_values").fetchone() == ("a",)
    connection.close()


def test_a_table_prefix_that_is_no_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="table_prefix"):
        SqliteStore(tmp_path / "evse.db", table_prefix="x; DROP TABLE y")
