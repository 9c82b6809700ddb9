"""docs/SECURITY.md says who may do what: its tables are compared with the commands, and tried at a real socket."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.api.protocol import Command
from evse_pi.api.reference import SOCKETS
from evse_pi.api.server import Server
from evse_pi.api.service import CommandHandler, Service
from tests.support.other_user import PEOPLE, PERSON, STRANGER, as_user, open_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parents[2] / "docs" / "SECURITY.md").read_text()
CONTROL, INSTALLER = ([*modules] for modules in SOCKETS.values())
RIGHTS = {
    name: (owner == "yes", installer == "yes")
    for name, owner, installer in re.findall(r"^\| `(\w+)` \| (yes|no) \| (yes|no) \|$", PAGE, re.MULTILINE)
}


def commands(modules: list[Any]) -> dict[str, Command[Any, Any]]:
    return {each.name: each for module in modules for each in vars(module).values() if isinstance(each, Command)}


def test_every_command_has_its_rights_written_down() -> None:
    assert list(RIGHTS) == sorted(commands(CONTROL))


def test_what_the_installers_service_does_is_written_down() -> None:
    told = PAGE[PAGE.index("## The installer's service") : PAGE.index("## The web page")]
    assert re.findall(r"`(\w+)`", told) == sorted(commands(INSTALLER))


def test_what_a_form_of_the_web_page_may_do_is_written_down() -> None:
    source = (Path(__file__).parents[2] / "evse_pi" / "web" / "application.py").read_text()
    acts = source[source.index("def _acts") :]
    told = PAGE[PAGE.index("## The web page") :]
    assert set(re.findall(r"`(/\w+)`", told)) == set(re.findall(r'"(/\w+)": ', acts[: acts.index("}")]))


@contextmanager
def served(folder: Path) -> Iterator[Path]:
    """Serve every command of the control socket, each with an answer that is no record, to the group of people."""

    async def answer(_request: Any, _caller: Any) -> Any:
        return {}

    async def stream(_request: Any, _caller: Any) -> Any:
        yield {}

    offers = [CommandHandler(each, stream if each.streams else answer) for each in commands(CONTROL).values()]
    path, loop = folder / "control.sock", asyncio.new_event_loop()
    server = Server(path, Service(*offers))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        os.chown(path, -1, PEOPLE)
        yield path
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def ask_all(path: Path) -> dict[str, str]:
    """Return what becomes of each command: done, refused for want of right, or the error of the connection."""
    outcome = {}
    for name in RIGHTS:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            try:
                connection.connect(str(path))
            except PermissionError:
                outcome[name] = "no door"
                continue
            connection.sendall(json.dumps({"command": name}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                told = json.loads(lines.readline())
            outcome[name] = "root" if "root" in str(told.get("error")) else "let in"
    return outcome


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be another user")
def test_the_rights_of_the_table_are_those_at_the_socket() -> None:
    with open_folder() as folder, served(folder) as path:
        as_owner = as_user(PERSON, lambda: ask_all(path), (PEOPLE,))
        as_installer, as_stranger = ask_all(path), as_user(STRANGER, lambda: ask_all(path))
    for name, (owner, installer) in RIGHTS.items():
        assert (as_owner[name] == "let in") is owner, (name, as_owner[name])
        assert (as_installer[name] == "let in") is installer, (name, as_installer[name])
        assert as_stranger[name] == "no door"
