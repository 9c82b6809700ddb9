"""The whole wallbox inside the device's namespace: simulated car and plant, safety process, node with Matter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evse_pi.api.client import BoxError, call
from evse_pi.paths import Paths
from evse_pi.sim.process import SimulatorClient
from tests.support.long_gate import on_long_gate

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.interop.namespaces import Namespaces

ROOT = Path(__file__).parents[2]
PASSCODE = 20202021
ENABLE_KEY = "00112233445566778899aabbccddeeff"
START_WITHIN_S = 40.0
FORGIVEN_WITHIN_S = 300.0  # a tick that came too late is forgiven after a minute, slow ticks after two times 100 s
POLL_S = 0.02


class Wallbox:
    """One box with a state folder of its own, run by `program` in `cwd`."""

    program: tuple[str, ...] = (sys.executable, "-m", "evse_pi.cli")
    cwd: Path = ROOT
    environment: dict[str, str] | None = None

    def __init__(self, namespaces: Namespaces, folder: Path, discriminator: int, *options: str) -> None:
        self.discriminator = discriminator
        self.port = 5540 + discriminator
        self.paths = Paths(folder, folder / "run")
        self.log_path = folder / "wallbox.log"
        self.namespaces = namespaces
        self._options = options
        self._judged = 0  # characters of its log
        self._process: subprocess.Popen[bytes] | None = None
        self._plant: SimulatorClient | None = None

    def start(self, *, wait: bool = True) -> None:
        """Start it and wait until it has tested itself and, if not told otherwise, controllers can talk to it."""
        command = [*self.program, "--state-dir", str(self.paths.state_dir), "run", *on_long_gate(), *self.options()]
        self.paths.state_dir.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.namespaces.inside(self.namespaces.device, *command),
                cwd=self.cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.forgive_a_busy_machine()
        if wait:
            self.until(_serves, START_WITHIN_S)
        self._plant = SimulatorClient(self.paths.simulator_socket)

    def forgive_a_busy_machine(self) -> None:
        """Clear what a machine that was too busy has spoilt, and that alone: a self-test must pass at once."""
        now = self.until(_tested, START_WITHIN_S)
        if now["faults"]:
            assert "TIMING_BUDGET" in {each["fault"] for each in now["faults"]}, now["faults"]
            self.ask("clear", role="INSTALLER")
            self.until(lambda now: _tested(now) and not now["faults"], FORGIVEN_WITHIN_S)

    def options(self) -> list[str]:
        """Return what `run` is told."""
        own = [f"--passcode={PASSCODE}", f"--discriminator={self.discriminator}", f"--port={self.port}"]
        return [*own, "--interface=eth0", f"--enable-key={ENABLE_KEY}", *self._options]

    def until(self, holds: Callable[[dict[str, Any]], bool], within_s: float = 30.0) -> dict[str, Any]:
        """Return the first status for which `holds` is true."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            with suppress(BoxError, OSError):
                now: dict[str, Any] = call(self.paths.control_socket, "status")
                if holds(now):
                    return now
            time.sleep(POLL_S)
        raise TimeoutError(f"never came about; the log ends:\n{self.log()[-3000:]}")

    def ask(self, command: str, **fields: Any) -> Any:
        """Ask the node as its owner does."""
        return call(self.paths.control_socket, command, **fields)

    def car(self, verb: str, **arguments: Any) -> int:
        """Let something happen to the car or the plant, and return when it did, in ns of CLOCK_MONOTONIC."""
        assert self._plant is not None
        return self._plant.verb(verb, **arguments)

    def ask_plant(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Return the simulator's answer to a request."""
        assert self._plant is not None
        return self._plant.call(do, **arguments)

    @property
    def plant(self) -> dict[str, Any]:
        """The emulated lines as they are now."""
        assert self._plant is not None
        return self._plant.state()

    def await_plant(self, holds: Callable[[dict[str, Any]], bool], within_s: float = 20.0) -> dict[str, Any]:
        """Return the first state of the emulated lines for which `holds` is true."""
        deadline = time.monotonic() + within_s
        while not holds(now := self.plant):
            if time.monotonic() > deadline:
                raise TimeoutError(f"never came about: {now}; the log ends:\n{self.log()[-3000:]}")
            time.sleep(POLL_S)
        return now

    def check(self) -> None:
        """Raise unless it runs, can be talked to and has no fault; a car that was left is unplugged.

        A fault of a machine that was too busy between two tests is waited for, as after the start.
        """
        assert self._process is not None
        assert self._process.poll() is None
        if self.plant["vehicle"]["plugged"]:
            self.car("auto", on=False)
            self.car("unplug")
        if self.ask("status")["faults"]:
            self.ask("clear", role="INSTALLER")
        self.until(_rests, FORGIVEN_WITHIN_S)

    def kill_node(self) -> None:
        """Kill the node process alone and wait until the next one can be talked to."""
        (pid,) = self._processes("evse_pi.node")
        os.kill(pid, signal.SIGKILL)
        self.until(lambda now: pid not in self._processes("evse_pi.node") and _serves(now))

    def _processes(self, word: str) -> list[int]:
        """Return the processes of this box whose command line has `word`."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                words = entry.read_bytes().split(b"\0")
                if word.encode() in words and any(str(self.paths.run_dir).encode() in each for each in words):
                    found.append(int(entry.parent.name))
        return found

    def abandon(self) -> None:
        """End a broken one by force."""
        if self._process is not None:
            self.cut_power()

    def cut_power(self) -> None:
        """Kill everything at once, as a power cut does."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for program in ("evse_pi.safety", "evse_pi.node", "evse_pi.sim"):
            for pid in self._processes(program):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._hang_up()

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            return self._process.wait(20)
        finally:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._hang_up()

    def end(self) -> None:
        """Ask it to end, which it must do without a complaint."""
        code, complaints = self.stop(), self.complaints()
        assert (code, complaints) == (0, []), self.log()[-3000:]

    def _hang_up(self) -> None:
        self._process = None
        if self._plant is not None:
            self._plant.close()
            self._plant = None

    def log(self) -> str:
        """Return everything it logged so far."""
        return self.log_path.read_text(errors="replace")

    def complaints(self) -> list[str]:
        """Return what it logged since the last look and should not; a fault that a test sets is an error to people."""
        fresh = self.log()[self._judged :]
        self._judged += len(fresh)
        lines = [line for line in fresh.splitlines() if line.startswith(("ERROR", "CRITICAL", "Traceback"))]
        return [line for line in lines if "fault set" not in line]


def _tested(now: dict[str, Any]) -> bool:
    return now["reason"] is not None and now["reason"]["reason"] != "SELF_TEST"


def _rests(now: dict[str, Any]) -> bool:
    return _tested(now) and _serves(now) and not now["faults"] and now["pilot"]["state"] == "A"


def _serves(now: dict[str, Any]) -> bool:
    return now["matter"] is not None and bool(now["matter"]["running"])
