"""The two clocks: one for durations, one for the calendar."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hal.units import SECOND

if TYPE_CHECKING:
    from datetime import tzinfo

TRUSTED_AFTER_UNIX_S = 1_760_000_000
"""October 2025: a Pi without a clock chip starts earlier than this, until the network tells it the time."""
SYSTEM_ZONE = Path("/etc/localtime")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """The time of day, the monotonic clock, and the machine's boot that it belongs to."""

    @property
    def kernel_boot_id(self) -> str:
        """Return the name of this boot; the monotonic clocks of two boots cannot be compared."""

    @property
    def zone(self) -> tzinfo:
        """Return the time zone of the place, in which people give times of day."""

    def monotonic_ns(self) -> int:
        """Return CLOCK_MONOTONIC in ns."""

    def unix_s(self) -> int | None:
        """Return UTC in seconds since 1970, None while it cannot be trusted."""

    def tell(self, unix_s: int) -> None:
        """Set the time of day, used for as long as the operating system does not know it."""


class SystemClock:
    """The operating system's clocks."""

    def __init__(self) -> None:
        self._kernel_boot_id = _BOOT_ID.read_text(encoding="ascii").strip()
        self._zone = local_zone()
        self._told: tuple[int, int] | None = None

    @property
    def kernel_boot_id(self) -> str:
        """Return the kernel's boot id."""
        return self._kernel_boot_id

    @property
    def zone(self) -> tzinfo:
        """Return the zone that the machine was set to when the process started."""
        return self._zone

    def monotonic_ns(self) -> int:
        """Return CLOCK_MONOTONIC in ns."""
        return time.monotonic_ns()

    def unix_s(self) -> int | None:
        """Return UTC in seconds since 1970; while the clock shows a time before this software was made, as told."""
        now_s = int(time.time())
        if now_s >= TRUSTED_AFTER_UNIX_S:
            return now_s
        if self._told is None:
            return None
        told_s, at_ns = self._told
        return told_s + (time.monotonic_ns() - at_ns) // SECOND

    def tell(self, unix_s: int) -> None:
        """Count on from `unix_s`."""
        self._told = (unix_s, time.monotonic_ns())


def local_zone() -> tzinfo:
    """Return the zone of the place with its summer time: as TZ names it, else the system's, else UTC."""
    named = os.environ.get("TZ", "").removeprefix(":")
    with suppress(ZoneInfoNotFoundError, ValueError, OSError):
        if named:
            return ZoneInfo(named)
    with suppress(ValueError, OSError), SYSTEM_ZONE.open("rb") as file:
        return ZoneInfo.from_file(file, key="localtime")
    return UTC
