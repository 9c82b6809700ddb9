"""The pilot's generator on emulated sysfs: take-over, readback, errors, and the wait for udev."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.board_console import board_emulation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.emulation import Emulation

PRELUDE = """
    import os
    from pathlib import Path
    from hal.errors import HalError
    from hal.pilot_pwm import SysfsPilotPwm
    OUTPUTS = [("fe20c000.pwm", 0), ("1f00098000.pwm", 2)]
    channel = Path("/sys/class/pwm/pwmchip0/pwm2")
    def read(name): return (channel / name).read_text().strip()
    def write(path, value):
        fd = os.open(path, os.O_WRONLY); os.write(fd, str(value).encode()); os.close(fd)
    def show(): print(*(read(name) for name in ("period", "duty_cycle", "enable", "polarity")))
"""


@pytest.fixture
def emulated(tmp_path: Path) -> Iterator[Any]:
    with board_emulation(tmp_path / "sim") as running:
        yield running


def run(emulated: Emulation, code: Any) -> Any:
    return emulated.python(PRELUDE + code)


def test_a_fresh_channel_is_exported_set_to_1_khz_low_and_enabled(emulated: Any) -> None:
    assert run(emulated, "    SysfsPilotPwm(OUTPUTS)\n    show()") == ["1000000 0 1 normal"]


def test_a_duty_is_written_in_nanoseconds_which_are_parts_per_million(emulated: Any) -> None:
    code = """
    pwm = SysfsPilotPwm(OUTPUTS)
    for duty in (533_333, 100_000, 0, 1_000_000):
        pwm.set_duty(duty)
        show()
    """
    expected = [f"1000000 {duty} 1 normal" for duty in (533_333, 100_000, 0, 1_000_000)]
    assert run(emulated, code) == expected


@pytest.mark.parametrize(("period", "duty"), [(1_000_000, 266_667), (2_000_000, 1_500_000), (500_000, 250_000)])
def test_a_channel_that_was_left_running_is_taken_over(emulated: Any, period: Any, duty: Any) -> None:
    code = f"""
    write("/sys/class/pwm/pwmchip0/export", 2)
    for name, value in (("period", {period}), ("duty_cycle", {duty}), ("enable", 1)):
        write(channel / name, value)
    SysfsPilotPwm(OUTPUTS)
    show()
    """
    assert run(emulated, code) == ["1000000 0 1 normal"]


def test_a_channel_that_was_left_inverted_is_put_right(emulated: Any) -> None:
    code = """
    write("/sys/class/pwm/pwmchip0/export", 2)
    for name, value in (("period", 1_000_000), ("polarity", "inversed"), ("enable", 1)):
        write(channel / name, value)
    SysfsPilotPwm(OUTPUTS)
    show()
    """
    assert run(emulated, code) == ["1000000 0 1 normal"]


def test_closing_holds_minus_12_volts_with_the_channel_enabled(emulated: Any) -> None:
    code = """
    pwm = SysfsPilotPwm(OUTPUTS)
    pwm.set_high()
    pwm.close()
    pwm.close()
    show()
    """
    assert run(emulated, code) == ["1000000 0 1 normal"]
    assert emulated.client.state()["duty_ppm"] == 0


def test_another_program_that_changes_the_period_makes_the_next_order_fail(emulated: Any) -> None:
    code = """
    pwm = SysfsPilotPwm(OUTPUTS)
    write(channel / "period", 400_000)
    try:
        pwm.set_duty(533_333)
    except HalError as error:
        print(type(error).__name__, error)
    """
    (line,) = run(emulated, code)
    assert line.startswith("BadReading pilot PWM /sys/class/pwm/pwmchip0/pwm2: duty_cycle = 533333: Invalid argument")


def test_a_pi_without_the_overlay_says_what_to_add(emulated: Any) -> None:
    code = """
    try:
        SysfsPilotPwm([("3f20c000.pwm", 0)])
    except HalError as error:
        print(type(error).__name__, error)
    """
    (line,) = run(emulated, code)
    assert line.startswith("DeviceNotFound pilot PWM: no chip of 3f20c000.pwm")
    assert "dtoverlay=pwm" in line


def test_a_channel_that_the_chip_lacks_is_not_found(emulated: Any) -> None:
    code = """
    try:
        SysfsPilotPwm([("1f00098000.pwm", 9)])
    except HalError as error:
        print(type(error).__name__)
    """
    assert run(emulated, code) == ["DeviceNotFound"]
