"""The node's memory of events: numbered for ever, kept in one bounded ring per priority."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.matter.model.observable import Observable

if TYPE_CHECKING:
    from evse_pi.matter.environment import WallClock
    from evse_pi.matter.storage import KeyValueStore

RING_SIZES = {0: 32, 1: 128, 2: 64}  # by priority: debug, info, critical; a day of charging makes about 20 events
NUMBER_STEP = 1000  # one write to the store per so many events
_NUMBER_KEY = "event-number"


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One event that happened. `payload` is its TLV element with the tag it has in a report."""

    number: int
    priority: int
    endpoint: int
    cluster: int
    event: int
    payload: bytes
    fabric_index: int | None
    epoch_ms: int | None
    system_ms: int


class EventLog:
    """All events that can still be reported."""

    def __init__(self, store: KeyValueStore, wall_clock: WallClock) -> None:
        self._store = store
        self._wall_clock = wall_clock
        self._rings: dict[int, deque[EventRecord]] = {
            priority: deque(maxlen=size) for priority, size in RING_SIZES.items()
        }
        self._reserved = self.next_number = int.from_bytes(store.get(_NUMBER_KEY) or b"\x00", "big")
        self.recorded: Observable[EventRecord] = Observable("event log")

    def append(
        self, path: tuple[int, int, int], priority: int, payload: bytes, fabric_index: int | None = None
    ) -> EventRecord:
        """Record an event of `path` (endpoint, cluster, event) as happening now and tell the listeners."""
        if self.next_number >= self._reserved:
            self._reserve()
        unix_us = self._wall_clock.unix_us()
        record = EventRecord(
            self.next_number,
            priority,
            *path,
            payload,
            fabric_index,
            None if unix_us is None else unix_us // 1000,
            int(asyncio.get_running_loop().time() * 1000),
        )
        self.next_number += 1
        self._rings[priority].append(record)
        self.recorded.emit(record)
        return record

    def since(self, number: int) -> list[EventRecord]:
        """Return the events from `number` on, oldest first."""
        merged = heapq.merge(*self._rings.values(), key=lambda record: record.number)
        return [record for record in merged if record.number >= number]

    def forget_fabric(self, fabric_index: int) -> None:
        """Drop the events that belong to one fabric alone."""
        for priority, ring in self._rings.items():
            kept = [record for record in ring if record.fabric_index != fabric_index]
            self._rings[priority] = deque(kept, maxlen=ring.maxlen)

    def _reserve(self) -> None:
        self._reserved += NUMBER_STEP
        with self._store.transaction() as transaction:
            transaction.put(_NUMBER_KEY, self._reserved.to_bytes(8, "big"))
