"""Matter's values: read from memory, written by the one thread that uses the database."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from evse_pi.charging.history_rows import value_row
from evse_pi.matter.storage import Changes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from evse_pi.charging.controller_permission import RowWriter
    from evse_pi.matter.storage import StoreTransaction


class QueuedStore:
    """A key-value store whose reader never waits for a card.

    What a transaction changes is in force when its block ends, and on its way to the disk; `settled` tells whether it
    has arrived. What the disk refuses is tried again by the writer, as all rows are.
    """

    def __init__(self, values: Mapping[str, bytes], writer: RowWriter) -> None:
        self._values = dict(values)
        self._writer = writer

    def get(self, key: str) -> bytes | None:
        """Return the value of `key`, or None."""
        return self._values.get(key)

    def keys(self, prefix: str = "") -> list[str]:
        """Return all keys that start with `prefix`, sorted."""
        return sorted(key for key in self._values if key.startswith(prefix))

    @contextmanager
    def transaction(self) -> Iterator[StoreTransaction]:
        """Apply the changes of the block at its end and have them written; an exception in it discards them."""
        changes = Changes()
        yield changes
        news = {key: value for key, value in changes.values.items() if self._values.get(key) != value}
        for key, value in news.items():
            if value is None:
                del self._values[key]
            else:
                self._values[key] = value
        if news:
            self._writer.put([value_row(key, value) for key, value in news.items()])

    @property
    def revision(self) -> int:
        """The number of the last write, of whatever rows: what was set is stored beside these values."""
        return self._writer.number

    async def settled(self, revision: int) -> bool:
        """Return whether everything up to `revision` is on the disk; wait for a bounded time."""
        return await self._writer.written(revision) is None
