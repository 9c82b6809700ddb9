"""`evse-pi log`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from evse_pi.cli.client import ask
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import fitting, moment, show

if TYPE_CHECKING:
    from evse_pi.paths import Paths


@click.command("log")
@json_option("Print one JSON array.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many of the last.")
@of_a_box
def command(*, box: Paths, as_json: bool, limit: int) -> None:
    """Show the last changes of state, contactor and faults, the newest last."""
    changes = ask(box.control_socket, "transitions", limit=limit)[::-1]
    show(changes, lines(changes), as_json=as_json)


def lines(changes: list[dict[str, Any]]) -> list[str]:
    """Return one line a change."""
    text = []
    for change in changes:
        contactor = "closed" if change["contactor_closed"] else "open"
        told = " ".join((change["reason"], *change["faults"]))
        line = f"{moment(change['unix_s'])}  {change['state']:<2} {contactor:<6} "
        line += f"{change['offered_current_ma'] / 1000:>5.1f} A  {told}"
        text.append(fitting(line))
    return text or ["nothing has happened so far"]
