"""News of a page as server-sent events: the page's sections again whenever they have changed."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

MAX_STREAMS = 12
MAX_PER_ADDRESS = 6  # the tabs of a browser; who wants all leaves room for others
BETWEEN_S = 0.5  # faster than a person reads, and a phone's battery lasts longer
HEARTBEAT_S = 5.0  # page.js takes the box for lost after 12 s of silence
LIFETIME_S = 600.0  # browsers come again by themselves; a forgotten tab makes room
ALIVE = b"event: alive\ndata:\n\n"


class EventStreams:
    """The streams that run now, never more than MAX_STREAMS, shared between the addresses that ask."""

    def __init__(self, changed: Callable[[], Awaitable[None]]) -> None:
        self._changed = changed
        self._running: dict[object, str] = {}  # the address of each, the oldest first

    def has_room(self, address: str) -> bool:
        """Whether `address` may have another one; of the address with the most the oldest stream then gives way."""
        shares = Counter(self._running.values())
        return shares[address] < MAX_PER_ADDRESS and (
            len(self._running) < MAX_STREAMS or max(shares.values()) > shares[address] + 1
        )

    async def of(self, address: str, render: Callable[[], Awaitable[str]]) -> AsyncIterator[bytes]:
        """Yield what `render` returns now and whenever it is something else, and signs of life in between."""
        now = asyncio.get_running_loop().time
        ends, sent, former = now() + LIFETIME_S, now(), ""
        ours = self._begin(address)
        try:
            while now() < ends and ours in self._running:
                told = await render()
                if told != former or now() - sent >= HEARTBEAT_S:
                    yield ALIVE if told == former else f"data: {told}\n\n".encode()
                    former, sent = told, now()
                await asyncio.sleep(BETWEEN_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT_S / 2):
                        await self._changed()
        finally:
            self._running.pop(ours, None)

    def _begin(self, address: str) -> object:
        """Take a place for `address`, where all are taken that of the greediest address's oldest stream."""
        if len(self._running) >= MAX_STREAMS:
            greediest = Counter(self._running.values()).most_common(1)[0][0]
            del self._running[next(stream for stream, of in self._running.items() if of == greediest)]
        ours = object()
        self._running[ours] = address
        return ours
