"""`evse-pi permit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from evse_pi.api.client import ask
from evse_pi.api.orders import PERMIT
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.set import told
from evse_pi.cli.text_layout import show

if TYPE_CHECKING:
    from evse_pi.paths import Paths


@click.command("permit")
@json_option()
@of_a_box
def command(*, box: Paths, as_json: bool) -> None:
    """Permit charging, as far as it is the owner's to say."""
    answer = ask(box.control_socket, PERMIT)
    show(answer, [told(answer)], as_json=as_json)
