"""The door: who is slow, loud or many is cut off, and everybody else is served."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from microdot import Microdot, Request, Response

from evse_pi.web.http_server import HttpServer, Limits, listen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST = "127.0.0.1"
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
QUICK = Limits(connections=6, per_address=4, pace_s=0.001, request_within_s=0.3, write_within_s=0.3)


@asynccontextmanager
async def served(application: Microdot, limits: Limits = QUICK) -> AsyncIterator[int]:
    listener = listen(HOST, 0)
    port = int(listener.getsockname()[1])
    door = asyncio.create_task(HttpServer(listener, application, limits).serve())
    try:
        yield port
    finally:
        door.cancel()
        await asyncio.gather(door, return_exceptions=True)


def greeting() -> Microdot:
    application = Microdot()

    async def greet(_request: Request) -> Response:
        return Response("hello")

    application.route("/")(greet)
    return application


async def asked(port: int, content: bytes, address: str = HOST) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port, local_addr=(address, 0))
    try:
        writer.write(content)
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_one_request_is_answered_and_the_connection_closed() -> None:
    async with served(greeting()) as port:
        answer = await asked(port, GET + GET)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\nConnection: close\r\n")
        assert answer.endswith(b"\r\n\r\nhello")
        assert b"Content-Security-Policy: default-src 'none'" in answer
        assert (await asked(port, b"HEAD / HTTP/1.1\r\n\r\n")).endswith(b"\r\n\r\n")
        assert (await asked(port, b"nonsense\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


async def test_who_never_ends_his_request_is_cut_off_and_others_are_served_meanwhile() -> None:
    async with served(greeting()) as port:
        slow = [await asyncio.open_connection(HOST, port) for _ in range(3)]
        for _, writer in slow:
            writer.write(GET[:-2])
        assert b"hello" in await asked(port, GET)
        for reader, writer in slow:
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()


async def test_one_address_takes_its_share_and_others_are_served() -> None:
    async with served(greeting()) as port:
        held = [await asyncio.open_connection(HOST, port) for _ in range(QUICK.per_address)]
        await asyncio.sleep(0.05)
        assert await asked(port, GET) == b""
        assert b"hello" in await asked(port, GET, "127.0.0.2")
        for _, writer in held:
            writer.close()
        await asyncio.sleep(0.05)
        assert b"hello" in await asked(port, GET)


async def test_who_waits_for_room_is_served_when_there_is_some() -> None:
    limits = Limits(connections=2, per_address=2, pace_s=0.001, request_within_s=0.3)
    async with served(greeting(), limits) as port:
        held = [await asyncio.open_connection(HOST, port) for _ in range(2)]
        assert b"hello" in await asked(port, GET)
        for _, writer in held:
            writer.close()


async def test_who_does_not_read_is_cut_off_and_leaves_nothing_behind() -> None:
    application, ended = Microdot(), asyncio.Event()

    async def pour(_request: Request) -> Response:
        async def for_ever() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x" * 65_536
            finally:
                ended.set()

        return Response(for_ever())  # type: ignore[arg-type]

    application.route("/")(pour)
    async with served(application) as port:
        with socket.create_connection((HOST, port)) as client:
            client.sendall(GET)
            async with asyncio.timeout(20):
                await ended.wait()


async def test_a_stream_ends_with_its_reader() -> None:
    application, ended = Microdot(), asyncio.Event()

    async def wait(_request: Request) -> Response:
        async def once() -> AsyncIterator[bytes]:
            try:
                yield b"data: 1\n\n"
                await asyncio.Event().wait()
            finally:
                ended.set()

        return Response(once())  # type: ignore[arg-type]

    application.route("/")(wait)
    async with served(application) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(GET)
        await reader.readuntil(b"data: 1\n\n")
        writer.close()
        async with asyncio.timeout(20):
            await ended.wait()


async def test_a_taken_port_is_an_error_of_the_start() -> None:
    with listen(HOST, 0) as first, pytest.raises(OSError, match="in use"):
        listen(HOST, int(first.getsockname()[1]))


async def test_both_families_are_served_where_no_address_is_named() -> None:
    with listen(None, 0) as listener:
        port = listener.getsockname()[1]
        for host in (HOST, "::1") if listener.family == socket.AF_INET6 else (HOST,):
            socket.create_connection((host, port)).close()
