"""A child process that holds a board's drivers on emulated nodes and evaluates what the test asks for."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from boards.loader import load_board
from evse_pi.sim.board_wiring import simulator_settings
from tests.support.emulation import QUIET, Child, Emulation, emulation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from boards.spec import BoardSpec
    from evse_pi.sim.wiring import SimulatorSettings

CHILD = """
    import json, sys, time
    from pathlib import Path
    from boards.build_field import build_field
    from boards.build_safety import build_safety
    from boards.loader import load_board, read_board
    from hal.errors import HalError
    from hal.kernel import read_output_persistence
    from hal.units import MILLISECOND

    name = {name!r}
    spec = read_board(Path(name)) if name.endswith(".toml") else load_board(name, own=Path("/nowhere"))
    scale = spec.pilot_adc.scale

    def window():
        seen = board.pilot_adc.read_window()
        return sorted(scale.millivolts(code) for code in seen.codes)

    def for_ms(duration, action):
        for _ in range(duration // 10):
            action()
            time.sleep(0.01)

    try:
        {prepare}
    except HalError as error:
        print("refused", type(error).__name__, error)
        sys.exit(3)
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            answer = {{"value": eval(line)}}
        except HalError as error:
            answer = {{"error": type(error).__name__, "text": str(error)}}
        print(json.dumps(answer, default=lambda _: None), flush=True)
"""


class Refused(Exception):  # noqa: N818
    """The child's driver raised a HalError; the first argument is its class."""


class Console:
    """The child's end of the conversation."""

    def __init__(self, child: Child) -> None:
        self.child = child

    def ask(self, expression: str) -> Any:
        """Return what `expression` is in the child. Raises: Refused."""
        self.child.hear(expression)
        answer = json.loads(self.child.says())
        if "error" in answer:
            raise Refused(answer["error"], answer["text"])
        return answer["value"]


def quiet_settings(spec: BoardSpec, **wiring: Any) -> SimulatorSettings:
    """Return the board's simulator without noise and bounce."""
    settings = simulator_settings(spec, **wiring)
    plant = replace(
        settings.plant,
        disturbance=QUIET.plant.disturbance,
        contactor=replace(settings.plant.contactor, bounce_ns=0),
    )
    return replace(settings, plant=plant)


@contextmanager
def board_emulation(folder: Path, name: str = "simulated", **wiring: Any) -> Iterator[Emulation]:
    """Run a simulator that is wired as the shipped board `name`."""
    with emulation(folder, quiet_settings(load_board(name, own=folder / "none"), **wiring)) as emulated:
        yield emulated


@contextmanager
def console(
    emulated: Emulation, name: str = "simulated", prepare: str = "board = build_safety(spec)"
) -> Iterator[Console]:
    """Run the child with the board's drivers open. `name` may be the path of a board file."""
    with emulated.running(CHILD.format(name=name, prepare=prepare)) as child:
        yield Console(child)
