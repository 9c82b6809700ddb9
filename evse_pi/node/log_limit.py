"""One limit for the log: no line of the code writes more than so much a minute, whatever is sent to the box.

The journal lies on the memory card. What a stranger can cause is bounded here once, for every door, those included that
are still to come.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PERIOD_S = 60.0
LINES = 60  # from one place in the code: what happens once a second is still told each time
TRACES = 6  # each has some fifty lines


@dataclass(slots=True)
class _Place:
    """What one place in the code wrote since `since_s`."""

    since_s: float
    written: int = 0
    left_out: int = 0


class LogLimit(logging.Filter):
    """Lets a place in the code write LINES a minute, or TRACES; what was left out is told by its next line.

    Debugging is for a person who wants to see everything, and has no limit.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._places: dict[tuple[str, int], _Place] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is written; the last one of a minute, and the next, say what is left out."""
        if record.levelno <= logging.DEBUG:
            return True
        now_s = self._clock()
        place = self._places.setdefault((record.pathname, record.lineno), _Place(now_s))
        left_out = 0
        if now_s - place.since_s >= PERIOD_S:
            left_out, place.since_s, place.written, place.left_out = place.left_out, now_s, 0, 0
        limit = TRACES if record.exc_info else LINES
        if place.written >= limit:
            place.left_out += 1
            return False
        place.written += 1
        if left_out:
            record.msg, record.args = f"{record.getMessage()} (left out before: {left_out} such lines)", None
        elif place.written == limit:
            record.msg, record.args = f"{record.getMessage()} (more such lines are left out for a minute)", None
        return True
