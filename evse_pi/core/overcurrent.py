"""Whether the vehicle draws more than it was offered, and what follows: one retry at a lower offer, then the latch.

One rule for everything that counts on an offer: what a vehicle may draw for ever is `rightful_ma` of it. Above that a
clock runs, the faster the more it draws, and at full speed from the margin of 0.5 A and 10 % on; after 6.5 s of it the
contactor opens. The clock runs back at an eighth of that: a single low reading does not wipe what was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evse_pi.core.duty import MIN_OFFER_MA
from hal.units import SECOND, Milliamps

if TYPE_CHECKING:
    from evse_pi.core.records import MeterSample

MARGIN_MA = 500
MARGIN_PERCENT = 110
"""From here on the clock runs at full speed. Source: EVerest's EvseManager, soft_over_current_measurement_noise_A and
soft_over_current_tolerance_percent."""
SUSTAINED_NS = 6_500_000_000
"""Vehicles take up to 6 s to lower their current (EVerest pull request 762); with the 5 s that an offer is promised
for, a lowering that is not followed ends after 11.5 s."""
LEAK = 8
"""Running back eight times as slowly, it ends a charge above the margin for more than a ninth of the time."""
FAST_PERCENT = 150
"""Of what circuit and cable bear. Source: IEC 60898-1, a breaker must end 1.45 times its rating within the hour."""
FAST_SAMPLES = 2  # one reading may be a transient or a wrong register; two in a row are a vehicle
RETRY_NS = 60 * SECOND
POINT_MA, STEEP_POINT_MA, STEEP_FROM_MA = 600, 2_500, 51_000
"""One percentage point of duty, by which generator and vehicle may differ. Source: IEC 61851-1 Tables A.5 and A.8."""
METER_PERCENT = 101  # accuracy class 1 or B. Source: IEC 62053-21, EN 50470-3


def rightful_ma(offered_ma: Milliamps) -> Milliamps:
    """Return what a vehicle may seem to draw from an offer for ever. Hazard: H-04, also of a shared supply."""
    point_ma = STEEP_POINT_MA if offered_ma > STEEP_FROM_MA else POINT_MA
    return Milliamps((offered_ma + point_ma) * METER_PERCENT // 100)


@dataclass(frozen=True, slots=True)
class Overcurrent:
    """How long the vehicle has been above its offer, and what has come of it since it was plugged in.

    `drawn_ma` is the highest phase of the reading at `judged_ns`; `over_ns` is the clock, brought up to date at
    `updated_ns`; `far_over` readings in a row were far above what circuit and cable bear. The vehicle tripped `trips`
    times, the last time at `tripped_ns`, and may be offered no more than `cap_ma` since. `released` is True in the one
    tick in which the first trip has been waited out. Hazard: H-04 overload of the circuit.
    """

    judged_ns: int | None = None
    drawn_ma: int = 0
    over_ns: int = 0
    updated_ns: int = 0
    far_over: int = 0
    trips: int = 0
    tripped_ns: int = 0
    cap_ma: Milliamps | None = None
    released: bool = False

    def advance(
        self,
        now_ns: int,
        sample: MeterSample | None,
        reference_ma: Milliamps,
        *,
        bearable_ma: Milliamps,
        closed: bool,
    ) -> Overcurrent:
        """Return the judgement after a tick.

        `reference_ma` is the highest offer of the vehicle's reaction time, `bearable_ma` what circuit and cable bear.
        Each reading holds until the next; without a fresh one the clock stands: a stale meter has its own rule.
        """
        if not closed:
            return self._rest(now_ns)
        if self.tripped:
            return self
        if sample is None:
            return replace(self, updated_ns=now_ns)
        drawn_ma, far_over = self.drawn_ma, self.far_over
        margin_ma = (reference_ma + MARGIN_MA) * MARGIN_PERCENT // 100
        if sample.at_ns != self.judged_ns:
            drawn_ma = max(map(abs, sample.current_ma), default=0)  # a reversed transformer counts backwards
            far = drawn_ma > margin_ma and drawn_ma * 100 > max(bearable_ma, MIN_OFFER_MA) * FAST_PERCENT
            far_over = far_over + 1 if far else 0
        elapsed_ns = 0 if self.judged_ns is None else now_ns - self.updated_ns
        excess_ma, full_ma = drawn_ma - rightful_ma(reference_ma), margin_ma - rightful_ma(reference_ma)
        run_ns = elapsed_ns * min(excess_ma, full_ma) // full_ma if excess_ma > 0 else -(elapsed_ns // LEAK)
        over_ns = max(self.over_ns + run_ns, 0)
        judged = replace(
            self,
            judged_ns=sample.at_ns,
            drawn_ma=drawn_ma,
            over_ns=over_ns,
            updated_ns=now_ns,
            far_over=far_over,
        )
        return judged.opened(now_ns, reference_ma) if judged.tripped else judged

    @property
    def tripped(self) -> bool:
        """Whether the contactor must open."""
        return self.over_ns >= SUSTAINED_NS or self.far_over >= FAST_SAMPLES

    @property
    def retry_ns(self) -> int | None:
        """When the first trip will have been waited out, None where a person must acknowledge, or nothing waits."""
        return self.tripped_ns + RETRY_NS if self.trips == 1 and self.tripped_ns else None

    def opened(self, now_ns: int, reference_ma: Milliamps) -> Overcurrent:
        """Return the judgement after a trip; what is far above circuit and cable is not tried again."""
        again = 2 if self.far_over >= FAST_SAMPLES else self.trips + 1
        lower_ma = reference_ma * reference_ma // max(self.drawn_ma, 1)
        return replace(self, trips=again, tripped_ns=now_ns, cap_ma=Milliamps(max(lower_ma, MIN_OFFER_MA)))

    def _rest(self, now_ns: int) -> Overcurrent:
        """Return what is kept while the contactor is open: trips and the lower offer, until the vehicle has left."""
        waited = self.retry_ns is not None and now_ns >= self.tripped_ns + RETRY_NS
        tripped_ns = 0 if waited else self.tripped_ns
        rested = Overcurrent(trips=self.trips, tripped_ns=tripped_ns, cap_ma=self.cap_ma, released=waited)
        return self if rested == self else rested
