"""`evse-pi run`: the whole box in the foreground, as systemd runs it on an installed one."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from evse_pi.api.client import BoxError, ask
from evse_pi.api.status import STATUS
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.commission import invite
from evse_pi.cli.options import chosen, path_options
from evse_pi.installer.installer_client import SIMULATED, installer_client_of
from evse_pi.paths import SYSTEM_SAFETY_STATE, SYSTEM_STATE
from evse_pi.run.process_supervisor import ProcessSupervisor, SupervisedService

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from boards.spec import BoardSpec
    from evse_pi.paths import Paths

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")

LOCK_FILE = "run.lock"
PAGE_WITHIN_S = 40.0
PAGE_POLL_S = 0.5
NODE_RESTART_S = 3.0
SAFETY_RESTART_S = 1.0
SIMULATOR_PRIORITY = 60  # above the safety process, which takes a slow bus for a fault
SAFETY_WATCHDOG_S = 1.0  # as in systemd/evse-pi-safety.service


@dataclass(frozen=True, slots=True)
class BoxLaunch:
    """What is run, where, and in which environment; `choice` is the board's name or file as the processes take it."""

    board: BoardSpec
    choice: str
    paths: Paths
    installation: Path
    environment: Mapping[str, str]
    arguments: tuple[str, ...] = ()


def matter_options(function: Decorated) -> Decorated:
    """Give a command the options of the Matter device."""
    for name, text in (
        ("features", tr("Some of pref,soc,pnc,rfid,v2x; without: pref.")),
        ("enable-key", tr("32 hex digits that allow test event triggers; without: none are.")),
        ("passcode", tr("Setup passcode; without: made at the first start.")),
        ("discriminator", tr("0 to 4095; without: made at the first start.")),
        ("port", tr("UDP port; without: 5540.")),
    ):
        function = click.option(f"--{name}", help=text)(function)
    function = click.option("--interface", multiple=True, help=tr("Network interface; may be repeated."))(function)
    return click.option("--no-matter", is_flag=True, help=tr("Be no Matter device; the owner alone permits."))(function)


def web_options(function: Decorated) -> Decorated:
    """Give a command the options of the web page."""
    for name, text in (
        ("web-address", tr("Serve the web page at this address of the machine only; without: all.")),
        ("web-port", tr("TCP port of the web page, 0 for none; without: 8080.")),
    ):
        function = click.option(f"--{name}", help=text)(function)
    function = click.option("--web-name", multiple=True, help=tr("A name of the box in browsers; repeatable."))(
        function
    )
    return click.option("--no-web", is_flag=True, help=tr("Serve no web page."))(function)


@click.command("run")
@click.option(
    "--board", help=tr("A board's name or its file (.toml); else the board that was set up, else the simulated.")
)
@click.option(
    "--simulate", is_flag=True, help=tr("Run this board on the simulated plant; implied by the board `simulated`.")
)
@matter_options
@web_options
@path_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    board: str | None,
    simulate: bool,
    state_dir: Path | None,
    run_dir: Path | None,
    **given: Any,
) -> None:
    """Run the box in the foreground until Ctrl-C."""
    chosen_places = chosen(context, state_dir, run_dir)
    board = board or installer_client_of(chosen_places).box_settings.board_name() or SIMULATED
    run_box(board, chosen_places, simulate=simulate or board == SIMULATED, arguments=_node_arguments(given))


