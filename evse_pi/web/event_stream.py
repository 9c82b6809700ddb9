"""News of a page as server-sent events: the page's sections again whenever they have changed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

MAX_STREAMS = 12
BETWEEN_S = 0.5  # nobody reads faster, and a phone's battery lasts longer
HEARTBEAT_S = 5.0  # page.js takes the box for lost after 12 s of silence
LIFETIME_S = 600.0  # browsers come again by themselves; a forgotten tab makes room
ALIVE = b"event: alive\ndata:\n\n"


class EventStreams:
    """The streams that run now, never more than MAX_STREAMS."""

    def __init__(self, changed: Callable[[], Awaitable[None]]) -> None:
        self._changed = changed
        self._running = 0

    @property
    def full(self) -> bool:
        """Whether there is no room for another one."""
        return self._running >= MAX_STREAMS

    async def of(self, render: Callable[[], Awaitable[str]]) -> AsyncIterator[bytes]:
        """Yield what `render` returns now and whenever it is something else, and signs of life in between."""
        now = asyncio.get_running_loop().time
        ends, sent, former = now() + LIFETIME_S, now(), ""
        self._running += 1
        try:
            while now() < ends:
                told = await render()
                if told != former or now() - sent >= HEARTBEAT_S:
                    yield ALIVE if told == former else f"data: {told}\n\n".encode()
                    former, sent = told, now()
                await asyncio.sleep(BETWEEN_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT_S / 2):
                        await self._changed()
        finally:
            self._running -= 1
