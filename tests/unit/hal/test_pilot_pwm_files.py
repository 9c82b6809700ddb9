"""What the generator's driver does before there is a channel: finding the chip, waiting for udev."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evse_pi.sim.harness.virtual_clock import VirtualClock
from hal.errors import DeviceNotFound
from hal.pilot_pwm import UDEV_PATIENCE_NS, SysfsPilotPwm
from hal.units import DutyPpm

if TYPE_CHECKING:
    from pathlib import Path


def chip(root: Path, number: int, device: str) -> Path:
    target = root / "sys/devices" / device
    target.mkdir(parents=True)
    folder = root / f"sys/class/pwm/pwmchip{number}"
    folder.mkdir(parents=True)
    (folder / "device").symlink_to(target)
    (folder / "export").touch()
    return folder


def test_the_chip_is_found_by_its_device_whatever_its_number(tmp_path: Path) -> None:
    chip(tmp_path, 0, "other.pwm")
    folder = chip(tmp_path, 7, "1f00098000.pwm")
    clock = VirtualClock(0)
    with pytest.raises(DeviceNotFound, match="pwmchip7/pwm2"):
        SysfsPilotPwm([("1f00098000.pwm", 2)], root=tmp_path, clock=clock, sleep=lambda s: clock.advance(int(s * 1e9)))
    assert (folder / "export").read_text() == "2"


def test_waiting_for_udev_ends(tmp_path: Path) -> None:
    chip(tmp_path, 0, "1f00098000.pwm")
    clock = VirtualClock(0)
    with pytest.raises(DeviceNotFound):
        SysfsPilotPwm([("1f00098000.pwm", 2)], root=tmp_path, clock=clock, sleep=lambda s: clock.advance(int(s * 1e9)))
    assert UDEV_PATIENCE_NS <= clock.now_ns < UDEV_PATIENCE_NS + 100_000_000


def test_a_machine_without_pwm_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeviceNotFound, match="sys/class/pwm"):
        SysfsPilotPwm([("1f00098000.pwm", 2)], root=tmp_path)


def test_a_duty_outside_the_period_is_refused_before_it_is_written() -> None:
    with pytest.raises(ValueError, match="duty_ppm = 1000001"):
        SysfsPilotPwm.set_duty(object.__new__(SysfsPilotPwm), DutyPpm(1_000_001))
