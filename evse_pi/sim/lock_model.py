"""The motor that locks the plug in the socket, with its feedback contact."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.sim.agenda import Agenda


class LockFault(StrEnum):
    """How the lock is broken."""

    JAMMED = "jammed"  # the bolt does not move
    FEEDBACK_OPEN = "feedback_open"  # the contact says unlocked for ever
    FEEDBACK_CLOSED = "feedback_closed"


class LockMotor:
    """A bolt that needs its motor driven for `travel_ns`, and stays where it is without."""

    def __init__(self, travel_ns: int, agenda: Agenda, changed: Callable[[], None]) -> None:
        self.fault: LockFault | None = None
        self.bolted = False
        self._travel_ns = travel_ns
        self._towards: bool | None = None
        self._agenda = agenda
        self._changed = changed

    @property
    def locked(self) -> bool:
        """Return what the feedback contact says."""
        if self.fault is LockFault.FEEDBACK_OPEN:
            return False
        return self.bolted or self.fault is LockFault.FEEDBACK_CLOSED

    def drive(self, *, lock: bool, unlock: bool) -> None:
        """Drive the motor one way; neither or both stops it."""
        towards = None if lock == unlock else lock
        if towards is self._towards:
            return
        self._towards = towards
        if towards is None:
            self._agenda.cancel("lock.travel")
        else:
            self._agenda.after("lock.travel", self._travel_ns, self._arrive)

    def _arrive(self) -> None:
        if self._towards is not None and self.fault is not LockFault.JAMMED:
            self.bolted = self._towards
        self._changed()
