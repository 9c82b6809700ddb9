"""`evse-pi faults`."""

from __future__ import annotations

from typing import Any

import click

from evse_pi.cli.client import ask
from evse_pi.cli.options import chosen, place_options
from evse_pi.cli.page import moment, row, show


@click.command("faults")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many, newest first.")
@place_options
@click.pass_context
def command(context: click.Context, *, as_json: bool, limit: int, state_dir: Any, run_dir: Any) -> None:
    """Show the faults of the past with their times, what was read then, and what to do."""
    address = chosen(context, state_dir, run_dir).control_socket
    faults = ask(address, "faults", limit=limit)
    recordings = ask(address, "recordings")
    for fault in faults:
        fault["recording"] = next((name for name in recordings if name.startswith(f"{fault['number']:06}-")), None)
    show(faults, lines(faults), as_json=as_json)


def lines(faults: list[dict[str, Any]]) -> list[str]:
    """Return each fault, newest first."""
    from evse_pi.diagnostics.events import happened

    text = []
    for fault in faults:
        seen = fault["readings"] or {"high_mv": fault["high_mv"], "low_mv": fault["low_mv"]}
        ended = "active" if fault["active"] else f"until {moment(fault['cleared_unix_s'])}"
        closed = ", contactor closed" if fault["contactor_closed"] else ""
        text += row(f"#{fault['number']}", f"{fault['fault']}, {moment(fault['set_unix_s'])}, {ended}")
        text += row("  what", f"{happened(fault['fault'], seen)} State {fault['state']}{closed}.")
        text += row("  do", fault["hint"])
        if fault["recording"]:
            text += row("  recording", f"evse-pi replay {fault['recording']}")
    return text or ["no faults so far"]
