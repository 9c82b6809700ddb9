"""How much current may be offered, and whose limit it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.core.duty import MIN_OFFER_MA, current_for, duty_for
from evse_pi.core.states import LimitSource
from hal.units import SECOND, DutyPpm, Milliamps

if TYPE_CHECKING:
    from collections.abc import Iterable

RAISE_SPACING_NS = 5 * SECOND
"""A vehicle has 5 s to follow a change; a higher offer waits for the end of the last one.

A lower offer never waits: the circuit, the cable and the terminals do not. The vehicle's time to follow begins again,
and overcurrent is judged by what it had before. Source: IEC 61851-1 Table A.6 sequence 6 grants the wallbox 10 s.
"""
REACTION_NS = 5 * SECOND
STOP_REACTION_NS = 10 * SECOND  # the contactor opens 6 s after the offer ended; until then its last value counts
MAX_PROMISES = 8  # a demand comes every 2 s and a vehicle reacts within 5: four, with a temperature step between

_NO_CURRENT, _NO_DUTY = Milliamps(0), DutyPpm(0)


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit and its owner."""

    source: LimitSource
    current_ma: Milliamps

    @property
    def chargeable(self) -> bool:
        """It leaves a current that can be signalled. Source: IEC 61851-1 Annex A, 6 A."""
        return self.current_ma >= MIN_OFFER_MA


def fixed_limits(rated_ma: Milliamps, capacity_ma: Milliamps | None, cable_ma: Milliamps | None) -> list[Limit]:
    """Return the limits of board, circuit and cable; one that is None is not known to the caller and left out."""
    known = {LimitSource.BOARD: rated_ma, LimitSource.CIRCUIT_CAPACITY: capacity_ma, LimitSource.CABLE: cable_ma}
    return [Limit(source, current_ma) for source, current_ma in known.items() if current_ma is not None]


def tightest(limits: Iterable[Limit]) -> Limit:
    """Return the limit that wins, the first of equals."""
    return min(limits, key=_current)


def _current(limit: Limit) -> Milliamps:
    return limit.current_ma


@dataclass(frozen=True, slots=True)
class Offer:
    """What the pilot signals now, since when, and what it signalled while the vehicle may still follow.

    `promises` are (until_ns, current_ma) of earlier, higher offers, highest and oldest first.
    """

    offered_ma: Milliamps = _NO_CURRENT
    duty_ppm: DutyPpm = _NO_DUTY
    changed_ns: int = -RAISE_SPACING_NS
    promises: tuple[tuple[int, Milliamps], ...] = ()

    @property
    def raisable_ns(self) -> int:
        """When the vehicle has had its time with the last change."""
        return self.changed_ns + RAISE_SPACING_NS

    def advance(self, now_ns: int, limit_ma: Milliamps) -> Offer:
        """Return the offer under `limit_ma`: lower at once, higher after 5 s, none below what can be signalled.

        Hazard: H-04 overload of the circuit.
        """
        duty = duty_for(limit_ma) if limit_ma >= MIN_OFFER_MA else _NO_DUTY
        offered = current_for(duty)
        promises = self.promises
        if promises and promises[0][0] <= now_ns:
            promises = tuple(promise for promise in promises if promise[0] > now_ns)
        if offered == self.offered_ma or (offered > self.offered_ma and now_ns < self.raisable_ns):
            if promises is self.promises:
                return self
            return Offer(self.offered_ma, self.duty_ppm, self.changed_ns, promises)
        if offered < self.offered_ma:
            reaction_ns = REACTION_NS if offered else STOP_REACTION_NS
            promises = _promised(promises, now_ns + reaction_ns, self.offered_ma)
        return Offer(offered, duty, now_ns, promises)

    def reference_ma(self) -> Milliamps:
        """Return the highest current that the vehicle may rightly draw now."""
        return max(self.offered_ma, self.promises[0][1]) if self.promises else self.offered_ma


def _promised(
    promises: tuple[tuple[int, Milliamps], ...], until_ns: int, current_ma: Milliamps
) -> tuple[tuple[int, Milliamps], ...]:
    """Return `promises` with one more; lower ones that end sooner say nothing any more, and the oldest two merge."""
    kept = tuple(promise for promise in promises if promise[1] > current_ma)
    if len(kept) == MAX_PROMISES:
        kept = ((kept[1][0], kept[0][1]), *kept[2:])
    return (*kept, (until_ns, current_ma))
