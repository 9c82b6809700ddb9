"""What a node takes from the world around it: wall clock and randomness."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

MADE_UNIX_S = 1_760_000_000
"""October 2025: no clock that shows less is right, because this software was made later."""
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
    """The operating system's clock, as far as `believes` says so of the seconds since 1970 that it shows."""

    def __init__(self, believes: Callable[[float], bool] = lambda unix_s: unix_s >= MADE_UNIX_S) -> None:
        self._believes = believes

    def unix_us(self) -> int | None:
        """Return UTC in microseconds since 1970, or None while it is not to be believed."""
        now_us = time.time_ns() // 1000
        return now_us if self._believes(now_us / 1_000_000) else None


class SystemEntropy:
    """The operating system's random numbers."""

    def octets(self, count: int) -> bytes:
        """Return `count` random bytes."""
        return secrets.token_bytes(count)

    def below(self, limit: int) -> int:
        """Return a random integer in 0 … `limit` − 1."""
        return secrets.randbelow(limit)
