"""What happened at the box: sessions, faults and changes of state."""

from typing import Annotated, NamedTuple

from evse_pi.api.protocol import Command
from evse_pi.api.readings import Readings
from evse_pi.api.refusal import Allowed
from evse_pi.api.session_summary import SessionSummary
from evse_pi.core.fault_kinds import Fault
from evse_pi.core.states import EvseState, Reason
from hal.units import Milliamps

MAX_PAGE = 1_000
MAX_NUMBER = 1 << 62


class PageRequest(NamedTuple):
    """Which of many: at most `limit`, the newest first, those before number `before` where it is given."""

    limit: Annotated[int, Allowed(1, MAX_PAGE)] = 50
    before: Annotated[int, Allowed(1, MAX_NUMBER)] | None = None


class FaultEvent(NamedTuple):
    """One fault of the past, with what to do about it and what was read at its beginning.

    `recording` is the name of the recording round it, where there is one.
    """

    number: int
    fault: Fault
    title: str
    set_unix_s: int | None
    cleared_unix_s: int | None
    active: bool
    state: EvseState
    close_ordered: bool
    hint: str
    readings: Readings
    recording: str | None = None


class TransitionEvent(NamedTuple):
    """The box after one change of its state, its contactor or its faults; `at_ns` is of CLOCK_MONOTONIC."""

    number: int
    unix_s: int | None
    at_ns: int
    state: EvseState
    close_ordered: bool
    offered_current_ma: Milliamps
    faults: frozenset[Fault]
    reason: Reason


SESSIONS: Command[PageRequest, tuple[SessionSummary, ...]] = Command(
    "sessions", PageRequest, tuple[SessionSummary, ...], "The sessions, the newest first."
)
FAULTS: Command[PageRequest, tuple[FaultEvent, ...]] = Command(
    "faults", PageRequest, tuple[FaultEvent, ...], "The faults of the past, the newest first."
)
TRANSITIONS: Command[PageRequest, tuple[TransitionEvent, ...]] = Command(
    "transitions",
    PageRequest,
    tuple[TransitionEvent, ...],
    "The changes of state, contactor and faults, the newest first.",
)
