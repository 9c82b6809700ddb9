"""`evse-pi run`: the whole box in the foreground, as systemd runs it on an installed one."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from evse_pi.cli.client import BoxError
from evse_pi.cli.options import chosen, place_options
from evse_pi.cli.places import SYSTEM_STATE
from evse_pi.cli.supervisor import Service, Supervisor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from boards.spec import BoardSpec
    from evse_pi.cli.places import Places

SIMULATED = "simulated"
NODE_RESTART_S = 3.0
SAFETY_RESTART_S = 1.0
SIMULATOR_PRIORITY = 60  # above the safety process, which takes a slow bus for a fault
SAFETY_WATCHDOG_S = 1.0  # as in systemd/evse-pi-safety.service


@dataclass(frozen=True, slots=True)
class Box:
    """What is run, where, and in which environment."""

    board: BoardSpec
    places: Places
    installation: Path
    environment: Mapping[str, str]


@click.command("run")
@click.option("--board", default=SIMULATED, show_default=True, help="Name of a board file.")
@click.option(
    "--simulate", is_flag=True, help="Run this board on the simulated plant; implied by the board `simulated`."
)
@place_options
@click.pass_context
def command(
    context: click.Context, *, board: str, simulate: bool, state_dir: Path | None, run_dir: Path | None
) -> None:
    """Run the box in the foreground until Ctrl-C."""
    places = chosen(context, state_dir, run_dir)
    run_box(board, places, simulate=simulate or board == SIMULATED)


def run_box(name: str, places: Places, *, simulate: bool) -> None:
    """Run safety process and node process, and a simulator before them where asked, until a signal ends it.

    Raises: BoxError when the board is unknown, a folder cannot be made, or the simulator does not start.
    """
    from boards.loader import BoardError, load_board

    try:
        board = load_board(name)
        places.state_dir.mkdir(parents=True, exist_ok=True)
        places.run_dir.mkdir(parents=True, exist_ok=True)
    except (BoardError, OSError) as error:
        raise BoxError(str(error)) from error
    with ExitStack() as resources:
        environment: Mapping[str, str] = dict(os.environ)
        if simulate:
            environment = _simulator(board, places, resources)
        box = Box(board, places, _installation(board, places, simulate=simulate), environment)
        supervisor = Supervisor(_services(box), places.run_dir, _say)
        supervisor.run(on_ready=lambda: _say(f"{board.title} is running; ask it with: evse-pi status"))


def _services(box: Box) -> list[Service]:
    shared = ["--board", box.board.name, "--run-dir", str(box.places.run_dir), "--installation", str(box.installation)]
    python = [sys.executable, "-m"]
    return [
        Service("safety", [*python, "evse_pi.safety", *shared], box.environment, SAFETY_RESTART_S, SAFETY_WATCHDOG_S),
        Service(
            "node",
            [*python, "evse_pi.node", *shared, "--state-dir", str(box.places.state_dir)],
            box.environment,
            NODE_RESTART_S,
        ),
    ]


def _simulator(board: BoardSpec, places: Places, resources: ExitStack) -> dict[str, str]:
    """Start the simulated plant and return the environment in which its devices are seen."""
    from evse_pi.sim.process import SimulatorError, SimulatorProcess
    from evse_pi.sim.wiring_of import simulator_settings

    try:
        simulator = SimulatorProcess(
            places.run_dir,
            places.state_dir / "cache",
            simulator_settings(board),
            dict(os.environ),
            fifo=SIMULATOR_PRIORITY,
        )
    except (SimulatorError, OSError, ValueError) as error:
        raise BoxError(str(error)) from error
    resources.callback(simulator.stop)
    return simulator.environment


def _installation(board: BoardSpec, places: Places, *, simulate: bool) -> Path:
    """Return the installer's file: of the system, or in a state folder of one's own; a simulated box writes its own."""
    from evse_pi.config import INSTALLATION, SIMULATED_INSTALLATION, ratings, write_installation

    if places.state_dir == SYSTEM_STATE:
        return INSTALLATION
    path = places.state_dir / INSTALLATION.name
    if simulate and not path.exists():
        rated = ratings(board)
        capacity = min(SIMULATED_INSTALLATION.circuit_capacity_ma, rated.rated_current_ma)
        phases = min(SIMULATED_INSTALLATION.phases, rated.phases)
        write_installation(path, replace(SIMULATED_INSTALLATION, circuit_capacity_ma=capacity, phases=phases))
    return path


def _say(text: str) -> None:
    click.echo(f"evse-pi: {text}", err=True)
