"""The whole box with its real processes: the demo, and what `run`, `status` and `car` do together."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.api.client import BoxNotRunning, call
from evse_pi.api.exits import Exit
from evse_pi.cli.demo import STEP_WITHIN_S
from evse_pi.paths import resolve_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evse_pi.paths import Paths

EVSE_PI = [sys.executable, "-m", "evse_pi.cli"]


def evse_pi(box: Paths, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*EVSE_PI, "--state-dir", str(box.state_dir), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def eventually(box: Paths, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        try:
            now: dict[str, Any] = call(box.control_socket, "status")
        except BoxNotRunning:
            time.sleep(0.1)
            continue
        if now["reason"] is not None and holds(now):
            return now
        time.sleep(0.1)
    pytest.fail(f"never came about; the box says {call(box.control_socket, 'status')}")


def reason(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda now: now["reason"]["reason"] == name


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Paths, subprocess.Popen[bytes]]]:
    box = resolve_paths(tmp_path)
    with (tmp_path / "log").open("wb") as log:
        child = subprocess.Popen(
            [*EVSE_PI, "run", "--board", "simulated", "--state-dir", str(tmp_path)], stderr=log, stdout=log
        )
        try:
            eventually(box, reason("NO_VEHICLE"))
            yield box, child
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(20)


def processes_below(folder: Path) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in entry.read_bytes() and int(entry.parent.name) != os.getpid():
                found.append(int(entry.parent.name))
    return found


def test_the_demo_without_a_terminal_tells_each_transition_and_ends_by_itself() -> None:
    done = subprocess.run([*EVSE_PI, "demo"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    states = [text.split()[0] for text in done.stdout.splitlines() if not text.startswith("--")]
    assert [state for index, state in enumerate(states) if index == 0 or state != states[index - 1]] == [
        "F", "A", "B1", "B2", "C2", "B2", "A",
    ]  # fmt: skip
    assert "charged 0.0" in done.stdout


def test_a_car_charges_and_leaves_and_the_box_tells_it(running: tuple[Paths, subprocess.Popen[bytes]]) -> None:
    box, child = running
    assert evse_pi(box, "car", "plug_in", "cable_ma=20000").returncode == 0
    eventually(box, reason("VEHICLE_NOT_READY"))
    assert evse_pi(box, "car", "auto").returncode == 0
    charging = eventually(box, reason("CHARGING"))
    assert charging["offered_current_ma"] <= 20_000
    assert charging["limit"]["source"] == "CABLE"
    shown = evse_pi(box, "status").stdout
    assert "limited by the cable" in shown
    assert json.loads(evse_pi(box, "status", "--json").stdout)["contactor"]["close_ordered"] is True
    evse_pi(box, "car", "unplug")
    eventually(box, reason("NO_VEHICLE"))
    child.send_signal(signal.SIGINT)
    assert child.wait(20) == 0
    assert not processes_below(box.state_dir)


def test_what_cannot_be_done_is_one_line_and_status_1(running: tuple[Paths, subprocess.Popen[bytes]]) -> None:
    box, _ = running
    for arguments, words in [
        (("car", "fly"), "verb 'fly': allowed are"),
        (("car", "draw", "ma=lots"), "draw.ma"),
        (("car", "draw", "volts=3"), "unknown volts"),
    ]:
        done = evse_pi(box, *arguments)
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert evse_pi(box, "car", "draw", "16000").returncode == 2
    assert "draw ma=" in evse_pi(box, "car").stdout


def test_a_box_that_does_not_run_is_said(tmp_path: Path) -> None:
    for arguments in (("status",), ("car", "plug_in")):
        done = evse_pi(resolve_paths(tmp_path), *arguments)
        assert done.returncode == Exit.NOT_RUNNING
        assert "evse-pi run" in done.stderr


def test_an_unknown_board_is_refused_by_name(tmp_path: Path) -> None:
    done = evse_pi(resolve_paths(tmp_path), "run", "--board", "no_such_board")
    assert done.returncode == 1
    assert "no_such_board" in done.stderr


def test_the_demo_ends_at_once_with_the_reason_when_the_safety_process_cannot_start(tmp_path: Path) -> None:
    (tmp_path / "gpiod.py").write_text("raise ImportError('no module named gpiod')")
    started = time.monotonic()
    done = subprocess.run(
        [*EVSE_PI, "demo"], env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == Exit.REFUSED
    assert "the safety process cannot start: no module named gpiod" in done.stderr.replace("\n", " ")
    assert time.monotonic() - started < STEP_WITHIN_S, "it did not wait for the end of a scene"
