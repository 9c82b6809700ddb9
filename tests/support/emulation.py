"""A simulator process and Python children that see its device nodes."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evse_pi.sim.contactor import ContactorSettings
from evse_pi.sim.plant import PlantSettings
from evse_pi.sim.process import SimulatorProcess
from evse_pi.sim.wiring import SimulatorSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "sim"
QUIET = SimulatorSettings(
    plant=replace(
        PlantSettings(),
        disturbance=replace(PlantSettings().disturbance, noise_v=0.0),
        contactor=ContactorSettings(bounce_ns=0),
    )
)


class Emulation:
    """One running simulator with a client, and what a test does with them."""

    def __init__(self, simulator: SimulatorProcess) -> None:
        self.simulator = simulator
        self.client = simulator.client()

    def python(self, code: str, *arguments: str) -> list[str]:
        """Run Python code that sees the nodes and return the lines it printed; its failure is the test's."""
        child = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), *arguments],
            env=self.simulator.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert child.returncode == 0, child.stderr
        return child.stdout.splitlines()

    @contextmanager
    def running(self, code: str) -> Iterator[subprocess.Popen[str]]:
        """Run Python code beside the test, from the line `ready` on which it must print."""
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            env=self.simulator.environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            yield child
        finally:
            child.kill()
            child.communicate()

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
    with SimulatorProcess(folder, CACHE, settings, os.environ) as simulator:
        emulated = Emulation(simulator)
        try:
            yield emulated
        finally:
            emulated.client.close()
