"""What two nodes remember of a CASE session so that the next one needs no public-key operations."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evse_pi.matter.storage import DamagedRecord, decoding
from evse_pi.matter.wire import tlv

if TYPE_CHECKING:
    from evse_pi.matter.storage import KeyValueStore

log = logging.getLogger(__name__)

MAX_RECORDS_PER_FABRIC = 6  # the specification wants 3; a home has a few hubs and phones that talk to one device
WRITE_DELAY_S = 2.0  # a burst of handshakes shares one write; a record lost to a power cut costs one full handshake


@dataclass(frozen=True, slots=True)
class ResumptionRecord:
    """The shared secret with one peer and who that peer is."""

    resumption_id: bytes
    shared_secret: bytes
    fabric_index: int
    node_id: int
    case_authenticated_tags: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"ResumptionRecord(fabric_index={self.fabric_index}, node_id={self.node_id:016x})"


class ResumptionStore:
    """The newest record of each peer, the least recently renewed dropped first, written with a short delay."""

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store
        self._records: dict[tuple[int, int], ResumptionRecord] = {}
        self._unwritten: set[tuple[int, int]] = set()
        self._timer: asyncio.TimerHandle | None = None
        for key in store.keys("fabric/"):
            if "/resumption/" in key:
                self._take_up(key)

    def _take_up(self, key: str) -> None:
        """Take up one record; a peer whose record cannot be read makes a whole handshake again."""
        try:
            with decoding(key):
                record = _decode(self._store.get(key) or b"")
        except DamagedRecord as error:
            log.warning("peer has to make a whole handshake: %s", error)
        else:
            self._records[_peer(record)] = record

    def get(self, resumption_id: bytes) -> ResumptionRecord | None:
        """Return the record with `resumption_id`, or None."""
        return next((record for record in self._records.values() if record.resumption_id == resumption_id), None)

    def put(self, record: ResumptionRecord) -> None:
        """Remember `record` in place of any other of the same peer."""
        peer = _peer(record)
        self._records.pop(peer, None)
        self._records[peer] = record
        self._mark(peer)
        of_fabric = [other for other in self._records if other[0] == record.fabric_index]
        for oldest in of_fabric[:-MAX_RECORDS_PER_FABRIC]:
            del self._records[oldest]
            self._mark(oldest)

    def remove_fabric(self, fabric_index: int) -> None:
        """Forget every peer of a fabric, at once also in the store."""
        for peer in [peer for peer in self._records if peer[0] == fabric_index]:
            del self._records[peer]
            self._unwritten.add(peer)
        self.flush()

    def flush(self) -> None:
        """Write what was not written yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._unwritten:
            return
        with self._store.transaction() as transaction:
            for peer in self._unwritten:
                if (record := self._records.get(peer)) is None:
                    transaction.delete(_key(peer))
                else:
                    transaction.put(_key(peer), _encode(record))
        self._unwritten.clear()

    def _mark(self, peer: tuple[int, int]) -> None:
        self._unwritten.add(peer)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WRITE_DELAY_S, self.flush)


def _peer(record: ResumptionRecord) -> tuple[int, int]:
    return record.fabric_index, record.node_id


def _key(peer: tuple[int, int]) -> str:
    return f"fabric/{peer[0]}/resumption/{peer[1]:016x}"


def _encode(record: ResumptionRecord) -> bytes:
    return tlv.encode(
        {
            0: record.resumption_id,
            1: record.shared_secret,
            2: tlv.uint(record.fabric_index),
            3: tlv.uint(record.node_id),
            4: [tlv.uint(tag) for tag in record.case_authenticated_tags],
        }
    )


def _decode(encoded: bytes) -> ResumptionRecord:
    fields: dict[int, Any] = tlv.decode(encoded)
    return ResumptionRecord(fields[0], fields[1], int(fields[2]), int(fields[3]), tuple(int(tag) for tag in fields[4]))
