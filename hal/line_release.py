"""One GPIO line driven low and let go, by the kernel's own interface and with nothing but the standard library.

For the moment when the process that held the line is gone and perhaps the libraries are, too.
Source of the layouts and numbers: linux/gpio.h, GPIO_V2_*; they are part of the kernel's interface and do not change.
"""

from __future__ import annotations

import fcntl
import os
import struct
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hal.errors import DeviceNotFound, naming

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER_LABELS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")
"""The labels of the chip behind the 40-pin header: Pi 5; Pi 4; Pi 3 and Zero 2 W. Source: the kernel's drivers
pinctrl-rp1.c and pinctrl-bcm2835.c. The number of the chip differs from kernel to kernel."""
DEVICES = "/dev/gpiochip{}"
MOST_CHIPS = 16
_CHIP_INFO, _GET_LINE, _SET_CONFIG = 0x8044B401, 0xC250B407, 0xC110B40D
_OUTPUT, _INPUT, _NO_BIAS = 1 << 3, 1 << 2, 1 << 10
_REQUEST_SIZE, _CONSUMER_AT, _FLAGS_AT, _COUNT_AT, _DESCRIPTOR_AT = 592, 256, 288, 560, 588
_CONFIG_SIZE = 272


def release_low(pin: int) -> None:
    """Drive the header's line `pin` low, then make it an input without pull. Raises: HalError naming the line."""
    with naming(f"GPIO {pin}"), _header_chip() as chip:
        request = bytearray(_REQUEST_SIZE)  # one line, whose first level is 0
        struct.pack_into("<I", request, 0, pin)
        struct.pack_into("<32s", request, _CONSUMER_AT, b"evse-pi")
        struct.pack_into("<Q", request, _FLAGS_AT, _OUTPUT)
        struct.pack_into("<I", request, _COUNT_AT, 1)
        fcntl.ioctl(chip, _GET_LINE, request, True)
        (line,) = struct.unpack_from("<i", request, _DESCRIPTOR_AT)
        try:
            config = bytearray(_CONFIG_SIZE)
            struct.pack_into("<Q", config, 0, _INPUT | _NO_BIAS)
            fcntl.ioctl(line, _SET_CONFIG, config, True)
        finally:
            os.close(line)


def chips() -> Iterator[str]:
    """Return the device files of this machine's GPIO chips."""
    return (path for path in map(DEVICES.format, range(MOST_CHIPS)) if Path(path).exists())


@contextmanager
def _header_chip() -> Iterator[int]:
    for path in chips():
        chip = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            information = bytearray(68)
            fcntl.ioctl(chip, _CHIP_INFO, information, True)
            if information[32:64].split(b"\0")[0].decode(errors="replace") in HEADER_LABELS:
                yield chip
                return
        finally:
            os.close(chip)
    raise DeviceNotFound("gpiochip: none is a Raspberry Pi's header")
