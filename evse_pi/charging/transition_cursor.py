"""Every transition of the safety process once, whatever was lost on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evse_pi.core.records import Snapshot, Transition


@dataclass(frozen=True, slots=True)
class TransitionCursor:
    """The last transition that was consumed, and the run of the safety process that it belongs to.

    `lost` counts transitions that fell out of the last 16 while the node did not run; the box's present state is then
    taken from the snapshot itself.
    """

    safety_run_id: int | None = None
    number: int = 0
    lost: int = 0

    def accept(self, snapshot: Snapshot) -> tuple[TransitionCursor, tuple[Transition, ...]]:
        """Return the feed after `snapshot`, and the transitions that are new."""
        consumed = self.number if snapshot.safety_run_id == self.safety_run_id else 0
        new = tuple(change for change in snapshot.transitions if change.number > consumed)
        if not new:
            return (
                self
                if snapshot.safety_run_id == self.safety_run_id
                else TransitionCursor(snapshot.safety_run_id, 0, self.lost)
            ), ()
        missed = new[0].number - consumed - 1
        return TransitionCursor(snapshot.safety_run_id, new[-1].number, self.lost + missed), new


NOTHING_CONSUMED = TransitionCursor()
