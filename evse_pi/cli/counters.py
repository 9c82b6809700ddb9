"""`evse-pi counters`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from evse_pi.api.client import ask
from evse_pi.api.diagnosis import COUNTERS
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import row, show

if TYPE_CHECKING:
    from evse_pi.api.diagnosis import WearCounters
    from evse_pi.paths import Paths

NAMES = {
    "contactor_cycles": tr("closings of the contactor"),
    "openings_under_load": tr("openings while the vehicle still asked for power"),
    "safety_starts": tr("starts of the safety process"),
    "safety_unclean_ends": tr("ends of it without notice: killed, hung, or by an error"),
    "node_starts": tr("starts of the node process"),
    "machine_starts": tr("starts of the machine"),
}


@click.command("counters")
@json_option()
@of_a_box
def command(*, box: Paths, as_json: bool) -> None:
    """Show what wears out and how often the processes had to start."""
    counters = ask(box.control_socket, COUNTERS)
    show(counters, lines(counters), as_json=as_json)


def lines(counters: WearCounters) -> list[str]:
    """Return one line a counter, and the trend of the release time."""
    text = []
    for name, meaning in NAMES.items():
        text += row(str(getattr(counters, name)), meaning)
    release = counters.release
    if release is None:
        return [*text, *row(tr("release"), tr("no opening has been measured by the mirror contact yet"))]
    first, last, longest = (f"{us / 1000:.0f} ms" for us in (release.first_us, release.last_us, release.longest_us))
    promised = (
        ""
        if release.promised_us is None
        else tr("; the board promises {promised_us} ms").format(promised_us=release.promised_us // 1000)
    )
    resolution = release.resolution_us // 1000
    return [
        *text,
        *row(
            tr("release"),
            tr("first {first}, now {last}, longest {longest} of {measured} openings{promised}").format(
                first=first, last=last, longest=longest, measured=release.measured, promised=promised
            ),
        ),
        *row(
            "",
            tr(
                "from the driven output to the mirror contact, seen every {resolution} ms, so up to that much less"
            ).format(resolution=resolution),
        ),
    ]
