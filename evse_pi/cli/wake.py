"""`evse-pi wake`."""

from __future__ import annotations

from typing import Any

import click

from evse_pi.cli.client import ask
from evse_pi.cli.options import chosen, place_options
from evse_pi.cli.page import show


@click.command("wake")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@place_options
@click.pass_context
def command(context: click.Context, *, as_json: bool, state_dir: Any, run_dir: Any) -> None:
    """Try to wake a vehicle that ignores the offer, from the first step on."""
    answer = ask(chosen(context, state_dir, run_dir).control_socket, "wake")
    show(answer, ["the box begins to wake the vehicle, if one is plugged in and sleeps"], as_json=as_json)
