"""What is proposed while a command line is typed: names that this box knows, looked up at once or not at all."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import click

from evse_pi.api.client import BoxError, ask
from evse_pi.api.commissioning import COMMISSION
from evse_pi.cli.options import named

if TYPE_CHECKING:
    from collections.abc import Iterable

    from click.shell_completion import CompletionItem

    Items = list[CompletionItem[str]]

ANSWER_WITHIN_S = 1.0


def boards(_: click.Context, __: click.Parameter, typed: str) -> Items:
    """Propose the board files that are here."""
    from boards.loader import BoardError, board_files

    with suppress(BoardError):
        return _items(((name, "") for name in sorted(board_files())), typed)
    return []


def countries(_: click.Context, __: click.Parameter, typed: str) -> Items:
    """Propose the countries whose rules were looked for; every other code of ISO 3166-1 is allowed too."""
    from evse_pi.core.country import PROFILES

    return _items(((code, "") for code in sorted(PROFILES)), typed.upper())


def rcd_types(_: click.Context, __: click.Parameter, typed: str) -> Items:
    """Propose the kinds of residual current devices."""
    from evse_pi.core.installation_limits import RcdType

    return _items(((kind.value, "") for kind in RcdType if kind.value), typed)


def purposes(_: click.Context, __: click.Parameter, typed: str) -> Items:
    """Propose what a box can be set up for."""
    from evse_pi.core.installation_limits import Purpose

    return _items(((purpose.value, "") for purpose in Purpose), typed)


def meters(_: click.Context, __: click.Parameter, typed: str) -> Items:
    """Propose the meters that there are drivers for."""
    from boards.spec import MeterModel

    return _items(((name, "") for name in ("board", "none", *(model.value for model in MeterModel))), typed)


def serial_ports(_: click.Context, __: click.Parameter, typed: str) -> Items:
    """Propose the serial devices of this machine."""
    from pathlib import Path

    found = [path for pattern in ("serial?", "ttyUSB*", "ttyAMA*", "ttyACM*") for path in Path("/dev").glob(pattern)]
    return _items(((str(path), "") for path in sorted(found)), typed)


def recordings(context: click.Context, _: click.Parameter, typed: str) -> Items:
    """Propose this box's recordings; a file's path is completed by the shell."""
    from evse_pi.recorder.archive import FOLDER

    with suppress(click.UsageError, OSError):
        names = sorted(path.name for path in (named(context).state_dir / FOLDER).glob("*.json.gz"))
        if found := _items(((name, "") for name in reversed(names)), typed):
            return found
    from click.shell_completion import CompletionItem

    return [CompletionItem(typed, type="file")]


def controllers(context: click.Context, _: click.Parameter, typed: str) -> Items:
    """Propose the controllers that own this box, by number."""
    with suppress(click.UsageError, BoxError):
        now = ask(named(context).control_socket, COMMISSION)
        return _items(((str(each.fabric), each.label) for each in now.fabrics), typed)
    return []


def verbs(context: click.Context, _: click.Parameter, typed: str) -> Items:
    """Propose what the simulated car can do."""
    from evse_pi.sim.process import SimulatorClient, SimulatorError

    with (
        suppress(click.UsageError, BoxError, SimulatorError),
        SimulatorClient(named(context).simulator_socket, ANSWER_WITHIN_S) as plant,
    ):
        known = plant.call("verbs")["verbs"]
        return _items(((name, " ".join(arguments)) for name, arguments in known), typed)
    return []


def _items(offered: Iterable[tuple[str, str]], typed: str) -> Items:
    from click.shell_completion import CompletionItem

    return [CompletionItem(value, help=text) for value, text in offered if value.startswith(typed)]
