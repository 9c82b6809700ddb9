"""The installer's service: the PIN is the right; a capacity and the installer's clear are all that can be asked."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from boards.loader import load_board
from evse_pi.clearance import Clearance, make_clearance
from evse_pi.core.fault_kinds import Fault
from evse_pi.installation.files import SIMULATED_INSTALLATION
from evse_pi.installation.seal import read_key
from evse_pi.installer.audit_entries import CapacityChange
from evse_pi.installer.box_settings import BoxSettings, Who
from evse_pi.installer.installer_client import InstallerClient
from evse_pi.installer.installer_service import serve
from evse_pi.installer.standing_faults import StandingFaults
from evse_pi.paths import resolve_paths
from evse_pi.sim.harness.virtual_clock import VirtualClock

if TYPE_CHECKING:
    from pathlib import Path

ROOT = Who("Jo", "root")
CLEAR = {"command": "clear_as_installer", "name": "Ann", "pin": "480213"}
GOOD = {"command": "set_capacity", "current_ma": 16_000, "phases": None, "name": "Ann", "pin": "480213"}


@pytest.fixture
def installer(tmp_path: Path) -> InstallerClient:
    box_settings = BoxSettings(tmp_path, VirtualClock())
    box_settings.set_up(load_board("simulated"), SIMULATED_INSTALLATION, ROOT)
    box_settings.choose_pin("480213", ROOT)
    return InstallerClient(box_settings, resolve_paths(tmp_path))


def answer(installer: InstallerClient, request: bytes) -> dict[str, Any]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(request + b"\n")
        serve(theirs, installer)
        return dict(json.loads(ours.makefile("rb").readline()))


def capacity(installer: InstallerClient) -> int:
    return installer.box_settings.installation(load_board("simulated")).circuit_capacity_ma


def test_who_knows_the_pin_sets_the_capacity_on_record(installer: InstallerClient) -> None:
    told = answer(installer, json.dumps(GOOD).encode())
    assert told["ok"], told
    assert (told["result"]["circuit_capacity_ma"], told["result"]["right"]) == (16_000, "PIN")
    assert capacity(installer) == 16_000
    assert installer.box_settings.seal_state(load_board("simulated")) == "intact"
    entry = installer.box_settings.trail().entries[-1]
    assert entry.author.name.startswith("Ann (uid ")
    assert (entry.change, entry.author.right) == (CapacityChange(32_000, 16_000), "PIN")


@pytest.mark.hazard("H-04")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pin": "111222"}, "the PIN is wrong"),
        ({"pin": ""}, "the PIN is wrong"),
        ({"pin": None}, "pin: must be a text"),
        ({"current_ma": 40_000}, "with a board of 32000 mA"),
        ({"current_ma": 5_000}, "6000 mA to 32000 mA"),
        ({"current_ma": True}, "current_ma: True"),
        ({"current_ma": "16A"}, "current_ma: '16A'"),
        ({"current_ma": -1}, "current_ma: -1"),
        ({"phases": 4}, "phases: 4"),
        ({"command": "setup"}, "is unknown; one of check_pin, clear_as_installer, set_capacity"),
        ({"clear": "installer"}, "clear: unknown field"),
        ({"command": "check_pin"}, "current_ma: unknown field"),
    ],
)
def test_everything_else_is_refused_and_changes_nothing(
    installer: InstallerClient, changes: dict[str, Any], words: str
) -> None:
    told = answer(installer, json.dumps({**GOOD, **changes}).encode())
    assert not told["ok"]
    assert words in told["error"]
    assert capacity(installer) == 32_000


@pytest.mark.parametrize("request_line", [b"", b"{", b"[]", b"\xff", b"x" * 5_000])
def test_garbage_is_answered(installer: InstallerClient, request_line: bytes) -> None:
    assert "request:" in answer(installer, request_line)["error"]


def test_a_pin_alone_is_checked_and_changes_nothing(installer: InstallerClient) -> None:
    entries = len(installer.box_settings.trail().entries)
    assert answer(installer, b'{"command": "check_pin", "name": "web page", "pin": "480213"}') == {
        "ok": True,
        "result": {"right": "PIN"},
    }
    assert len(installer.box_settings.trail().entries) == entries
    told = answer(installer, b'{"command": "check_pin", "name": "web page", "pin": "111222"}')
    assert (told["ok"], "the PIN is wrong" in told["error"]) == (False, True)
    entry = installer.box_settings.trail().entries[-1]
    assert (entry.change.what, entry.fields()["wish"]) == ("refused", "check of the PIN")
    told = answer(installer, b'{"command": "check_pin", "name": "web page", "pin": 480213}')
    assert (told["ok"], "480213" in json.dumps(told)) == (False, False)
    assert capacity(installer) == 32_000


def asked_of_the_box(
    installer: InstallerClient, request: dict[str, Any], *answers: list[str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the service's answer, and what it asked of the box, which has `answers` left, one after the other."""
    heard: list[dict[str, Any]] = []
    installer.paths.run_dir.mkdir()
    with closing(socket.socket(socket.AF_UNIX)) as box:
        box.bind(str(installer.paths.control_socket))
        box.listen()

        def say_yes() -> None:
            for left in (*answers, []):
                try:
                    connection, _ = box.accept()
                except OSError:  # nothing more was asked
                    return
                with connection, connection.makefile("rwb") as lines:
                    heard.extend(json.loads(line) for line in [lines.readline()] if line)
                    lines.write(json.dumps({"ok": True, "result": {"faults": left}}).encode() + b"\n")

        node = threading.Thread(target=say_yes)
        node.start()
        told = answer(installer, json.dumps(request).encode())
        box.shutdown(socket.SHUT_RDWR)
        node.join()
    return told, heard


