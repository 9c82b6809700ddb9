"""One-time orders to the safety process, each carried out once though datagrams get lost and processes restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.core.records import Request

if TYPE_CHECKING:
    from evse_pi.clearance import Clearance
    from evse_pi.core.records import Snapshot

NUMBERS = 1 << 32  # wire form: 32 bits


class OneShotRequests:
    """Numbers orders, and repeats one until a snapshot acknowledges its number.

    A safety process takes the first number that it receives as the one to continue from, and carries out nothing
    for it. So no order goes out before a number without one was acknowledged since that process started.
    """

    def __init__(self) -> None:
        self.number = 1
        self.request = Request.NONE
        self.clearance: Clearance | None = None
        self._waiting = Request.NONE
        self._safety_run_id: int | None = None
        self._heard = False

    def ask(self, request: Request, clearance: Clearance | None = None) -> None:
        """Have `request` carried out as soon as the safety process can be told; `clearance` is an installer's proof."""
        self._waiting |= request
        self.clearance = clearance or self.clearance
        self._advance()

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """Learn which number the safety process has received."""
        if snapshot.safety_run_id != self._safety_run_id:
            self._safety_run_id = snapshot.safety_run_id
            if not self._heard:
                self._waiting |= self.request
            self._renumber(Request.NONE)
        elif snapshot.request_number == self.number:
            self._heard = True
            self._advance()

    def withdraw(self) -> None:
        """Forget what was asked and not received yet."""
        self._waiting = Request.NONE
        if not self._heard and self.request:
            self._renumber(Request.NONE)

    @property
    def outstanding(self) -> Request:
        """What has been asked and not been received yet."""
        return self._waiting | (Request.NONE if self._heard else self.request)

    def _advance(self) -> None:
        if self._heard and self._waiting:
            self._renumber(self._waiting)
            self._waiting = Request.NONE

    def _renumber(self, request: Request) -> None:
        self.number = (self.number + 1) % NUMBERS
        self.request = request
        self._heard = False
