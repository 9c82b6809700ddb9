"""The store on a thread of its own: a card that hangs holds up only the caller that waits for it."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from evse_pi.storage.database import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor
    from pathlib import Path

    from evse_pi.charging.history_rows import Row

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class WriterThread:
    """Calls the store one call after the other, off the event loop."""

    def __init__(self, thread: Executor | None = None) -> None:
        self._thread = thread or ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._store: Store | None = None

    async def open(self, path: Path) -> Store:
        """Open the store and return it; only `call` may use it."""
        self._store = await self.call(Store, path)
        if self._store.damaged is not None:
            log.error("database was damaged and set aside file=%s", self._store.damaged)
        if self._store.trouble is not None:
            log.error("database cannot be used trouble=%s", self._store.trouble)
        return self._store

    @property
    def warnings(self) -> list[str]:
        """What people must know of the storage."""
        store = self._store
        if store is None:
            return ["the storage has not answered yet"]
        warnings = []
        if store.trouble is not None:
            warnings.append(f"settings and history cannot be stored: {store.trouble}")
        if store.damaged is not None:
            warnings.append(f"the database was damaged; it was set aside as {store.damaged}, a new one is in use")
        if store.skipped:
            kinds = ", ".join(sorted({table for table, _ in store.skipped}))
            warnings.append(
                f"{len(store.skipped)} stored entries cannot be read and are left out ({kinds}): see the log"
            )
        if store.dropped:
            warnings.append(f"{store.dropped} entries of the history were given up while the disk took none")
        return warnings

    @property
    def trouble(self) -> str | None:
        """Why the last write is not on the disk, None when it is."""
        return self._store.trouble if self._store is not None else "the storage has not answered yet"

    @property
    def troubled(self) -> bool:
        """Whether the disk refused the last write."""
        return self._store is not None and self._store.trouble is not None

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `function` returns, called on the store's thread."""
        return await asyncio.wrap_future(self._thread.submit(function, *args, **kwargs))

    async def write(self, rows: Iterable[Row]) -> bool:
        """Write rows; return whether they are durable. Trouble is logged when it begins and when it ends."""
        assert self._store is not None  # noqa: S101 (opened before anything is written)
        before = self._store.trouble
        durable = await self.call(self._store.write, list(rows))
        if before is None and self._store.trouble is not None:
            log.warning("storage failed trouble=%s", self._store.trouble)
        if before is not None and durable:
            log.info("storage works again")
        return durable

    async def redate(self, machine_boot: str, epoch_s: int) -> None:
        """Correct the dates of the history of this boot."""
        assert self._store is not None  # noqa: S101 (opened before anything is dated)
        await self.call(self._store.redate, machine_boot, epoch_s)

    async def close(self, patience_s: float = 5.0) -> None:
        """Write what waits and close the file, unless the disk hangs."""
        if self._store is not None:
            try:
                async with asyncio.timeout(patience_s):
                    await self.call(self._store.close)
            except TimeoutError:
                log.error("storage does not answer; what waits is lost")  # noqa: TRY400 (the trace says nothing)
        self._thread.shutdown(wait=False, cancel_futures=True)
