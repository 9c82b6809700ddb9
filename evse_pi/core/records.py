"""The two records between the node process and the safety process, and their wire form."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evse_pi.core.faults import Fault
    from evse_pi.core.states import EvseState, LimitSource, PilotMode, PilotState, Reason
    from hal.units import CentiCelsius, DutyPpm, Milliamps, Millivolts

MAX_CURRENT_MA = 80_000  # the highest that a duty cycle can offer
MAX_TRANSITIONS = 16


class Request(IntFlag):
    """One-time orders inside a demand; each is carried out once per new `request_number`."""

    NONE = 0
    SELF_TEST = 1
    CLEAR_USER = 2  # clears faults whose rule is BY_USER
    CLEAR_INSTALLER = 4  # clears faults whose rule is BY_INSTALLER
    RESTART_WAKE_UP = 8
    RELOAD_INSTALLATION = 16


@dataclass(frozen=True, slots=True)
class MeterSample:
    """What the safety process judges of the meter: per phase, L1 first, 0 where there is no phase."""

    at_ns: int
    voltage_mv: tuple[Millivolts, Millivolts, Millivolts]
    current_ma: tuple[Milliamps, Milliamps, Milliamps]


@dataclass(frozen=True, slots=True)
class TemperatureSample:
    """The hottest sensor of the box."""

    at_ns: int
    centi_celsius: CentiCelsius


@dataclass(frozen=True, slots=True)
class Demand:
    """What the node asks for, and until when; nobody renews it, the box stops.

    Units: instants in ns of CLOCK_MONOTONIC. `limit_source` owns `offered_current_ma`.
    """

    number: int
    permitted: bool
    offered_current_ma: Milliamps
    limit_source: LimitSource
    valid_until_ns: int
    meter: MeterSample | None = None
    temperature: TemperatureSample | None = None
    request: Request = Request.NONE
    request_number: int = 0


@dataclass(frozen=True, slots=True)
class Transition:
    """The box after one change that somebody downstream must learn of; numbers rise by one."""

    number: int
    at_ns: int
    evse_state: EvseState
    pilot_state: PilotState
    contactor_closed: bool
    offered_current_ma: Milliamps
    faults: frozenset[Fault]
    reason: Reason


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the safety process says of itself: on change, else every second.

    `boot_id` changes with every start of the safety process; `transitions` are the last 16, oldest first, so that a
    lost datagram loses none. `reason_until_ns` is 0 when the reason has no known end. `cable_ma` is 0 without a cable.
    """

    boot_id: int
    number: int
    at_ns: int
    evse_state: EvseState
    pilot_state: PilotState
    high_mv: Millivolts
    low_mv: Millivolts
    pilot_mode: PilotMode
    duty_ppm: DutyPpm
    offered_current_ma: Milliamps
    limit_source: LimitSource
    limit_ma: Milliamps
    cable_ma: Milliamps
    contactor_closed: bool
    mirror_closed: bool | None
    load_live: bool | None
    locked: bool | None
    permitted: bool
    faults: frozenset[Fault]
    reason: Reason
    reason_until_ns: int
    self_test_passed: bool
    self_test_running: bool
    demand_number: int
    request_number: int
    ticks: int
    lateness_p999_ns: int
    lateness_max_ns: int
    reaction_p999_ns: int
    contactor_cycles: int
    openings_under_load: int
    transitions: tuple[Transition, ...]
