"""The names of faults, of what they do, of what clears them and of what a self-test proves, without any table.

A command loads these alone.
"""

from __future__ import annotations

from enum import Enum, Flag, IntEnum, auto


class Fault(IntEnum):
    """One abnormal condition; the value is its bit in the records."""

    INTERNAL = 0
    PILOT_SHORT = 1
    PILOT_DIODE = 2
    PILOT_OUT_OF_BAND = 3
    PILOT_GENERATOR = 4
    PILOT_UNCERTAIN = 5
    VENTILATION_REQUIRED = 6
    CONTACTOR_WELDED = 7
    CONTACTOR_FAILED_TO_CLOSE = 8
    RCD_TRIPPED = 9
    RCD_TEST_FAILED = 10
    EMERGENCY_STOP = 11
    PROXIMITY_INVALID = 12
    CABLE_REMOVED = 13
    LOCK_FAILED = 14
    OVERCURRENT = 15
    OVERVOLTAGE = 16
    UNDERVOLTAGE = 17
    METER_STALE = 18
    POWER_QUALITY = 19
    LIVE_NEUTRAL_SWAP = 20
    OVER_TEMPERATURE = 21
    TEMPERATURE_STALE = 22
    TIMING_BUDGET = 23
    SELF_TEST_FAILED = 24
    OUTPUTS_PERSIST = 25
    INSTALLATION_INVALID = 26
    PILOT_ADC_FAILED = 27
    PILOT_PWM_FAILED = 28
    CONTACTOR_DRIVE_FAILED = 29
    RCD_DRIVE_FAILED = 30
    PROXIMITY_READ_FAILED = 31
    LOCK_DRIVE_FAILED = 32
    EMERGENCY_STOP_READ_FAILED = 33
    VOLTAGE_SENSE_FAILED = 34
    WATCHDOG_DRIVE_FAILED = 35
    PILOT_SUPPLY = 36
    RCD_TRIPS_REPEATED = 37
    PILOT_DUTY = 38
    PHASE_LOST = 39
    SUPPLY_LOST = 40
    WELD_OUTPUT_FAILED = 41
    CONTACTOR_CHANNEL = 42
    SUPPLY_24V = 43


class Severity(Enum):
    """What a fault does to a contactor that is closed."""

    OPEN = "open in the same tick"
    STOP = "end the offer, then open when the vehicle has let go, after 6 s at the latest"


class Clear(Flag):
    """What clears a fault whose condition has ended; of several, any."""

    RESTART = 0
    WHEN_GONE = auto()
    ON_UNPLUG = auto()
    BY_USER = auto()
    BY_INSTALLER = auto()


NO_FAULTS: frozenset[Fault] = frozenset()


class Check(IntEnum):
    """What is proven; the comment is the unit of the evidence."""

    PILOT_LOW_RAIL = 1  # mV
    MIRROR_OPEN = 2  # 1 for closed
    LOAD_DEAD = 3  # 1 for live
    RCD_TRIPS = 4  # ms until it tripped
    RCD_RESETS = 5  # ms until it had reset
    EMERGENCY_STOP = 6  # 1 for pressed
    PROXIMITY = 7  # rating of the cable in mA, 0 for none, -1 for an invalid one
    PILOT_HIGH_RAIL = 8  # mV
    PILOT_POSITIVE_SUPPLY = 9  # mV ahead of the source resistor
    PILOT_NEGATIVE_SUPPLY = 10  # mV
    RCD_CUTS_COIL = 11  # mV behind the coil while the device is tripped
    GATE_OPENS = 12  # mV behind the coil
    GATE_CLOSES = 13  # mV
    RETURN_OPENS = 14  # mV
    RETURN_CLOSES = 15  # mV
    GATE_ALONE = 16  # 1 for closed by the return switch alone, so the gate is shorted
    RETURN_ALONE = 17  # 1 for closed by the gate alone, so the return switch is shorted
    GATE_HOLD_SHORTEST = 18  # ms
    GATE_HOLD_LONGEST = 19  # ms
    COIL_SUPPLY = 20  # mV
