"""The hardware watchdog: a charge pump that holds the contactor's supply only while its input toggles."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hal.gpio import OutputLine


class GpioWatchdog:
    """Toggles one line per pulse; either constant level starves the pump.

    Hazard: H-09 hung process. One edge a pulse, so that a process that hangs between two edges cannot feed it.
    """

    def __init__(self, line: OutputLine) -> None:
        self._line = line
        self._level = False

    def pulse(self) -> None:
        """Give one edge."""
        self._level = not self._level
        self._line.set(self._level)

    def close(self) -> None:
        """Hold the line low and release it."""
        self._line.close()
