"""The last changes of the box, numbered, so that the node can see whether one is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.core.records import MAX_TRANSITIONS, Transition

if TYPE_CHECKING:
    from evse_pi.core.faults import Fault
    from evse_pi.core.states import EvseState, PilotState, Reason
    from hal.units import Milliamps


@dataclass(frozen=True, slots=True)
class TransitionLog:
    """The last 16 transitions, oldest first; numbers begin at 1."""

    transitions: tuple[Transition, ...] = ()

    def note(
        self,
        now_ns: int,
        shown: tuple[EvseState, PilotState, bool, Milliamps, frozenset[Fault], Reason],
    ) -> TransitionLog:
        """Return the journal after a tick that shows `shown`, the fields of a Transition after its instant."""
        last = self.transitions[-1] if self.transitions else None
        if last is not None and shown == (
            last.evse_state,
            last.pilot_state,
            last.close_ordered,
            last.offered_current_ma,
            last.faults,
            last.reason,
        ):
            return self
        number = last.number + 1 if last is not None else 1
        return TransitionLog((*self.transitions[1 - MAX_TRANSITIONS :], Transition(number, now_ns, *shown)))
