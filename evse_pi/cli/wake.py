"""`evse-pi wake`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from evse_pi.api.client import ask
from evse_pi.api.orders import WAKE
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import show

if TYPE_CHECKING:
    from evse_pi.paths import Paths


@click.command("wake")
@json_option()
@of_a_box
def command(*, box: Paths, as_json: bool) -> None:
    """Try to wake a vehicle that ignores the offer, from the first step on."""
    answer = ask(box.control_socket, WAKE)
    show(answer, [tr("the box begins to wake the vehicle, if one is plugged in and sleeps")], as_json=as_json)
