"""The emergency stop: a normally closed contact to ground, so that pressing and a broken wire look the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hal.gpio import InputLine


class GpioEmergencyStop:
    """Reads one line that is active while the contact is open."""

    def __init__(self, line: InputLine) -> None:
        self._line = line

    def read_pressed(self) -> bool:
        """Return whether the button is pressed or its wire is broken."""
        return self._line.read()

    def close(self) -> None:
        """Release the line."""
        self._line.close()
