"""The pilot's hardware PWM, driven by hand through sysfs."""

from __future__ import annotations

import os
from pathlib import Path

CHIP = Path("/sys/class/pwm/pwmchip0")
CHANNEL = CHIP / "pwm2"


def write(path: Path, text: str) -> None:
    """Write an attribute with one system call, so that its errno is this call's."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def start_pilot(duty_ppm: int) -> None:
    """Oscillate at 1 kHz."""
    if not CHANNEL.exists():
        write(CHIP / "export", "2")
        write(CHANNEL / "period", "1000000")
    write(CHANNEL / "duty_cycle", str(duty_ppm))
    write(CHANNEL / "enable", "1")
