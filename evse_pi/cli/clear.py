"""`evse-pi clear`."""

from __future__ import annotations

import time
from typing import Any

import click

from evse_pi.cli.client import ask
from evse_pi.cli.options import chosen, place_options
from evse_pi.cli.page import row, show

SETTLES_S = 0.5  # the next snapshot tells what is left


@click.command("clear")
@click.option("--installer", is_flag=True, help="Also what only the installer may acknowledge; needs root.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@place_options
@click.pass_context
def command(context: click.Context, *, installer: bool, as_json: bool, state_dir: Any, run_dir: Any) -> None:
    """Acknowledge faults whose cause is gone; status 1 when some are left."""
    address = chosen(context, state_dir, run_dir).control_socket
    ask(address, "clear", role="installer" if installer else "user")
    time.sleep(SETTLES_S)
    faults = ask(address, "status")["faults"]
    show({"faults": [fault["fault"] for fault in faults]}, lines(faults), as_json=as_json)
    if faults:
        context.exit(1)


def lines(faults: list[dict[str, Any]]) -> list[str]:
    """Return what is left and how it ends."""
    from evse_pi.diagnostics.events import clearing

    text = []
    for fault in faults:
        text += row("left", f"{fault['fault']}: {fault['hint']} It ends {clearing(fault['clears'])}.")
    return text or ["no fault is active"]