@pytest.mark.hazard("H-03")
def test_a_flood_of_guesses_leaves_an_entry_for_each_that_was_compared(installer: InstallerClient) -> None:
    for _ in range(50):
        assert not answer(installer, json.dumps({**GOOD, "pin": "111222"}).encode())["ok"]
    refused = [each for each in installer.box_settings.trail().entries if each.change.what == "refused"]
    assert len(refused) == 3


def test_who_knows_the_pin_clears_as_installer_with_a_proof_and_on_record(installer: InstallerClient) -> None:
    told, orders = asked_of_the_box(installer, CLEAR)
    assert told == {"ok": True, "result": {"right": "PIN", "faults": []}}
    (asked,) = orders
    assert (asked["command"], asked["role"]) == ("clear", "INSTALLER")
    clock, key = VirtualClock(), read_key(installer.box_settings.folder)
    assert key is not None
    assert Clearance(**asked["clearance"]) == make_clearance(key, clock.kernel_boot_id, clock.monotonic_ns())
    newest = installer.box_settings.trail().entries[-1]
    assert (newest.change.what, newest.author.right) == ("clear", "PIN")


@pytest.mark.hazard("H-03")
@pytest.mark.parametrize(
    ("changes", "words"), [({"pin": "111222"}, "the PIN is wrong"), ({"role": "USER"}, "role: unknown field")]
)
def test_no_other_caller_has_the_box_asked(installer: InstallerClient, changes: dict[str, Any], words: str) -> None:
    told, asked = asked_of_the_box(installer, {**CLEAR, **changes})
    assert words in told["error"]
    assert not asked


@pytest.mark.hazard("H-03")
@pytest.mark.parametrize("stands", [True, False])
def test_a_clear_that_comes_too_early_is_proven_again_while_the_fault_has_stood_and_else_answered_with_it(
    installer: InstallerClient, monkeypatch: pytest.MonkeyPatch, *, stands: bool
) -> None:
    left = frozenset((Fault.CONTACTOR_WELDED,)) if stands else frozenset()
    monkeypatch.setattr(StandingFaults, "left", lambda _self: left)
    clock = installer.box_settings._clock
    assert isinstance(clock, VirtualClock)
    monkeypatch.setattr(clock, "monotonic_ns", lambda: (clock.advance_s(1), clock.now_ns)[1])  # type: ignore[func-returns-value]
    welded = ["CONTACTOR_WELDED"]
    told, asked = asked_of_the_box(installer, CLEAR, welded, welded)
    assert told == {"ok": True, "result": {"right": "PIN", "faults": [] if stands else welded}}
    assert len(asked) == (3 if stands else 1)
    assert len({each["clearance"]["at_ns"] for each in asked}) == len(asked), "a proof for each"
    assert [each.change.what for each in installer.box_settings.trail().entries].count("clear") == 1


def test_a_box_that_does_not_run_is_told_as_that(installer: InstallerClient) -> None:
    told = answer(installer, json.dumps(CLEAR).encode())
    assert "no box is running" in told["error"]
