"""Where a box keeps its state and its sockets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

SYSTEM_STATE = Path("/var/lib/evse-pi")
SYSTEM_RUN = Path("/run/evse-pi")
SYSTEM_SETTINGS = Path("/etc/evse-pi")
INSTALLATION_NAME = "installation.toml"

MAX_SOCKET_PATH_BYTES = 107
"""Linux's limit for the path of a UNIX socket. Source: unix(7), sun_path."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The two folders of one box; `run_dir` holds its sockets."""

    state_dir: Path
    run_dir: Path

    @property
    def control_socket(self) -> Path:
        """Return where the node process takes requests."""
        return self.run_dir / "control.sock"

    @property
    def simulator_socket(self) -> Path:
        """Return where the simulated plant takes requests."""
        return self.run_dir / "simulator.sock"


def resolve_paths(state_dir: Path | None = None, run_dir: Path | None = None) -> Paths:
    """Return the folders of the box that the caller means.

    An explicit folder wins, then the environment (EVSE_PI_STATE_DIR, EVSE_PI_RUN_DIR), then the installed service,
    then the folder of this user's own simulated box. A box with an own state folder keeps its sockets inside it.
    Raises: ValueError when the sockets' path would be too long for the kernel.
    """
    state = state_dir or _from_environment("EVSE_PI_STATE_DIR")
    run = run_dir or _from_environment("EVSE_PI_RUN_DIR")
    if state is None:
        state = SYSTEM_STATE if SYSTEM_RUN.is_dir() else _own_state()
        run = run or (SYSTEM_RUN if state == SYSTEM_STATE else None)
    chosen = Paths(state.absolute(), (run or state / "run").absolute())
    longest = len(bytes(chosen.run_dir / "control.sock")) + len("simulator")
    if longest > MAX_SOCKET_PATH_BYTES:
        raise ValueError(
            f"run-dir: {chosen.run_dir} is too long for a socket: "
            f"at most {MAX_SOCKET_PATH_BYTES - len('/simulator.sock') - len('simulator')} bytes; choose --run-dir"
        )
    return chosen


def folder_of(box: Paths) -> Path:
    """Return where the installer's files of a box lie: of the system, or in a state folder of one's own."""
    return SYSTEM_SETTINGS if box.state_dir == SYSTEM_STATE else box.state_dir


def start_hint(run_dir: Path) -> str:
    """Return how the box with these sockets is started."""
    if run_dir == SYSTEM_RUN:
        return "start it with: sudo systemctl start evse-pi-safety evse-pi-node"
    return "start it with: evse-pi run"


def _from_environment(name: str) -> Path | None:
    value = os.environ.get(name)
    return Path(value) if value else None


def _own_state() -> Path:
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "evse-pi"
