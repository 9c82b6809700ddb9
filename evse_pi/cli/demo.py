"""`evse-pi demo`: a simulated wallbox, and a car that comes, charges, and leaves."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evse_pi.api.client import BoxError, BoxNotRunning, ask, stream
from evse_pi.api.codec import to_plain
from evse_pi.api.history import SESSIONS, PageRequest
from evse_pi.api.orders import SET, SetOwner
from evse_pi.api.status import STATUS, WATCH
from evse_pi.api.texts.catalogue import tr
from evse_pi.api.texts.quantities import energy
from evse_pi.cli.options import json_option
from evse_pi.cli.status import show
from evse_pi.cli.status_text import line
from evse_pi.core.states import Reason
from evse_pi.paths import Paths, resolve_paths
from hal.units import Milliamps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evse_pi.api.status import Status

STARTED_WITHIN_S = 60.0
STEP_WITHIN_S = 60.0
LIMIT_MA = Milliamps(10_000)


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing that happens, what is then waited for, and how long that is looked at."""

    told: str
    act: Callable[[Paths], object]
    until: Callable[[Status], bool]
    stay_s: float


def _car(verb: str, **args: Any) -> Callable[[Paths], object]:
    from evse_pi.sim.process import SimulatorClient

    def act(box: Paths) -> None:
        with SimulatorClient(box.simulator_socket) as plant:
            plant.verb(verb, **args)

    return act


def _stop_drawing(box: Paths) -> None:
    _car("auto", on=False)(box)
    _car("open_s2")(box)


def _owner(limit_ma: Milliamps | None) -> Callable[[Paths], object]:
    return lambda box: ask(box.control_socket, SET, SetOwner(limit_ma=limit_ma))


def _scenes() -> list[Scene]:
    plugged = _car("plug_in", cable_ma=32_000)
    return [
        Scene(tr("the box starts and tests itself"), lambda _: None, _reason(Reason.NO_VEHICLE), 1),
        Scene(tr("a car is plugged in with a 32 A cable"), plugged, _reason(Reason.VEHICLE_NOT_READY), 2),
        Scene(tr("the car asks for power"), _car("auto"), _reason(Reason.CHARGING), 6),
        Scene(tr("the owner limits it to 10 A"), _owner(LIMIT_MA), lambda now: 0 < _offered(now) <= LIMIT_MA, 8),
        Scene(tr("the owner takes the limit away"), _owner(None), lambda now: _offered(now) > LIMIT_MA, 6),
        Scene(tr("the car is full"), _stop_drawing, _opened, 3),
        Scene(tr("the car leaves"), _car("unplug"), _reason(Reason.NO_VEHICLE), 1),
    ]


def _offered(now: Status) -> int:
    return now.offered_current_ma or 0


def _reason(reason: Reason) -> Callable[[Status], bool]:
    return lambda now: now.reason is not None and now.reason.reason is reason


def _opened(now: Status) -> bool:
    return now.contactor is not None and not now.contactor.close_ordered


@click.command("demo")
@json_option(tr("Print one JSON object a line: what happens, each transition, the session."))
def command(*, as_json: bool) -> None:
    """Let a car charge at a simulated wallbox, and show it.

    On a terminal the box is left running afterwards until Ctrl-C; elsewhere one line per transition is printed, and
    the command ends by itself.
    """
    with ExitStack() as resources:
        folder = resources.enter_context(tempfile.TemporaryDirectory(prefix="evse-pi-"))
        box = resolve_paths(Path(folder))
        resources.enter_context(_running(box))
        if sys.stdout.isatty() and not as_json:
            _on_terminal(box)
        else:
            _in_log(box, as_json=as_json)


