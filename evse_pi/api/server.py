"""Serves commands at a UNIX stream socket, one JSON object a line, in an event loop."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from evse_pi.api.admission import owners_and_installer, peer_of
from evse_pi.api.protocol import MAX_REQUEST_BYTES, answer_line, refusal_line
from evse_pi.api.refusal import Refusal
from evse_pi.api.texts.catalogue import tr

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from evse_pi.api.admission import Admission
    from evse_pi.api.service import Caller, ParsedRequest, Service

log = logging.getLogger(__name__)

SOCKET_MODE = 0o660  # the group of the run directory are the owners of the box
MAX_CONNECTIONS = 16  # a few terminals and scripts; each costs a buffer
MAX_PER_USER = 8  # a user who opens more keeps no other user out; installers have room of their own beside it
INSTALLERS_ROOM = 4
REQUEST_WITHIN_S = 30.0  # an idle connection makes room
ANSWER_WITHIN_S = 8.0  # the client waits 10
WRITE_WITHIN_S = 5.0  # a reader that does not read is cut off


class Server:
    """Serves `service` at `path`; a connection may send any number of requests, one after the other.

    `admission` says who may connect, and as what.
    """

    def __init__(self, path: Path, service: Service, admission: Admission = owners_and_installer) -> None:
        self._path = path
        self._service = service
        self._admission = admission
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._users: Counter[int] = Counter()

    async def start(self) -> None:
        """Listen. Raises: OSError where the socket cannot be made."""
        self._path.unlink(missing_ok=True)
        former = os.umask(0o777 & ~SOCKET_MODE)
        try:
            self._server = await asyncio.start_unix_server(self._connected, self._path, limit=MAX_REQUEST_BYTES)
        finally:
            os.umask(former)

    async def stop(self) -> None:
        """Cut every connection and take the socket away."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (we are in one)
        self._tasks.add(task)
        try:
            caller = self._admission(peer_of(writer.get_extra_info("socket")))
            with self._place_for(caller):
                await self._serve(reader, writer, caller)
        except Refusal as refusal:
            with suppress(OSError, TimeoutError):
                await _send(writer, refusal_line(refusal))
        except (OSError, TimeoutError):
            pass  # the client went away, or does not read
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(WRITE_WITHIN_S):
                    await writer.wait_closed()

    @contextmanager
    def _place_for(self, caller: Caller) -> Iterator[None]:
        """Count a connection for the block. Raises: Refusal where the user, or all but installers, have enough."""
        mine, room = self._users[caller.uid], MAX_CONNECTIONS - (0 if caller.installer else INSTALLERS_ROOM)
        if mine >= MAX_PER_USER or self._users.total() >= room:
            told = tr("more than {of_user} connections of a user, or {in_all} in all; close one")
            raise Refusal(told.format(of_user=MAX_PER_USER, in_all=room))
        self._users[caller.uid] += 1
        try:
            yield
        finally:
            self._users -= Counter((caller.uid,))  # a counter of nothing goes away

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, caller: Caller) -> None:
        """Answer requests until the client has no more. Raises: Refusal for a line after which no other can be read."""
        goes_on = True
        while goes_on:
            try:
                async with asyncio.timeout(REQUEST_WITHIN_S):
                    line = await reader.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                return
            except asyncio.LimitOverrunError:
                raise Refusal(tr("a request has at most {most} bytes").format(most=MAX_REQUEST_BYTES)) from None
            try:
                goes_on = await _answer(self._service.understand(line, caller), reader, writer)
            except Refusal as refusal:
                await _send(writer, refusal_line(refusal))


async def _answer(call: ParsedRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Answer one request; return whether the connection goes on. Raises: Refusal."""
    if call.offer.command.streams:
        await _stream(call.begin(), reader, writer)
        return False
    await _send(writer, answer_line(await answered(call)))
    return True


async def answered(call: ParsedRequest) -> Any:
    """Return what the command answers. Raises: Refusal, also when it does not answer in time or fails."""
    name = call.offer.command.name
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await call.begin()
    except TimeoutError:
        told = tr("{command}: no answer within {value} s; the storage does not answer")
        raise Refusal(told.format(command=name, value=round(ANSWER_WITHIN_S))) from None
    except Refusal:
        raise
    except Exception as error:
        log.exception("command failed command=%s", name)
        told = tr("{command}: the command failed: {kind}: {error}")
        raise Refusal(told.format(command=name, kind=type(error).__name__, error=error)) from error


async def _stream(answers: AsyncIterator[Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send what `answers` yields until the client closes, or does not read. Raises: Refusal when `answers` does."""

    async def send() -> None:
        async for answer in answers:
            await _send(writer, answer_line(answer))

    async def until_closed() -> None:
        while await reader.read(MAX_REQUEST_BYTES):
            pass

    tasks = asyncio.create_task(send()), asyncio.create_task(until_closed())
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _send(writer: asyncio.StreamWriter, line: bytes) -> None:
    writer.write(line)
    async with asyncio.timeout(WRITE_WITHIN_S):  # unlike wait_for, it never swallows a cancellation
        await writer.drain()
