"""`evse-pi start`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from evse_pi.api.client import ask
from evse_pi.api.orders import START
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import show

if TYPE_CHECKING:
    from evse_pi.api.orders import StartAnswer
    from evse_pi.core.states import LimitSource
    from evse_pi.paths import Paths


@click.command("start")
@json_option()
@of_a_box
def command(*, box: Paths, as_json: bool) -> None:
    """Start a permitted charge now: skip the random delay and the planned start."""
    answer = ask(box.control_socket, START)
    show(answer, [told(answer)], as_json=as_json)


def told(answer: StartAnswer) -> str:
    """Return what was skipped, and who still lets the charge wait."""
    skipped, held = (_named(sources) for sources in (answer.skipped, answer.held_up_by))
    word = tr("skipped: {skipped}").format(skipped=skipped) if skipped else tr("nothing was skipped")
    return (
        tr("{word}; it still waits for {held}").format(word=word, held=held)
        if held
        else tr("{word}; nothing holds charging up now").format(word=word)
    )


def _named(sources: frozenset[LimitSource]) -> str:
    from evse_pi.api.texts import english as words

    return " and ".join(words.LIMITS[source] for source in sorted(sources))
