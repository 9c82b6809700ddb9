"""The safety process's end of the link: it takes demands of the newest run of the node alone, and each once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from evse_pi.core.records import Demand
from evse_pi.link import LinkEnd
from evse_pi.node_run import NO_RUN, unstamped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class StaleDemandError(ValueError):
    """A demand of a run that is not in force, or one that is not newer than the last."""


class DemandOrder:
    """Takes demands whose number grows, of one run after the other. Hazard: H-10.

    A process that repeats what it once sent, and one that was replaced, permit nothing. A node that lies about its
    numbers is a captured node: what it may do is bounded elsewhere.
    """

    def __init__(self, decode: Callable[[bytes], Demand], draw: Callable[[], int]) -> None:
        """Decode records by `decode`; `draw` returns a number of 64 bits that was never drawn before."""
        self.run = NO_RUN
        self.invitation = NO_RUN
        self.refused = 0
        self._decode = decode
        self._draw = draw
        self._last = 0
        self._invite()

    def decode(self, datagram: bytes) -> Demand:
        """Return the demand in `datagram` if it is new. Raises: StaleDemandError, RecordDecodeError."""
        run, number, record = unstamped(datagram)
        demand = self._decode(record)
        if run == self.invitation:
            self.run = run
            self._invite()
        elif run == NO_RUN or run != self.run or number <= self._last:
            self.refused += 1
            raise StaleDemandError(f"number {number} of run {run:#x}: {self._last} of {self.run:#x} was the last")
        self._last = number
        return demand

    def _invite(self) -> None:
        drawn = self._draw()
        while drawn in (NO_RUN, self.run):
            drawn = self._draw()
        self.invitation = drawn


class NodeLink(LinkEnd[Demand]):
    """The link's end to the node process, with the run in force and the invitation that snapshots carry."""

    def __init__(self, own: Path, peer: Path, decode: Callable[[bytes], Demand], peer_uid: int | None = None) -> None:
        """Bind `own`, as LinkEnd does. Raises: LinkError."""
        self.order = DemandOrder(decode, _random)
        super().__init__(own, peer, self.order.decode, peer_uid)

    @property
    def node_run(self) -> int:
        """The run in force, 0 before the first."""
        return self.order.run

    @property
    def invitation(self) -> int:
        """Under which the next run may begin."""
        return self.order.invitation


def _random() -> int:
    """Return 64 random bits. The kernel's pool never waits once the machine is up. Source: getrandom(2)."""
    return int.from_bytes(os.urandom(8), "little")
