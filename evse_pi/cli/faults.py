"""`evse-pi faults`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from evse_pi.api.client import ask
from evse_pi.api.diagnosis import RECORDINGS
from evse_pi.api.history import FAULTS, PageRequest
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import moment, row, show

if TYPE_CHECKING:
    from evse_pi.api.history import FaultEvent
    from evse_pi.paths import Paths


@click.command("faults")
@json_option(tr("Print one JSON array."))
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help=tr("How many, newest first.")
)
@of_a_box
def command(*, box: Paths, as_json: bool, limit: int) -> None:
    """Show the faults of the past with their times, what was read then, and what to do."""
    address = box.control_socket
    recordings = {name.split("-")[0]: name for name in ask(address, RECORDINGS)}
    faults = tuple(
        each._replace(recording=recordings.get(f"{each.number:06}"))
        for each in ask(address, FAULTS, PageRequest(limit))
    )
    show(faults, lines(faults), as_json=as_json)


def lines(faults: tuple[FaultEvent, ...]) -> list[str]:
    """Return each fault, newest first."""
    from evse_pi.api.texts.fault_texts import happened

    text = []
    for each in faults:
        ended = tr("active") if each.active else tr("until {moment}").format(moment=moment(each.cleared_unix_s))
        closed = tr(", contactor closed") if each.close_ordered else ""
        text += row(f"#{each.number}", f"{each.title} ({each.fault.name}), {moment(each.set_unix_s)}, {ended}")
        text += row(
            tr("  what"),
            tr("{happened} State {state}{closed}.").format(
                happened=happened(each.fault, each.readings), state=each.state.name, closed=closed
            ),
        )
        text += row(tr("  do"), each.hint)
        if each.recording:
            text += row(tr("  recording"), f"evse-pi replay {each.recording}")
    return text or [tr("no faults so far")]
