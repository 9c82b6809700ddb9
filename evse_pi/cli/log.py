"""`evse-pi log`."""

from __future__ import annotations

from typing import Any

import click

from evse_pi.cli.client import ask
from evse_pi.cli.options import chosen, place_options
from evse_pi.cli.page import WIDTH, moment, show


@click.command("log")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many of the last.")
@place_options
@click.pass_context
def command(context: click.Context, *, as_json: bool, limit: int, state_dir: Any, run_dir: Any) -> None:
    """Show the last changes of state, contactor and faults, the newest last."""
    changes = ask(chosen(context, state_dir, run_dir).control_socket, "transitions", limit=limit)[::-1]
    show(changes, lines(changes), as_json=as_json)


def lines(changes: list[dict[str, Any]]) -> list[str]:
    """Return one line a change."""
    text = []
    for change in changes:
        contactor = "closed" if change["contactor_closed"] else "open"
        told = " ".join((change["reason"], *change["faults"]))
        line = f"{moment(change['unix_s'])}  {change['state']:<2} {contactor:<6} "
        line += f"{change['offered_current_ma'] / 1000:>5.1f} A  {told}"
        text.append(line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}...")
    return text or ["nothing has happened so far"]
