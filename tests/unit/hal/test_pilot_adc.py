"""Where the conversions of a window fall in the pilot's period."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from hal.pilot_adc import CONVERSIONS, PATTERNS, SpiPilotAdc

if TYPE_CHECKING:
    from collections.abc import Callable

PERIOD_NS = 1_000_000
FRAME_NS = 24_000
SETTLING_NS = 18_000
"""A rise to 0.5 V below its plateau in C at 5.5 nF, behind the input filter. Source: docs/boards/reference.md."""


class Recorder:
    """A converter that keeps the delays it is given; the codes of a window are its number."""

    def __init__(self, speed_hz: int = 1_000_000) -> None:
        self.speed_hz = speed_hz
        self.prepared: list[Any] = []
        self.closed = False

    def prepare(self, channel: list[int] | tuple[int, ...], delays_us: list[int]) -> int | list[int]:
        if len(channel) < CONVERSIONS:
            return list(channel)
        self.prepared.append((channel, tuple(delays_us)))
        return len(self.prepared) - 1

    def run(self, number: int | list[int], stamp: Callable[..., Any] = lambda: None) -> int | list[int]:
        stamp()
        for _ in range(0, CONVERSIONS if isinstance(number, int) else 1, 32):
            stamp()
        return number

    def close(self) -> None:
        self.closed = True


def adc(speed_hz: int = 1_000_000, seed: int = 1) -> tuple[SpiPilotAdc, Recorder]:
    recorder = Recorder(speed_hz)
    bus: Any = recorder
    return SpiPilotAdc(bus, 2, iter(range(0, 10**9, 5)).__next__, Random(seed)), recorder


@pytest.mark.parametrize("speed_hz", [700_000, 1_000_000, 1_350_000, 2_000_000, 3_600_000])
def test_every_window_is_longer_than_three_periods_at_every_clock(speed_hz: int) -> None:
    pilot, recorder = adc(speed_hz)
    assert len(recorder.prepared) == PATTERNS
    for channel, delays_us in recorder.prepared:
        assert channel == [2] * CONVERSIONS
        assert len(delays_us) == CONVERSIONS == 96
        exact_ns = 96 * 24 * 10**9 / speed_hz + 1000 * sum(delays_us)
        assert exact_ns >= 3 * PERIOD_NS
        assert pilot.shortest_ns <= exact_ns


@pytest.mark.parametrize("speed_hz", [100_000, 400_000])
def test_a_clock_whose_window_would_eat_the_tick_is_refused(speed_hz: int) -> None:
    with pytest.raises(ValueError, match=f"speed_hz = {speed_hz}"):
        adc(speed_hz)


def test_windows_differ_and_come_round_in_turn() -> None:
    pilot, recorder = adc()
    assert len({delays for _, delays in recorder.prepared}) == PATTERNS
    numbers = [pilot.read_window().codes for _ in range(PATTERNS + 1)]
    assert numbers == [*range(PATTERNS), 0]


def test_a_window_says_when_it_started_and_ended() -> None:
    pilot, recorder = adc()
    window = pilot.read_window()
    assert (window.started_ns, window.ended_ns) == (0, 15)
    pilot.close()
    assert recorder.closed


def useful(delays_us: list[int] | tuple[int, ...], overhead_ns: int, start_ns: int, low_ns: int, high_ns: int) -> int:
    """Count the conversions that fall into low..high of the period; each burst of 32 begins with its own call."""
    count, at_ns = 0, start_ns
    for index, delay_us in enumerate(delays_us):
        count += low_ns <= at_ns % PERIOD_NS < high_ns
        last_of_burst = index % 32 == 31
        at_ns += FRAME_NS + 1000 * delay_us + (30_000 if last_of_burst else overhead_ns)
    return count


@pytest.mark.parametrize("overhead_ns", [0, 2_000, 9_500, 10_000, 18_000, 26_000])
def test_no_rate_misses_a_plateau_of_8_or_90_percent(overhead_ns: int) -> None:
    """The rates include 20 kS/s (26 µs added to 24 µs), which locks to 1 kHz when the spacing is even.

    A high plateau of 8 % (6 A by the table) and a low one of 10 % must show three settled samples at every phase.
    """
    _, recorder = adc()
    for _, delays_us in recorder.prepared:
        for start_ns in range(0, PERIOD_NS, 10_000):
            high = useful(delays_us, overhead_ns, start_ns, SETTLING_NS, 80_000)
            low = useful(delays_us, overhead_ns, start_ns, 900_000 + SETTLING_NS, PERIOD_NS)
            assert high >= 3
            assert low >= 3


def test_even_spacing_would_lock_at_20_kilosamples_and_dither_does_not() -> None:
    """One sample per 50 µs against a plateau of 40 µs settled time: at some phases an even rate never sees it."""
    even = [0] * 96
    _, recorder = adc()
    phases = range(0, PERIOD_NS, 5_000)
    worst_even = min(useful(even, 26_000, start, SETTLING_NS, 50_000) for start in phases)
    worst_dithered = min(
        max(useful(delays_us, 18_000, start, SETTLING_NS, 50_000) for _, delays_us in recorder.prepared)
        for start in phases
    )
    assert worst_even == 0
    assert worst_dithered >= 3


def test_other_channels_are_read_in_one_call_before_and_one_after_and_take_nothing_from_the_pilot() -> None:
    class Converter(Recorder):
        ran = []  # noqa: RUF012 - one test

        def prepare(self, channels: list[int] | tuple[int, ...], delays_us: list[int]) -> int | list[int]:
            return list(channels)

        def run(self, channels: Any, stamp: Callable[..., Any] = lambda: None) -> int | list[int]:
            self.ran.append(channels)
            stamp()
            for _ in range(0, len(channels), 32):
                stamp()
            return [100 * channel for channel in channels]

    recorder = Converter()
    bus: Any = recorder
    pilot = SpiPilotAdc(bus, 0, iter(range(0, 10**9, 5)).__next__, Random(1), before=(2,), after=(2, 3))
    window = pilot.read_window()
    assert recorder.ran == [[2], [0] * CONVERSIONS, [2, 3]]
    assert (window.before, window.after) == ({2: 200}, {2: 200, 3: 300})
    assert len(window.codes) == CONVERSIONS
    assert (window.started_ns, window.ended_ns) == (0, 15), "the window's time is the pilot's alone"
