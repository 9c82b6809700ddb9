"""The technician's commands on a box of real processes: what they print, what they refuse, and faults of the system."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import subprocess
import sys
import tarfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.api.client import BoxError, call
from evse_pi.api.exits import Exit
from evse_pi.paths import resolve_paths
from evse_pi.sim.process import SimulatorClient
from tests.support.long_gate import on_long_gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evse_pi.paths import Paths

EVSE_PI = [sys.executable, "-m", "evse_pi.cli"]
COMMANDS = ("why", "scope", "faults", "sessions", "counters", "timing", "log", "selftest")


def evse_pi(box: Paths, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*EVSE_PI, "--state-dir", str(box.state_dir), *arguments]
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


def told(box: Paths) -> dict[str, Any]:
    done = evse_pi(box, "why", "--json")
    answer: dict[str, Any] = json.loads(done.stdout) if done.stdout else {"findings": [], "error": done.stderr}
    return answer


def eventually(box: Paths, *names: str, within_s: float = 40) -> dict[str, dict[str, Any]]:
    """Return the findings once all `names` are among them."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        answer = told(box)
        found = {finding["name"]: finding for finding in answer["findings"]}
        if set(names) <= set(found):
            return found
        time.sleep(0.3)
    pytest.fail(f"{names} never came; the box says {answer}")


def process(box: Paths, module: str) -> int:
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = entry.read_bytes().split(b"\0")
            if module.encode() in words and any(str(box.state_dir).encode() in word for word in words):
                return int(entry.parent.name)
    pytest.fail(f"no {module} runs")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paths]:
    folder = tmp_path_factory.mktemp("box")
    box = resolve_paths(folder)
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen([*EVSE_PI, "--state-dir", str(folder), "run", *on_long_gate()], stderr=log, stdout=log)
        try:
            eventually(box, "NO_VEHICLE")
            yield box
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(20)


