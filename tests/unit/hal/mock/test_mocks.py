"""The doubles fit the interfaces, and fail in the four ways that a plan can ask for."""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from evse_pi.sim.harness.virtual_clock import VirtualClock
from hal.errors import BadReading, BusTimeout, HalError
from hal.mock import (
    FaultKind,
    FaultPlan,
    MockAnalogInput,
    MockConnectorLock,
    MockContactor,
    MockEmergencyStop,
    MockMeter,
    MockPeakDetector,
    MockPilotAdc,
    MockPilotPwm,
    MockProximity,
    MockResidualCurrentDevice,
    MockStatusLed,
    MockTemperatureSensor,
    MockVoltageSense,
    MockWatchdog,
    Script,
)
from hal.units import Milliamps, Millivolts

CODES = array("H", [100, 200])


def script(*faults: FaultPlan) -> Script:
    return Script(VirtualClock(now_ns=1_000), list(faults))


READINGS = {
    "read_window": lambda s: MockPilotAdc(s, CODES),
    "read_peaks": lambda s: MockPeakDetector(s, 9_000, -12_000),
    "read_mv": lambda s: MockAnalogInput(s, 1_500),
    "read_closed": lambda s: MockContactor(s),
    "read_live": lambda s: MockVoltageSense(s),
    "read_tripped": lambda s: MockResidualCurrentDevice(s),
    "read_ohms": lambda s: MockProximity(s, 220),
    "read_locked": lambda s: MockConnectorLock(s),
    "read_pressed": lambda s: MockEmergencyStop(s),
    "read": lambda s: MockMeter(s),
    "read_centi_celsius": lambda s: MockTemperatureSensor(s),
}
ORDERS = {
    ("set_duty", (500_000,)): lambda s: MockPilotPwm(s),
    ("close", ()): lambda s: MockContactor(s),
    ("set_test", (True,)): lambda s: MockResidualCurrentDevice(s),
    ("drive_lock", ()): lambda s: MockConnectorLock(s),
    ("pulse", ()): lambda s: MockWatchdog(s),
    ("set", (True,)): lambda s: MockStatusLed(s),
}


@pytest.mark.parametrize("method", READINGS)
def test_a_reading_raises_after_its_good_calls_and_heals_after_its_bad_ones(method: str) -> None:
    mock = READINGS[method](script(FaultPlan(method, FaultKind.RAISE, after=1, lasting=1, error=BusTimeout)))
    first = getattr(mock, method)()
    with pytest.raises(BusTimeout, match=method):
        getattr(mock, method)()
    again = getattr(mock, method)()
    assert type(again) is type(first)
    assert [call.method for call in mock.script.history] == [method, method]  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", READINGS)
def test_a_hanging_reading_takes_its_time_on_the_tests_clock(method: str) -> None:
    calm, late = script(), script(FaultPlan(method, FaultKind.HANG, amount=5_000_000_000))
    getattr(READINGS[method](calm), method)()
    getattr(READINGS[method](late), method)()
    assert late.clock.now_ns - calm.clock.now_ns == 5_000_000_000


@pytest.mark.parametrize("method", READINGS)
def test_a_drifting_reading_moves_away_from_the_truth(method: str) -> None:
    truth = getattr(READINGS[method](script()), method)()
    drifting = READINGS[method](script(FaultPlan(method, FaultKind.DRIFT, amount=100)))
    assert getattr(drifting, method)() != truth


def test_a_stuck_reading_stays_with_its_old_time_stamp() -> None:
    meter = MockMeter(script(FaultPlan("read", FaultKind.STUCK, after=1)))
    meter.read()
    frozen = meter.read()
    meter.script.clock.advance(60_000_000_000)  # type: ignore[attr-defined]
    meter.drive_load((Millivolts(100_000),) * 3, (Milliamps(1_000),) * 3)
    assert meter.read() == frozen


@pytest.mark.parametrize(("method", "arguments"), ORDERS)
def test_an_order_that_raises_or_sticks_has_no_effect(method: str, arguments: tuple[bool | int, ...]) -> None:
    def state(mock: Any) -> list[bool | int]:
        names = ("duty_ppm", "driven", "testing", "locked", "pulses", "lit")
        return [getattr(mock, name) for name in names if hasattr(mock, name)]

    build = ORDERS[method, arguments]
    good, stuck = build(script()), build(script(FaultPlan(method, FaultKind.STUCK)))
    broken = build(script(FaultPlan(method, FaultKind.RAISE, error=BadReading)))
    before = state(good)
    getattr(good, method)(*arguments)
    getattr(stuck, method)(*arguments)
    with pytest.raises(HalError):
        getattr(broken, method)(*arguments)
    assert state(good) != before
    assert state(stuck) == state(broken) == before
    assert stuck.script.history[-1].method == method  # type: ignore[attr-defined]


def test_a_welded_contact_a_deaf_rcd_and_a_jammed_bolt_do_not_follow() -> None:
    contactor, rcd, lock = MockContactor(script()), MockResidualCurrentDevice(script()), MockConnectorLock(script())
    contactor.drive_welded(True)
    contactor.open()
    assert contactor.read_closed() is True
    rcd.drive_deaf()
    rcd.set_test(True)
    assert rcd.read_tripped() is False
    lock.drive_jam(True)
    lock.drive_lock()
    assert lock.read_locked() is False


def test_a_glitch_of_the_rcd_is_told_once_and_a_trip_until_reset() -> None:
    rcd = MockResidualCurrentDevice(script())
    rcd.drive_glitch()
    assert [rcd.read_tripped(), rcd.read_tripped()] == [True, False]
    rcd.drive_trip()
    assert [rcd.read_tripped(), rcd.read_tripped()] == [True, True]
    rcd.reset()
    assert rcd.read_tripped() is False


def test_no_cable_reads_none_and_no_mirror_contact_reads_none() -> None:
    assert MockProximity(script()).read_ohms() is None
    assert MockContactor(script(), has_mirror=False).read_closed() is None
