"""The database on a thread of its own: a card that hangs holds up only the caller that waits for it.

The one writer: settings, history and Matter's values go through `put`, in their order. What waits while the card is
busy is one transaction later on, and of several versions of a row only the newest.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from evse_pi.api.texts import english as words
from evse_pi.api.troubles import StorageTrouble, StorageTroubleKind
from evse_pi.charging.history_rows import VALUES, value_row
from evse_pi.charging.settings import settings_row
from evse_pi.charging.startup_state import owner_row
from evse_pi.storage.database import MAX_WAITING_ROWS, Store
from evse_pi.storage.identity import IDENTITY_FILE, IdentityFile, is_identity
from evse_pi.storage.key_value import QueuedStore
from evse_pi.storage.recall import load_startup_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Executor
    from pathlib import Path

    from evse_pi.charging.history_rows import Row, Value
    from evse_pi.charging.startup_state import StartupState

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

STORED_WITHIN_S = 2.0
"""A healthy card syncs within 0.1 s, a slow one within 1 s; controllers wait some 5 s for an answer."""
TOLD_AFTER_S = 5.0  # people are told of a card that does not answer for longer
HISTORY = ("fault", "transition")
REMEMBERED_REFUSALS = 64  # those who wait ask within STORED_WITHIN_S


class WriterThread:
    """Calls the store one call after the other, off the event loop."""

    def __init__(self, thread: Executor | None = None) -> None:
        self._thread = thread or ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._store: Store | None = None
        self._identity: IdentityFile | None = None
        self._values: QueuedStore | None = None
        self._pending: dict[tuple[str, Value], Row] = {}
        self._numbers: dict[tuple[str, Value], int] = {}
        self._refused: dict[int, str] = {}
        self._number = 0
        self._tried = 0
        self._durable = 0
        self._news = asyncio.Event()
        self._busy_since_s: float | None = None
        self._draining: asyncio.Task[None] | None = None
        self._dropped = 0
        self._redating: tuple[str, int] | None = None

    async def open(self, path: Path) -> Store:
        """Open the store and return it; only `call` may use it."""
        self._identity = IdentityFile(path.with_name(IDENTITY_FILE))
        self._store = await self.call(Store, path)
        if self._store.damaged is not None:
            log.error("database was damaged and set aside file=%s", self._store.damaged)
        if self._store.trouble is not None:
            log.error("database cannot be used trouble=%s", self._store.trouble)
        return self._store

    async def recall(self, unix_s: int | None) -> StartupState:
        """Return what the database holds of earlier runs, see `evse_pi.storage.recall.load_startup_state`."""
        return await self.call(self._recall, unix_s)

    async def key_values(self) -> QueuedStore:
        """Return Matter's values. Raises: OSError while the database cannot be read."""
        if self._values is None:
            in_database, values = await self.call(self._read_values)
            self._values = QueuedStore(values, self)
            lost = [value_row(key, value) for key, value in values.items() if in_database.get(key) != value]
            if lost:
                self.put(lost)
        return self._values

    @property
    def troubles(self) -> list[StorageTrouble]:
        """What people must know of the storage."""
        store = self._store
        if store is None:
            return [StorageTrouble(StorageTroubleKind.NOT_ANSWERED_YET)]
        troubles = []
        if store.trouble is not None:
            troubles.append(StorageTrouble(StorageTroubleKind.REFUSES, detail=store.trouble))
        elif self._busy_s() >= TOLD_AFTER_S:
            troubles.append(StorageTrouble(StorageTroubleKind.HANGS, round(self._busy_s())))
        if store.damaged is not None:
            troubles.append(StorageTrouble(StorageTroubleKind.SET_ASIDE, detail=str(store.damaged)))
        if store.skipped:
            kinds = ", ".join(sorted({table for table, _ in store.skipped}))
            troubles.append(StorageTrouble(StorageTroubleKind.LEFT_OUT, len(store.skipped), kinds))
        if store.refusals:
            troubles.append(StorageTrouble(StorageTroubleKind.GIVEN_UP, store.refusals))
        dropped = store.dropped + self._dropped
        if dropped:
            troubles.append(StorageTrouble(StorageTroubleKind.HISTORY_GIVEN_UP, dropped))
        return troubles

    @property
    def troubled(self) -> bool:
        """Whether the disk refused the last write."""
        return self._store is not None and self._store.trouble is not None

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `function` returns, called on the store's thread."""
        return await asyncio.wrap_future(self._thread.submit(function, *args, **kwargs))

    # Writing.

    @property
    def number(self) -> int:
        """The number of the last `put`."""
        return self._number

    def put(self, rows: Iterable[Row] = ()) -> int:
        """Take rows to be written at once; return their number, which `written` asks for. It never waits."""
        self._number += 1
        for row in rows:
            self._pending.pop(row.key, None)
            self._pending[row.key] = row
            self._numbers[row.key] = self._number
        self._give_up_history()
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._drain(), name="storage")
        return self._number

    def redate(self, kernel_boot_id: str, epoch_s: int) -> None:
        """Correct the dates of the history of this boot, once all that waits is written."""
        self._redating = (kernel_boot_id, epoch_s)
        self.put()

    async def written(self, number: int | None = None, within_s: float = STORED_WITHIN_S) -> str | None:
        """Return why not all rows up to `number` (all until now) are durable, None when they are."""
        wanted = self._number if number is None else number
        try:
            async with asyncio.timeout(within_s):
                while self._tried < wanted:
                    await self._news.wait()
        except TimeoutError:
            return self._hangs()
        if wanted in self._refused:
            return self._refused[wanted]
        return None if self._durable >= wanted else self._trouble()

    async def write(self, rows: Iterable[Row] = ()) -> bool:
        """Write rows; return whether they and all before them are durable within bounded time."""
        return await self.written(self.put(rows)) is None

    async def _drain(self) -> None:
        """Write what is pending until nothing is. Trouble is logged when it begins and when it ends."""
        try:
            while self._tried < self._number:
                number, rows = self._number, list(self._pending.values())
                numbers, self._numbers = self._numbers, {}
                self._pending.clear()
                redating, self._redating = self._redating, None
                self._busy_since_s = asyncio.get_running_loop().time()
                before = self._store.trouble if self._store is not None else None
                durable, refused = await self.call(self._write, rows, redating)
                self._busy_since_s = None
                self._report(before, durable=durable)
                self._note_refused({numbers[key]: reason for key, reason in refused.items() if key in numbers})
                self._tried = number
                self._durable = number if durable else self._durable
                self._news.set()
                self._news = asyncio.Event()
        finally:
            self._draining = None

    def _note_refused(self, refused: Mapping[int, str]) -> None:
        self._refused.update(refused)
        for number in list(self._refused)[:-REMEMBERED_REFUSALS]:
            del self._refused[number]

    def _write(self, rows: list[Row], redating: tuple[str, int] | None) -> tuple[bool, Mapping[tuple[str, Value], str]]:
        """Write rows on the thread of the store, and of them what is printed on the box outside of it as well.

        Return whether all but the refused rows are durable, and why each of those can never be.
        """
        assert self._store is not None  # noqa: S101 (opened before anything is written)
        self._store.write(rows)
        refused = self._store.refused
        if redating is not None:
            self._store.redate(*redating)
        durable = self._store.trouble is None
        changed = {str(row.values["key"]): row.values["value"] for row in rows if row.table == VALUES}
        printed = {key: value for key, value in changed.items() if is_identity(key) and isinstance(value, bytes)}
        if printed:
            self._keep_identity(printed)
        return durable, refused

    def _report(self, before: str | None, *, durable: bool) -> None:
        trouble = self._store.trouble if self._store is not None else None
        if before is None and trouble is not None:
            log.warning("storage failed trouble=%s", trouble)
        if before is not None and durable:
            log.info("storage works again")

    def _give_up_history(self) -> None:
        """Drop the oldest history while a card that hangs takes none; settings and Matter's values are kept."""
        if len(self._pending) > MAX_WAITING_ROWS:
            history = [key for key in self._pending if key[0] in HISTORY]
            for key in history[: len(self._pending) - MAX_WAITING_ROWS]:
                del self._pending[key]
                self._dropped += 1

    def _trouble(self) -> str:
        if self._store is None:
            return words.STORAGE_TROUBLES[StorageTroubleKind.NOT_ANSWERED_YET]
        return self._store.trouble or words.STORED_ONLY_LATER

    def _busy_s(self) -> float:
        since_s = self._busy_since_s
        return 0.0 if since_s is None else asyncio.get_running_loop().time() - since_s

    def _hangs(self) -> str:
        return words.DISK_SILENT.format(seconds=round(self._busy_s()))

    def _recall(self, unix_s: int | None) -> StartupState:
        """Recall on the store's thread; from then on the database holds the owner's permission: the box is not new."""
        assert self._store is not None  # noqa: S101 (opened before anything is read)
        assert self._identity is not None  # noqa: S101 (made with the store)
        try:
            first_start = not self._store.was_damaged and not self._identity.exists
        except OSError:
            first_start = False
        memory = load_startup_state(self._store, unix_s, first_start=first_start)
        known = [owner_row(memory.owner, memory.doubt)]
        if (
            memory.doubt is not None
        ):  # what it forbids is kept with it, so that a permission given later outlives a start
            known.append(settings_row(memory.settings))
        if memory.owner_stored or self._store.write(known):
            self._keep_identity({})
        return memory

    def _read_values(self) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """Return Matter's values in the database, and with what is printed on the box; on the store's thread.

        Raises: OSError while the database cannot be read.
        """
        assert self._store is not None  # noqa: S101 (opened before anything is read)
        assert self._identity is not None  # noqa: S101 (made with the store)
        try:
            in_database = self._store.key_values()
        except sqlite3.Error as error:
            raise OSError(f"the database cannot be read: {error}") from error
        values = {**in_database, **self._identity.values()}
        self._keep_identity({key: value for key, value in values.items() if is_identity(key)})
        return in_database, values

    def _keep_identity(self, values: Mapping[str, bytes]) -> None:
        try:
            if self._identity is not None:
                self._identity.update(values)
        except OSError as error:
            log.warning("identity file cannot be written: %s", error)

    async def close(self, patience_s: float = 5.0) -> None:
        """Write what waits and close the file, unless the disk hangs."""
        if self._store is not None:
            try:
                async with asyncio.timeout(patience_s):
                    while self._draining is not None:
                        await self._news.wait()
                    await self.call(self._store.close)
            except TimeoutError:
                log.error("storage does not answer; what waits is lost")  # noqa: TRY400 (the trace says nothing)
        self._thread.shutdown(wait=False, cancel_futures=True)
