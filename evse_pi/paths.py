"""Where a box keeps its files and its sockets: each folder and file name that more than one process must know."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

SYSTEM_STATE = Path("/var/lib/evse-pi")
SYSTEM_SAFETY_STATE = Path("/var/lib/evse-pi-safety")
SYSTEM_RUN = Path("/run/evse-pi")
SYSTEM_SETTINGS = Path("/etc/evse-pi")
SYSTEM_RELEASES = Path("/opt/evse-pi")
"""Here lie `releases`, and the links `current` and `former` to two of them."""
SYSTEM_UNIT = Path("/usr/lib/systemd/system/evse-pi-safety.service")
"""There from the installation on, before the first start has made the other folders, and gone with it."""
INSTALLER_SOCKET = Path("/run/evse-pi-installer.sock")
"""Root's own folder, in which no other user can put a socket in its place; systemd/evse-pi-installer.socket."""

INSTALLATION_NAME = "installation.toml"
CONTROL_SOCKET = "control.sock"
SAFETY_SOCKET = "safety/safety.sock"
NODE_SOCKET = "node/node.sock"
"""Each in a folder of its own, which only its process may write."""
RING_FILE = "black-box"
REFUSAL_FILE = "safety/refusal"
"""What the safety process leaves in the run directory when it cannot start: the reason as one line of text."""
BOOT_CHECK_FILE = "node/boot-settings"
"""What the node found of the firmware's settings at its first start after the machine's."""
DATABASE = "evse.db"

SIMULATOR_SOCKET = "simulator.sock"
DEVICE_SOCKET = "nodes.sock"
DEVICE_TREE = "simulator-tree"
"""The simulator's control socket, and the socket and the folder behind the device nodes that it emulates."""

MAX_SOCKET_PATH_BYTES = 107
"""Linux's limit for the path of a UNIX socket. Source: unix(7), sun_path."""


class Paths(NamedTuple):
    """The two folders of one box; `run_dir` holds its sockets."""

    state_dir: Path
    run_dir: Path

    @property
    def control_socket(self) -> Path:
        """Return where the node process takes requests."""
        return self.run_dir / CONTROL_SOCKET

    @property
    def simulator_socket(self) -> Path:
        """Return where the simulated plant takes requests."""
        return self.run_dir / SIMULATOR_SOCKET

    @property
    def settings_dir(self) -> Path:
        """Return where the installer's files lie: of the system, or in a state folder of one's own."""
        return SYSTEM_SETTINGS if self.state_dir == SYSTEM_STATE else self.state_dir


def resolve_paths(state_dir: Path | None = None, run_dir: Path | None = None) -> Paths:
    """Return the folders of the box that the caller means.

    An explicit folder wins, then the environment (EVSE_PI_STATE_DIR, EVSE_PI_RUN_DIR), then the installed service,
    then the folder of this user's own simulated box. A box with an own state folder keeps its sockets inside it.
    Raises: ValueError when the sockets' path would be too long for the kernel.
    """
    state = state_dir or _from_environment("EVSE_PI_STATE_DIR")
    run = run_dir or _from_environment("EVSE_PI_RUN_DIR")
    if state is None:
        state = SYSTEM_STATE if SYSTEM_UNIT.is_file() or SYSTEM_RUN.is_dir() else _own_state()
        run = run or (SYSTEM_RUN if state == SYSTEM_STATE else None)
    chosen = Paths(state.absolute(), (run or state / "run").absolute())
    longest = len(bytes(chosen.control_socket)) + len("simulator")
    if longest > MAX_SOCKET_PATH_BYTES:
        raise ValueError(
            f"run-dir: {chosen.run_dir} is too long for a socket: "
            f"at most {MAX_SOCKET_PATH_BYTES - len('/simulator.sock') - len('simulator')} bytes; choose --run-dir"
        )
    return chosen


def _from_environment(name: str) -> Path | None:
    value = os.environ.get(name)
    return Path(value) if value else None


def _own_state() -> Path:
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "evse-pi"
