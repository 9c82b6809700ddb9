"""The order of demands: which of them the node process that runs now has sent, each of them once.

A demand that was sent before permits nothing now, sent again or not. So the safety process invites: each snapshot
carries a number drawn at random, under which the next run of the node may begin, and the number of the run in force. A
node process that starts, or whose run is not the one in force, begins under the invitation and counts its datagrams
from 1. Neither side keeps any of it over a restart, and no invitation is given twice.

    0..7    8..15    16..
    run     number   the record of the demand, and the proof of its order

Both numbers have 64 bits: at a hundred demands a second they last for 5.8e9 years.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from evse_pi.core.records import RecordDecodeError

if TYPE_CHECKING:
    from evse_pi.core.records import Snapshot

NO_RUN = 0
_STAMP = struct.Struct("<QQ")


def stamped(run: int, number: int, record: bytes) -> bytes:
    """Return the datagram of a demand that is the `number`-th of a run."""
    return _STAMP.pack(run, number) + record


def unstamped(datagram: bytes) -> tuple[int, int, bytes]:
    """Return run, number and record of a datagram. Raises: RecordDecodeError for one that is too short."""
    if len(datagram) < _STAMP.size:
        raise RecordDecodeError(f"{len(datagram)} bytes: run and number alone have {_STAMP.size}")
    run, number = _STAMP.unpack_from(datagram)
    return run, number, datagram[_STAMP.size :]


class NodeRun:
    """This run of the node process; before it was invited nothing that it sends counts."""

    def __init__(self) -> None:
        self.run = NO_RUN
        self._number = 0

    def on_snapshot(self, snapshot: Snapshot) -> bool:
        """Begin under the invitation unless this run is in force; return whether it began just now."""
        if self.run == snapshot.invitation or (self.run != NO_RUN and self.run == snapshot.node_run):
            return False
        self.run, self._number = snapshot.invitation, 0
        return True

    def stamp(self, record: bytes) -> bytes:
        """Return the next datagram of this run."""
        self._number += 1
        return stamped(self.run, self._number, record)
