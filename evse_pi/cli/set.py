"""`evse-pi set`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from evse_pi.cli.client import ask
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.quantities import LIMIT, NONE
from evse_pi.cli.text_layout import show

if TYPE_CHECKING:
    from evse_pi.paths import Paths


@click.command("set")
@click.argument("limit", type=LIMIT)
@json_option()
@of_a_box
def command(*, box: Paths, limit: int | str, as_json: bool) -> None:
    """Set the owner's limit: a current with its unit (16A, 6500mA), or none.

    It can only lower what installation, cable and controllers allow.
    """
    answer = ask(box.control_socket, "set", limit_ma=None if limit == NONE else limit)
    show(answer, [told(answer)], as_json=as_json)


def told(answer: dict[str, Any]) -> str:
    """Return what the owner's word is now, and whether it will outlast a power cut."""
    limit = "without a limit" if answer["limit_ma"] is None else f"up to {answer['limit_ma'] / 1000:.1f} A"
    word = (
        f"charging is permitted, {limit}"
        if answer["permitted"]
        else f"charging is stopped until: evse-pi permit; then {limit}"
    )
    return word if answer["stored"] else f"{word}; not stored yet: the disk takes nothing"
