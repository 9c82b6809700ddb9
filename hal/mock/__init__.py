"""A double per interface: driven by `drive_*` verbs, with a history, and able to fail in four ways.

A fault is planned, not programmed: `FaultPlan("read_window", FaultKind.RAISE, after=3)` lets three calls through. Time
is the clock that the test injects, so a hang is a call that takes long on it and nothing waits.
"""

from __future__ import annotations

from hal.mock.field_mocks import MockMeter, MockStatusLed, MockTemperatureSensor
from hal.mock.safety import (
    MockAnalogInput,
    MockConnectorLock,
    MockContactor,
    MockEmergencyStop,
    MockPeakDetector,
    MockPilotAdc,
    MockPilotPwm,
    MockProximity,
    MockResidualCurrentDevice,
    MockVoltageSense,
    MockWatchdog,
)
from hal.mock.script import Call, FaultKind, FaultPlan, Script, ScriptClock

__all__ = [
    "Call",
    "FaultKind",
    "FaultPlan",
    "MockAnalogInput",
    "MockConnectorLock",
    "MockContactor",
    "MockEmergencyStop",
    "MockMeter",
    "MockPeakDetector",
    "MockPilotAdc",
    "MockPilotPwm",
    "MockProximity",
    "MockResidualCurrentDevice",
    "MockStatusLed",
    "MockTemperatureSensor",
    "MockVoltageSense",
    "MockWatchdog",
    "Script",
    "ScriptClock",
]
