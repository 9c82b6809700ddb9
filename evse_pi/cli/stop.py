"""`evse-pi stop`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from evse_pi.api.client import ask
from evse_pi.api.orders import STOP
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.set import told
from evse_pi.cli.text_layout import show

if TYPE_CHECKING:
    from evse_pi.paths import Paths


@click.command("stop")
@json_option()
@of_a_box
def command(*, box: Paths, as_json: bool) -> None:
    """Stop charging softly, and permit none until: evse-pi permit."""
    answer = ask(box.control_socket, STOP)
    show(answer, [told(answer)], as_json=as_json)
