"""`evse-pi timing`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from evse_pi.api.client import ask
from evse_pi.api.diagnosis import TIMING
from evse_pi.api.texts.quantities import milliseconds
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import row, show

if TYPE_CHECKING:
    from evse_pi.api.diagnosis import HistogramFigures, ReactionTiming
    from evse_pi.paths import Paths

TITLES = {
    "lateness": "lateness of a tick: from when it was due to when it began",
    "window": "one look at the pilot: the samples of one window",
    "reaction": "reaction: from a vehicle that leaves C to the output driven, worst case",
}
BAR = 40


@click.command("timing")
@json_option()
@of_a_box
def command(*, box: Paths, as_json: bool) -> None:
    """Show how fast this very box reacts, and the budget that it must keep."""
    timing = ask(box.control_socket, TIMING)
    show(timing, lines(timing), as_json=as_json)


def lines(timing: ReactionTiming) -> list[str]:
    """Return the budget and a histogram each."""
    within, release, budget = (us / 1000 for us in (timing.within_us, timing.release_us, timing.budget_us))
    verdict = "it fits" if timing.fits else "IT DOES NOT FIT: the box refuses to energise"
    text = row(
        "budget", f"{within:.0f} ms of the standard - {release:.0f} ms release of the contactor = {budget:.0f} ms"
    )
    text += row("reaction", f"99.9 % within {milliseconds(timing.reaction.p999_us)}: {verdict}")
    text += row("beyond", f"{timing.beyond_budget} of {timing.reaction.number} reactions")
    for name, title in TITLES.items():
        text += ["", title, *_histogram(getattr(timing, name))]
    return text


def _histogram(figures: HistogramFigures) -> list[str]:
    quantiles = (
        ("p50", figures.p50_us), ("p99", figures.p99_us), ("p99.9", figures.p999_us), ("max", figures.max_us)
    )  # fmt: skip
    text = ["  " + "  ".join(f"{title} {milliseconds(us)}" for title, us in quantiles)]
    largest = max((each.number for each in figures.bins), default=1)
    for each in figures.bins:
        bar = "#" * max(each.number * BAR // largest, 1)
        text.append(f"  below {each.below_us / 1000:>9.3f} ms {each.number:>10} {bar}")
    return text
