"""Takes the steps of a recording again with the same core logic, and shows where the decision fell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.core.machine import step
from evse_pi.recorder.frame import TickOutcome, outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evse_pi.core.faults import Fault
    from evse_pi.recorder.frame import Frame
    from evse_pi.recorder.recording import Recording


@dataclass(frozen=True, slots=True)
class ReplayStep:
    """One tick of a recording, and what this software decides on it."""

    frame: Frame
    outcome: TickOutcome

    @property
    def same(self) -> bool:
        """Whether the box decided the same."""
        return self.outcome == self.frame.outcome


@dataclass(frozen=True, slots=True)
class Decision:
    """A tick after which the box was not as before; `set_now` and `cleared_now` are its faults that changed."""

    step: ReplayStep
    changed: tuple[str, ...]
    set_now: frozenset[Fault]
    cleared_now: frozenset[Fault]


_TELLING = ("phase", "evse_state", "pilot_state", "close_ordered", "faults", "reason", "offered_ma")


def steps(recording: Recording) -> Iterator[ReplayStep]:
    """Yield every tick with what this software decides on it. Raises: RecordingError."""
    state, settings = recording.state(), recording.settings()
    for frame in recording.ticks():
        state, _ = step(state, frame.inputs, settings)
        yield ReplayStep(frame, outcome_of(state))


def decisions(replayed: list[ReplayStep]) -> list[Decision]:
    """Return the ticks at which something that matters changed, in this software's decisions."""
    found = []
    before: TickOutcome | None = None
    for each in replayed:
        now = each.outcome
        if before is not None:
            changed = tuple(name for name in _TELLING if getattr(before, name) != getattr(now, name))
            if changed:
                found.append(Decision(each, changed, now.faults - before.faults, before.faults - now.faults))
        before = now
    return found


def differences(replayed: list[ReplayStep]) -> list[tuple[ReplayStep, tuple[str, ...]]]:
    """Return the ticks on which this software decides otherwise than the box did, with what differs."""
    names = TickOutcome.__dataclass_fields__
    return [
        (each, tuple(name for name in names if getattr(each.outcome, name) != getattr(each.frame.outcome, name)))
        for each in replayed
        if not each.same
    ]
