"""One light of the box."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hal.gpio import OutputLine


class GpioStatusLed:
    """Drives one line."""

    def __init__(self, line: OutputLine) -> None:
        self._line = line

    def set(self, lit: bool) -> None:
        """Light it or not."""
        self._line.set(lit)

    def close(self) -> None:
        """Dark, and release the line."""
        self._line.close()
