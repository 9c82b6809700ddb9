"""Waiting for devices that udev has not made, or not given away, when the safety process starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.safety.startup import RETRY_S, SETTLED_S, when_devices_are_there
from hal.errors import BadReading, DeviceBusy, DeviceNotFound, DevicePermission

if TYPE_CHECKING:
    from collections.abc import Callable

NO_RIGHT = "pilot PWM /sys/class/pwm/pwmchip0/pwm0: Permission denied"


class Machine:
    """A machine whose PWM belongs to its group from `ready_s` on."""

    def __init__(
        self, ready_s: float, up_s: float = 20.0, error: Callable[..., Any] = lambda: DevicePermission(NO_RIGHT)
    ) -> None:
        self.ready_s, self.up_s, self.error = ready_s, up_s, error
        self.told: list[Any] = []

    def build(self) -> str:
        if self.up_s < self.ready_s:
            raise self.error()
        return "hardware"

    def sleep(self, seconds: float) -> None:
        self.up_s += seconds

    def start(self) -> str:
        return when_devices_are_there(self.build, self.told.append, uptime=lambda: self.up_s, sleep=self.sleep)


def test_a_machine_that_is_ready_waits_for_nothing_and_says_nothing() -> None:
    machine = Machine(ready_s=0)
    assert machine.start() == "hardware"
    assert machine.told == []


@pytest.mark.parametrize("ready_s", [22.5, 100.0, SETTLED_S])
def test_it_waits_as_long_as_the_machine_needs_and_says_once_what_for(ready_s: float) -> None:
    machine = Machine(ready_s)
    assert machine.start() == "hardware"
    assert ready_s <= machine.up_s < ready_s + RETRY_S
    assert machine.told == [f"waits for a device of this machine: {NO_RIGHT}"]


def test_a_new_reason_is_said_again() -> None:
    reasons = iter([DeviceNotFound("/dev/spidev0.0"), DeviceNotFound("/dev/spidev0.0"), DevicePermission(NO_RIGHT)])
    machine = Machine(21.5, error=lambda: next(reasons))
    machine.start()
    assert [line.rsplit(": ", 1)[-1] for line in machine.told] == ["/dev/spidev0.0", "Permission denied"]


def test_what_is_missing_on_a_machine_that_has_started_is_told_at_once() -> None:
    machine = Machine(ready_s=1e9, up_s=SETTLED_S + 1)
    with pytest.raises(DevicePermission, match="Permission denied"):
        machine.start()
    assert machine.told == []


def test_the_wait_has_an_end() -> None:
    machine = Machine(ready_s=1e9)
    with pytest.raises(DevicePermission):
        machine.start()
    assert machine.up_s == pytest.approx(SETTLED_S)


@pytest.mark.parametrize("error", [DeviceBusy("GPIO 17"), BadReading("polarity")])
def test_nothing_else_is_waited_for(error: BadReading | DeviceBusy) -> None:
    machine = Machine(ready_s=1e9, error=lambda: error)
    with pytest.raises(type(error)):
        machine.start()
