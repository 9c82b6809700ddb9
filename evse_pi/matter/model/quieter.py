"""Quieter reporting: a fast attribute is reported at most once per interval, its last value always."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evse_pi.matter.model.cluster import ClusterAttribute

QUIET_INTERVAL_S = 1.0
"""Source: Matter core 7.7.8 leaves it to the cluster; most say once a second."""


class Quieter:
    """Decides when the changes of one server's quieter attributes are reported."""

    def __init__(self, report: Callable[[set[int]], None], intervals: Mapping[str, float]) -> None:
        self._report = report
        self._intervals = intervals
        self._last: dict[int, float] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def changed(self, attribute: ClusterAttribute, *, from_or_to_null: bool) -> None:
        """Report a change now if the interval is over or null is involved, else when it is over."""
        loop = asyncio.get_running_loop()
        due = self._last.get(attribute.id, float("-inf")) + self._intervals.get(attribute.key, QUIET_INTERVAL_S)
        if from_or_to_null or loop.time() >= due:
            self.reported(attribute)
            self._report({attribute.id})
        elif attribute.id not in self._timers:
            self._timers[attribute.id] = loop.call_at(due, self._overdue, attribute)

    def reported(self, attribute: ClusterAttribute) -> None:
        """Note that an attribute goes out now."""
        if attribute.quieter:
            self._last[attribute.id] = asyncio.get_running_loop().time()
            timer = self._timers.pop(attribute.id, None)
            if timer is not None:
                timer.cancel()

    def close(self) -> None:
        """Stop all timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _overdue(self, attribute: ClusterAttribute) -> None:
        self.reported(attribute)
        self._report({attribute.id})
