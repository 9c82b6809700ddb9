"""`evse-pi start`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from evse_pi.cli.client import ask
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import show

if TYPE_CHECKING:
    from evse_pi.paths import Paths

HOLDERS = {
    "RANDOM_DELAY": "the random delay",
    "SCHEDULE": "the schedule",
    "POWER_ADJUSTMENT": "the energy manager",
}


@click.command("start")
@json_option()
@of_a_box
def command(*, box: Paths, as_json: bool) -> None:
    """Start a permitted charge now: skip the random delay and the planned start."""
    answer = ask(box.control_socket, "start")
    show(answer, [told(answer)], as_json=as_json)


def told(answer: dict[str, Any]) -> str:
    """Return what was skipped, and who still lets the charge wait."""
    skipped, held = (_named(answer[name]) for name in ("skipped", "held_up_by"))
    word = f"skipped: {skipped}" if skipped else "nothing was skipped"
    return f"{word}; it still waits for {held}" if held else f"{word}; nothing holds charging up now"


def _named(sources: list[str]) -> str:
    return " and ".join(HOLDERS.get(source, source) for source in sources)
