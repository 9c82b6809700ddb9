"""The control pilot's window: 96 conversions in three kernel calls, spaced unevenly on purpose."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from hal.interfaces import PilotWindow
from hal.mcp3xxx import FRAME_BITS, MAX_BURST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from hal.mcp3xxx import Conversions, Mcp3xxx

CONVERSIONS = 3 * MAX_BURST
PILOT_PERIOD_NS = 1_000_000
SHORTEST_NS = 3 * PILOT_PERIOD_NS
LONGEST_NS = 7 * PILOT_PERIOD_NS
"""A window must leave the rest of the 10 ms tick to everything else."""
CS_CHANGE_NS = 10_000
"""What the kernel waits between two transfers with cs_change. Source: drivers/spi/spi.c, default of 10 µs."""
DITHER_US = 17
"""Delays are 0..16 µs above the base; their sum walks 26 µs off in one period, so no rate locks to 1 kHz."""
LEADS_US = tuple(1_000 * step // 13 for step in range(13))
"""What passes before a window, so that thirteen of them meet the pilot at as many phases of its period."""
PATTERNS = 17
"""A prime number of different windows, so that the pattern does not repeat in step with a period of ticks."""


class SpiPilotAdc:
    """Reads windows of at least three pilot periods; all buffers are made here, a tick makes only its result.

    The channels `before` and `after` are read in one kernel call each, right before the window and right after it, so
    that no conversion is taken from the pilot. The one before also waits, a thirteenth of a period longer each
    time: pilot and sampling hang on one crystal, and what a window is wrong by at one phase must not stay.
    Raises: ValueError when no window of SHORTEST_NS..LONGEST_NS is possible at the converter's speed.
    """

    def __init__(
        self,
        adc: Mcp3xxx,
        channel: int,
        clock: Callable[[], int],
        rng: Random,
        *,
        before: Sequence[int] = (),
        after: Sequence[int] = (),
    ) -> None:
        self._adc = adc
        self._asked = tuple(before)
        self._before = itertools.cycle([self._side(before or (channel,), lead_us) for lead_us in LEADS_US])
        self._after = self._side(after)
        self._clock = clock
        self._stamps: list[int] = []
        self._frame_ns = FRAME_BITS * 1_000_000_000 // adc.speed_hz
        delays_us = window_delays_us(adc.speed_hz)
        # The kernel may add to it (CS_CHANGE_NS, the way into the call), but never take from it.
        self.shortest_ns = CONVERSIONS * FRAME_BITS * 1_000_000_000 // adc.speed_hz + 1_000 * sum(delays_us)
        longest_ns = self.shortest_ns + CONVERSIONS * CS_CHANGE_NS
        if self.shortest_ns < SHORTEST_NS or longest_ns > LONGEST_NS:
            raise ValueError(
                f"speed_hz = {adc.speed_hz} gives a window of {self.shortest_ns}..{longest_ns} ns; "
                f"must be {SHORTEST_NS}..{LONGEST_NS}"
            )
        windows = []
        for _ in range(PATTERNS):
            rng.shuffle(delays_us)
            messages = [delays_us[at : at + MAX_BURST] for at in range(0, CONVERSIONS, MAX_BURST)]
            windows.append((adc.prepare([channel] * CONVERSIONS, delays_us), messages))
        self._windows = itertools.cycle(windows)

    def read_window(self) -> PilotWindow:
        """Return the codes of one window. Raises: BadReading, DeviceNotFound."""
        before, stamps = self._read(next(self._before)), self._stamps
        run, delays_us = next(self._windows)
        stamps.clear()
        codes = self._adc.run(run, self._stamp)
        started_ns, ended_ns, sampled_ns = stamps[0], stamps[-1], sampled_at(delays_us, stamps, self._frame_ns)
        asked = {channel: before[channel] for channel in self._asked}
        return PilotWindow(codes, started_ns, ended_ns, asked, self._read(self._after), sampled_ns)

    def _stamp(self) -> None:
        self._stamps.append(self._clock())

    def _side(self, channels: Sequence[int], lead_us: int = 0) -> tuple[tuple[int, ...], Conversions | None]:
        if not channels:
            return (), None
        return tuple(channels), self._adc.prepare(channels, [*[0] * (len(channels) - 1), lead_us])

    def _read(self, side: tuple[tuple[int, ...], Conversions | None]) -> dict[int, int]:
        channels, run = side
        return {} if run is None else dict(zip(channels, self._adc.run(run), strict=True))

    def close(self) -> None:
        """Release the bus."""
        self._adc.close()


def window_delays_us(speed_hz: int) -> list[int]:
    """Return one delay per conversion, each step of the dither equally often, long enough for SHORTEST_NS."""
    dither_us = [index % DITHER_US for index in range(CONVERSIONS)]
    missing_ns = SHORTEST_NS - CONVERSIONS * FRAME_BITS * 1_000_000_000 // speed_hz - 1_000 * sum(dither_us)
    base_us = max(0, -(-missing_ns // (1_000 * CONVERSIONS)))
    return [base_us + step for step in dither_us]


def sampled_at(delays_us: Sequence[Sequence[int]], stamps_ns: Sequence[int], frame_ns: int) -> tuple[int, ...]:
    """Return when each conversion was made, in ns, as if all that a message took longer went by evenly within it.

    `delays_us` are those of each message, `stamps_ns` the times before the first message and after each. A message that
    took twice as long as it should was interrupted somewhere, and nothing is returned.
    """
    found: list[int] = []
    for message, began_ns, ended_ns in zip(delays_us, stamps_ns, stamps_ns[1:], strict=False):
        least_ns, took_ns, at_ns = len(message) * frame_ns + 1_000 * sum(message), ended_ns - began_ns, 0
        if took_ns > 2 * least_ns:
            return ()
        for delay in message:
            found.append(began_ns + at_ns * took_ns // least_ns)
            at_ns += frame_ns + 1_000 * delay
    return tuple(found)
