from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from evse_pi.charging.history_rows import setting_row
from evse_pi.storage.writer_thread import WriterThread

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_damaged_database_is_a_warning_and_the_node_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "evse.db"
    path.write_bytes(b"nonsense" * 1000)
    storage = WriterThread()
    assert storage.warnings == ["the storage has not answered yet"]
    store = await storage.open(path)
    assert "was damaged" in storage.warnings[0]
    assert await storage.write([setting_row("a", 1)])
    assert store.setting("a") == 1
    await storage.close()


async def test_a_folder_that_cannot_be_written_is_a_warning_until_it_can(tmp_path: Path) -> None:
    folder = tmp_path / "card"
    storage = WriterThread()
    await storage.open(folder / "evse.db")
    assert not await storage.write([setting_row("a", 1)])
    assert storage.troubled
    assert "cannot be stored" in storage.warnings[0]
    folder.mkdir()
    assert await storage.write([])
    assert storage.warnings == []
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
