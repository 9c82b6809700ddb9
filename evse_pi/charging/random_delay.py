"""The random delay of a start, so that not every box in the street starts in the same second.

Source: Matter Application Cluster Specification, RandomizationDelayWindow; UK SI 2021/1467 regulation 11.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from hal.units import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable


class DelayCause(Enum):
    """Which start is delayed."""

    PLANNED_START = "a planned start"
    POWER_RETURN = "the power has returned"


@dataclass(frozen=True, slots=True)
class RandomDelay:
    """One delay that was drawn. Units: ns of CLOCK_MONOTONIC."""

    cause: DelayCause
    until_ns: int

    def running(self, now_ns: int) -> bool:
        """Return whether it still holds the start up."""
        return now_ns < self.until_ns


def draw_delay(cause: DelayCause, now_ns: int, below_s: int, draw: Callable[[int], int]) -> RandomDelay | None:
    """Return a delay of 0 to `below_s` − 1 whole seconds from now; None where it would be none.

    `draw` returns a random number from 0 to one less than its argument.
    """
    delay_s = draw(below_s) if below_s > 1 else 0
    return RandomDelay(cause, now_ns + delay_s * SECOND) if delay_s else None
