"""`evse-pi faults`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from evse_pi.cli.client import ask
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import moment, row, show

if TYPE_CHECKING:
    from evse_pi.paths import Paths


@click.command("faults")
@json_option("Print one JSON array.")
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many, newest first.")
@of_a_box
def command(*, box: Paths, as_json: bool, limit: int) -> None:
    """Show the faults of the past with their times, what was read then, and what to do."""
    address = box.control_socket
    faults = ask(address, "faults", limit=limit)
    recordings = ask(address, "recordings")
    for fault in faults:
        fault["recording"] = next((name for name in recordings if name.startswith(f"{fault['number']:06}-")), None)
    show(faults, lines(faults), as_json=as_json)


def lines(faults: list[dict[str, Any]]) -> list[str]:
    """Return each fault, newest first."""
    from evse_pi.api.texts.fault_texts import happened

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
