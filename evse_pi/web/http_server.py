"""The listening port: few connections, little time and few bytes for each, and never much of the event loop.

It is to microdot what `microdot.asgi` is: it makes a request, has it dispatched, and writes the response. The sums are
such that a flood of the port costs other users the page, and never a charge: connections are taken one in
20 ms, each ends by itself, and who waits costs nothing because he was not accepted yet.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from contextlib import aclosing, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from microdot import Request, Response
from microdot.microdot import NoCaseDict

from evse_pi.web.http_parser import MAX_HEAD_BYTES, BadRequest, RawRequest, read_request
from evse_pi.web.page_admission import HEADERS

if TYPE_CHECKING:
    from microdot import Microdot

log = logging.getLogger(__name__)

BACKLOG = 16
RESPONSE_WITHIN_S = 20.0  # but for streams
UNACKNOWLEDGED_MS = 15_000  # a phone that left the network
SEND_BUFFER_BYTES = 32_768
AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What strangers may take of the box."""

    connections: int = 32
    per_address: int = 8  # a browser opens six
    pace_s: float = 0.02  # between two connections: fifty a second take a small part of one core, a page needs four
    request_within_s: float = 5.0
    write_within_s: float = 5.0  # a reader that does not read is cut off


LIMITS = Limits()


def listen(address: str | None, port: int) -> socket.socket:
    """Return a listening socket, of both families where no address is named.

    Raises: OSError when the port is taken or there is no such address, ValueError for what is no address.
    """
    if address is None and socket.has_dualstack_ipv6():
        listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)
    else:
        family = socket.AF_INET6 if address is not None and ":" in address else socket.AF_INET
        listener = socket.create_server((address or "", port), family=family, backlog=BACKLOG)
    listener.setblocking(False)
    return listener


class HttpServer:
    """Serves an application at a listening socket."""

    def __init__(self, listener: socket.socket, application: Microdot, limits: Limits = LIMITS) -> None:
        self._listener = listener
        self._application = application
        self._limits = limits
        self._room = asyncio.Semaphore(limits.connections)
        self._from: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Serve until cancelled; then every connection is cut."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._room.acquire()
                try:
                    connection, address = await loop.sock_accept(self._listener)
                except OSError as error:  # no descriptor left, or the client was quick to go
                    self._room.release()
                    log.warning("no connection could be accepted problem=%s", error)
                    await asyncio.sleep(AGAIN_S)
                    continue
                self._admit(connection, address[0])
                await asyncio.sleep(self._limits.pace_s)
        finally:
            self._listener.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _admit(self, connection: socket.socket, address: str) -> None:
        if self._from[address] >= self._limits.per_address:
            connection.close()
            self._room.release()
            return
        self._from[address] += 1
        task = asyncio.create_task(self._converse(connection, address), name="web connection")
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, address))

    def _ended(self, task: asyncio.Task[None], address: str) -> None:
        self._tasks.discard(task)
        self._room.release()
        self._from -= Counter((address,))  # a counter of nothing goes away
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("connection failed", exc_info=error)

    async def _converse(self, connection: socket.socket, address: str) -> None:
        """Answer one request. What a client does wrong, or not in time, ends its connection and nothing else."""
        with suppress(OSError, EOFError, TimeoutError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
            reader, writer = await asyncio.open_connection(sock=connection, limit=MAX_HEAD_BYTES)
            try:
                await self._send(writer, reader, await self._answer(reader, address))
                writer.close()
                async with asyncio.timeout(self._limits.write_within_s):
                    await writer.wait_closed()
            finally:
                writer.transport.abort()  # what was not taken by now never will be

    async def _answer(self, reader: asyncio.StreamReader, address: str) -> Response:
        try:
            async with asyncio.timeout(self._limits.request_within_s):
                raw = await read_request(reader)
        except BadRequest as problem:
            return Response(f"{problem}\n", problem.status)
        async with asyncio.timeout(RESPONSE_WITHIN_S):
            response: Response = await self._application.dispatch_request(self._request(raw, address))
            return response

    def _request(self, raw: RawRequest, address: str) -> Request:
        fields = NoCaseDict(raw.fields)
        return Request(self._application, (address, 0), raw.method, raw.target, "1.1", fields, body=raw.body)

    async def _send(self, writer: asyncio.StreamWriter, reader: asyncio.StreamReader, response: Response) -> None:
        """Write the response; a stream goes on until either side ends it."""
        response.complete()
        status = HTTPStatus(response.status_code)
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in {**HEADERS, **response.headers}.items()]
        await self._write(writer, "\r\n".join((*lines, "", "")).encode("latin-1"))
        if response.is_head:
            return
        if isinstance(response.body, bytes):
            await self._write(writer, response.body)
            return
        stream = asyncio.create_task(self._stream(writer, response), name="web stream")
        gone = asyncio.create_task(_until_closed(reader), name="web stream watched")
        try:
            done, _ = await asyncio.wait((stream, gone), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (stream, gone):
                task.cancel()
            await asyncio.gather(stream, gone, return_exceptions=True)

    async def _stream(self, writer: asyncio.StreamWriter, response: Response) -> None:
        body: Any = response.body_iter()
        async with aclosing(body) as pieces:
            async for piece in pieces:
                await self._write(writer, piece)

    async def _write(self, writer: asyncio.StreamWriter, content: bytes) -> None:
        writer.write(content)
        async with asyncio.timeout(self._limits.write_within_s):
            await writer.drain()


async def _until_closed(reader: asyncio.StreamReader) -> None:
    while await reader.read(MAX_HEAD_BYTES):
        pass
