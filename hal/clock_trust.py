"""Whether the operating system knows the time: a machine without a clock chip starts with the one it stopped at."""

from __future__ import annotations

import ctypes
import time
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

from hal.units import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

MADE_UNIX_S = 1_760_000_000
"""October 2025: no clock that shows less is right, because this software was made later."""
_TIMESYNC_FLAG = Path("/run/systemd/timesync/synchronized")
"""systemd-timesyncd touches it when it synchronises for the first time in this boot. Source: systemd-timesyncd(8)."""
_RTC = Path("/sys/class/rtc/rtc0")
_RTC_AGREES_S = 120
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_LOOK_NS = SECOND


class Timex(ctypes.Structure):
    """What adjtimex(2) fills in; only the modes, which stay 0 here, are of interest."""

    _fields_ = (("modes", ctypes.c_uint), ("rest", ctypes.c_long * 64))


def kernel_is_synchronized() -> bool:
    """Return whether a daemon keeps the kernel's clock in time. Source: adjtimex(2)."""
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(Timex()))
    return 0 <= int(state) != _TIME_ERROR


class ClockTrust(IntEnum):
    """How far the system's time can be believed."""

    UNKNOWN = 0
    CLOCK_CHIP = 1
    SYNCHRONIZED = 2


class SystemTime:
    """Judges the system's clock: synchronised since this boot, from a clock chip, or not to be believed."""

    def __init__(
        self,
        *,
        flag: Path = _TIMESYNC_FLAG,
        chip: Path = _RTC,
        kernel: Callable[[], bool] = kernel_is_synchronized,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._flag = flag
        self._chip = chip
        self._kernel = kernel
        self._monotonic_ns = monotonic_ns
        self._looked_ns: int | None = None
        self._trust = ClockTrust.UNKNOWN

    def trust(self, unix_s: float) -> ClockTrust:
        """Return how far `unix_s`, which the system's clock shows, can be believed; asks at most once a second."""
        if unix_s < MADE_UNIX_S:
            return ClockTrust.UNKNOWN
        if self._trust is not ClockTrust.SYNCHRONIZED:  # what was once, holds for this boot: the clock goes on
            now_ns = self._monotonic_ns()
            if self._looked_ns is None or now_ns - self._looked_ns >= _LOOK_NS:
                self._looked_ns = now_ns
                self._trust = self._look(unix_s)
        return self._trust

    def _look(self, unix_s: float) -> ClockTrust:
        if self._flag.exists() or self._kernel():
            return ClockTrust.SYNCHRONIZED
        return ClockTrust.CLOCK_CHIP if self._is_of_chip(unix_s) else ClockTrust.UNKNOWN

    def _is_of_chip(self, unix_s: float) -> bool:
        """Return whether the kernel set the clock by a chip, which runs and agrees; one without a battery does not."""
        try:
            set_by_it = (self._chip / "hctosys").read_text(encoding="ascii").strip() == "1"
            chip_s = int((self._chip / "since_epoch").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return False
        return set_by_it and chip_s >= MADE_UNIX_S and abs(chip_s - unix_s) <= _RTC_AGREES_S
