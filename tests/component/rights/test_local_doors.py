"""Every user of the machine at every door in the file system, laid out as on an installed box; each cell is tried.

Users and groups are numbers; modes and groups of folders and sockets are read from the units. Needs root.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from boards.loader import load_board
from evse_pi.api.admission import owners_and_installer
from evse_pi.api.protocol import Command
from evse_pi.api.reference import SOCKETS
from evse_pi.api.server import Server
from evse_pi.api.service import CommandHandler, Service
from evse_pi.clearance import ProvenDemands, make_clearance, with_clearance
from evse_pi.core.records import Demand, Request, Snapshot, decode_snapshot, encode_demand, encode_snapshot
from evse_pi.core.states import LimitSource
from evse_pi.installation.files import SIMULATED_INSTALLATION
from evse_pi.installer.box_settings import BoxSettings
from evse_pi.installer.box_settings import Who as Installer
from evse_pi.installer.installer_client import InstallerClient
from evse_pi.installer.installer_service import InstallerService, serve
from evse_pi.link import LinkEnd
from evse_pi.node.commands import ChangeNotifier, Commands
from evse_pi.paths import NODE_SOCKET, SAFETY_SOCKET, resolve_paths
from evse_pi.sim.harness.virtual_clock import VirtualClock
from hal.units import SECOND, Milliamps
from tests.support.node_box import IDLE
from tests.support.other_user import PEOPLE, PERSON, PROCESSES, STRANGER, as_user, lay_out, open_folder
from tests.support.rights import (
    CONTROL,
    DEMANDS,
    INSTALLER_SERVICE,
    NO_DOOR,
    NO_PIN,
    ROOT_ONLY,
    SNAPSHOTS,
    UNHEARD,
    UNPROVEN,
    WITH_PIN,
    WITHOUT_PIN,
    YES,
    Outcome,
    Who,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be another user")
SYSTEMD = Path(__file__).parents[3] / "systemd"
NODE, SAFETY, SERVICE = 60_010, 60_011, 60_012
USERS = {
    Who.ROOT: (0, (0,)),
    Who.OWNER: (PERSON, (PEOPLE,)),
    Who.NODE: (NODE, (PEOPLE, PROCESSES)),
    Who.SAFETY: (SAFETY, (PEOPLE, PROCESSES)),
    Who.SERVICE: (SERVICE, ()),
    Who.OTHER: (STRANGER, ()),
}
"""The number of each user, and its groups as in evse-pi.sysusers.conf and the units."""
PIN = "480213"
KEY, BOOT = bytes(range(32)), "boot"


def as_who(who: Who, case: Callable[[], Any]) -> Any:
    return as_user(*(USERS[who][0], case, USERS[who][1]))


@contextmanager
def effective(uid: int) -> Iterator[None]:
    """Be `uid` for the block as far as files and credentials go."""
    former = os.getgroups()
    os.setegid(PEOPLE)
    os.setgroups((PROCESSES,))
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(former)


def asked(path: Path, request: dict[str, Any]) -> dict[str, Any] | None:
    """Return the first line of the answer, None where there is no door."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        try:
            connection.connect(str(path))
        except PermissionError:
            return None
        connection.sendall(json.dumps(request).encode() + b"\n")
        with connection.makefile("rb") as lines:
            return dict(json.loads(lines.readline()))


# The command socket.


def commands_of_the_box() -> Service:
    """Return the service of the box: the real admission, with an answer for each user who is admitted."""

    async def answer(_request: Any, _caller: Any) -> Any:
        return {}

    async def stream(_request: Any, _caller: Any) -> Any:
        yield {}

    requests = SimpleNamespace(outstanding=Request.NONE)
    box: Any = SimpleNamespace(event_recorder=SimpleNamespace(faults=()), order=lambda *_: None, requests=requests)
    node: Any = SimpleNamespace(notifier=ChangeNotifier(), renew=lambda: None)
    real = {offer.command.name: offer for offer in Commands(box, None, None, node).offers}  # type: ignore[arg-type]
    offers = [
        real[each.name] if each.name == "clear" else CommandHandler(each, stream if each.streams else answer)
        for each in commands(next(iter(SOCKETS.values())))
    ]
    return Service(*offers)


def commands(modules: Any) -> list[Command[Any, Any]]:
    return [each for module in modules for each in vars(module).values() if isinstance(each, Command)]


@pytest.fixture(scope="module")
def control() -> Iterator[Path]:
    """A control socket as the node process makes it: its user's, in its primary group."""
    with open_folder() as folder:
        lay_out(folder, {"evse-safety": SAFETY, "evse-node": NODE})
        path, loop = folder / "control.sock", asyncio.new_event_loop()
        server = Server(path, commands_of_the_box(), lambda peer: owners_and_installer_of(NODE, peer))
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
            os.chown(path, NODE, PEOPLE)
            yield path
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


def owners_and_installer_of(uid: int, peer: Any) -> Any:
    """Decide as the server does that runs as `uid`: this one runs as root, who is an installer in any case."""
    with patch("evse_pi.api.admission.os.geteuid", lambda: uid):
        return owners_and_installer(peer)


def outcome_of(answer: dict[str, Any] | None) -> Outcome:
    if answer is None:
        return NO_DOOR
    if answer["ok"]:
        return YES
    assert "only root may" in answer["error"], answer
    return ROOT_ONLY


def test_every_command_of_the_box_is_in_the_table() -> None:
    assert {each.command for each in CONTROL} == set(commands_of_the_box().offers)
    roles = {each.fields["role"] for each in CONTROL if each.command == "clear"}
    assert roles == {"USER", "INSTALLER"}


