"""Faults that clear themselves and come back: how often one may end a charge before the box stops trying."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.core.budgets import HOUR, Budget, Rule
from evse_pi.core.faults import FAULTS, NO_FAULTS, Clear, Fault
from evse_pi.core.states import Reason
from hal.units import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable

ENDINGS = Rule(free=2, forgive_ns=HOUR, first_pause_ns=30 * SECOND, longest_pause_ns=HOUR // 2)
"""A dip of the mains or a burst of noise in a night is forgiven; what comes back within minutes is a broken part."""
MOST_ENDINGS = 8
"""After half an hour of pauses a person must look: the box stays stopped, and says by which fault."""
SELF_CLEARING = frozenset(fault for fault, row in FAULTS.items() if Clear.WHEN_GONE in row.clear)
OUTAGES = frozenset((Fault.SUPPLY_LOST,))
"""What no part of the box does, and what breaks no current when the box tries again: tried for as long as it lasts."""
ENDS_KEPT = (Clear.ON_UNPLUG, Clear.BY_USER)


def ways_out(fault: Fault, reason: Reason | None) -> tuple[Clear, ...]:
    """Return what ends `fault` where `reason` is told: a fault that is kept no longer ends by itself."""
    if reason is Reason.KEPT_AFTER_REPEATS and fault in SELF_CLEARING:
        return ENDS_KEPT
    return tuple(way for way in Clear if way in FAULTS[fault].clear)


@dataclass(frozen=True, slots=True)
class Recurrence:
    """How often each kind of fault has ended a charge since the vehicle came. Hazard: H-15, most open under load."""

    kinds: tuple[tuple[Fault, Budget], ...] = ()

    def ended(self, now_ns: int, faults: Iterable[Fault]) -> Recurrence:
        """Return the counts after `faults` ended a charge; those that do not clear themselves need none."""
        counts = dict(self.kinds)
        for fault in SELF_CLEARING.intersection(faults):
            counts[fault] = counts.get(fault, Budget()).spent(ENDINGS, now_ns)
        return self if counts == dict(self.kinds) else Recurrence(tuple(sorted(counts.items())))

    def held(self, now_ns: int) -> frozenset[Fault]:
        """Return the faults that are held on to though their condition may be gone."""
        if not self.kinds:
            return NO_FAULTS
        return frozenset(fault for fault, uses in self.kinds if fault in self.kept or now_ns < uses.ready_ns(ENDINGS))

    @property
    def kept(self) -> frozenset[Fault]:
        """The faults that are held until a person or another vehicle comes."""
        worn = frozenset(fault for fault, uses in self.kinds if uses.used >= MOST_ENDINGS)
        return worn - OUTAGES

    def until_ns(self, faults: frozenset[Fault]) -> int:
        """Return when the last of `faults` is let go that are not kept; a time that is past when all are."""
        return max((uses.ready_ns(ENDINGS) for fault, uses in self.kinds if fault in faults), default=0)