def plant(box: Paths, call: Callable[[SimulatorClient], object]) -> None:
    with SimulatorClient(box.simulator_socket) as client:
        call(client)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_fits_80_columns_and_has_json(box: Paths, name: str) -> None:
    done = evse_pi(box, name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout
    last = ("--last",) if name == "selftest" else ()
    json.loads(evse_pi(box, name, "--json", *last).stdout)


def test_the_scope_writes_an_image(box: Paths, tmp_path: Path) -> None:
    assert evse_pi(box, "scope", "--png", str(tmp_path / "pilot.png")).returncode == 0
    content = (tmp_path / "pilot.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert content.endswith(b"IEND\xaeB`\x82")
    done = evse_pi(box, "scope", "--png", str(tmp_path))
    assert done.returncode == 2
    done = evse_pi(box, "scope", "--png", str(tmp_path / "no" / "pilot.png"))
    assert (done.returncode, "png" in done.stderr) == (1, True)


def test_the_owner_needs_a_unit_and_stays_within_the_rating(box: Paths) -> None:
    assert evse_pi(box, "set", "16").returncode == 2
    assert "unit" in evse_pi(box, "set", "16").stderr
    refused = evse_pi(box, "set", "70A")
    assert (refused.returncode, "6.0 A to 32.0 A" in refused.stderr) == (1, True)
    assert "up to 10.0 A" in evse_pi(box, "set", "10A").stdout
    assert "stopped" in evse_pi(box, "stop").stdout
    assert "without a limit" in evse_pi(box, "set", "none").stdout
    assert "permitted" in evse_pi(box, "permit").stdout
    assert evse_pi(box, "clear").returncode == 0
    assert evse_pi(box, "wake").returncode == 0


def test_a_failed_self_test_has_status_3(box: Paths) -> None:
    plant(box, lambda client: client.verb("stick_mirror", closed=True))
    try:
        done = evse_pi(box, "selftest")
        assert done.returncode == 3, done.stdout
        assert "CONTACTOR_WELDED" in done.stdout
    finally:
        plant(box, lambda client: client.verb("repair"))
    assert evse_pi(box, "clear", "--installer").returncode in (0, 1)
    eventually(box, "NO_VEHICLE")


def test_a_charge_is_a_session_a_cycle_and_a_release_time(box: Paths) -> None:
    assert evse_pi(box, "car", "plug_in", "cable_ma=32000").returncode == 0
    evse_pi(box, "car", "auto")
    eventually(box, "CHARGING")
    charging = evse_pi(box, "selftest")
    assert (charging.returncode, "evse-pi stop" in charging.stderr) == (1, True)
    evse_pi(box, "car", "remove_diode")
    found = eventually(box, "PILOT_DIODE")
    assert "-5.6" in found["PILOT_DIODE"]["what"]
    time.sleep(4)
    (name,) = [each for each in call(box.control_socket, "recordings") if "pilot_diode" in each]
    replayed = evse_pi(box, "replay", name)
    assert replayed.returncode == 0, replayed.stdout
    assert "+PILOT_DIODE" in replayed.stdout
    assert name in evse_pi(box, "faults").stdout
    evse_pi(box, "car", "restore_diode")
    evse_pi(box, "car", "unplug")
    eventually(box, "NO_VEHICLE")
    counters = json.loads(evse_pi(box, "counters", "--json").stdout)
    assert counters["contactor_cycles"] >= 1
    assert counters["release"]["longest_us"] < 60_000
    rows = evse_pi(box, "sessions", "--csv").stdout.splitlines()
    assert rows[0].startswith("number,started_unix_s")
    assert len(rows) >= 2
    assert evse_pi(box, "sessions", "--csv", "--json").returncode == 2


def test_a_report_names_its_parts(box: Paths, tmp_path: Path) -> None:
    done = evse_pi(box, "report", "--output", str(tmp_path / "report.tar.gz"))
    assert done.returncode == 0, done.stderr
    assert "status.json" in done.stdout
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 80  # the last one holds the path
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "report.tar.gz").read_bytes())) as tar:
        assert "evse-pi-report/CONTENTS" in tar.getnames()
    assert (tmp_path / "report.tar.gz").stat().st_mode & 0o777 == 0o600


def test_a_refused_device_node_is_named_while_it_runs_and_when_it_starts(box: Paths) -> None:
    plant(box, lambda client: client.call("device", device="spi", error="EACCES"))
    try:
        eventually(box, "PILOT_ADC_FAILED")
        os.kill(process(box, "evse_pi.safety"), signal.SIGKILL)
        found = eventually(box, "SAFETY_SILENT")
        assert "systemctl" in found["SAFETY_SILENT"]["do"] or "evse-safety" in found["SAFETY_SILENT"]["do"]
    finally:
        plant(box, lambda client: client.call("device", device="spi"))
    eventually(box, "NO_VEHICLE", within_s=80)
    assert json.loads(evse_pi(box, "counters", "--json").stdout)["safety_unclean_ends"] >= 1


@pytest.mark.hazard("H-18")
def test_a_full_disk_is_a_notice_and_charging_goes_on(box: Paths) -> None:
    assert evse_pi(box, "car", "plug_in", "cable_ma=32000").returncode == 0
    evse_pi(box, "car", "auto")
    eventually(box, "CHARGING")
    node = process(box, "evse_pi.node")
    resource.prlimit(node, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    try:
        with suppress(BoxError):
            call(box.control_socket, "set", limit_ma=9_000)
        found = eventually(box, "STORAGE")
        assert "df -h" in found["STORAGE"]["do"]
        assert call(box.control_socket, "status")["contactor"]["close_ordered"] is True
    finally:
        resource.prlimit(node, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        call(box.control_socket, "set", limit_ma=None)
    evse_pi(box, "car", "unplug")
    eventually(box, "NO_VEHICLE")


def test_a_torn_installers_file_is_named(box: Paths) -> None:
    path = box.state_dir / "installation.toml"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[: len(whole) // 2])
        call(box.control_socket, "reload")
        eventually(box, "INSTALLATION_INVALID")
    finally:
        path.write_bytes(whole)
        call(box.control_socket, "reload")
    eventually(box, "NO_VEHICLE")


def test_without_its_node_the_box_is_told_from_the_black_box(box: Paths) -> None:
    os.kill(process(box, "evse_pi.node"), signal.SIGKILL)
    done = evse_pi(box, "why")
    assert done.returncode == Exit.NOT_RUNNING
    assert "NODE_SILENT" in done.stdout
    assert "evse-pi-node" in done.stdout
    assert evse_pi(box, "scope").returncode == 0
    eventually(box, "NO_VEHICLE")


def test_a_node_that_hangs_is_named_and_blocks_no_caller(box: Paths) -> None:
    node = process(box, "evse_pi.node")
    os.kill(node, signal.SIGSTOP)
    try:
        done = evse_pi(box, "why")
        assert (done.returncode, "NODE_HANGS" in done.stdout) == (Exit.NOT_RUNNING, True), done.stdout
        assert "restart evse-pi-node" in " ".join(done.stdout.split())
    finally:
        os.kill(node, signal.SIGCONT)
    eventually(box, "NO_VEHICLE")


def test_a_box_that_does_not_run_is_said_by_every_command(tmp_path: Path) -> None:
    for name in (*COMMANDS, "permit", "stop", "clear", "wake"):
        done = evse_pi(resolve_paths(tmp_path), name)
        assert (done.returncode, "evse-pi run" in done.stderr) == (Exit.NOT_RUNNING, True), name
    done = evse_pi(resolve_paths(tmp_path), "replay", "nothing.json.gz")
    assert (done.returncode, "nothing.json.gz" in done.stderr) == (1, True)


@pytest.mark.parametrize("name", ["why", "scope", "counters", "replay", "report", "set"])
def test_a_command_imports_no_heavy_library(name: str) -> None:
    program = (
        f"import importlib, sys; importlib.import_module('evse_pi.cli.{name}');"
        "print([m for m in ('asyncio', 'cryptography', 'sqlite3', 'rich', 'zeroconf', 'chip') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"
