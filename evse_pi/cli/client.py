"""Asks the running box: one JSON object a line, both ways, over a UNIX stream socket.

A request is `{"command": NAME, ...}`, an answer `{"ok": true, "result": ...}` or `{"ok": false, "error": TEXT}`.
`watch` is answered by one line per change until either side closes.
"""

from __future__ import annotations

import json
import socket
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from evse_pi.api.exits import Exit
from evse_pi.paths import start_hint

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

ANSWER_WITHIN_S = 10.0
MAX_LINE_BYTES = 1 << 20
"""An answer is a status or a page of history; a longer line is not from this box."""


class BoxError(Exception):
    """The box cannot be asked, or refused; the text is for the person at the terminal."""

    status = Exit.REFUSED


class BoxNotRunning(BoxError):  # noqa: N818 (named for what is the case)
    """Nobody listens at the socket."""

    status = Exit.NOT_RUNNING


class BoxSilent(BoxNotRunning):
    """Somebody listens at the socket and does not answer."""


def ask(address: Path, command: str, *, within_s: float = ANSWER_WITHIN_S, **fields: Any) -> Any:
    """Return the result of one request.

    Raises: BoxNotRunning when nobody listens, BoxSilent when nobody answers, BoxError with the box's own words when it
    refuses.
    """
    with closing(stream(address, command, within_s=within_s, **fields)) as answers:
        return next(answers)


def stream(
    address: Path, command: str, *, within_s: float = ANSWER_WITHIN_S, **fields: Any
) -> Generator[Any, None, None]:
    """Yield the results of one request for as long as the box sends them.

    Raises: as `ask`.
    """
    with _connect(address, within_s) as connection, connection.makefile("rb") as lines:
        with suppress(BrokenPipeError, ConnectionResetError):  # the box's last words may still be there to read
            connection.sendall(json.dumps({"command": command, **fields}).encode() + b"\n")
        while True:
            yield _result(address, _line(address, lines, within_s))


def _connect(address: Path, within_s: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(within_s)
    try:
        connection.connect(str(address))
    except (FileNotFoundError, ConnectionRefusedError) as error:
        connection.close()
        raise BoxNotRunning(f"no box is running at {address.parent}; {start_hint(address.parent)}") from error
    except (BlockingIOError, TimeoutError) as error:
        connection.close()
        raise BoxSilent(f"{address}: so many wait for an answer that no more are let in") from error
    except PermissionError as error:
        connection.close()
        raise BoxError(f"{address}: not permitted; join the group evse-pi, or use sudo") from error
    return connection


def _line(address: Path, lines: Any, within_s: float) -> bytes:
    try:
        line: bytes = lines.readline(MAX_LINE_BYTES)
    except TimeoutError as error:
        raise BoxSilent(f"{address}: no answer within {within_s:.0f} s") from error
    except ConnectionResetError:
        line = b""
    if not line.endswith(b"\n"):
        raise BoxError(f"{address}: the box closed the connection")
    return line


def _result(address: Path, line: bytes) -> Any:
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise BoxError(f"{address}: the answer is no JSON: {line[:80]!r}") from error
    if not answer.get("ok"):
        raise BoxError(str(answer.get("error", "refused without a reason")))
    return answer.get("result")
