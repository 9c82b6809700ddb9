"""A real node process whose safety process is played by the test, at the other end of a real link."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from evse_pi.api.client import BoxNotRunning, call
from evse_pi.charging.clock import SystemClock
from evse_pi.charging.demand_arbiter import LEASE_NS
from evse_pi.core.records import encode_snapshot
from evse_pi.link import LinkEnd
from evse_pi.paths import NODE_SOCKET, SAFETY_SOCKET
from hal.units import SECOND
from tests.support.node_box import FakeSafety, decode_stamped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from evse_pi.core.records import Demand, Snapshot

WITHIN_S = 90.0
SNAPSHOT_EVERY_S = 1.0
POLL_S = 0.02


def node_command(folder: Path, *options: str, board: str = "simulated", run_dir: Path | None = None) -> list[str]:
    """Return the command line of a node whose state, sockets and installation file are in `folder`."""
    return [
        sys.executable, "-W", "ignore", "-m", "evse_pi.node", "--board", board, "--state-dir", str(folder),
        "--run-dir", str(run_dir or folder), "--installation", str(folder / "installation.toml"), *options,
    ]  # fmt: skip


class NodeProcess:
    """The process, its command socket, and the far end of its link; `until` tells a snapshot every second.

    `demands` are those that the far end took, `safety` is what it tells.
    """

    def __init__(
        self, folder: Path, *options: str, run_dir: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder, self.run_dir = folder, run_dir or folder
        self.safety = FakeSafety(SystemClock())
        self.safety.become("A")
        self.demands: list[Demand] = []
        self._command = node_command(folder, *options, run_dir=run_dir)
        self._environment = {**os.environ, **(environment or {})}
        self._told_s = 0.0
        self.link = LinkEnd(self.run_dir / SAFETY_SOCKET, self.run_dir / NODE_SOCKET, decode_stamped)
        self.start()

    def start(self) -> None:
        """Start the process, again after its end, and wait until it answers."""
        self.process = subprocess.Popen(self._command, env=self._environment, stderr=subprocess.DEVNULL)
        self.ask("version")

    def kill(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Leave nothing behind."""
        self.kill()
        self.link.close()

    def ask(self, command: str, **fields: Any) -> Any:
        """Return the answer to one command, as soon as the process listens. Raises: BoxError."""
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline:
            with suppress(BoxNotRunning):
                return call(self.run_dir / "control.sock", command, **fields)
            assert self.process.poll() is None, "the node has ended"
            time.sleep(POLL_S)
        raise AssertionError("the node does not answer")

    def tell(self, snapshot: Snapshot) -> None:
        """Tell the node this snapshot."""
        self.link.send(encode_snapshot(snapshot))

    def hear(self, within_s: float) -> Demand | None:
        """Return the next demand, None if there is none in time."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            demand = self.link.receive()
            if demand is not None:
                return demand
            time.sleep(POLL_S)
        return None

    def speak(self) -> None:
        """Take the demand that has come, and tell a second's snapshot."""
        demand = self.link.receive()
        if demand is not None:
            self.demands.append(demand)
            self.safety.request_number = demand.request_number
        if time.monotonic() - self._told_s >= SNAPSHOT_EVERY_S:
            self.tell(self.safety.snapshot())
            self._told_s = time.monotonic()

    def until(self, holds: Callable[[], Any]) -> None:
        """Play the safety process until something holds."""
        deadline = time.monotonic() + WITHIN_S
        while not holds():
            assert self.process.poll() is None, "the node has ended"
            assert time.monotonic() < deadline, self.describe()
            self.speak()
            time.sleep(POLL_S)

    def describe(self) -> Any:
        """Return what explains why something does not hold."""
        return "it never held"

    def made_s(self) -> list[float]:
        """Return when each demand was made, by the end of its lease."""
        return [(demand.valid_until_ns - LEASE_NS) / SECOND for demand in self.demands]
