"""The names of everything that passes between controller and plant, and the record of when it changed."""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

HISTORY = 65_536  # changes kept; 10,000 car actions with their six changes each fit


class Drive(StrEnum):
    """A line that the controller drives; true is the active level."""

    CONTACTOR = "contactor"
    CONTACTOR_BOOST = "contactor_boost"  # of a board with an economiser
    RCD_TEST = "rcd_test"
    RCD_RESET = "rcd_reset"
    LOCK = "lock"
    UNLOCK = "unlock"
    WATCHDOG = "watchdog"
    PILOT_CUT = "pilot_cut"
    LED = "led"
    WELD_OUTPUT = "weld_output"  # the relay that trips a switch ahead of the box


class Sense(StrEnum):
    """A line that the controller reads; true is what the name says."""

    MIRROR = "mirror"  # the mirror contact reports closed main contacts
    LOAD_VOLTAGE = "load_voltage"  # there is voltage behind the contactor
    RCD_TRIPPED = "rcd_tripped"
    LOCKED = "locked"
    EMERGENCY_STOP = "emergency_stop"
    LIVE_NEUTRAL_SWAPPED = "live_neutral_swapped"
    WELD_OUTPUT = "weld_output_closed"  # the second contact of that relay


class Analog(StrEnum):
    """A voltage, current or temperature that the controller measures, in thousandths of V, A or °C."""

    PILOT = "pilot"
    PILOT_HIGH = "pilot_high"  # behind a positive peak detector
    PILOT_LOW = "pilot_low"  # behind a negative peak detector
    PILOT_POSITIVE = "pilot_positive"  # the rails of the pilot's generator, behind their dividers' capacitors
    PILOT_NEGATIVE = "pilot_negative"
    COIL_NODE = "coil_node"  # between the contactor's coil and its return switch
    PROXIMITY = "proximity"
    LOAD_L1 = "load_l1"  # the phases behind the contactor against earth
    LOAD_L2 = "load_l2"
    LOAD_L3 = "load_l3"
    LOAD_CURRENT = "load_current"
    MAINS_VOLTAGE = "mains_voltage"
    TEMPERATURE = "temperature"


LOAD_PHASES = (Analog.LOAD_L1, Analog.LOAD_L2, Analog.LOAD_L3)


class PilotRail(StrEnum):
    """One of the two supplies of the pilot's generator."""

    POSITIVE = "positive"
    NEGATIVE = "negative"


class I2cFault(StrEnum):
    """How an I2C bus goes wrong for every chip on it."""

    NO_ACKNOWLEDGE = "no_acknowledge"
    STUCK_HIGH = "stuck_high"  # no chip drives the data line: all ones
    STUCK_LOW = "stuck_low"  # the data line is held: all zeros
    GARBAGE = "garbage"
    STRETCH = "stretch"  # the clock is held for a while before every answer
    HANG = "hang"  # the clock is held for ever: the adapter gives up after a second
    LOST_ARBITRATION = "lost_arbitration"  # a second master


class SignalChange(NamedTuple):
    """One change of a signal."""

    at_ns: int
    signal: str
    value: int


class History:
    """The last changes of all signals, and who is told of them."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.changes: deque[SignalChange] = deque(maxlen=HISTORY)
        self.listeners: list[Callable[[SignalChange], None]] = []

    def record(self, at_ns: int, signal: str, value: int) -> None:
        """Keep the value when it differs from the last one, and tell the listeners."""
        if self.values.get(signal) == value:
            return
        self.values[signal] = value
        change = SignalChange(at_ns, str(signal), int(value))
        self.changes.append(change)
        for listener in self.listeners:
            listener(change)
