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
PATTERNS = 17
"""A prime number of different windows, so that the pattern does not repeat in step with a period of ticks."""


class SpiPilotAdc:
    """Reads windows of at least three pilot periods; all buffers are made here, a tick makes only its result.

    The channels `before` and `after` are read in one kernel call each, right before the window and right after it, so
    that no conversion is taken from the pilot.
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
        self._before, self._after = self._side(before), self._side(after)
        self._clock = clock
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
            windows.append(adc.prepare([channel] * CONVERSIONS, delays_us))
        self._windows = itertools.cycle(windows)

    def read_window(self) -> PilotWindow:
        """Return the codes of one window. Raises: BadReading, DeviceNotFound."""
        before = self._read(self._before)
        started_ns = self._clock()
        codes = self._adc.run(next(self._windows))
        ended_ns = self._clock()
        return PilotWindow(codes, started_ns, ended_ns, before, self._read(self._after))

    def _side(self, channels: Sequence[int]) -> tuple[tuple[int, ...], Conversions | None]:
        return tuple(channels), self._adc.prepare(channels, [0] * len(channels)) if channels else None

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
