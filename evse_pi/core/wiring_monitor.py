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
CROSSED_MV = 300_000
"""What it reads at least on the other phases when its neutral is the first one: 400 V, that between two phases."""
DARK_NS = SECOND
TOLD_AFTER_NS = 500 * MILLISECOND  # a sample this long after the order was taken behind closed contacts
WAIT_NS = 5 * SECOND
"""How long an L1 that was never live on this order waits for a sample: is the supply lost, or is it on the neutral?"""


@dataclass(frozen=True, slots=True)
class WiringMonitor:
    """What closed contacts show of the first phase against earth, beside what the meter reads of it against neutral.

    `lit` says that it was live on the order in force, `dark_ns` since when it is not, `begun_ns` when that order came.
    `was_lit` says that it was live on an earlier one: lines do not change places by themselves. Dark under a voltage
    that the meter reads it is `swapped`, or else its sense is `blind`.
    """

    lit: bool = False
    dark_ns: int | None = None
    swapped: bool = False
    begun_ns: int | None = None
    was_lit: bool = False
    blind: bool = False

    def advance(
        self, now_ns: int, sense: LoadSense, contactor: ContactorMonitor, meter: MeterSample | None, wired: int
    ) -> WiringMonitor:
        """Return what is known after a tick, on a supply with an earthed point and so many phases `wired`.

        Hazard: H-05, a neutral that is the live conductor stays live behind a switch in the phases alone.
        """
        was_lit = self.was_lit or self.lit
        if not contactor.closed:
            return WiringMonitor(was_lit=was_lit)
        first = sense.phases[0] if sense.phases and contactor.touching else None
        if self.lit or first:
            return WiringMonitor(lit=True, was_lit=was_lit)
        dark_ns = None
        if first is False:
            dark_ns = now_ns if self.dark_ns is None else self.dark_ns
        lasted = dark_ns is not None and now_ns - dark_ns >= DARK_NS
        told = meter is not None and meter.at_ns - contactor.ordered_ns >= TOLD_AFTER_NS
        there = meter is not None and meter.voltage_mv[:1] >= (THERE_MV,)
        swapped, blind = self.swapped, self.blind
        if lasted and told and there and meter is not None:
            crossed = not was_lit and all(volts >= CROSSED_MV for volts in meter.voltage_mv[1:wired])
            swapped, blind = swapped or (crossed and not blind), blind or (not crossed and not swapped)
        return WiringMonitor(
            dark_ns=dark_ns, swapped=swapped, begun_ns=contactor.ordered_ns, was_lit=was_lit, blind=blind
        )

    def explains(self, now_ns: int) -> bool:
        """Return whether a dark load side is a swap or a blind sense, or may still be found to be one."""
        known = self.swapped or self.blind
        return known or (self.begun_ns is not None and now_ns - self.begun_ns < WAIT_NS)

    def faults(self) -> frozenset[Fault]:
        """Return what it is once it is certain."""
        if self.swapped:
            return frozenset((Fault.LIVE_NEUTRAL_SWAP,))
        return frozenset((Fault.VOLTAGE_SENSE_FAILED,)) if self.blind else NO_FAULTS
