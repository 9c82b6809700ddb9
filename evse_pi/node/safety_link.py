"""What the node asks of its end of the link to the safety process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from evse_pi.core.records import Snapshot


class SafetyLink(Protocol):
    """The node's end of the link to the safety process."""

    def fileno(self) -> int:
        """Return the descriptor that becomes readable."""

    def send(self, datagram: bytes) -> bool:
        """Send one demand if that costs no time."""

    def receive(self) -> Snapshot | None:
        """Return the newest snapshot since the last call, or None."""
