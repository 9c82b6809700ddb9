"""The real safety process on emulated device nodes: what happens to the contactor when processes and devices fail.

Only what is about the gate's time runs on the shipped board (`timely`); the rest stands a machine that is busy.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from boards.loader import load_board
from evse_pi.core.faults import Fault
from evse_pi.core.records import Request
from evse_pi.core.states import EvseState, PilotMode
from evse_pi.paths import SAFETY_SOCKET
from evse_pi.safety.__main__ import MEMORY_FILE
from evse_pi.safety.fault_memory import faults_in
from evse_pi.sim.devices.gpio import KernelRelease
from evse_pi.sim.harness.process_box import ProcessBox
from tests.support.emulation import CACHE
from tests.support.long_gate import long_gate_board, long_gate_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evse_pi.core.records import Snapshot

MS = 1_000_000
BOARD = load_board("simulated")
GATE_MS = 65  # the longest hold of the shipped board's gate
RELEASE_MS = 25
START_S = 60  # of a Python process on a machine that runs other tests as well
TRUSTED_S = 250  # two generations of ticks, the second of which must be fast
SHARED_MACHINE_MS = 100  # what other programs on the machine that runs the tests may take


@contextmanager
def running_box(
    folder: Path, release: KernelRelease = KernelRelease.STRICT, **environment: str
) -> Iterator[ProcessBox]:
    with ProcessBox(folder, CACHE, long_gate_board(), release=release, board_file=long_gate_file()) as box:
        box.start_safety(**environment)
        yield box


def charge(box: ProcessBox) -> None:
    """Bring the box to C2 with a live vehicle; where the machine was too busy at the start, when the box trusts it."""
    now = box.wait_for_snapshot(lambda now: now.evse_state is EvseState.A, START_S, "state A")
    assert now.faults <= {Fault.TIMING_BUDGET}
    box.wait_for_snapshot(lambda now: not now.faults, TRUSTED_S, "no fault")
    box.do("plug_in", cable_ma=32_000)
    box.wait_for_snapshot(lambda now: now.evse_state is EvseState.B2, 10, "state B2")
    box.do("close_s2")
    box.wait_for_snapshot(is_live, TRUSTED_S, "charging")


def is_live(now: Snapshot) -> bool:
    return now.close_ordered and now.mirror_closed is True


@pytest.fixture
def charging(tmp_path: Path) -> Iterator[ProcessBox]:
    with running_box(tmp_path) as box:
        charge(box)
        yield box


@pytest.fixture
def timely(tmp_path: Path) -> Iterator[ProcessBox]:
    with ProcessBox(tmp_path, CACHE, BOARD) as box:
        box.start_safety()
        charge(box)
        yield box


def opened_after_ms(box: ProcessBox, since_ns: int, within_s: float = 2.0) -> float:
    """Return how long after an instant no pole conducted any more."""

    def instant() -> int | None:
        return next((at_ns for at_ns, _, value in box.changes(since_ns, "poles") if value == 0), None)

    box.wait_for(lambda: instant() is not None, within_s, "no pole conducting")
    return ((instant() or 0) - since_ns) / MS


@pytest.mark.hazard("H-08")
def test_killed_process_lets_go_of_the_contactor_and_safe_off_ends_the_offer(charging: ProcessBox) -> None:
    killed_ns = charging.signal_safety(signal.SIGKILL)
    assert opened_after_ms(charging, killed_ns) <= RELEASE_MS + SHARED_MACHINE_MS
    assert charging.plant.state()["duty_ppm"] > 0  # the kernel's PWM outlives its process
    charging.run_safe_off()
    assert charging.plant.state()["duty_ppm"] == 0


@pytest.mark.hazard("H-08")
def test_safe_off_opens_where_the_kernel_kept_the_contactor_closed(charging: ProcessBox) -> None:
    charging.plant.call("release", mode="persist")
    charging.do("stick_sense", line="emergency_stop", value=False)  # only the line itself may let go
    charging.signal_safety(signal.SIGKILL)
    charging.run_safe_off()
    assert not charging.plant.state()["drives"]["contactor"]
    charging.wait_for(lambda: not any(charging.plant.state()["poles"]), 2, "poles that have fallen open")


@pytest.mark.hazard("H-08")
def test_box_refuses_to_close_while_the_kernel_keeps_outputs_and_says_what_to_set(tmp_path: Path) -> None:
    with running_box(tmp_path, KernelRelease.PERSIST) as box:
        box.wait_for_snapshot(lambda now: Fault.OUTPUTS_PERSIST in now.faults, START_S)
        box.do("plug_in", cable_ma=32_000)
        box.do("close_s2")
        started = time.monotonic()
        box.wait_for(lambda: time.monotonic() - started > 6.5, 10)
        assert not box.changes(0, "coil")[1:]
        assert "dtparam=strict_gpiod" in box.log


@pytest.mark.hazard("H-09")
def test_stopped_process_opens_by_the_gate_and_a_late_tick_opens_by_itself(timely: ProcessBox) -> None:
    stopped_ns = timely.signal_safety(signal.SIGSTOP)
    assert opened_after_ms(timely, stopped_ns) <= GATE_MS + RELEASE_MS + SHARED_MACHINE_MS
    assert timely.plant.state()["drives"]["contactor"]  # the line is still driven: the gate alone has opened
    timely.signal_safety(signal.SIGCONT)
    timely.wait_for_snapshot(lambda now: not now.close_ordered and Fault.TIMING_BUDGET in now.faults, 2)
    assert not timely.plant.state()["drives"]["contactor"]


@pytest.mark.hazard("H-10")
def test_node_that_is_gone_loses_its_lease(charging: ProcessBox) -> None:
    charging.lease_ns = 1_000 * MS
    charging.renew()
    renewed_ns = time.monotonic_ns()
    time.sleep(1.5)
    charging.node_is_gone = True
    charging.wait_for_snapshot(lambda now: now.pilot_mode is PilotMode.HIGH, 3, "end of the offer")
    assert opened_after_ms(charging, renewed_ns, 5) <= 1_000 + 3_000 + SHARED_MACHINE_MS


@pytest.mark.hazard("H-09")
@pytest.mark.hazard("H-10")
@pytest.mark.hazard("H-18")
def test_deaf_node_hostile_datagrams_and_wrong_clock_change_nothing(tmp_path: Path) -> None:
    jump = tmp_path / "jump"
    jump.write_bytes(struct.pack("q", 0))
    library = tmp_path / "wall_clock.so"
    source = Path(__file__).parents[2] / "support" / "wall_clock.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    with ProcessBox(tmp_path / "box", CACHE, BOARD) as box:
        preload = f"{library} {box.simulator.environment['LD_PRELOAD']}"
        box.start_safety(LD_PRELOAD=preload, EVSE_TEST_WALL_CLOCK=str(jump))
        charge(box)
        before = box.snapshots[-1]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as stranger:
            for number in range(2_000):  # the node's socket is not read meanwhile, so it fills up
                if number % 500 == 0:
                    jump.write_bytes(struct.pack("q", (-1) ** (number // 500) * 500_000_000))
                for datagram in (os.urandom(120), b"", b"EP" + os.urandom(60), bytes(4_096)):
                    try:
                        stranger.sendto(datagram, str(box.folder / SAFETY_SOCKET))
                    except BlockingIOError:
                        time.sleep(0.001)
        assert is_live(box.wait_for_snapshot(lambda now: now.ticks > before.ticks + 200, 5))
        left_ns = box.do("open_s2")
        opened_ms = opened_after_ms(box, left_ns)
        assert opened_ms <= 100 or any(Fault.TIMING_BUDGET in now.faults for now in box.snapshots)
        assert box.snapshots[-1].safety_run_id == before.safety_run_id


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize(("device", "fault"), [("spi", Fault.PILOT_ADC_FAILED), ("gpio", Fault.CONTACTOR_DRIVE_FAILED)])
def test_dead_device_opens_and_is_named(timely: ProcessBox, device: str, fault: Fault) -> None:
    died_ns = time.monotonic_ns()
    timely.plant.call("device", device=device, error="EIO")
    gate_ms = GATE_MS if device == "gpio" else 0  # without its line only the gate can open
    assert opened_after_ms(timely, died_ns) <= 10 + gate_ms + RELEASE_MS + SHARED_MACHINE_MS
    timely.wait_for(lambda: any(fault in now.faults for now in timely.snapshots), 2, fault.name)


@pytest.mark.hazard("H-09")
def test_hung_converter_opens_by_the_gate(timely: ProcessBox) -> None:
    hung_ns = time.monotonic_ns()
    timely.plant.call("device", device="spi", hang=True)
    assert opened_after_ms(timely, hung_ns) <= GATE_MS + RELEASE_MS + SHARED_MACHINE_MS


@pytest.mark.hazard("H-14")
def test_residual_current_trip_outlives_a_crash_of_the_process(charging: ProcessBox) -> None:
    charging.do("trip_rcd")
    charging.wait_for_snapshot(lambda now: Fault.RCD_TRIPPED in now.faults, 2)
    charging.do("repair")
    charging.signal_safety(signal.SIGKILL)
    assert charging.safety is not None
    charging.safety.wait()
    charging.start_safety()
    again = charging.wait_for_snapshot(lambda now: now.self_test_passed, START_S)
    assert Fault.RCD_TRIPPED in again.faults


@pytest.mark.hazard("H-14")
def test_residual_current_trip_outlives_a_power_cut(charging: ProcessBox) -> None:
    charging.do("trip_rcd")
    charging.wait_for_snapshot(lambda now: Fault.RCD_TRIPPED in now.faults, 2)
    disk = charging.folder / "safety-state" / "former-faults"
    charging.wait_for(lambda: faults_in(disk.read_bytes()) == {Fault.RCD_TRIPPED}, 10, "the fault on disk")
    charging.do("repair")
    charging.signal_safety(signal.SIGKILL)
    assert charging.safety is not None
    charging.safety.wait()
    (charging.folder / MEMORY_FILE).unlink()  # the run directory is memory
    charging.start_safety()
    again = charging.wait_for_snapshot(lambda now: now.self_test_passed, START_S)
    assert Fault.RCD_TRIPPED in again.faults


def test_terminated_process_lets_the_vehicle_let_go_first(charging: ProcessBox) -> None:
    charging.wait_for(lambda: charging.plant.state()["vehicle"]["drawing"], 5)
    charging.signal_safety(signal.SIGTERM)
    charging.wait_for(
        lambda: charging.safety is not None and charging.safety.poll() is not None, 8, "end of the process"
    )
    assert charging.safety is not None
    assert charging.safety.returncode == 0
    assert charging.plant.state()["openings_under_load"] == 0
    assert charging.plant.state()["duty_ppm"] == 0
    assert "ends with status 0" in charging.log


@pytest.mark.hazard("H-11")
@pytest.mark.hazard("H-17")
def test_invalid_installation_keeps_open_until_it_is_corrected_and_reloaded(tmp_path: Path) -> None:
    with ProcessBox(tmp_path, CACHE, BOARD) as box:
        good = box.installation.read_text()
        box.installation.write_text(good.replace("32000", "99000"))
        box.start_safety()
        box.wait_for_snapshot(lambda now: Fault.INSTALLATION_INVALID in now.faults and now.demand_number > 0, START_S)
        assert "circuit_capacity_ma" in box.log
        assert "99000" in box.log
        box.installation.write_text(good.replace("32000", "16000"))
        box.order(Request.RELOAD_INSTALLATION)
        box.wait_for_snapshot(lambda now: Fault.INSTALLATION_INVALID not in now.faults, 5)
        box.do("plug_in", cable_ma=32_000)
        assert box.wait_for_snapshot(lambda now: now.evse_state is EvseState.B2, 10).offered_current_ma <= 16_000


def test_status_led_shines_while_charging_and_blinks_with_a_fault(charging: ProcessBox) -> None:
    def shines() -> bool:
        return bool(charging.plant.state()["drives"]["led"])

    charging.wait_for(shines, 2, "steady light")
    charging.do("trip_rcd")
    charging.wait_for(lambda: not shines(), 3, "dark")
    charging.wait_for(shines, 3, "light again")


def test_second_process_is_refused_and_the_first_goes_on(charging: ProcessBox, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "evse_pi.safety", "--board", "simulated", "--run-dir", str(charging.folder)]
    command += ["--safety-state-dir", str(tmp_path)]
    second = subprocess.run(
        command, env=charging.simulator.environment, capture_output=True, text=True, timeout=START_S, check=False
    )
    assert second.returncode == 69
    assert "another safety process runs here" in second.stderr
    assert is_live(charging.wait_for_snapshot(lambda now: True, 3))


@pytest.mark.hazard("H-17")
def test_unknown_board_and_missing_device_are_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "evse_pi.safety", "--run-dir", str(tmp_path)]
    command += ["--safety-state-dir", str(tmp_path / "kept"), "--board"]
    unknown = subprocess.run([*command, "wallbux"], capture_output=True, text=True, check=False)
    assert unknown.returncode == 78
    assert "wallbux" in unknown.stderr
    bare = subprocess.run([*command, "simulated"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert bare.returncode == 69
    assert "gpiochip" in bare.stderr


@pytest.mark.parametrize("content", ["", "raise ImportError('no module named {}')"], ids=["empty", "missing"])
@pytest.mark.parametrize("module", ["gpiod", "gpiozero", "spidev"])
def test_missing_or_empty_library_is_named(tmp_path: Path, module: str, content: str) -> None:
    (tmp_path / f"{module}.py").write_text(content.format(module))
    with ProcessBox(tmp_path / "box", CACHE, BOARD) as box:
        box.start_safety(PYTHONPATH=str(tmp_path))
        assert box.safety is not None
        assert box.safety.wait(START_S) == 69
        assert module in box.log


FOREIGN = (
    "asyncio", "ssl", "_ssl", "sqlite3", "cryptography", "zeroconf", "serial", "smbus2", "pymodbus", "chip", "Crypto",
    "logging", "multiprocessing", "concurrent", "http", "click", "rich", "hal.meters", "hal.sensors",
    "boards.build_field", "evse_pi.matter", "evse_pi.node", "evse_pi.device", "evse_pi.charging", "evse_pi.sim",
)  # fmt: skip


@pytest.mark.hazard("H-09")
def test_safety_process_loads_nothing_that_could_wait_or_grow(tmp_path: Path) -> None:
    with ProcessBox(tmp_path, CACHE, BOARD) as box:
        code = (
            "import sys; import evse_pi.safety.__main__ as process; "
            "hardware = process.build_safety(process.choose_board('simulated')); hardware.close(); "
            "print(*sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], env=box.simulator.environment, capture_output=True, text=True, check=True
        )
    loaded = done.stdout.split()
    assert "gpiozero" in loaded
    assert "spidev" in loaded
    foreign = [name for name in loaded if any(name == each or name.startswith(f"{each}.") for each in FOREIGN)]
    assert not foreign


def test_safety_process_stays_below_25_megabytes(charging: ProcessBox) -> None:
    assert charging.safety is not None
    status = Path(f"/proc/{charging.safety.pid}/status").read_text()
    resident_kb = int(status.split("VmRSS:")[1].split()[0])
    assert resident_kb <= 25_000
