"""The two clocks: one for durations, one for the calendar."""

from __future__ import annotations

import os
import struct
import time
from contextlib import suppress
from datetime import UTC
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hal.clock_trust import ClockTrust, SystemTime
from hal.units import SECOND

if TYPE_CHECKING:
    from datetime import tzinfo

SYSTEM_ZONE = Path("/etc/localtime")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """The time of day, the monotonic clock, and the machine's boot that it belongs to."""

    @property
    def kernel_boot_id(self) -> str:
        """Return the name of this boot; the monotonic clocks of two boots cannot be compared."""

    @property
    def zone(self) -> tzinfo:
        """Return the time zone of the place, in which people give times of day, as it was last read."""

    def read_zone(self) -> None:
        """Read the zone again. It may wait for the memory card: not to be called on the event loop."""

    def monotonic_ns(self) -> int:
        """Return CLOCK_MONOTONIC in ns."""

    def unix_s(self) -> int | None:
        """Return UTC in seconds since 1970, None while it cannot be trusted."""

    def tell(self, unix_s: int) -> None:
        """Set the time of day, used for as long as the operating system does not know it."""


class SystemClock:
    """The operating system's clocks; the time of day as far as `hal.clock_trust` believes it."""

    def __init__(self, system: SystemTime | None = None) -> None:
        self._kernel_boot_id = _BOOT_ID.read_text(encoding="ascii").strip()
        self._zones = PlaceZone()
        self._system = system or SystemTime()
        self._told: tuple[int, int] | None = None

    @property
    def kernel_boot_id(self) -> str:
        """Return the kernel's boot id."""
        return self._kernel_boot_id

    @property
    def zone(self) -> tzinfo:
        """Return the zone that the machine was set to when it was last read, first when this clock was made."""
        return self._zones.known

    def read_zone(self) -> None:
        """Read the zone that the machine is set to now; it may wait for the memory card."""
        self._zones.read()

    def monotonic_ns(self) -> int:
        """Return CLOCK_MONOTONIC in ns."""
        return time.monotonic_ns()

    def unix_s(self) -> int | None:
        """Return UTC in seconds since 1970: the system's once it is synchronised, else as told, else a clock chip's."""
        now_s = int(time.time())
        trust = self._system.trust(now_s)
        if trust is not ClockTrust.SYNCHRONIZED and self._told is not None:
            told_s, at_ns = self._told
            return told_s + (time.monotonic_ns() - at_ns) // SECOND
        return None if trust is ClockTrust.UNKNOWN else now_s

    def tell(self, unix_s: int) -> None:
        """Count on from `unix_s`."""
        self._told = (unix_s, time.monotonic_ns())


class PlaceZone:
    """The zone of the place with its summer time: as TZ names it, else the system's, else UTC.

    `known` is the one last read. The system's is read again when its file is another or has changed, as `timedatectl`
    and updates of the rules do it.
    """

    def __init__(self, file: Path = SYSTEM_ZONE) -> None:
        self._file = file
        self._mark: tuple[int, int, int] | None = None
        self.known: tzinfo = UTC
        self.read()

    def read(self) -> None:
        """Look how the zone is set now; the one before stays where the file cannot be read. It may wait for a card."""
        named = os.environ.get("TZ", "").removeprefix(":")
        if named:
            with suppress(ZoneInfoNotFoundError, ValueError, OSError):
                self.known = ZoneInfo(named)
                return
        with suppress(ValueError, OSError, EOFError, AssertionError, struct.error):  # of half a file, from zoneinfo
            found = self._file.stat()
            mark = (found.st_dev, found.st_ino, found.st_mtime_ns)
            if mark != self._mark:
                whole = _WholeFile(self._file.read_bytes())
                self.known = ZoneInfo.from_file(whole, key="localtime")
                self._mark = mark


class _WholeFile(BytesIO):
    """A file that must not end early: zoneinfo would look for the end of its last line without end."""

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        if not found and size:
            raise EOFError
        return found
