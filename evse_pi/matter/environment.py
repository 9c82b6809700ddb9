"""What a node takes from the world around it: wall clock and randomness."""

from __future__ import annotations

import secrets
import time
from typing import Protocol

MATTER_EPOCH_UNIX_S = 946_684_800
"""2000-01-01T00:00:00Z in Unix seconds. Source: Matter core 7.19.2, epoch-s."""


class WallClock(Protocol):
    """The time of day, which may be unknown after a power cut."""

    def unix_us(self) -> int | None:
        """Return UTC in microseconds since 1970, or None while it cannot be trusted."""


class Entropy(Protocol):
    """Random numbers that cannot be predicted."""

    def octets(self, count: int) -> bytes:
        """Return `count` random bytes."""

    def below(self, limit: int) -> int:
        """Return a random integer in 0 … `limit` − 1."""


class SystemWallClock:
    """The operating system's clock, trusted once it shows a year after this software was made."""

    def __init__(self, trusted_after_unix_s: int = 1_760_000_000) -> None:
        self._trusted_after_us = trusted_after_unix_s * 1_000_000

    def unix_us(self) -> int | None:
        """Return UTC in microseconds since 1970, or None while the clock still shows its boot default."""
        now_us = time.time_ns() // 1000
        return now_us if now_us >= self._trusted_after_us else None


class SystemEntropy:
    """The operating system's random numbers."""

    def octets(self, count: int) -> bytes:
        """Return `count` random bytes."""
        return secrets.token_bytes(count)

    def below(self, limit: int) -> int:
        """Return a random integer in 0 … `limit` − 1."""
        return secrets.randbelow(limit)
