"""`evse-pi timing`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from evse_pi.api.client import ask
from evse_pi.api.diagnosis import TIMING
from evse_pi.api.texts.catalogue import tr
from evse_pi.api.texts.quantities import milliseconds
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import row, show

if TYPE_CHECKING:
    from evse_pi.api.diagnosis import HistogramFigures, ReactionTiming
    from evse_pi.paths import Paths

TITLES = {
    "lateness": tr("lateness of a tick: from when it was due to when it began"),
    "window": tr("one look at the pilot: the samples of one window"),
    "reaction": tr("reaction: from a vehicle that leaves C to the output driven, worst case"),
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
    verdict = tr("it fits") if timing.fits else tr("IT DOES NOT FIT: the box refuses to energise")
    text = row(
        tr("budget"),
        tr("{within:.0f} ms of the standard - {release:.0f} ms release of the contactor = {budget:.0f} ms").format(
            within=within, release=release, budget=budget
        ),
    )
    text += row(
        tr("reaction"),
        tr("99.9 % within {milliseconds}: {verdict}").format(
            milliseconds=milliseconds(timing.reaction.p999_us), verdict=verdict
        ),
    )
    text += row(
        tr("beyond"),
        tr("{beyond_budget} of {number} reactions").format(
            beyond_budget=timing.beyond_budget, number=timing.reaction.number
        ),
    )
    for name, title in TITLES.items():
        text += ["", title, *_histogram(getattr(timing, name))]
    return text


def _histogram(figures: HistogramFigures) -> list[str]:
    quantiles = (
        ("p50", figures.p50_us), ("p99", figures.p99_us), ("p99.9", figures.p999_us), (tr("max"), figures.max_us)
    )  # fmt: skip
    text = ["  " + "  ".join(f"{title} {milliseconds(us)}" for title, us in quantiles)]
    largest = max((each.number for each in figures.bins), default=1)
    for each in figures.bins:
        bar = "#" * max(each.number * BAR // largest, 1)
        text.append(
            tr("  below {below_us:>9.3f} ms {number:>10} {bar}").format(
                below_us=each.below_us / 1000, number=each.number, bar=bar
            )
        )
    return text
