"""Serves those who are not root and know the installer PIN: one request a connection, then the end.

The service manager listens, starts this as root when somebody connects, and hands over the connection as standard
input. A request is one line of JSON, `{"current_ma": 16000, "phases": null, "name": "Jo", "pin": "..."}`, its answer
`{"ok": true, "result": ...}` or `{"ok": false, "error": TEXT}`. With name and pin alone the PIN is checked and nothing
is changed, which is what the web page asks; with `"clear": "installer"` beside them the running box is ordered to clear
what only the installer may acknowledge. Nothing else can be asked.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
from contextlib import closing
from typing import Any

from boards.loader import BoardError, load_board
from evse_pi.cli.client import BoxError
from evse_pi.cli.installer_client import InstallerClient, installer_client_of
from evse_pi.installer.box_settings import ChangeRefused, Who
from evse_pi.paths import SYSTEM_RUN, SYSTEM_STATE, Paths
from hal.units import Milliamps

MAX_LINE_BYTES = 4_096
REQUEST_WITHIN_S = 5.0
MAX_CURRENT_MA = 80_000
KINDS: dict[str, Any] = {"current_ma": int, "phases": (int, type(None)), "clear": str, "name": str, "pin": str}
REQUESTS = (("current_ma", "phases", "name", "pin"), ("clear", "name", "pin"), ("name", "pin"))
_PEER = struct.Struct("3i")  # pid, uid, gid. Source: unix(7), SO_PEERCRED


def main() -> int:
    """Answer the connection that is standard input, and return the exit status."""
    with closing(socket.socket(fileno=sys.stdin.fileno())) as connection:
        serve(connection, installer_client_of(Paths(SYSTEM_STATE, SYSTEM_RUN)))
    return 0


def serve(connection: socket.socket, installer: InstallerClient) -> None:
    """Answer one request."""
    connection.settimeout(REQUEST_WITHIN_S)
    uid = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))[1]
    try:
        with connection.makefile("rb") as lines:
            request = _parsed(lines.readline(MAX_LINE_BYTES))
        act = _set if "current_ma" in request else _clear if "clear" in request else _check
        answer: dict[str, Any] = {"ok": True, "result": act(installer, request, uid)}
    except (ChangeRefused, BoxError, OSError) as error:
        answer = {"ok": False, "error": str(error)}
    connection.sendall(json.dumps(answer).encode() + b"\n")


def _check(installer: InstallerClient, request: dict[str, Any], uid: int) -> dict[str, Any]:
    return {"right": _right(installer, request, uid, "check of the PIN")}


def _clear(installer: InstallerClient, request: dict[str, Any], uid: int) -> dict[str, Any]:
    right = _right(installer, request, uid, "clear as installer")
    installer.order_clear(Who(_name(request, uid), right))
    return {"right": right}


def _right(installer: InstallerClient, request: dict[str, Any], uid: int, wish: str) -> str:
    """Return the right of who asks. Raises: Refused when there is none, which is put on record."""
    try:
        return installer.box_settings.right_of(uid, request["pin"])
    except ChangeRefused as error:
        installer.box_settings.note_refusal(Who(_name(request, uid), "none"), wish, str(error))
        raise


def _name(request: dict[str, Any], uid: int) -> str:
    return f"{request['name']} (uid {uid})"


def _set(installer: InstallerClient, request: dict[str, Any], uid: int) -> dict[str, Any]:
    box_settings, name = installer.box_settings, _name(request, uid)
    right = _right(installer, request, uid, f"capacity {request['current_ma']} mA")
    try:
        board = load_board(box_settings.board_name() or "")
    except BoardError as error:
        raise ChangeRefused(str(error)) from error
    return installer.set_capacity(board, Milliamps(request["current_ma"]), request["phases"], Who(name, right))


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except ValueError as error:
        raise ChangeRefused(f"request: no JSON: {error}") from error
    if not isinstance(request, dict) or set(request) not in map(set, REQUESTS):
        raise ChangeRefused(
            f"request: must have {', or '.join(', '.join(names) for names in REQUESTS)}, and nothing else"
        )
    for key in request:
        kind = KINDS[key]
        if not isinstance(request[key], kind) or isinstance(request[key], bool):
            raise ChangeRefused(f"{key}: {request[key]!r} is not allowed" if key != "pin" else "pin: must be a text")
    if request.get("clear", "installer") != "installer":
        raise ChangeRefused(f"clear: {request['clear']!r} is not allowed; installer")
    if not 0 < request.get("current_ma", 1) <= MAX_CURRENT_MA:
        raise ChangeRefused(f"current_ma: {request['current_ma']} is not allowed; up to {MAX_CURRENT_MA}")
    return request


if __name__ == "__main__":
    sys.exit(main())
