"""The installer at the running box: capacity, tampering, drift and calibration, the certificate."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.api.client import BoxError, ask, call
from evse_pi.api.exits import Exit
from evse_pi.installer.box_settings import Who
from evse_pi.installer.installer_client import installer_client_of
from evse_pi.paths import resolve_paths
from evse_pi.sim.process import SimulatorClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from evse_pi.paths import Paths

EVSE_PI = [sys.executable, "-m", "evse_pi.cli"]


def evse_pi(box: Paths, *arguments: str, told: str = "") -> subprocess.CompletedProcess[str]:
    command = [*EVSE_PI, "--state-dir", str(box.state_dir), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, input=told)


def eventually(box: Paths, holds: Callable[[dict[str, Any]], bool], within_s: float = 40) -> dict[str, Any]:
    deadline = time.monotonic() + within_s
    now: Any = None
    while time.monotonic() < deadline:
        try:
            now = call(box.control_socket, "status")
        except BoxError:
            time.sleep(0.1)
            continue
        if now["reason"] is not None and holds(now):
            return dict(now)
        time.sleep(0.1)
    pytest.fail(f"never came about; the box says {now}")


def reason(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda now: now["reason"]["reason"] == name


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Paths]:
    """A box that was set up with 16 A and runs."""
    here = resolve_paths(tmp_path)
    done = evse_pi(here, "setup", "--yes", "--country", "DE", "--capacity", "16A", "--name", "Jo Bloggs")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "log").open("wb") as log:
        command = [*EVSE_PI, "--state-dir", str(tmp_path), "run", "--no-matter"]
        child = subprocess.Popen(command, stderr=log, stdout=log)
        try:
            eventually(here, reason("NO_VEHICLE"))
            yield here
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(20)


def charge(box: Paths) -> None:
    evse_pi(box, "car", "plug_in", "cable_ma=32000")
    evse_pi(box, "car", "auto")
    eventually(box, reason("CHARGING"))


def capacity_of(now: dict[str, Any]) -> int:
    return int(next(limit["limit_ma"] for limit in now["limits"] if limit["source"] == "CIRCUIT_CAPACITY"))


@pytest.mark.hazard("H-04")
def test_the_capacity_falls_at_once_and_rises_with_the_next_offer(box: Paths) -> None:
    charge(box)
    now = eventually(box, lambda now: now["offered_current_ma"] > 15_000)
    assert (now["limit"]["source"], capacity_of(now)) == ("CIRCUIT_CAPACITY", 16_000)
    done = evse_pi(box, "capacity", "set", "10A")
    assert "in force" in done.stdout, done.stderr
    now = eventually(box, lambda now: now["offered_current_ma"] <= 10_000, 5)
    assert now["contactor"]["close_ordered"]
    assert capacity_of(now) == 10_000
    done = evse_pi(box, "capacity", "set", "20A")
    assert "gets more when its offer changes next" in " ".join(done.stdout.split())
    time.sleep(6)  # the vehicle has had its time, the box would be allowed to offer more
    assert call(box.control_socket, "status")["offered_current_ma"] <= 10_000
    call(box.control_socket, "set", limit_ma=8_000)
    eventually(box, lambda now: now["offered_current_ma"] <= 8_000, 5)
    call(box.control_socket, "set", limit_ma=None)
    now = eventually(box, lambda now: now["offered_current_ma"] > 10_000, 10)
    assert now["offered_current_ma"] <= 20_000
    assert now["contactor"]["close_ordered"]


@pytest.mark.hazard("H-17")
def test_a_tampered_file_stops_the_box_until_it_is_set_up_again(box: Paths) -> None:
    file = box.state_dir / "installation.toml"
    file.write_text(file.read_text().replace("16000", "32000"))
    call(box.control_socket, "reload")
    now = eventually(box, lambda now: any(fault["fault"] == "INSTALLATION_INVALID" for fault in now["faults"]), 5)
    assert not now["contactor"]["close_ordered"]
    done = evse_pi(box, "certificate")
    assert done.returncode == Exit.UNWELL
    assert "NOT FIT FOR SERVICE" in done.stderr
    assert evse_pi(box, "capacity", "set", "16A").returncode == 1
    assert evse_pi(box, "setup", "--yes", "--capacity", "16A").returncode == 0
    eventually(box, reason("NO_VEHICLE"))


@pytest.mark.hazard("H-03")
def test_only_who_reads_the_key_clears_a_weld(box: Paths) -> None:
    def welded(now: dict[str, Any]) -> bool:
        return any(fault["fault"] == "CONTACTOR_WELDED" for fault in now["faults"])

    evse_pi(box, "car", "weld")
    eventually(box, welded)
    evse_pi(box, "car", "repair")
    assert evse_pi(box, "clear").returncode == Exit.UNWELL
    call(box.control_socket, "clear", role="INSTALLER")
    assert welded(call(box.control_socket, "status"))
    done = evse_pi(box, "clear", "--installer")
    assert done.returncode == 0, done.stdout + done.stderr
    eventually(box, reason("NO_VEHICLE"))


@pytest.mark.hazard("H-03")
def test_a_clear_before_the_repair_is_answered_with_the_weld_and_one_during_it_needs_no_second_order(
    box: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def welded(now: dict[str, Any]) -> bool:
        return any(fault["fault"] == "CONTACTOR_WELDED" for fault in now["faults"])

    evse_pi(box, "car", "weld")
    eventually(box, welded)
    done = evse_pi(box, "clear", "--installer")
    assert (done.returncode, "CONTACTOR_WELDED" in done.stdout) == (Exit.UNWELL, True), done.stdout + done.stderr
    answers: list[Any] = []

    def ask_then_repair(*arguments: Any) -> Any:
        answers.append(ask(*arguments))
        if len(answers) == 1:
            with SimulatorClient(box.simulator_socket) as simulator:
                simulator.verb("repair")
        return answers[-1]

    monkeypatch.setattr("evse_pi.installer.installer_client.ask", ask_then_repair)
    assert installer_client_of(box).order_clear(Who("Jo Bloggs", "owner")) == ()
    assert [bool(each.faults) for each in (answers[0], answers[-1])] == [True, False]
    eventually(box, reason("NO_VEHICLE"))


@pytest.mark.hazard("H-17")
def test_a_torn_file_stops_a_charge(box: Paths) -> None:
    charge(box)
    file = box.state_dir / "installation.toml"
    file.write_bytes(file.read_bytes()[:200])
    call(box.control_socket, "reload")
    now = eventually(box, lambda now: not now["contactor"]["close_ordered"], 5)
    assert any(fault["fault"] == "INSTALLATION_INVALID" for fault in now["faults"])


@pytest.mark.hazard("H-02")
def test_an_injected_drift_is_measured_and_corrected(box: Paths) -> None:
    evse_pi(box, "car", "drift_adc", "source=pilot", "offset_mv=40", "gain_ppm=970000")
    assert evse_pi(box, "stop").returncode == 0
    errors = {}
    steps = {
        "open": (),
        "9V": ("plug_in", "cable_ma=32000"),
        "6V": ("close_s2",),
        "3V": ("ask_ventilation",),
        "-12V": (),
    }
    for name, verb in steps.items():
        if verb:
            assert evse_pi(box, "car", *verb).returncode == 0
            time.sleep(0.5)
        done = evse_pi(box, "calibrate", "measure", "--json", "--", name)
        assert done.returncode == 0, done.stderr
        errors[name] = json.loads(done.stdout)["error_mv"]
    assert errors["3V"] > 150
    assert errors["-12V"] > 500
    done = evse_pi(box, "calibrate", "apply", "--json", "--name", "Ann")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "in force"
    done = evse_pi(box, "calibrate", "measure", "--json", "--", "-12V")
    assert abs(json.loads(done.stdout)["error_mv"]) < 100
    evse_pi(box, "car", "unplug")
    now = eventually(box, lambda now: now["pilot"]["state"] == "A" and not now["faults"])
    assert abs(now["pilot"]["high_mv"] - 12_000) < 100
    evse_pi(box, "permit")
    page = evse_pi(box, "certificate")
    assert page.returncode == 0, page.stderr
    assert "by Ann (" in page.stdout


def test_what_cannot_be_right_is_refused_and_the_last_good_stays(box: Paths) -> None:
    evse_pi(box, "stop")
    for name in ("open", "-12V"):
        assert evse_pi(box, "calibrate", "measure", "--", name).returncode == 0
    done = evse_pi(box, "calibrate", "measure", "6V", "--true", "8V")
    assert done.returncode == 1
    assert "6V: 8000 mV is not allowed" in done.stderr
    assert evse_pi(box, "calibrate", "measure", "6V").returncode == 0  # but nothing is plugged in
    done = evse_pi(box, "calibrate", "apply")
    assert done.returncode == 1
    assert "misses the line by" in done.stderr
    assert "the scale in use stays" in done.stderr
    assert not (box.state_dir / "calibration.toml").exists()
    assert call(box.control_socket, "status")["pilot"]["gain_uv_per_code"] == 7_312


def test_calibrate_leads_through_all_references_and_gives_the_permission_back(box: Paths) -> None:
    done = evse_pi(box, "calibrate", told="12.0V\nskip\n12V\n")
    assert done.returncode == 1
    assert "6V: 12000 mV is not allowed" in done.stderr
    assert call(box.control_socket, "status")["owner"]["permitted"] is True
    charge(box)
    done = evse_pi(box, "calibrate", "measure", "open")
    assert done.returncode == 1
    assert "a vehicle charges; end that first" in done.stderr


def test_the_certificate_is_one_page_with_everything_on_it(box: Paths) -> None:
    page = evse_pi(box, "certificate")
    assert page.returncode == 0, page.stderr
    for words in (
        "PASSED",
        "16.0 A",
        "pilot low rail",
        "RCD trips",
        "state A",
        "evse-pi 0",
        "chain intact",
        "Signatures",
    ):
        assert words in page.stdout
    for name in ("report.md", "report.html"):
        file = box.state_dir / name
        assert evse_pi(box, "certificate", "--out", str(file)).returncode == 0
        assert "Jo Bloggs" in file.read_text()
    assert evse_pi(box, "certificate", "--out", "report.pdf").returncode == 2
    facts = json.loads(evse_pi(box, "certificate", "--json").stdout)
    assert facts["passed"] is True
    assert facts["audit"]["intact"] is True


def test_another_meter_is_taken_up_without_ending_the_lease(box: Paths) -> None:
    assert evse_pi(box, "setup", "--yes", "--meter", "none").returncode == 0
    now = eventually(box, lambda now: now["meter"]["fitted"] is False)
    assert not now["faults"]
