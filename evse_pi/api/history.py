"""What happened at the box: faults and changes of state."""

from __future__ import annotations

from typing import NamedTuple

from evse_pi.api.protocol import Command
from evse_pi.api.readings import Readings
from evse_pi.api.session import Page
from evse_pi.core.fault_kinds import Fault
from evse_pi.core.states import EvseState, Reason
from hal.units import Milliamps


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


FAULTS: Command[Page, tuple[FaultEvent, ...]] = Command(
    "faults", Page, tuple[FaultEvent, ...], "The faults of the past, the newest first."
)
TRANSITIONS: Command[Page, tuple[TransitionEvent, ...]] = Command(
    "transitions", Page, tuple[TransitionEvent, ...], "The changes of state, contactor and faults, the newest first."
)
