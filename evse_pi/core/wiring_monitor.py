"""Whether live and neutral are where they belong, ahead of the box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.core.faults import NO_FAULTS, Fault
from hal.units import MILLISECOND, SECOND

if TYPE_CHECKING:
    from evse_pi.core.contactor_monitor import ContactorMonitor
    from evse_pi.core.load_sense import LoadSense
    from evse_pi.core.records import MeterSample

THERE_MV = 180_000
"""What the meter reads at least between live and neutral where there is a supply. Source: docs/boards/reference.md."""
DARK_NS = SECOND
TOLD_AFTER_NS = 500 * MILLISECOND  # a sample this long after the order was taken behind closed contacts
WAIT_NS = 5 * SECOND
"""How long an L1 that was never live on this order waits for a sample: is the supply lost, or is it on the neutral?"""


@dataclass(frozen=True, slots=True)
class WiringMonitor:
    """What closed contacts show of the first phase against earth, beside what the meter reads of it against neutral.

    `lit` says that it was live on the order in force, `dark_ns` since when it is not, `begun_ns` when that order came.
    """

    lit: bool = False
    dark_ns: int | None = None
    swapped: bool = False
    begun_ns: int | None = None

    def advance(
        self, now_ns: int, sense: LoadSense, contactor: ContactorMonitor, meter: MeterSample | None
    ) -> WiringMonitor:
        """Return what is known after a tick, on a supply with an earthed point.

        Hazard: H-05, a neutral that is the live conductor stays live behind a switch in the phases alone.
        """
        if not contactor.closed:
            return _UNKNOWN
        first = sense.phases[0] if sense.phases and contactor.touching else None
        if self.lit or first:
            return _LIT
        dark_ns = None
        if first is False:
            dark_ns = now_ns if self.dark_ns is None else self.dark_ns
        lasted = dark_ns is not None and now_ns - dark_ns >= DARK_NS
        told = meter is not None and meter.at_ns - contactor.ordered_ns >= TOLD_AFTER_NS
        there = meter is not None and meter.voltage_mv[:1] >= (THERE_MV,)
        swapped = self.swapped or (lasted and told and there)
        return WiringMonitor(dark_ns=dark_ns, swapped=swapped, begun_ns=contactor.ordered_ns)

    def explains(self, now_ns: int) -> bool:
        """Return whether a dark load side is a swap, or may still be found to be one."""
        return self.swapped or (self.begun_ns is not None and now_ns - self.begun_ns < WAIT_NS)

    def faults(self) -> frozenset[Fault]:
        """Return the swap once it is certain."""
        return frozenset((Fault.LIVE_NEUTRAL_SWAP,)) if self.swapped else NO_FAULTS


_UNKNOWN, _LIT = WiringMonitor(), WiringMonitor(lit=True)
