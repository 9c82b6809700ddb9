"""The hardware watchdog: a gate that holds the contactor's supply only while rising edges keep coming."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hal.gpio import OutputLine


class GpioWatchdog:
    """Gives one rising edge per tick; either constant level lets the gate go.

    Hazard: H-09 hung process. The line falls when a tick begins and rises when it is done, so that a process that hangs
    anywhere between cannot feed the gate.
    """

    def __init__(self, line: OutputLine) -> None:
        self._line = line

    def lower(self) -> None:
        """Make the next pulse a rising edge."""
        self._line.set(False)

    def pulse(self) -> None:
        """Give a rising edge, if `lower` came before."""
        self._line.set(True)

    def close(self) -> None:
        """Hold the line low and release it."""
        self._line.close()
