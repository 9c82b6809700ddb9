"""How fast this very box is, and what the norm leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.diagnosis import Bin, HistogramFigures, ReactionTiming

if TYPE_CHECKING:
    from evse_pi.recorder.histogram import Histogram
    from evse_pi.recorder.ring import RingContents


def timing_view(contents: RingContents) -> ReactionTiming:
    """Return the histograms with their quantiles, and the budget."""
    budget_ns, within_ns = contents.header.budget_ns, contents.header.within_ns
    reaction = contents.histograms["reaction"]
    lateness = contents.histograms["lateness"]
    return ReactionTiming(
        within_us=within_ns // 1000,
        release_us=(within_ns - budget_ns) // 1000,
        budget_us=budget_ns // 1000,
        fits=reaction.quantile_ns(999) <= budget_ns,
        beyond_budget=sum(count for edge_ns, count in reaction.rows() if edge_ns > budget_ns),
        ticks=lateness.total,
        lateness=_figures(lateness),
        window=_figures(contents.histograms["window"]),
        reaction=_figures(reaction),
    )


def _figures(histogram: Histogram) -> HistogramFigures:
    return HistogramFigures(
        number=histogram.total,
        p50_us=histogram.quantile_ns(500) // 1000,
        p99_us=histogram.quantile_ns(990) // 1000,
        p999_us=histogram.quantile_ns(999) // 1000,
        max_us=histogram.largest_ns // 1000,
        bins=_octaves(histogram),
    )


def _octaves(histogram: Histogram) -> tuple[Bin, ...]:
    """Return the counts with one bin a factor of two, as people read them."""
    found: dict[int, int] = {}
    for edge_ns, count in histogram.rows():
        octave = 1 << max(edge_ns // 1000, 1).bit_length()
        found[octave] = found.get(octave, 0) + count
    return tuple(Bin(octave, found[octave]) for octave in sorted(found))
