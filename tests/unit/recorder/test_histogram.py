"""The fixed-size histogram against sorted lists."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evse_pi.recorder.histogram import Histogram

DURATIONS = st.lists(st.integers(min_value=-1_000, max_value=4_000_000_000), min_size=1, max_size=200)


def filled(durations: list[int]) -> Histogram:
    histogram = Histogram()
    for duration in durations:
        histogram.add(duration)
    return histogram


@given(durations=DURATIONS, per_mille=st.sampled_from([500, 900, 990, 999, 1000]))
def test_quantile_is_never_too_low_and_at_most_four_per_cent_too_high(durations: list[int], per_mille: int) -> None:
    ordered = sorted(max(duration, 0) for duration in durations)
    exact = ordered[-(-len(ordered) * per_mille // 1000) - 1]
    answer = filled(durations).quantile_ns(per_mille)
    assert exact <= answer <= exact * 1.04 + 1_000


@given(durations=DURATIONS)
def test_largest_is_exact(durations: list[int]) -> None:
    histogram = filled(durations)
    assert histogram.largest_ns == max(0, *durations)
    assert histogram.total == len(durations)


def test_empty_histogram_answers_zero() -> None:
    assert Histogram().quantile_ns(999) == 0


def test_duration_beyond_the_last_bin_is_counted() -> None:
    hour = 3_600_000_000_000
    assert filled([hour]).quantile_ns(999) == 4_194_303_999


def test_cleared_histogram_starts_over() -> None:
    histogram = filled([5_000_000])
    histogram.clear()
    assert (histogram.total, histogram.largest_ns, histogram.quantile_ns(1000)) == (0, 0, 0)
