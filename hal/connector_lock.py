"""The connector lock: a motor behind an H-bridge and a contact that closes when the bolt is out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.gpio import InputLine, OutputLine


class GpioConnectorLock:
    """Never drives both ways at once, and never longer than `drive_ns` as long as the feedback is read.

    Hazard: H-13. The motor burns when it is driven against its stop, and a bridge with both inputs high brakes.
    """

    def __init__(
        self,
        lock: OutputLine,
        unlock: OutputLine,
        feedback: InputLine,
        clock: Callable[[], int],
        *,
        drive_ns: int,
    ) -> None:
        self._lock = lock
        self._unlock = unlock
        self._feedback = feedback
        self._clock = clock
        self._drive_ns = drive_ns
        self._driving: OutputLine | None = None
        self._stop_at_ns = 0

    def drive_lock(self) -> None:
        """Drive towards locked; repeating the order does not make the pulse longer."""
        self._drive(self._lock)

    def drive_unlock(self) -> None:
        """Drive towards unlocked; repeating the order does not make the pulse longer."""
        self._drive(self._unlock)

    def stop(self) -> None:
        """Take the current away; the next order starts a new pulse."""
        self._driving = None
        self._off()

    def read_locked(self) -> bool:
        """Return what the feedback contact says, and end an overdue pulse."""
        if self._driving and self._clock() >= self._stop_at_ns:
            self._off()
        return self._feedback.read()

    def close(self) -> None:
        """Stop the motor and release the lines."""
        try:
            self.stop()
        finally:
            for line in (self._lock, self._unlock, self._feedback):
                line.close()

    def _drive(self, line: OutputLine) -> None:
        if self._driving is line:
            return
        self.stop()
        self._stop_at_ns = self._clock() + self._drive_ns
        line.set(True)
        self._driving = line

    def _off(self) -> None:
        try:
            self._lock.set(False)
        finally:
            self._unlock.set(False)
