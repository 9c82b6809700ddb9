from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.api.texts.trouble_texts import storage_trouble
from evse_pi.api.troubles import DoubtKind, PermissionDoubt
from evse_pi.charging.history_rows import Row, setting_row
from evse_pi.charging.settings import NOTHING_SET, settings_row
from evse_pi.charging.startup_state import OWNER
from evse_pi.storage.database import Store
from evse_pi.storage.identity import IDENTITY_FILE, IdentityFile
from evse_pi.storage.writer_thread import WriterThread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

UNIX_S = 1_800_000_000
STOPPED = {"permitted": False, "limit_ma": None}


def told(storage: WriterThread) -> list[str]:
    return [storage_trouble(each) for each in storage.troubles]


async def test_a_damaged_database_is_a_warning_and_the_node_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "evse.db"
    path.write_bytes(b"nonsense" * 1000)
    storage = WriterThread()
    assert told(storage) == ["the storage has not answered yet"]
    store = await storage.open(path)
    assert "was damaged" in told(storage)[0]
    assert await storage.write([setting_row("a", 1)])
    assert store.setting("a") == 1
    await storage.close()


async def test_a_folder_that_cannot_be_written_is_a_warning_until_it_can(tmp_path: Path) -> None:
    folder = tmp_path / "card"
    storage = WriterThread()
    await storage.open(folder / "evse.db")
    assert not await storage.write([setting_row("a", 1)])
    assert storage.troubled
    assert "cannot be stored" in told(storage)[0]
    folder.mkdir()
    assert await storage.write([])
    assert told(storage) == []
    await storage.close()


async def test_a_card_that_hangs_holds_up_neither_the_loop_nor_the_end(tmp_path: Path) -> None:
    storage, let_go = WriterThread(), threading.Event()
    await storage.open(tmp_path / "evse.db")
    stuck = asyncio.create_task(storage.call(let_go.wait))
    await asyncio.sleep(0)
    await storage.close(patience_s=0.05)
    assert not stuck.done()
    let_go.set()
    assert await stuck


# A card that hangs.


