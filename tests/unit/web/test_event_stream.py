"""Who gets a live stream when more are wanted than there are."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from evse_pi.web.event_stream import MAX_PER_ADDRESS, MAX_STREAMS, EventStreams
from tests.support.virtual_loop import virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def page() -> str:
    return "a page"


async def begun(streams: EventStreams, address: str) -> AsyncIterator[bytes]:
    stream = streams.of(address, page)
    assert await anext(stream) == b"data: a page\n\n"
    return stream


@virtual_time
async def test_an_address_has_six_streams_and_all_together_twelve() -> None:
    streams = EventStreams(lambda: asyncio.sleep(3600))
    one = []
    while streams.has_room("a"):
        one.append(await begun(streams, "a"))
    assert len(one) == 6
    others = [await begun(streams, f"phone {number}") for number in range(40)]
    live = [stream for stream in (*one, *others) if [piece async for piece in first(stream)]]
    assert len(live) == 12
    for stream in live:
        await stream.aclose()  # type: ignore[attr-defined]


async def first(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the next piece of a stream, nothing where its place was taken."""
    with suppress(StopAsyncIteration):
        yield await anext(stream)


@virtual_time
async def test_a_stream_that_is_forgotten_makes_room_after_ten_minutes() -> None:
    streams, now = EventStreams(lambda: asyncio.sleep(3600)), asyncio.get_running_loop().time
    began = now()
    async for _ in streams.of("a", page):
        pass
    assert 600 <= now() - began <= 605, "at the next sign of life"
    assert not streams._running


@virtual_time
async def test_an_address_with_many_streams_keeps_what_others_do_not_want_and_gives_way_to_those_who_do() -> None:
    streams = EventStreams(lambda: asyncio.sleep(3600))
    running = [await begun(streams, address) for address in ("a", "b") for _ in range(MAX_PER_ADDRESS)]
    assert len(running) == MAX_STREAMS
    assert [streams.has_room(address) for address in ("a", "b", "c")] == [False, False, True]
    owner = await begun(streams, "c")
    assert [stream async for stream in running[0]] == [], "the oldest of the address with the most ends"
    assert await anext(running[1]) == await anext(owner) == b"event: alive\ndata:\n\n"
    others = [await begun(streams, f"phone {number}") for number in range(9)]
    assert not streams.has_room("one more"), "each has one or two: none has more than its share"
    for stream in (*running, owner, *others):
        async with aclosing(stream):  # type: ignore[type-var]
            pass
    assert streams.has_room("one more")
