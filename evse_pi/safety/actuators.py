"""Drives the outputs of one step: opens first, closes last, and tells a driver again until it obeys."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from evse_pi.core.faults import Fault
from evse_pi.core.io_records import SAFE_OUTPUTS, Outputs, PilotOutput
from evse_pi.core.states import PilotMode
from hal.errors import HalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from boards.build_safety import SafetyHardware

Value = TypeVar("Value")

_NOTHING = object()


class Output(Generic[Value]):
    """One thing that a driver can be told, and what it took last."""

    __slots__ = ("_failure", "_send", "taken")

    def __init__(self, send: Callable[[Value], None], failure: Fault) -> None:
        self.taken: object = _NOTHING  # also after a refusal, so that the driver is told again
        self._send = send
        self._failure = failure

    def tell(self, value: Value, failures: set[Fault], *, again: bool = False) -> None:
        """Send `value` if the driver has not taken it yet, or once more; a refusal goes into `failures`."""
        if value == self.taken and not again:
            return
        self.taken = _NOTHING
        try:
            self._send(value)
        except HalError:
            failures.add(self._failure)
        else:
            self.taken = value


class Actuators:
    """The outputs of the box; this is the only caller of Contactor.close. Hazard: H-01, H-02, H-13."""

    def __init__(self, hardware: SafetyHardware) -> None:
        self._hardware = hardware
        self._asked = SAFE_OUTPUTS
        self._failures: set[Fault] = set()
        self._contactor = Output(self._switch, Fault.CONTACTOR_DRIVE_FAILED)
        self._pilot = Output(self._oscillate, Fault.PILOT_PWM_FAILED)
        self._motor = Output(self._move_lock, Fault.LOCK_DRIVE_FAILED)
        self._rcd_test = Output(self._test_rcd, Fault.RCD_DRIVE_FAILED)
        self._rcd_reset = Output(self._reset_rcd, Fault.RCD_DRIVE_FAILED)
        self._weld = Output(self._tell_upstream, Fault.WELD_OUTPUT_FAILED)

    @property
    def failures(self) -> frozenset[Fault]:
        """The drivers that did not take what they were told last."""
        return frozenset(self._failures)

    @property
    def opened(self) -> bool:
        """Whether the contactor's driver has taken that it is open, or that its return switch is on without pulses."""
        taken = self._contactor.taken
        return taken is False or (taken is True and not self._asked.close_ordered)

    @property
    def obeyed(self) -> bool:
        """Whether the contactor is known to be where it was told to be; else its gate must not be fed any more."""
        return Fault.CONTACTOR_DRIVE_FAILED not in self._failures

    def prepare(self, now_ns: int) -> None:
        """Begin a tick: tell a driver again what it refused, so that `failures` are those that still do."""
        if self._failures:
            self.drive(self._asked)
        try:
            self._hardware.contactor.maintain(now_ns)
        except HalError:
            self._failures.add(Fault.CONTACTOR_DRIVE_FAILED)

    def drive(self, outputs: Outputs) -> None:
        """Drive `outputs`; when a driver refuses, the contactor is open whatever was asked."""
        self._asked = outputs
        failures = self._failures
        failures.clear()
        if not outputs.coil_returned:
            self._contactor.tell(False, failures, again=True)
        self._pilot.tell(outputs.pilot, failures)
        self._motor.tell(outputs.lock, failures)
        self._rcd_test.tell(outputs.rcd_test, failures)
        self._rcd_reset.tell(outputs.rcd_reset, failures)
        self._weld.tell(outputs.weld_output, failures)
        if outputs.coil_returned:
            self._contactor.tell(not failures, failures)

    def make_safe(self) -> None:
        """Open and hold −12 V though everything else has failed; nothing that a driver raises matters any more."""
        for act in (self._hardware.contactor.open, self._hardware.pilot_pwm.set_low, self._hardware.contactor.open):
            with suppress(Exception):
                act()

    def _switch(self, closed: bool) -> None:
        if closed:
            self._hardware.contactor.close()
        else:
            self._hardware.contactor.open()

    def _oscillate(self, pilot: PilotOutput) -> None:
        pwm = self._hardware.pilot_pwm
        if pilot.mode is PilotMode.PWM:
            pwm.set_duty(pilot.duty_ppm)
        elif pilot.mode is PilotMode.HIGH:
            pwm.set_high()
        else:
            pwm.set_low()

    def _tell_upstream(self, active: bool) -> None:
        if self._hardware.weld_output:
            self._hardware.weld_output.set(active)

    def _move_lock(self, lock: bool | None) -> None:
        motor = self._hardware.lock
        if motor is None:
            return
        if lock is None:
            motor.stop()
        elif lock:
            motor.drive_lock()
        else:
            motor.drive_unlock()

    def _test_rcd(self, active: bool) -> None:
        if self._hardware.rcd:
            self._hardware.rcd.set_test(active)

    def _reset_rcd(self, active: bool) -> None:
        if self._hardware.rcd and active:
            self._hardware.rcd.reset()
