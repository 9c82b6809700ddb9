"""The residual current monitor: a trip output that is caught by its edge, a test input, a reset input."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.gpio import InputLine, OutputLine, SquareWaveLine


class GpioResidualCurrentDevice:
    """Latches every trip edge until it is read; the reset pulse ends at the first read after `reset_ns`.

    An edge that is heard of only after a read has already told its trip, as on a busy machine, is no second one.

    Hazard: H-05. The device must open the contactor in hardware; this input only tells the software why.
    """

    def __init__(
        self,
        trip: InputLine,
        test: OutputLine | SquareWaveLine,
        clock: Callable[[], int],
        *,
        reset: OutputLine | None = None,
        reset_ns: int = 0,
    ) -> None:
        self._trip = trip
        self._test = test
        self._clock = clock
        self._reset = reset
        self._reset_ns = reset_ns
        self._reset_until_ns: int | None = None
        self._latched = False
        self._told_ns = -1
        trip.watch(self._note_trip)

    def read_tripped(self) -> bool:
        """Return whether it is tripped now or was since the last call."""
        if self._reset_until_ns is not None and self._clock() >= self._reset_until_ns:
            self._end_reset()
        read_ns = self._clock()
        tripped = self._trip.read()  # first, because a failing read must not lose the latched edge
        latched, self._latched = self._latched, False
        if tripped:
            self._told_ns = read_ns
        return tripped or latched

    def set_test(self, active: bool) -> None:
        """Inject the test current, or stop it."""
        self._test.set(active)

    def reset(self) -> None:
        """Start the reset pulse; a device without a reset input resets by itself."""
        if self._reset:
            self._reset_until_ns = self._clock() + self._reset_ns
            self._reset.set(True)

    def close(self) -> None:
        """Stop testing and release the lines."""
        try:
            self._test.set(False)
            self._end_reset()
        finally:
            for line in (self._test, self._reset, self._trip):
                if line:
                    line.close()

    def _note_trip(self, at_ns: int) -> None:
        if at_ns > self._told_ns:
            self._latched = True

    def _end_reset(self) -> None:
        if self._reset_until_ns is not None and self._reset:
            self._reset.set(False)
        self._reset_until_ns = None
