"""What the loop asks of its link and of the process that it runs in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from evse_pi.core.faults import Fault
    from evse_pi.core.machine_settings import MachineSettings
    from evse_pi.core.records import Demand
    from hal.linear_scale import LinearScale


class DemandLink(Protocol):
    """Where demands come from and snapshots go to.

    `node_run` is the run of the node that is listened to, `invitation` the number under which the next may begin.
    """

    @property
    def node_run(self) -> int:
        """The run in force, 0 before the first."""

    @property
    def invitation(self) -> int:
        """Under which the next run may begin."""

    def receive(self) -> Demand | None:
        """Return the newest demand since the last call, or None."""

    def send(self, datagram: bytes) -> bool:
        """Send one snapshot if that costs no time; return whether it was sent."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What the installer's files say: the limits, and how the pilot's codes become voltages."""

    machine: MachineSettings
    pilot_scale: LinearScale


class ProcessServices(Protocol):
    """What the loop asks of the process that it runs in; all but `heartbeat` between two ticks."""

    def heartbeat(self) -> None:
        """Tell the service manager that a tick has completed; must not wait."""

    def remember(self, faults: frozenset[Fault]) -> None:
        """Keep the active faults for the next start of this process; where that fails, say so and go on."""

    def collect_garbage(self) -> None:
        """Free what only the collector can."""

    def touched(self) -> bool:
        """Return whether the installer's files are not those that were read last."""

    def reload(self) -> Installed | None:
        """Return what the installer's files say now, None when one of them cannot be trusted."""
