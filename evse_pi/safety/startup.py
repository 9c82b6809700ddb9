"""Waiting for the machine's devices at its start: udev makes them and gives them to their groups in its own time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from hal.errors import DeviceNotFound, DevicePermission

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

SETTLED_S = 150.0
"""Seconds after the machine's start from which a missing device is missing for good.

A virtual machine with Linux 6.12 whose boot took 190 s under load needed more than 2 s for the PWM's group; measured.
systemd/evse-pi-safety.service gives the start more time than this.
"""
RETRY_S = 0.5


def when_devices_are_there(
    build: Callable[[], T],
    tell: Callable[[str], None],
    *,
    uptime: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Return what `build` returns, tried again while the machine still starts and a device is missing or closed.

    `tell` gets what is waited for, once for each new reason. `uptime` counts seconds from the machine's start, as the
    monotonic clock of Linux does. Raises: what `build` raises, at once when the machine has been up for SETTLED_S.
    """
    told = ""
    while True:
        try:
            return build()
        except (DeviceNotFound, DevicePermission) as error:
            if uptime() >= SETTLED_S:
                raise
            if str(error) != told:
                told = str(error)
                tell(f"waits for a device of this machine: {told}")
            sleep(RETRY_S)
