"""A box of real processes: the safety process on emulated device nodes, and a node of one page over real sockets."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from evse_pi.clearance import with_clearance
from evse_pi.core.installation_limits import Purpose
from evse_pi.core.records import Demand, MeterSample, Request, TemperatureSample, decode_snapshot, encode_demand
from evse_pi.core.states import LimitSource
from evse_pi.installation.files import SIMULATED_INSTALLATION, write_installation
from evse_pi.link import LinkEnd
from evse_pi.node_run import NodeRun
from evse_pi.paths import NODE_SOCKET, SAFETY_SOCKET
from evse_pi.sim.board_wiring import simulator_settings
from evse_pi.sim.devices.gpio import KernelRelease
from evse_pi.sim.process import SimulatorProcess
from hal.units import SECOND, CentiCelsius, Milliamps, Millivolts

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from boards.spec import BoardSpec
    from evse_pi.clearance import Clearance
    from evse_pi.core.records import Snapshot

RENEW_NS = 2 * SECOND
LEASE_NS = 15 * SECOND
POLL_S = 0.002


class ProcessBox:
    """Starts, feeds, watches and ends the processes of one box below `folder`."""

    def __init__(
        self,
        folder: Path,
        cache: Path,
        board: BoardSpec,
        *,
        release: KernelRelease = KernelRelease.STRICT,
        board_file: Path | None = None,
    ) -> None:
        self.folder = folder
        self.board = board
        self.board_choice = str(board_file or board.name)
        self.snapshots: list[Snapshot] = []
        self.permitted = True
        self.offered_ma = 32_000
        self.lease_ns = LEASE_NS
        self.node_is_gone = False
        self.safety: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.installation = folder / "installation.toml"
        purpose = (Purpose.BENCH if board.bench_only else Purpose.VEHICLES).value
        write_installation(self.installation, replace(SIMULATED_INSTALLATION, purpose=purpose))
        self.simulator = SimulatorProcess(folder / "sim", cache, simulator_settings(board, release=release), os.environ)
        with suppress(PermissionError):  # no load of the machine slows down the hardware that it stands for
            os.sched_setscheduler(self.simulator.process.pid, os.SCHED_FIFO, os.sched_param(60))
        self.plant = self.simulator.client()
        self.link = LinkEnd(folder / NODE_SOCKET, folder / SAFETY_SOCKET, decode_snapshot)
        self.run = NodeRun()
        self._renew_ns = 0
        self._number = 0
        self._request = Request.NONE
        self.request_number = 0
        self.clearance: Clearance | None = None

    # The safety process.

    def start_safety(self, *arguments: str, **environment: str) -> None:
        """Start the safety process."""
        command = [sys.executable, "-m", "evse_pi.safety", "--board", self.board_choice, "--run-dir", str(self.folder)]
        command += ["--safety-state-dir", str(self.folder / "safety-state")]
        with (self.folder / "safety.log").open("ab") as log:
            self.safety = subprocess.Popen(
                [*command, "--installation", str(self.installation), *arguments],
                env={**self.simulator.environment, **environment},
                stderr=log,
                cwd=self.folder,
            )

    def signal_safety(self, number: signal.Signals) -> int:
        """Send it a signal and return when, in ns of CLOCK_MONOTONIC. Raises: ProcessLookupError when none runs."""
        if self.safety is None:
            raise ProcessLookupError("the safety process was not started")
        at_ns = time.monotonic_ns()
        self.safety.send_signal(number)
        return at_ns

    def run_safe_off(self) -> None:
        """Do what the service manager does after the safety process has ended."""
        subprocess.run(
            [sys.executable, "-m", "evse_pi.safety.safe_off", "--board", self.board_choice],
            env=self.simulator.environment,
            cwd=self.folder,
            check=True,
        )

    @property
    def log(self) -> str:
        """What it said so far."""
        return (self.folder / "safety.log").read_text()

    # The node process.

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest snapshot."""
        return self.snapshots[-1] if self.snapshots else None

    def pump(self) -> None:
        """Take what has arrived, and renew the demand when it is time."""
        newest = self.link.receive()
        if newest is not None:
            self.snapshots.append(newest)
            if self.run.on_snapshot(newest):
                self._renew_ns = 0
        if time.monotonic_ns() >= self._renew_ns and not self.node_is_gone:
            self.renew()

    def order(self, request: Request) -> None:
        """Order something once."""
        self._request, self.request_number = request, self.request_number + 1
        self.renew()

    def renew(self) -> None:
        """Send the demand."""
        now_ns = time.monotonic_ns()
        self._renew_ns = now_ns + RENEW_NS
        self._number += 1
        state = self.plant.state()
        volts = tuple(Millivolts(each) for each in state["voltage_mv"])
        amps = tuple(Milliamps(each) for each in state["current_ma"])
        demand = Demand(
            number=self._number,
            permitted=self.permitted,
            offered_current_ma=Milliamps(self.offered_ma),
            limit_source=LimitSource.OWNER,
            valid_until_ns=now_ns + self.lease_ns,
            meter=MeterSample(now_ns, volts, amps),
            temperature=TemperatureSample(now_ns, CentiCelsius(round(100 * max(state["temperatures"].values())))),
            request=self._request,
            request_number=self.request_number,
        )
        self.link.send(self.run.stamp(with_clearance(encode_demand(demand), self.clearance)))

    def wait_for(self, condition: Callable[[], bool], within_s: float, what: str = "") -> None:
        """Be a node until `condition` holds. Raises: TimeoutError with what is known."""
        deadline = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what or 'condition'} not within {within_s} s: {self.snapshot}\n{self.log}")
            self.pump()
            time.sleep(POLL_S)

    def wait_for_snapshot(self, condition: Callable[[Snapshot], bool], within_s: float, what: str = "") -> Snapshot:
        """Be a node until a snapshot that arrives from now on fulfils `condition`, and return it."""
        seen = len(self.snapshots)
        self.wait_for(lambda: any(map(condition, self.snapshots[seen:])), within_s, what)
        return next(filter(condition, self.snapshots[seen:]))

    # The world around it.

    def changes(self, since_ns: int, *signals: str) -> list[tuple[int, str, int]]:
        """Return what changed in the plant after an instant."""
        answer = self.plant.call("history", since_ns=since_ns, signals=signals)
        return [(at_ns, signal_name, value) for at_ns, signal_name, value in answer["changes"]]

    def do(self, verb: str, **args: Any) -> int:
        """Let one of the plant's verbs happen, and return when it did."""
        return self.plant.verb(verb, **args)

    def close(self) -> None:
        """End everything."""
        if self.safety is not None:
            self.safety.kill()
            self.safety.wait()
        with suppress(OSError):
            self.plant.close()
        self.simulator.stop()
        self.link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
