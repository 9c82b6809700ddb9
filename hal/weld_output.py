"""The relay that trips a switch ahead of the wallbox, and its second contact."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hal.gpio import InputLine, OutputLine


class GpioWeldOutput:
    """One output line; `readback` is active while the relay's output contact is closed."""

    def __init__(self, line: OutputLine, readback: InputLine | None) -> None:
        self._line = line
        self._readback = readback

    def set(self, active: bool) -> None:
        """Close the relay's contact, or let it open."""
        self._line.set(active)

    def read_closed(self) -> bool | None:
        """Return what the second contact says, None without one."""
        return None if self._readback is None else self._readback.read()

    def close(self) -> None:
        """Let the relay open and release the lines."""
        self._line.close()
        if self._readback is not None:
            self._readback.close()
