"""Starting a simulator as a process of its own and talking to it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

from evse_pi.api.client import BoxError, Connection
from evse_pi.paths import SIMULATOR_SOCKET
from evse_pi.sim import shim

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from evse_pi.sim.wiring import SimulatorSettings

READY = "ready"


class SimulatorError(RuntimeError):
    """The simulator refused a request or did not start; the message is its own."""


class SimulatorClient:
    """A connection to a simulator's control socket. Raises: BoxNotRunning from the constructor."""

    def __init__(self, path: Path, timeout_s: float = 30.0) -> None:
        self._connection = Connection(path, timeout_s)

    def call(self, command: str, /, **arguments: Any) -> dict[str, Any]:
        """Return the answer to a request.

        Raises: SimulatorError with the simulator's words when it refuses.
        """
        try:
            return dict(self._connection.call(command, **arguments))
        except BoxError as error:
            raise SimulatorError(str(error)) from error

    def verb(self, verb: str, **args: Any) -> int:
        """Let a verb happen and return when it did, in ns of CLOCK_MONOTONIC."""
        return int(self.call("verb", verb=verb, args=args)["acted_ns"])

    def state(self) -> dict[str, Any]:
        """Return the plant's present state."""
        return dict(self.call("state")["state"])

    def receive(self) -> dict[str, Any]:
        """Return the next line that the simulator sends. Raises: SimulatorError when it has ended."""
        try:
            return dict(json.loads(self._connection.line()))
        except BoxError as error:
            raise SimulatorError(str(error)) from error

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class SimulatorProcess:
    """A running simulator below `folder`, and the environment in which its nodes are seen."""

    def __init__(
        self,
        folder: Path,
        cache: Path,
        settings: SimulatorSettings,
        inherited: Mapping[str, str],
        *,
        fifo: int | None = None,
    ) -> None:
        library = shim.build(cache)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "settings.json"
        file.write_text(json.dumps(dataclasses.asdict(settings)))
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "evse_pi.sim", str(folder), "--settings", str(file), "--leashed", *_priority(fifo)],
            stdin=subprocess.PIPE,  # closed by the kernel when this process dies, however it dies
            stdout=subprocess.PIPE,
            env=dict(inherited),
            text=True,
            process_group=0,  # Ctrl-C is for those who stop it last
        )
        said = self.process.stdout.readline().split() if self.process.stdout else []
        if not said or said[0] != READY:
            self.stop()
            raise SimulatorError(f"the simulator ended with status {self.process.returncode} before it was ready")
        self.environment = shim.environment(library, folder, tuple(said[1:]), inherited)

    def client(self) -> SimulatorClient:
        """Return a new connection to the control socket."""
        return SimulatorClient(self.folder / SIMULATOR_SOCKET)

    def stop(self) -> None:
        """End the process; its sockets and files stay for the owner of the folder."""
        self.process.terminate()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _priority(fifo: int | None) -> tuple[str, ...]:
    return () if fifo is None else ("--fifo", str(fifo))