def _node_arguments(given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the node's arguments for what was given. Raises: click.UsageError for what the node would refuse."""
    from evse_pi.node import matter_options as matter
    from evse_pi.node import web_options as web

    checked = (
        (
            matter.check,
            _arguments(given, "no_matter", "interface", "port", "discriminator", "passcode", "enable_key", "features"),
        ),
        (web.check, _arguments(given, "no_web", "web_name", "web_port", "web_address")),
    )
    try:
        for check, arguments in checked:
            check(arguments)
    except matter.OptionError as error:
        raise click.UsageError(str(error)) from error
    return tuple(argument for _, arguments in checked for argument in arguments)


def _arguments(given: Mapping[str, Any], switch: str, repeated: str, *names: str) -> list[str]:
    """Return some of the options as a program takes them."""
    arguments = [_flag(switch)] if given[switch] else []
    arguments += [f"{_flag(repeated)}={value}" for value in given[repeated]]
    return arguments + [f"{_flag(name)}={given[name]}" for name in names if given[name] is not None]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def run_box(name: str, paths: Paths, *, simulate: bool, arguments: tuple[str, ...] = ()) -> None:
    """Run safety process and node process, and a simulator before them where asked, until a signal ends it.

    Raises: BoxError when the board is unknown, a folder cannot be made, or the simulator does not start.
    """
    from boards.loader import BoardError, choose_board
    from evse_pi.run.file_switch import carry_out

    try:
        board = choose_board(name)
        paths.state_dir.mkdir(parents=True, exist_ok=True)
        carry_out(paths.settings_dir)  # of a restore that was broken off
        paths.run_dir.mkdir(parents=True, exist_ok=True)
    except (BoardError, OSError) as error:
        raise BoxError(str(error)) from error
    with ExitStack() as resources:
        _keep_alone(paths.state_dir, resources)
        environment: Mapping[str, str] = dict(os.environ)
        if simulate:
            environment = _simulator(board, paths, resources)
            arguments += (f"--simulator={paths.simulator_socket}",)
        box = BoxLaunch(board, name, paths, _installation(board, paths, simulate=simulate), environment, arguments)
        supervisor = ProcessSupervisor(_services(box), paths.run_dir, _say)
        supervisor.run(on_ready=lambda: _ready(box))


def _keep_alone(state_dir: Path, resources: ExitStack) -> None:
    """Hold `state_dir` until `resources` end. Raises: BoxError at once while another one runs there.

    Hazard: H-08, its processes would end one by one, and what follows puts the running box's pilot to -12 V.
    """
    descriptor = os.open(state_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    resources.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        busy = OSError(errno.EADDRINUSE, "another run", str(state_dir))
        raise BoxError(str(busy)) from None


def _ready(box: BoxLaunch) -> None:
    """Say that the box runs and, once they have come up, where its page is and how to let a controller in."""
    _say(tr("{title} is running; ask it with: evse-pi status").format(title=box.board.title))
    threading.Thread(target=_welcome, args=(box,), daemon=True).start()


def _welcome(box: BoxLaunch) -> None:
    if "--no-matter" not in box.arguments:
        invite(box.paths.control_socket, _say)
    deadline = time.monotonic() + PAGE_WITHIN_S
    while "--no-web" not in box.arguments and time.monotonic() < deadline:
        with suppress(BoxError, OSError):
            page = ask(box.paths.control_socket, STATUS).web
            if page is not None and (page.serving or page.trouble):
                _say(tr("web page: {address}").format(address=page.address if page.serving else page.trouble))
                return
        time.sleep(PAGE_POLL_S)


def _services(box: BoxLaunch) -> list[SupervisedService]:
    shared = ["--board", box.choice, "--run-dir", str(box.paths.run_dir), "--installation", str(box.installation)]
    python = [sys.executable, "-m"]
    return [
        SupervisedService(
            "safety",
            [*python, "evse_pi.safety", *shared, "--safety-state-dir", str(_safety_state(box.paths))],
            box.environment,
            SAFETY_RESTART_S,
            SAFETY_WATCHDOG_S,
            afterwards=[*python, "evse_pi.safety.safe_off", "--board", box.choice],
        ),
        SupervisedService(
            "node",
            [*python, "evse_pi.node", *shared, "--state-dir", str(box.paths.state_dir), *box.arguments],
            box.environment,
            NODE_RESTART_S,
        ),
    ]


def _safety_state(paths: Paths) -> Path:
    """Return the folder of the fault memory: the service's own, so that no way of starting the box forgets a trip."""
    return SYSTEM_SAFETY_STATE if paths.state_dir == SYSTEM_STATE else paths.state_dir / "safety"


def _simulator(board: BoardSpec, paths: Paths, resources: ExitStack) -> dict[str, str]:
    """Start the simulated plant and return the environment in which its devices are seen."""
    from evse_pi.sim.board_wiring import simulator_settings
    from evse_pi.sim.process import SimulatorError, SimulatorProcess

    try:
        simulator = SimulatorProcess(
            paths.run_dir,
            paths.state_dir / "cache",
            simulator_settings(board),
            dict(os.environ),
            fifo=SIMULATOR_PRIORITY,
        )
    except (SimulatorError, OSError, ValueError) as error:
        raise BoxError(str(error)) from error
    resources.callback(simulator.stop)
    return simulator.environment


def _installation(board: BoardSpec, paths: Paths, *, simulate: bool) -> Path:
    """Return the installer's file: of the system, or in a state folder of one's own; a simulated box writes its own."""
    from evse_pi.core.installation_limits import Purpose
    from evse_pi.installation.files import INSTALLATION, SIMULATED_INSTALLATION, ratings, write_installation

    path = paths.settings_dir / INSTALLATION.name
    if simulate and paths.state_dir != SYSTEM_STATE and not path.exists():
        rated = ratings(board)
        capacity = min(SIMULATED_INSTALLATION.circuit_capacity_ma, rated.rated_current_ma)
        phases = min(SIMULATED_INSTALLATION.phases, rated.phases)
        purpose = Purpose.BENCH if rated.bench_only else Purpose.VEHICLES
        house = replace(SIMULATED_INSTALLATION, circuit_capacity_ma=capacity, phases=phases, purpose=purpose.value)
        write_installation(path, house)
    return path


def _say(text: str) -> None:
    click.echo(f"evse-pi: {text}", err=True)
