"""The closed sets of the control pilot and of what the box makes of it."""

from __future__ import annotations

from enum import Enum, IntEnum


class PilotState(IntEnum):
    """What the vehicle (or the line) shows. Source: IEC 61851-1 Table A.4; INVALID is no state of the standard."""

    INVALID = 0
    A = 1
    B = 2
    C = 3
    D = 4
    E = 5
    F = 6


class EvseState(IntEnum):
    """Pilot state and our generator: x1 holds +12 V, x2 oscillates. Source: IEC 61851-1 Annex A."""

    A = 1
    B1 = 2
    B2 = 3
    C1 = 4
    C2 = 5
    D1 = 6
    D2 = 7
    E = 8
    F = 9


class PilotMode(Enum):
    """What our generator does."""

    HIGH = "+12 V"
    PWM = "1 kHz"
    LOW = "-12 V"


class LimitSource(IntEnum):
    """Whose limit it is. The first group is judged by the safety process, the second arrives in the demand."""

    BOARD = 1
    CIRCUIT_CAPACITY = 2
    CABLE = 3
    TEMPERATURE = 4
    STALE_SENSOR = 5
    LEASE = 6
    OVERCURRENT = 7
    PILOT = 8

    OWNER = 16
    ENABLE_CHARGING = 17
    USER_MAXIMUM = 18
    POWER_ADJUSTMENT = 19
    SCHEDULE = 20
    RANDOM_DELAY = 21
    RESUME_PAUSE = 22
    SENSOR_DOUBT = 23


class Reason(IntEnum):
    """Why the contactor is not closed, or that it is: one answer at a time, the most telling first."""

    CHARGING = 0
    STARTING = 1
    SELF_TEST = 2
    FAULT = 3
    NO_VEHICLE = 4
    PILOT_UNCERTAIN = 5
    NO_LEASE = 6
    NOT_PERMITTED = 7
    LIMIT_BELOW_MINIMUM = 8
    MINIMUM_OFF_TIME = 9
    RCD_TEST = 10
    LOCKING = 11
    VEHICLE_NOT_READY = 12
    WAKING_VEHICLE = 13
    PWM_SETTLING = 14
    STOPPING = 15
    RETRY_WAIT = 16
    STATE_F_HOLD = 17
    READING_CABLE = 18
    TOO_MANY_STOPS = 19
    RCM_STARTING = 20
    TRYING_AGAIN = 21
    KEPT_AFTER_REPEATS = 22
    VEHICLE_FEEDS = 23
    STATE_B_NOT_SEEN = 24
    VEHICLE_ASKED = 25


class MatterState(IntEnum):
    """What the vehicle does, as Matter tells it. Source: Matter Application Cluster Specification, StateEnum."""

    NOT_PLUGGED_IN = 0
    PLUGGED_IN_NO_DEMAND = 1
    PLUGGED_IN_DEMAND = 2
    PLUGGED_IN_CHARGING = 3
    PLUGGED_IN_DISCHARGING = 4
    SESSION_ENDING = 5
    FAULT = 6


class SupplyState(IntEnum):
    """Whether the box would supply. Source: Matter Application Cluster Specification, SupplyStateEnum."""

    DISABLED = 0
    CHARGING_ENABLED = 1
    DISCHARGING_ENABLED = 2
    DISABLED_ERROR = 3
    DISABLED_DIAGNOSTICS = 4
    ENABLED = 5


class FaultState(IntEnum):
    """What is wrong, one thing at a time. Source: Matter Application Cluster Specification, FaultStateEnum."""

    NO_ERROR = 0x00
    METER_FAILURE = 0x01
    OVER_VOLTAGE = 0x02
    UNDER_VOLTAGE = 0x03
    OVER_CURRENT = 0x04
    CONTACT_WET_FAILURE = 0x05
    CONTACT_DRY_FAILURE = 0x06
    GROUND_FAULT = 0x07
    POWER_LOSS = 0x08
    POWER_QUALITY = 0x09
    PILOT_SHORT_CIRCUIT = 0x0A
    EMERGENCY_STOP = 0x0B
    EV_DISCONNECTED = 0x0C
    WRONG_POWER_SUPPLY = 0x0D
    LIVE_NEUTRAL_SWAP = 0x0E
    OVER_TEMPERATURE = 0x0F
    OTHER = 0xFF
