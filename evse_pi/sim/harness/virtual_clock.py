"""Time that passes only when it is told to."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from hal.units import MICROSECOND, SECOND

UNIX_S = 1_800_000_000
"""When an imaginary machine lives, by default: 15 January 2027."""
AFTER_BOOT_NS = 20 * SECOND


class VirtualClock:
    """The clocks of an imaginary machine, moved by hand: CLOCK_MONOTONIC, and a time of day that runs with it.

    The time of day may be unknown (None), and be set while the monotonic clock runs on; `boot` begins another boot.
    """

    zone = ZoneInfo("Europe/Berlin")

    def __init__(
        self, now_ns: int = 1_000 * SECOND, unix_s: int | None = UNIX_S, kernel_boot_id: str = "first"
    ) -> None:
        self.now_ns = now_ns
        self.kernel_boot_id = kernel_boot_id
        self._unix_minus_ns: int | None = None
        self.set_unix_s(unix_s)

    def __call__(self) -> int:
        """Return CLOCK_MONOTONIC in ns, as `time.monotonic_ns` does."""
        return self.now_ns

    def monotonic_ns(self) -> int:
        """Return CLOCK_MONOTONIC in ns."""
        return self.now_ns

    def unix_us(self) -> int | None:
        """Return UTC in microseconds since 1970, None while it is unknown."""
        return None if self._unix_minus_ns is None else (self._unix_minus_ns + self.now_ns) // MICROSECOND

    def unix_s(self) -> int | None:
        """Return UTC in seconds since 1970, None while it is unknown."""
        return None if self._unix_minus_ns is None else (self._unix_minus_ns + self.now_ns) // SECOND

    def read_zone(self) -> None:
        """Read nothing: an imaginary machine stays where it is."""

    def set_unix_us(self, unix_us: int | None) -> None:
        """Let the time of day be this from now on, or unknown."""
        self._unix_minus_ns = None if unix_us is None else unix_us * MICROSECOND - self.now_ns

    def set_unix_s(self, unix_s: int | None) -> None:
        """Let the time of day be this from now on, or unknown."""
        self.set_unix_us(None if unix_s is None else unix_s * 1_000_000)

    def tell(self, unix_s: int) -> None:
        """Take the time of day from a controller, as an operating system that does not know it does."""
        if self._unix_minus_ns is None:
            self.set_unix_s(unix_s)

    def advance(self, duration_ns: int) -> None:
        """Let `duration_ns` pass."""
        self.now_ns += duration_ns

    def advance_s(self, duration_s: float) -> None:
        """Let `duration_s` pass."""
        self.now_ns += int(duration_s * SECOND)

    def sleep_until(self, instant_ns: int) -> None:
        """Go to `instant_ns`, unless it is past."""
        self.now_ns = max(self.now_ns, instant_ns)

    def boot(self, outage_s: int, *, knows_time: bool = True) -> None:
        """Begin another boot after `outage_s` without power: the monotonic clock counts from 0 again."""
        unix_s = self.unix_s()
        self.kernel_boot_id += "+"
        self.now_ns = AFTER_BOOT_NS
        self.set_unix_s(unix_s + outage_s if unix_s is not None and knows_time else None)
