"""How fast this very box is, and what the norm leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evse_pi.core.machine import OPEN_WITHIN_NS

if TYPE_CHECKING:
    from evse_pi.recorder.histogram import Histogram
    from evse_pi.recorder.ring import RingContents


def timing_view(contents: RingContents) -> dict[str, Any]:
    """Return the histograms with their quantiles, and the budget.

    Units: microseconds. `budget_us` is what is left for reacting of the 100 ms of IEC 61851-1 Table A.6 sequence 8.1
    once the contactor's release time is taken off; 99.9 % of the reactions must be within it.
    """
    budget_us = contents.header.budget_ns // 1000
    reaction = contents.histograms["reaction"]
    slow = sum(count for edge_ns, count in reaction.rows() if edge_ns > contents.header.budget_ns)
    return {
        "within_us": OPEN_WITHIN_NS // 1000,
        "release_us": (OPEN_WITHIN_NS - contents.header.budget_ns) // 1000,
        "budget_us": budget_us,
        "fits": reaction.quantile_ns(999) <= contents.header.budget_ns,
        "beyond_budget": slow,
        "ticks": contents.histograms["lateness"].total,
        **{name: _figures(histogram) for name, histogram in contents.histograms.items()},
    }


def _figures(histogram: Histogram) -> dict[str, Any]:
    return {
        "count": histogram.total,
        "p50_us": histogram.quantile_ns(500) // 1000,
        "p99_us": histogram.quantile_ns(990) // 1000,
        "p999_us": histogram.quantile_ns(999) // 1000,
        "max_us": histogram.largest_ns // 1000,
        "bins": _octaves(histogram),
    }


def _octaves(histogram: Histogram) -> list[dict[str, int]]:
    """Return the counts with one bin a factor of two, as people read them."""
    found: dict[int, int] = {}
    for edge_ns, count in histogram.rows():
        octave = 1 << max(edge_ns // 1000, 1).bit_length()
        found[octave] = found.get(octave, 0) + count
    return [{"below_us": octave, "count": found[octave]} for octave in sorted(found)]
