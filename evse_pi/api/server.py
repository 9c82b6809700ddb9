"""The command socket: one JSON object a line, both ways.

A request is `{"command": NAME, …}`, its answer `{"ok": true, "result": …}` or `{"ok": false, "error": TEXT}`. A
command that streams is answered by one line per change until either side closes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

log = logging.getLogger(__name__)

CONTROL_SOCKET = "control.sock"
SOCKET_MODE = 0o660  # the group of the run directory are the owners of the box
MAX_LINE_BYTES = 4096  # the longest request is a current and a word
MAX_CONNECTIONS = 16  # a few terminals and scripts; each costs a buffer
REQUEST_WITHIN_S = 30.0  # an idle connection makes room
ANSWER_WITHIN_S = 8.0  # the client waits 10
WRITE_WITHIN_S = 5.0  # a reader that does not read is cut off

PEER = struct.Struct("3i")  # pid, uid, gid. Source: unix(7), SO_PEERCRED


class Refusal(Exception):  # noqa: N818 (it is an answer)
    """The request cannot be carried out; the text says why and what is allowed."""


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """One line of a client. `installer` says that it comes from root, or from the user the process runs as."""

    fields: Mapping[str, Any]
    installer: bool

    def only(self, *allowed: str) -> Mapping[str, Any]:
        """Return the fields. Raises: Refusal for one that is not allowed."""
        for name in self.fields:
            if name not in ("command", *allowed):
                raise Refusal(f"{name}: unknown field; allowed are {', '.join(allowed) or 'none'}")
        return self.fields

    def integer(self, name: str, lowest: int, highest: int, default: int) -> int:
        """Return a whole number of the request. Raises: Refusal naming field, value and range."""
        value = self.fields.get(name, default)
        if type(value) is not int or not lowest <= value <= highest:
            raise Refusal(f"{name}: {value!r} is not allowed; a whole number from {lowest} to {highest}")
        return value


class ControlServer:
    """Serves commands at a UNIX stream socket; each connection may send any number of requests, one after the other."""

    def __init__(
        self,
        path: Path,
        answers: Mapping[str, Callable[[ControlRequest], Awaitable[Any]]],
        streams: Mapping[str, Callable[[ControlRequest], AsyncIterator[Any]]],
    ) -> None:
        self._path = path
        self._answers = answers
        self._streams = streams
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. Raises: OSError where the socket cannot be made."""
        self._path.unlink(missing_ok=True)
        former = os.umask(0o777 & ~SOCKET_MODE)
        try:
            self._server = await asyncio.start_unix_server(self._connected, self._path, limit=MAX_LINE_BYTES)
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
            if len(self._tasks) > MAX_CONNECTIONS:
                await _send(writer, _refused(f"more than {MAX_CONNECTIONS} connections; close one"))
            else:
                await self._serve(reader, writer, _is_installer(writer))
        except (OSError, TimeoutError):
            pass  # the client went away, or does not read
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(WRITE_WITHIN_S):
                    await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, installer: bool) -> None:
        goes_on = True
        while goes_on:
            try:
                async with asyncio.timeout(REQUEST_WITHIN_S):
                    line = await reader.readuntil(b"\n")
                goes_on = await self._handle(_parse(line, installer), reader, writer)
            except asyncio.IncompleteReadError:
                return
            except asyncio.LimitOverrunError:
                await _send(writer, _refused(f"a request has at most {MAX_LINE_BYTES} bytes"))
                return
            except Refusal as refusal:
                await _send(writer, _refused(str(refusal)))

    async def _handle(
        self, request: ControlRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; return whether the connection goes on."""
        command: str = request.fields["command"]
        if command in self._streams:
            await _stream(self._streams[command](request), reader, writer)
            return False
        if command not in self._answers:
            known = ", ".join(sorted((*self._answers, *self._streams)))
            raise Refusal(f"command: {command!r} is unknown; one of {known}")
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                result = await self._answers[command](request)
        except TimeoutError:
            raise Refusal(f"{command}: no answer within {ANSWER_WITHIN_S:.0f} s; the storage does not answer") from None
        except Refusal:
            raise
        except Exception as error:
            log.exception("command failed command=%s", command)
            raise Refusal(f"{command}: {type(error).__name__}: {error}") from error
        await _send(writer, {"ok": True, "result": result})
        return True


async def _stream(lines: AsyncIterator[Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send what `lines` yields until the client closes, or does not read. Raises: Refusal when `lines` does."""

    async def send() -> None:
        async for line in lines:
            await _send(writer, {"ok": True, "result": line})

    async def until_closed() -> None:
        while await reader.read(MAX_LINE_BYTES):
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


def _parse(line: bytes, installer: bool) -> ControlRequest:
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise Refusal(f"request: no JSON: {error}") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("command"), str):
        raise Refusal('request: must be an object with a text "command"')
    return ControlRequest(fields, installer)


def _refused(reason: str) -> dict[str, Any]:
    return {"ok": False, "error": reason}


async def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
    async with asyncio.timeout(WRITE_WITHIN_S):  # unlike wait_for, it never swallows a cancellation
        await writer.drain()


def _is_installer(writer: asyncio.StreamWriter) -> bool:
    connection = writer.get_extra_info("socket")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
    return PEER.unpack(credentials)[1] in (0, os.geteuid())
