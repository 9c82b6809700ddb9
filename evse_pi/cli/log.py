"""`evse-pi log`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from evse_pi.api.client import ask
from evse_pi.api.history import TRANSITIONS, PageRequest
from evse_pi.api.texts.catalogue import tr
from evse_pi.api.texts.quantities import amps
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import fitting, moment, show

if TYPE_CHECKING:
    from evse_pi.api.history import TransitionEvent
    from evse_pi.paths import Paths


@click.command("log")
@json_option(tr("Print one JSON array."))
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help=tr("How many of the last."))
@of_a_box
def command(*, box: Paths, as_json: bool, limit: int) -> None:
    """Show the last changes of state, contactor and faults, the newest last."""
    changes = ask(box.control_socket, TRANSITIONS, PageRequest(limit))[::-1]
    show(changes, lines(changes), as_json=as_json)


def lines(changes: tuple[TransitionEvent, ...]) -> list[str]:
    """Return one line a change."""
    text = []
    for change in changes:
        contactor = tr("closed") if change.close_ordered else tr("open")
        told = " ".join((change.reason.name, *sorted(fault.name for fault in change.faults)))
        line = f"{moment(change.unix_s)}  {change.state.name:<2} {contactor:<6} "
        line += f"{amps(change.offered_current_ma):>7}  {told}"
        text.append(fitting(line))
    return text or [tr("nothing has happened so far")]
