"""What the box says to people: reasons, limits and warnings as one sentence each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.core.states import LimitSource, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

REASONS: Mapping[Reason, str] = {
    Reason.CHARGING: "charging",
    Reason.STARTING: "charging is about to begin",
    Reason.SELF_TEST: "the box tests itself",
    Reason.FAULT: "a fault forbids it",
    Reason.NO_VEHICLE: "no vehicle is plugged in",
    Reason.PILOT_UNCERTAIN: "the pilot cannot be read for certain",
    Reason.NO_LEASE: "nobody has permitted it in the last 15 s",
    Reason.NOT_PERMITTED: "charging is not permitted",
    Reason.LIMIT_BELOW_MINIMUM: "the limit is below 6 A, which cannot be offered",
    Reason.MINIMUM_OFF_TIME: "the contactor rests between two closes",
    Reason.RCD_TEST: "the residual current device is being tested",
    Reason.LOCKING: "the plug is being locked",
    Reason.VEHICLE_NOT_READY: "the vehicle does not ask for power",
    Reason.WAKING_VEHICLE: "the vehicle sleeps and is being woken",
    Reason.PWM_SETTLING: "the offer has just changed",
    Reason.STOPPING: "the vehicle is given time to stop",
    Reason.RETRY_WAIT: "the box waits before it tries again",
    Reason.READING_CABLE: "the plug's cable is being read",
    Reason.STATE_F_HOLD: "the box says to the vehicle that it is out of service",
}
LIMITS: Mapping[LimitSource, str] = {
    LimitSource.BOARD: "the rating of the board",
    LimitSource.CIRCUIT_CAPACITY: "the circuit, as the installer set it",
    LimitSource.CABLE: "the cable",
    LimitSource.TEMPERATURE: "the temperature of the box",
    LimitSource.STALE_SENSOR: "a sensor that has fallen silent",
    LimitSource.LEASE: "nobody who permits it",
    LimitSource.OWNER: "the owner",
    LimitSource.ENABLE_CHARGING: "the controller that enables charging",
    LimitSource.USER_MAXIMUM: "the user's maximum",
    LimitSource.POWER_ADJUSTMENT: "the energy manager",
    LimitSource.SCHEDULE: "the schedule",
    LimitSource.RANDOM_DELAY: "the random delay",
}
