"""Mains voltage at the load side of the contactor, by an opto-coupler with a peak hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hal.gpio import InputLine


class GpioVoltageSense:
    """Reads one line that is active while any phase of the load side is live."""

    def __init__(self, line: InputLine) -> None:
        self._line = line

    def read_live(self) -> bool:
        """Return whether the load side is live."""
        return self._line.read()

    def close(self) -> None:
        """Release the line."""
        self._line.close()
