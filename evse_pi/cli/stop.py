"""`evse-pi stop`."""

from __future__ import annotations

from typing import Any

import click

from evse_pi.cli.client import ask
from evse_pi.cli.options import chosen, place_options
from evse_pi.cli.page import show
from evse_pi.cli.set import told


@click.command("stop")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@place_options
@click.pass_context
def command(context: click.Context, *, as_json: bool, state_dir: Any, run_dir: Any) -> None:
    """Stop charging softly, and permit none until: evse-pi permit."""
    answer = ask(chosen(context, state_dir, run_dir).control_socket, "stop")
    show(answer, [told(answer)], as_json=as_json)
