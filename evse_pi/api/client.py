"""Asks at a UNIX stream socket, one JSON object a line: a running box, the installer's service, the simulated plant."""

from __future__ import annotations

import socket
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar

from evse_pi.api.codec import Mismatch, from_plain, to_plain
from evse_pi.api.protocol import MAX_ANSWER_BYTES, read_answer, request_line
from evse_pi.api.refusal import Refusal
from evse_pi.api.texts.catalogue import tr
from evse_pi.paths import SYSTEM_RUN

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path
    from types import TracebackType

    from evse_pi.api.protocol import Command
    from evse_pi.api.refusal import AtFault

ANSWER_WITHIN_S = 10.0

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


class BoxError(Exception):
    """The box cannot be asked, or refused; the text is for the person at the terminal.

    `at` is the field at fault, where the box named one.
    """

    def __init__(self, text: str, at: AtFault | None = None) -> None:
        super().__init__(text)
        self.at = at


class BoxRefused(BoxError):  # noqa: N818 (it is an answer)
    """The other side refused; the text is its own."""


class BoxNotRunning(BoxError):  # noqa: N818 (named for what is the case)
    """No process listens at the socket."""


class BoxSilent(BoxNotRunning):
    """A process listens at the socket and does not answer."""


class Connection:
    """One connection; requests are answered in their order.

    Raises: BoxNotRunning from the constructor when no process listens; from every call BoxSilent when there is no
    answer in time, BoxRefused with the words of the other side when it refuses, BoxError for an answer that is none.
    """

    def __init__(self, address: Path, within_s: float = ANSWER_WITHIN_S) -> None:
        self._address = address
        self._within_s = within_s
        self._socket = _connect(address, within_s)
        self._lines = self._socket.makefile("rb")

    def call(self, command: str, /, **fields: Any) -> Any:
        """Return the plain result of one request."""
        self.send(command, **fields)
        return self.result()

    def send(self, command: str, /, **fields: Any) -> None:
        """Send one request."""
        with suppress(BrokenPipeError, ConnectionResetError):  # what it sent before it closed may still be read
            self._socket.sendall(request_line(command, fields))

    def result(self) -> Any:
        """Return the next plain result."""
        line = self.line()
        try:
            return read_answer(line)
        except Refusal as refusal:
            raise BoxRefused(str(refusal), refusal.at) from refusal
        except (ValueError, Mismatch) as error:
            raise BoxError(
                tr("{address}: the answer is no JSON of this protocol: {line!r}").format(
                    address=self._address, line=line[:80]
                )
            ) from error

    def line(self) -> bytes:
        """Return the next line that the other side sends."""
        try:
            line = self._lines.readline(MAX_ANSWER_BYTES)
        except TimeoutError as error:
            raise BoxSilent(
                tr("{address}: no answer within {within_s:.0f} s").format(
                    address=self._address, within_s=self._within_s
                )
            ) from error
        except ConnectionResetError:
            line = b""
        if not line.endswith(b"\n"):
            raise BoxError(tr("{address}: the box closed the connection").format(address=self._address))
        return line

    def close(self) -> None:
        """End the connection."""
        self._lines.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def ask(
    address: Path,
    command: Command[Asked, Answered],
    request: Asked | None = None,
    *,
    within_s: float = ANSWER_WITHIN_S,
) -> Answered:
    """Return the answer to one request, by default the one without fields. Raises: as `Connection`."""
    with closing(stream(address, command, request, within_s=within_s)) as answers:
        return next(answers)


def stream(
    address: Path,
    command: Command[Asked, Answered],
    request: Asked | None = None,
    *,
    within_s: float = ANSWER_WITHIN_S,
) -> Generator[Answered, None, None]:
    """Yield the answers to one request for as long as the box sends them. Raises: as `Connection`."""
    with Connection(address, within_s) as connection:
        connection.send(command.name, **_given(request))
        while True:
            yield _understood(address, command, connection.result())


async def ask_async(
    address: Path,
    command: Command[Asked, Answered],
    request: Asked | None = None,
    *,
    within_s: float = ANSWER_WITHIN_S,
) -> Answered:
    """Return the answer to one request, for a caller with an event loop. Raises: as `Connection`."""
    return _understood(address, command, await call_async(address, command.name, within_s=within_s, **_given(request)))


async def call_async(address: Path, command: str, /, *, within_s: float = ANSWER_WITHIN_S, **fields: Any) -> Any:
    """Return the plain result of one request, for a caller with an event loop. Raises: as `Connection`."""
    import asyncio

    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_unix_connection(address, limit=MAX_ANSWER_BYTES)
            try:
                writer.write(request_line(command, fields))
                line = await reader.readline()
            finally:
                writer.close()
        if not line:
            raise BoxError(tr("{address}: it closed the connection").format(address=address))
        return read_answer(line)
    except Refusal as refusal:
        raise BoxRefused(str(refusal), refusal.at) from refusal
    except TimeoutError as error:
        raise BoxSilent(
            tr("{address}: no answer within {within_s:.0f} s").format(address=address, within_s=within_s)
        ) from error
    except OSError as error:
        raise BoxNotRunning(f"{address}: {error.strerror or error}") from error
    except ValueError as error:
        raise BoxError(tr("{address}: the answer is no JSON of this protocol").format(address=address)) from error


def call(address: Path, command: str, /, *, within_s: float = ANSWER_WITHIN_S, **fields: Any) -> Any:
    """Return the plain result of one request by name, as a script of another language sees it. Raises: as `ask`."""
    with Connection(address, within_s) as connection:
        return connection.call(command, **fields)


def _given(request: Any) -> dict[str, Any]:
    """Return the fields of a request that are not as they are without being named."""
    if request is None:
        return {}
    defaults = request._field_defaults
    return {
        name: to_plain(value)
        for name, value in zip(request._fields, request, strict=True)
        if name not in defaults or value != defaults[name]
    }


def _understood(address: Path, command: Command[Asked, Answered], plain: Any) -> Answered:
    try:
        answer: Answered = from_plain(command.answer, plain, "ignore")
    except Mismatch as mismatch:
        text = tr("{address}: the answer to {command} is of another version of this software: {mismatch}").format(
            address=address, command=command.name, mismatch=mismatch
        )
        raise BoxError(text) from mismatch
    return answer


def _connect(address: Path, within_s: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(within_s)
    try:
        connection.connect(str(address))
    except (FileNotFoundError, ConnectionRefusedError) as error:
        connection.close()
        raise BoxNotRunning(
            tr("no box is running at {parent}; {start_hint}").format(
                parent=address.parent, start_hint=start_hint(address.parent)
            )
        ) from error
    except (BlockingIOError, TimeoutError) as error:
        connection.close()
        raise BoxSilent(
            tr("{address}: so many wait for an answer that no more are let in").format(address=address)
        ) from error
    except PermissionError as error:
        connection.close()
        raise BoxError(
            tr("{address}: not permitted; join the group evse-pi, or use sudo").format(address=address)
        ) from error
    return connection


def start_hint(run_dir: Path) -> str:
    """Return how the box with these sockets is started."""
    if run_dir == SYSTEM_RUN:
        return tr("start it with: sudo systemctl start evse-pi-safety evse-pi-node")
    return tr("start it with: evse-pi run")
