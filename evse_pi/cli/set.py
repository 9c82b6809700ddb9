"""`evse-pi set`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from evse_pi.api.client import BoxRefused, ask
from evse_pi.api.orders import SET, SetOwner
from evse_pi.api.texts.catalogue import tr
from evse_pi.api.texts.quantities import current_refused, exact_amps
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.quantity_types import LIMIT
from evse_pi.cli.text_layout import show
from hal.units import Milliamps

if TYPE_CHECKING:
    from evse_pi.api.orders import OwnerAnswer
    from evse_pi.paths import Paths


@click.command("set")
@click.argument("limit", type=LIMIT)
@json_option()
@of_a_box
def command(*, box: Paths, limit: int | str, as_json: bool) -> None:
    """Set the owner's limit: a current with its unit (16A, 6500mA), or none.

    It can only lower what installation, cable and controllers allow.
    """
    request = SetOwner(limit_ma=None if isinstance(limit, str) else Milliamps(limit))
    try:
        answer = ask(box.control_socket, SET, request)
    except BoxRefused as refusal:
        raise BoxRefused(current_refused("limit", refusal.at) or str(refusal)) from refusal
    show(answer, [told(answer)], as_json=as_json)


def told(answer: OwnerAnswer) -> str:
    """Return what the owner has set now, and whether that will outlast a power cut."""
    limit = (
        tr("without a limit")
        if answer.limit_ma is None
        else tr("up to {exact_amps}").format(exact_amps=exact_amps(answer.limit_ma))
    )
    word = (
        tr("charging is permitted, {limit}").format(limit=limit)
        if answer.permitted
        else tr("charging is stopped until: evse-pi permit; then {limit}").format(limit=limit)
    )
    return (
        word
        if answer.stored
        else tr("{word}; not stored yet: {not_stored_because}").format(
            word=word, not_stored_because=answer.not_stored_because
        )
    )