class Hung:
    """A storage whose thread is busy until `let_go` is set."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.let_go = threading.Event()
        self.storage = WriterThread()


@pytest.fixture
async def hung(tmp_path: Path) -> AsyncIterator[Hung]:
    made = Hung(tmp_path / "evse.db")
    await made.storage.open(made.path)
    stuck = asyncio.create_task(made.storage.call(made.let_go.wait))
    yield made
    made.let_go.set()
    await stuck
    await made.storage.close()


@pytest.mark.hazard("H-18")
async def test_what_waits_for_a_card_that_hangs_is_not_called_stored_and_is_stored_once_it_answers(hung: Hung) -> None:
    storage = hung.storage
    values = asyncio.create_task(storage.key_values())
    number = storage.put([setting_row("a", 1)])
    assert "the disk has not answered" in (await storage.written(number, within_s=0.01) or "")
    later = storage.put([setting_row("a", 2)])
    hung.let_go.set()
    assert await storage.written(number) is None
    assert await storage.written(later) is None
    assert Store(hung.path).setting("a") == 2
    assert (await values).keys() == []


@pytest.mark.hazard("H-18")
async def test_a_value_of_matter_is_in_force_at_once_and_settled_when_it_is_on_the_card(tmp_path: Path) -> None:
    storage, let_go = WriterThread(), threading.Event()
    await storage.open(tmp_path / "evse.db")
    values = await storage.key_values()
    stuck = asyncio.create_task(storage.call(let_go.wait))
    await asyncio.sleep(0)
    with values.transaction() as changes:
        changes.put("fabric/1/record", b"one")
        changes.put("state/x", b"two")
        changes.delete("nothing")
    assert values.get("state/x") == b"two"
    assert values.keys("fabric/") == ["fabric/1/record"]
    before = values.revision
    assert storage.put() == values.revision == before + 1, "a transaction is one number, and every later row counts"
    let_go.set()
    assert await values.settled(values.revision)
    assert Store(tmp_path / "evse.db").key_values() == {"fabric/1/record": b"one", "state/x": b"two"}
    before = values.revision
    with values.transaction() as changes:
        changes.put("state/x", b"two")
    assert values.revision == before, "the same again costs no write"
    with pytest.raises(TypeError), values.transaction() as changes:
        changes.put("state/x", None)  # type: ignore[arg-type]
    assert values.get("state/x") == b"two"
    await stuck
    await storage.close()


async def test_history_that_waits_for_a_hung_card_is_bounded_and_settings_are_not_given_up(hung: Hung) -> None:
    from evse_pi.storage.database import MAX_WAITING_ROWS
    from tests.unit.storage.test_database import fault, fault_row

    hung.storage.put([setting_row("first", 1)])
    for number in range(1, MAX_WAITING_ROWS + 500):
        hung.storage.put([fault_row(fault(number))])
    assert len(hung.storage._pending) <= MAX_WAITING_ROWS
    hung.let_go.set()
    assert await hung.storage.written() is None
    assert any("given up" in warning for warning in told(hung.storage))
    assert Store(hung.path).setting("first") == 1


# What outlives the database.


async def started(folder: Path) -> tuple[bool, Any]:
    """Start on a folder, and return whether the owner permits and what is in doubt."""
    storage = WriterThread()
    await storage.open(folder / "evse.db")
    memory = await storage.recall(UNIX_S)
    await storage.close()
    return memory.owner.permitted, memory.doubt


def lose(folder: Path, how: str) -> None:
    path = folder / "evse.db"
    if how == "deleted":
        for each in folder.glob("evse.db*"):
            each.unlink()
    elif how == "damaged":
        path.write_bytes(b"nonsense" * 1000)
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "owner's row gone":
        with Store(path)._connection as connection:  # type: ignore[union-attr]
            connection.execute("DELETE FROM setting")


@pytest.mark.hazard("H-18")
@pytest.mark.parametrize("how", ["deleted", "damaged", "empty", "owner's row gone"])
async def test_after_a_loss_nothing_is_permitted_until_a_person_permits(tmp_path: Path, how: str) -> None:
    assert await started(tmp_path) == (True, None), "a new box is plug and charge"
    assert await started(tmp_path) == (True, None)
    lose(tmp_path, how)
    permitted, doubt = await started(tmp_path)
    assert (permitted, doubt) == (False, PermissionDoubt(DoubtKind.LOST))
    assert await started(tmp_path) == (permitted, doubt), "another start permits nothing, and tells why"
    store = Store(tmp_path / "evse.db")
    store.write([setting_row(OWNER, {"permitted": True, "limit_ma": None})])
    store.close()
    assert await started(tmp_path) == (True, None)


@pytest.mark.hazard("H-18")
@pytest.mark.parametrize("torn", [True, False], ids=["torn", "gone"])
async def test_what_a_controller_permits_after_a_loss_outlives_the_next_start(tmp_path: Path, torn: bool) -> None:
    await started(tmp_path)
    store = Store(tmp_path / "evse.db")
    store.write([settings_row(NOTHING_SET.enabled())])
    with store._connection as connection:  # type: ignore[union-attr]
        change = "UPDATE setting SET value = '{'" if torn else "DELETE FROM setting"
        connection.execute(f"{change} WHERE name = 'owner'")
    store.close()
    storage = WriterThread()
    await storage.open(tmp_path / "evse.db")
    lost = await storage.recall(UNIX_S)
    assert not lost.settings.charging(None)
    assert await storage.write([settings_row(lost.settings.enabled())])
    await storage.close()
    storage = WriterThread()
    await storage.open(tmp_path / "evse.db")
    memory = await storage.recall(UNIX_S)
    await storage.close()
    assert memory.settings.charging(None)
    assert (memory.owner.permitted, memory.doubt) == (False, lost.doubt)


async def test_a_database_of_the_first_release_that_is_damaged_forbids_though_there_is_no_other_file(
    tmp_path: Path,
) -> None:
    lose(tmp_path, "damaged")
    assert await started(tmp_path) == (False, PermissionDoubt(DoubtKind.LOST))


async def test_a_start_after_a_loss_that_could_not_be_written_down_is_no_first_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose(tmp_path, "damaged")
    with monkeypatch.context() as full_disk:
        full_disk.setattr(Store, "write", lambda *_: False)
        assert not (await started(tmp_path))[0]
    (tmp_path / "evse.db").unlink(missing_ok=True)
    assert not (await started(tmp_path))[0]


async def test_an_identity_that_cannot_be_read_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / IDENTITY_FILE
    IdentityFile(path).update({"setup": b"label"})
    with monkeypatch.context() as disk:
        disk.setattr(type(path), "read_bytes", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        with pytest.raises(OSError, match="cannot be read, and is not written over"):
            IdentityFile(path).update({})
    assert IdentityFile(path).values() == {"setup": b"label"}


async def test_a_box_of_the_first_release_whose_owner_never_said_anything_stays_plug_and_charge(tmp_path: Path) -> None:
    Store(tmp_path / "evse.db").close()
    assert await started(tmp_path) == (True, None)
    assert Store(tmp_path / "evse.db").setting(OWNER) == {"permitted": True, "limit_ma": None}


async def test_what_is_printed_on_the_box_outlives_its_database_and_the_other_way_round(tmp_path: Path) -> None:
    async def values() -> tuple[bytes | None, bytes | None]:
        storage = WriterThread()
        await storage.open(tmp_path / "evse.db")
        found = await storage.key_values()
        told = found.get("setup"), found.get("state/1")
        await storage.write()
        await storage.close()
        return told

    storage = WriterThread()
    await storage.open(tmp_path / "evse.db")
    kept = await storage.key_values()
    with kept.transaction() as changes:
        changes.put("setup", b"label")
        changes.put("state/1", b"state")
    assert await kept.settled(kept.revision)
    await storage.close()
    lose(tmp_path, "damaged")
    assert await values() == (b"label", None)
    (tmp_path / IDENTITY_FILE).unlink()
    assert await values() == (b"label", None), "the new database has it again"
    for damage in (b"", b"{", b'{"version": 1, "values": {"setup": "00"}, "sha256": "no"}', b"\xff" * 99):
        (tmp_path / IDENTITY_FILE).write_bytes(damage)
        assert await values() == (b"label", None)
        assert json.loads((tmp_path / IDENTITY_FILE).read_text())["values"] == {"setup": b"label".hex()}


def test_only_its_owner_may_read_the_identity_and_a_torn_write_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / IDENTITY_FILE
    IdentityFile(path).update({"setup": b"label"})
    assert path.stat().st_mode & 0o777 == 0o600
    path.with_name(IDENTITY_FILE + ".new").write_bytes(b"torn")
    assert IdentityFile(path).values() == {"setup": b"label"}
    IdentityFile(path).update({"test-attestation/1": b"key"})
    assert IdentityFile(path).values() == {"setup": b"label", "test-attestation/1": b"key"}


async def test_a_row_that_cannot_be_stored_is_told_to_its_caller_alone(tmp_path: Path) -> None:
    storage = WriterThread()
    store = await storage.open(tmp_path / "evse.db")
    first = storage.put([setting_row("first", 1)])
    poisoned = storage.put([Row("session", {"number": 1 << 64}), setting_row("beside", 2)])
    last = storage.put([setting_row("last", 3)])
    assert await storage.written(first) is None
    assert "cannot be stored" in str(await storage.written(poisoned))
    assert await storage.written(last) is None
    assert await storage.write([setting_row("later", 4)])
    assert "cannot be stored" in str(await storage.written(poisoned))
    assert [store.setting(name) for name in ("first", "beside", "last", "later")] == [1, 2, 3, 4]
    assert told(storage) == ["1 entries could not be stored and were given up: see the log"]
    await storage.close()
