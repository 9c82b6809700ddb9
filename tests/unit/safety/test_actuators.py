"""Outputs are driven in the safe order, told again until they obey, and never closed beside a refusal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from boards.build_safety import SafetyHardware
from evse_pi.core.faults import Fault
from evse_pi.core.io_records import SAFE_OUTPUTS, Outputs, PilotOutput
from evse_pi.core.states import PilotMode
from evse_pi.safety.actuators import Actuators
from hal.errors import BusTimeout
from hal.units import DutyPpm

CHARGING = Outputs(
    close_ordered=True,
    pilot=PilotOutput(PilotMode.PWM, DutyPpm(266_666)),
    lock=True,
    coil_returned=True,
    gate_fed=True,
)


class Recorder:
    """Writes every call of every device into one list; devices in `broken` raise."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.broken: set[str] = set()

    def device(self, name: str) -> Any:
        recorder = self

        class Device:
            def __getattr__(self, method: str) -> Any:
                def call(*args: object) -> None:
                    said = f"{name}.{method}({', '.join(map(str, args))})"
                    if f"{name}.{method}" in recorder.broken:
                        raise BusTimeout(said)
                    recorder.calls.append(said)

                return call

        return Device()

    def hardware(self) -> SafetyHardware:
        devices = {name: self.device(name) for name in ("contactor", "pilot_pwm", "pilot_adc", "lock", "rcd")}
        return SafetyHardware(**devices)

    def take(self) -> list[str]:
        taken, self.calls = self.calls, []
        return taken


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def actuators(recorder: Recorder) -> Actuators:
    driven = Actuators(recorder.hardware())
    driven.drive(SAFE_OUTPUTS)
    recorder.take()
    return driven


@pytest.mark.hazard("H-01")
def test_contactor_opens_before_anything_else_moves(recorder: Recorder, actuators: Actuators) -> None:
    actuators.drive(CHARGING)
    recorder.take()
    actuators.drive(replace(SAFE_OUTPUTS, lock=False))
    assert recorder.take() == ["contactor.open()", "pilot_pwm.set_low()", "lock.drive_unlock()"]


@pytest.mark.hazard("H-02")
def test_contactor_closes_after_everything_else_has_moved(recorder: Recorder, actuators: Actuators) -> None:
    actuators.drive(CHARGING)
    assert recorder.take() == ["pilot_pwm.set_duty(266666)", "lock.drive_lock()", "contactor.close()"]
    assert not actuators.opened


@pytest.mark.hazard("H-01")
def test_open_is_said_in_every_tick_and_the_rest_only_when_it_changes(recorder: Recorder, actuators: Actuators) -> None:
    actuators.drive(SAFE_OUTPUTS)
    actuators.drive(SAFE_OUTPUTS)
    assert recorder.take() == ["contactor.open()", "contactor.open()"]
    actuators.drive(CHARGING)
    recorder.take()
    actuators.drive(CHARGING)
    assert recorder.take() == []


@pytest.mark.hazard("H-02")
@pytest.mark.parametrize(
    ("method", "fault"),
    [("pilot_pwm.set_duty", Fault.PILOT_PWM_FAILED), ("lock.drive_lock", Fault.LOCK_DRIVE_FAILED)],
)
def test_refusal_of_another_driver_keeps_the_contactor_open(
    recorder: Recorder, actuators: Actuators, method: str, fault: Fault
) -> None:
    recorder.broken.add(method)
    actuators.drive(CHARGING)
    assert actuators.failures == {fault}
    assert actuators.opened
    assert "contactor.close()" not in recorder.take()


@pytest.mark.hazard("H-01")
def test_refusal_while_closed_opens_in_the_same_call(recorder: Recorder, actuators: Actuators) -> None:
    actuators.drive(CHARGING)
    recorder.broken.add("pilot_pwm.set_duty")
    recorder.take()
    actuators.drive(replace(CHARGING, pilot=PilotOutput(PilotMode.PWM, DutyPpm(100_000))))
    assert recorder.take() == ["contactor.open()"]
    assert actuators.opened


def test_driver_that_refused_is_told_again_until_it_obeys(recorder: Recorder, actuators: Actuators) -> None:
    recorder.broken.add("pilot_pwm.set_high")
    standby = replace(SAFE_OUTPUTS, pilot=PilotOutput(PilotMode.HIGH, DutyPpm(0)))
    actuators.drive(standby)
    for _ in range(3):
        actuators.prepare(0)
        assert actuators.failures == {Fault.PILOT_PWM_FAILED}
    recorder.broken.clear()
    recorder.take()
    actuators.prepare(0)
    assert not actuators.failures
    assert "pilot_pwm.set_high()" in recorder.take()


def test_lock_motor_that_refused_to_stop_is_stopped_later(recorder: Recorder, actuators: Actuators) -> None:
    actuators.drive(replace(SAFE_OUTPUTS, lock=True))
    recorder.broken.add("lock.stop")
    actuators.drive(SAFE_OUTPUTS)
    assert actuators.failures == {Fault.LOCK_DRIVE_FAILED}
    recorder.broken.clear()
    actuators.prepare(0)
    assert "lock.stop()" in recorder.take()


@pytest.mark.hazard("H-08")
def test_contactor_that_refuses_to_open_is_not_obeyed(recorder: Recorder, actuators: Actuators) -> None:
    recorder.broken.add("contactor.open")
    actuators.drive(SAFE_OUTPUTS)
    assert not actuators.obeyed
    assert not actuators.opened


def test_economiser_that_fails_is_a_failure_of_the_contactor(recorder: Recorder, actuators: Actuators) -> None:
    recorder.broken.add("contactor.maintain")
    actuators.prepare(0)
    assert actuators.failures == {Fault.CONTACTOR_DRIVE_FAILED}


def test_reset_is_a_pulse_and_the_test_a_level(recorder: Recorder, actuators: Actuators) -> None:
    actuators.drive(replace(SAFE_OUTPUTS, rcd_test=True))
    actuators.drive(replace(SAFE_OUTPUTS, rcd_reset=True))
    actuators.drive(SAFE_OUTPUTS)
    said = [call for call in recorder.take() if call.startswith("rcd")]
    assert said == ["rcd.set_test(True)", "rcd.set_test(False)", "rcd.reset()"]


@pytest.mark.hazard("H-08")
def test_last_resort_opens_though_the_pilot_raises_what_it_likes(recorder: Recorder, actuators: Actuators) -> None:
    recorder.broken |= {"pilot_pwm.set_low"}
    actuators.make_safe()
    assert recorder.take() == ["contactor.open()", "contactor.open()"]


def test_board_without_lock_and_residual_current_device_has_nothing_to_say() -> None:
    recorder = Recorder()
    devices = {name: recorder.device(name) for name in ("contactor", "pilot_pwm", "pilot_adc")}
    bare = Actuators(SafetyHardware(**devices))
    bare.drive(replace(CHARGING, rcd_test=True, rcd_reset=True))
    assert recorder.take() == ["pilot_pwm.set_duty(266666)", "contactor.close()"]
