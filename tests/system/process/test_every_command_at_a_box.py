"""Every command at a running box: JSON for scripts, 80 plain columns for people, its status, nothing heavy loaded."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.api.client import BoxError
from evse_pi.api.client import call as ask_plain
from evse_pi.api.exits import Exit
from evse_pi.paths import resolve_paths
from tests.support.commands import HEAVY, every_command, run_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Call:
    """One answer that a command gives, in this order, what its JSON holds, and what heavy it needs."""

    command: str
    arguments: str = ""
    status: Exit = Exit.DONE
    key: str | None = None
    loads: frozenset[str] = frozenset()
    once: bool = False


CALLS = [
    Call("setup", "--yes --country DE --capacity 20A", key="audit"),
    Call("capacity", key="circuit_capacity_ma"),
    Call("capacity show", key="seal"),
    Call("capacity set", "16A", key="former_ma"),
    Call("certificate", key="passed"),
    Call("commission", "--list", key="fabrics"),
    Call("commission", key="codes", loads=frozenset({"segno", "ssl"})),
    Call("status", key="pilot"),
    Call("why", key="paragraph"),
    Call("set", "10A", key="limit_ma"),
    Call("set", "none", key="limit_ma"),
    Call("start", key="skipped"),
    Call("wake"),
    Call("clear", key="faults"),
    Call("stop", key="permitted"),
    Call("calibrate measure", "open --true 12V", key="error_mv"),
    Call("calibrate measure", "-- -12V", key="error_mv"),
    Call("calibrate show", key="draft"),
    Call("car", "plug_in cable_ma=20000"),
    Call("car", "close_s2"),
    Call("calibrate measure", "6V", key="error_mv"),
    Call("calibrate apply", key="residuals_mv", once=True),
    Call("calibrate drop", key="dropped"),
    Call("car", "unplug"),
    Call("car"),
    Call("permit", key="permitted"),
    Call("selftest", key="evidence"),
    Call("selftest", "--last", key="evidence"),
    Call("sessions"),
    Call("sessions", "--limit 1"),
    Call("faults"),
    Call("log"),
    Call("scope", key="samples_mv"),
    Call("timing", key="budget_us"),
    Call("counters", key="contactor_cycles"),
    Call("repair", key="damaged_fabrics"),
    Call("report", "--output report.tar.gz", key="files"),
    Call("backup", "box.backup --passphrase-file installation.toml", key="octets", loads=HEAVY, once=True),
    Call("completion", "bash", key="script"),
    Call("version", key="python"),
]
FOR_PROGRAMS = ("certificate", "completion")
"""What these print without --json is Markdown and a script."""
ELSEWHERE = {
    "run": "it is the box that is asked here",
    "demo": "tests/system/process/test_demo.py",
    "calibrate": "its guide asks a person: tests/system/process/test_installer_box.py",
    "replay": "tests/system/process/test_diagnostics_box.py",
    "provision": "tests/unit/cli/test_provision.py",
    "restore": "a running box is not restored: tests/unit/cli/test_backup.py",
    "update": "tests/unit/run/test_update.py",
}


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("box")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as free:
        free.bind(("::", 0))
        port = str(free.getsockname()[1])
    own = ["--state-dir", str(folder), "run", "--interface", "lo", "--port", port]
    command = [sys.executable, "-m", "evse_pi.cli", *own]
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(command, stderr=log, stdout=log)
        try:
            _await(resolve_paths(folder).control_socket)
            yield folder
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(20)


def _await(address: Path) -> None:
    deadline = time.monotonic() + 40
    now: Any = None
    while time.monotonic() < deadline:
        try:
            now = ask_plain(address, "status")
        except BoxError:
            now = None
        if now is not None and now["reason"] is not None and now["reason"]["reason"] == "NO_VEHICLE":
            return
        time.sleep(0.1)
    pytest.fail(f"the box did not come up: {now}")


def test_every_command_is_asked_here_or_elsewhere() -> None:
    assert {call.command for call in CALLS} | set(ELSEWHERE) == set(every_command())


def test_every_answer_is_json_for_scripts_and_80_plain_columns_for_people(box: Path) -> None:
    for call in CALLS:
        words = [*call.command.split(), *call.arguments.split()]
        for_scripts = run_command(box, box, *call.command.split(), "--json", *call.arguments.split())
        assert (for_scripts.status, for_scripts.err) == (call.status, ""), words
        answer = json.loads(for_scripts.out)
        assert call.key is None or call.key in answer, words
        for_people = for_scripts if call.once else run_command(box, box, *words)
        assert (for_people.status, for_people.err) == (call.status, ""), words
        assert "\x1b" not in for_people.out, words
        if not call.once and call.command not in FOR_PROGRAMS:
            assert not [line for line in for_people.out.splitlines() if len(line) > 80], words
        for done in (for_scripts, for_people):
            assert done.heavy <= call.loads, words
