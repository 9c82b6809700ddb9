"""Time that passes only when it is told to."""

from __future__ import annotations


class VirtualClock:
    """An instant of an imaginary CLOCK_MONOTONIC, moved by hand."""

    def __init__(self, now_ns: int = 1_000_000_000) -> None:
        self.now_ns = now_ns

    def read(self) -> int:
        """Return the present instant."""
        return self.now_ns

    def advance(self, duration_ns: int) -> None:
        """Let `duration_ns` pass."""
        self.now_ns += duration_ns

    def sleep_until(self, instant_ns: int) -> None:
        """Go to `instant_ns`, unless it is past."""
        self.now_ns = max(self.now_ns, instant_ns)
