"""A simulator process and Python children that see its device nodes."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evse_pi.sim.contactor_model import ContactorSettings
from evse_pi.sim.plant import PlantSettings
from evse_pi.sim.process import SimulatorProcess
from evse_pi.sim.wiring import SimulatorSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "sim"
START_S = 60  # of a Python process on a machine that runs other tests as well
HARDWARE, DRIVERS = 60, 50
"""Real-time priorities of what stands for hardware and of what stands for the safety process, where they are allowed.

With them another load of the machine delays neither, as it would not on a Pi; what they do is judged in real time.
"""
QUIET = SimulatorSettings(
    plant=replace(
        PlantSettings(),
        disturbance=replace(PlantSettings().disturbance, noise_v=0.0),
        contactor=ContactorSettings(bounce_ns=0),
    )
)


def prefer(pid: int, priority: int) -> None:
    """Give a process a real-time priority, as far as this machine allows it."""
    with suppress(PermissionError):
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(priority))


class Child:
    """A running Python process that sees the nodes; every line it prints is taken with a time-out."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def says(self, timeout_s: float = 10.0) -> str:
        """Return the next line; a child that says nothing in time fails the test."""
        try:
            return self._said.get(timeout=timeout_s)
        except queue.Empty:
            raise AssertionError(f"the child said nothing for {timeout_s} s") from None

    def hear(self, line: str = "") -> None:
        """Send a line to the child's standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End it and let go of its pipes."""
        self.kill()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._said.put(line.rstrip("\n"))


class Emulation:
    """One running simulator with a client, and what a test does with them."""

    def __init__(self, simulator: SimulatorProcess, folder: Path) -> None:
        self.simulator = simulator
        self.folder = folder
        self.client = simulator.client()

    @property
    def environment(self) -> dict[str, str]:
        """What children get; lgpio makes a FIFO in its working folder when it is imported."""
        return {**self.simulator.environment, "LG_WD": str(self.folder)}

    def python(self, code: str, *arguments: str) -> list[str]:
        """Run Python code that sees the nodes and return the lines it printed; its failure is the test's."""
        child = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert child.returncode == 0, child.stderr
        return child.stdout.splitlines()

    @contextmanager
    def running(self, code: str) -> Iterator[Child]:
        """Run Python code beside the test, from the line `ready` on, which it must print."""
        child = Child(
            subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(code)],
                env=self.environment,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        prefer(child.process.pid, DRIVERS)
        try:
            assert child.says(START_S) == "ready"
            yield child
        finally:
            child.close()

    def line(self, number: int) -> dict[str, object]:
        """Return what the simulator knows of a wired or held GPIO line."""
        return next(line for line in self.client.call("lines")["lines"] if line["line"] == number)

    def eventually_line(self, number: int, **expected: object) -> dict[str, object]:
        """Return the line as soon as it is as expected, or as it is after two seconds."""
        deadline = time.monotonic() + 2
        while True:
            line = self.line(number)
            if expected.items() <= line.items() or time.monotonic() > deadline:
                return line
            time.sleep(0.005)


@contextmanager
def emulation(folder: Path, settings: SimulatorSettings = QUIET) -> Iterator[Emulation]:
    """Run a simulator below `folder`."""
    with SimulatorProcess(folder, CACHE, settings, os.environ, fifo=HARDWARE) as simulator:
        emulated = Emulation(simulator, folder)
        try:
            yield emulated
        finally:
            emulated.client.close()