@contextlib.contextmanager
def _running(box: Paths) -> Iterator[None]:
    """Run a simulated box as a child. Raises: BoxError when it does not start."""
    log = (box.state_dir / "log").open("w+b")
    command_line = [sys.executable, "-m", "evse_pi.cli", "--state-dir", str(box.state_dir), "run", "--no-matter"]
    child = subprocess.Popen(command_line, stdout=log, stderr=log, start_new_session=True, env=dict(os.environ))
    try:
        _await_answer(box, child, Path(log.name))
        yield
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait()
        log.close()


def _await_answer(box: Paths, child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTED_WITHIN_S
    while child.poll() is None and time.monotonic() < deadline:
        try:
            ask(box.control_socket, STATUS)
        except BoxNotRunning:
            time.sleep(0.1)
        else:
            return
    raise BoxError(tr("the simulated box did not start; it said:\n{read_text}").format(read_text=log.read_text()))


def _play(box: Paths, tell: Callable[[str], None]) -> None:
    """Let the scenes happen one after the other.

    Raises: BoxError naming the scene when what it should lead to does not come about, and at once with the reason of a
    safety process that cannot start.
    """
    for scene in _scenes():
        tell(scene.told)
        scene.act(box)
        deadline = time.monotonic() + STEP_WITHIN_S
        while not _is_so(scene, now := ask(box.control_socket, STATUS)):
            if now.safety_refusal:
                raise BoxError(
                    tr("{told}: the safety process cannot start: {safety_refusal}").format(
                        told=scene.told, safety_refusal=now.safety_refusal
                    )
                )
            if time.monotonic() > deadline:
                raise BoxError(
                    tr("{told}: nothing came of it within {step_within_s:.0f} s: {line}").format(
                        told=scene.told, step_within_s=STEP_WITHIN_S, line=line(now)
                    )
                )
            time.sleep(0.1)
        time.sleep(scene.stay_s)


def _is_so(scene: Scene, now: Status) -> bool:
    return now.reason is not None and now.contactor is not None and scene.until(now)


def _in_log(box: Paths, *, as_json: bool) -> None:
    """Print what happens, one line per transition, and end when the car has left."""

    def tell(key: str, value: Any, text: str) -> None:
        click.echo(json.dumps({key: to_plain(value)}) if as_json else text)

    watcher = threading.Thread(
        target=_print_transitions, args=(box, lambda now: tell("status", now, line(now))), daemon=True
    )
    watcher.start()
    _play(box, lambda told: tell("scene", told, f"-- {told}"))
    session = ask(box.control_socket, SESSIONS, PageRequest(1))[0]
    told = tr("-- charged {energy} in {charging_s} s").format(
        energy=energy(session.energy_mwh), charging_s=session.charging_s
    )
    tell("session", session, told)


def _print_transitions(box: Paths, tell: Callable[[Status], None]) -> None:
    last: object = None
    with contextlib.suppress(BoxError, OSError):
        for now in stream(box.control_socket, WATCH):
            if now.pilot is None or now.contactor is None:
                continue
            faults = [each.fault for each in now.faults]
            key = (now.pilot.evse_state, now.contactor.close_ordered, now.offered_current_ma, faults)
            if key != last:
                tell(now)
            last = key


def _on_terminal(box: Paths) -> None:
    """Show the box live while the scenes happen, and after them until Ctrl-C."""
    told = ["", ""]
    player = threading.Thread(target=_play_quietly, args=(box, told), daemon=True)
    player.start()
    with contextlib.suppress(KeyboardInterrupt):
        show(stream(box.control_socket, WATCH), lambda: told[0])
    if told[1]:
        raise BoxError(told[1])


def _play_quietly(box: Paths, told: list[str]) -> None:
    def tell(text: str) -> None:
        told[0] = f"-- {text}"

    try:
        _play(box, tell)
        address = box.state_dir
        tell(
            tr(
                "the box is yours until Ctrl-C; from another terminal: evse-pi --state-dir {address} car plug_in"
            ).format(address=address)
        )
    except BoxError as error:
        told[1] = str(error)
        tell(told[1])