@pytest.mark.parametrize("who", Who, ids=lambda who: who.name)
def test_the_command_socket(control: Path, who: Who) -> None:
    answers = as_who(who, lambda: [asked(control, {"command": each.command, **each.fields}) for each in CONTROL])
    found = [(each.title, outcome_of(answer)) for each, answer in zip(CONTROL, answers, strict=True)]
    assert found == [(each.title, each.row[who]) for each in CONTROL]


# The installer's service.


@contextmanager
def installer_service(prepared: Path) -> Iterator[Path]:
    """Listen as the socket unit says, and serve each connection as the service does."""
    unit = dict(re.findall(r"^(Socket\w+)=(.*)$", (SYSTEMD / "evse-pi-installer.socket").read_text(), re.MULTILINE))
    assert unit["SocketGroup"] == "evse-pi"
    with open_folder() as folder, socket.socket(socket.AF_UNIX) as listener:
        state = folder / "state"
        shutil.copytree(prepared, state)
        path = folder / "installer.sock"
        listener.bind(str(path))
        path.chmod(int(unit["SocketMode"], 8))
        os.chown(path, 0, PEOPLE)
        listener.listen()
        installer = InstallerClient(BoxSettings(state, VirtualClock()), resolve_paths(state))

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        serve(connection, installer)

        thread = threading.Thread(target=accept)
        thread.start()
        yield path
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installer") / "state"
    box_settings, root = BoxSettings(folder, VirtualClock()), Installer("Jo", "root")
    box_settings.set_up(load_board("simulated"), SIMULATED_INSTALLATION, root)
    box_settings.choose_pin(PIN, root)
    return folder


def pin_outcome(answer: dict[str, Any] | None) -> Outcome:
    if answer is None:
        return NO_DOOR
    if not answer["ok"] and "the PIN is wrong" in answer["error"]:
        return NO_PIN
    assert answer["ok"] or "no box is running" in answer["error"], answer  # which there is not, for the clear
    return YES


def test_every_command_of_the_installers_service_is_in_the_table() -> None:
    assert sorted(InstallerService(None).service.offers) == sorted(INSTALLER_SERVICE)  # type: ignore[arg-type]


@pytest.mark.parametrize("who", Who, ids=lambda who: who.name)
def test_the_installers_service(prepared: Path, who: Who) -> None:
    more = {"set_capacity": {"current_ma": 16_000, "phases": None}}
    requests = [
        {"command": name, "name": "x", "pin": pin, **more.get(name, {})}
        for pin in (PIN, "111222")
        for name in INSTALLER_SERVICE
    ]
    with installer_service(prepared) as path:
        answers = as_who(who, lambda: [asked(path, each) for each in requests])
    found = [pin_outcome(answer) for answer in answers]
    half = len(INSTALLER_SERVICE)
    assert found == [WITH_PIN[who]] * half + [WITHOUT_PIN[who]] * half


# The link.


def sent(path: Path, datagram: bytes) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hand:
        try:
            hand.sendto(datagram, str(path))
        except PermissionError:
            return False
    return True


def demand(request: Request, clearance: Any = None) -> bytes:
    one = Demand(1, True, Milliamps(16_000), LimitSource.OWNER, time.monotonic_ns() + SECOND, request=request)
    return with_clearance(encode_demand(one), clearance)


@contextmanager
def link_end(own: str, uid: int, peer_uid: int, decode: Callable[[bytes], Any]) -> Iterator[tuple[Path, LinkEnd[Any]]]:
    with open_folder() as folder:
        lay_out(folder, {"evse-safety": SAFETY, "evse-node": NODE})
        with effective(uid):
            end = LinkEnd(folder / own, folder / "none", decode, peer_uid)
        os.chown(folder / own, uid, PEOPLE)  # Group= of both units
        try:
            yield folder / own, end
        finally:
            end.close()


def test_every_request_of_a_demand_is_in_the_table() -> None:
    assert {name for name in DEMANDS if name.isupper()} == {each.name for each in Request if each}


@pytest.mark.hazard("H-14")
@pytest.mark.parametrize("who", Who, ids=lambda who: who.name)
def test_the_link_to_the_safety_process(who: Who) -> None:
    clock = VirtualClock()
    proven = ProvenDemands(BOOT, clock.monotonic_ns, one_user=False)
    proven.use(KEY, set_up=True)
    clock.advance_s(1)
    with link_end(SAFETY_SOCKET, SAFETY, NODE, proven.decode) as (path, end):
        for name, row in DEMANDS.items():
            request = Request[name] if name.isupper() else Request.NONE
            foreign = end.counters.foreign
            if not as_who(who, lambda request=request: sent(path, demand(request))):  # type: ignore[misc]
                found = NO_DOOR
            elif (heard := end.receive()) is None:
                found = UNHEARD
                assert end.counters.foreign == foreign + 1
            else:
                found = YES if heard.request == request else UNPROVEN
            assert found is row[who], name
        proof = make_clearance(KEY, BOOT, clock.monotonic_ns())
        delivered = as_who(who, lambda: sent(path, demand(Request.CLEAR_INSTALLER, proof)))
        heard = end.receive() if delivered else None
        assert (heard is not None and heard.request == Request.CLEAR_INSTALLER) is (who is Who.NODE)


@pytest.mark.parametrize("who", Who, ids=lambda who: who.name)
def test_the_link_to_the_node_process(who: Who) -> None:
    (row,) = SNAPSHOTS.values()
    with link_end(NODE_SOCKET, NODE, SAFETY, decode_snapshot) as (path, end):
        if not as_who(who, lambda: sent(path, encode_snapshot(IDLE))):
            found = NO_DOOR
        else:
            heard = end.receive()
            found = YES if isinstance(heard, Snapshot) else UNHEARD
    assert found is row[who]
