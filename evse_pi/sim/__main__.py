"""Runs a simulator in the foreground: python -m evse_pi.sim FOLDER [--settings FILE] [--fifo PRIORITY] [--leashed]."""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import socket
import sys
import tomllib
from pathlib import Path
from typing import Any

from evse_pi.paths import DEVICE_SOCKET, DEVICE_TREE, SIMULATOR_SOCKET
from evse_pi.sim.plant_settings import build
from evse_pi.sim.process import READY
from evse_pi.sim.simulator import PlantSimulator
from evse_pi.sim.wiring import SimulatorSettings


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; 2 is bad settings."""
    parser = argparse.ArgumentParser(prog="python -m evse_pi.sim", description="simulated wallbox: plant and devices")
    parser.add_argument("folder", type=Path, help="where sockets and the file tree are made")
    parser.add_argument("--settings", type=Path, help="TOML or JSON with the tables wiring and plant")
    parser.add_argument("--fifo", type=int, metavar="PRIORITY", help="run with real-time priority 1 to 99")
    parser.add_argument("--leashed", action="store_true", help="end when standard input is closed")
    options = parser.parse_args(arguments)
    try:
        settings = build(SimulatorSettings, _read(options.settings), "settings")
        _clear(options.folder)
        simulator = PlantSimulator(options.folder, settings)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 2
    _stop_on_signals(simulator)
    if options.leashed:
        simulator.server.watch(sys.stdin.fileno(), lambda _: simulator.stop())
    if options.fifo is not None:
        _take_priority(options.fifo)
    gc.collect()
    gc.freeze()
    sys.stdout.write(" ".join((READY, *simulator.server.prefixes())) + "\n")
    sys.stdout.flush()
    simulator.run()
    return 0


def _take_priority(priority: int) -> None:
    """Run before ordinary processes, so that a busy machine is not a slow bus; without the right to, say so."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except (PermissionError, ValueError) as error:
        sys.stderr.write(
            f"simulator: no real-time priority {priority}: {error}; a busy machine may look like a fault\n"
        )


def _stop_on_signals(simulator: PlantSimulator) -> None:
    """Let SIGTERM and SIGINT end the loop, which a signal alone does not wake."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach())
    simulator.server.watch(reader.detach(), lambda _: simulator.stop())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)


def _read(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    text = path.read_text()
    return dict(tomllib.loads(text) if path.suffix == ".toml" else json.loads(text))


def _clear(folder: Path) -> None:
    """Make room for a new simulator where one has been before."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (DEVICE_SOCKET, SIMULATOR_SOCKET):
        (folder / name).unlink(missing_ok=True)
    tree = folder / DEVICE_TREE
    if tree.exists():
        for path in sorted(tree.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()


if __name__ == "__main__":
    sys.exit(main())
