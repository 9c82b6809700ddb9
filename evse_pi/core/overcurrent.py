"""Whether the vehicle draws more than it was offered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hal.units import SECOND

if TYPE_CHECKING:
    from evse_pi.core.records import MeterSample
    from hal.units import Milliamps

MARGIN_MA = 500
MARGIN_PERCENT = 110
SUSTAINED_NS = 7 * SECOND
FAST_PERCENT = 150
FAST_SAMPLES = 2  # one reading may be a transient or a wrong register; two in a row are a vehicle
FAST_FLOOR_MA = 10_000  # vehicles that cannot go below 8 to 10 A must meet the slow rule, not this one


@dataclass(frozen=True, slots=True)
class Overcurrent:
    """Since when a phase is above the limit, and how many readings in a row are far above it.

    Hazard: H-04 overload of the circuit.
    """

    judged_ns: int | None = None
    over_ns: int | None = None
    far_over: int = 0

    def advance(self, now_ns: int, sample: MeterSample | None, reference_ma: Milliamps, *, closed: bool) -> Overcurrent:
        """Return the judgement after a tick; `reference_ma` is the highest offer of the vehicle's reaction time.

        Each reading counts once. Without a fresh reading the judgement stays: a stale meter has its own rule.
        """
        if not closed:
            return self if self == _NONE else _NONE
        if sample is None or sample.at_ns == self.judged_ns:
            return self
        drawn_ma = max(map(abs, sample.current_ma))  # a reversed transformer counts backwards
        over = drawn_ma * 100 > (reference_ma + MARGIN_MA) * MARGIN_PERCENT
        far = drawn_ma * 100 > max(reference_ma, FAST_FLOOR_MA) * FAST_PERCENT
        over_ns = (now_ns if self.over_ns is None else self.over_ns) if over else None
        return Overcurrent(sample.at_ns, over_ns, self.far_over + 1 if far else 0)

    def tripped(self, now_ns: int) -> bool:
        """Return whether the contactor must open."""
        sustained = self.over_ns is not None and now_ns - self.over_ns >= SUSTAINED_NS
        return sustained or self.far_over >= FAST_SAMPLES


_NONE = Overcurrent()
