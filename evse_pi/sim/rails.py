"""One supply rail of the pilot's generator over time, and what the tap in front of the converter shows of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

STEP_NS = 50_000  # of the tap's integration while the rail moves: a nineteenth of its time constant
SETTLED_TAUS = 10


@dataclass(frozen=True, slots=True)
class Motion:
    """How a rail leaves the level that it was set to.

    Units: `ripple_v` peak to peak; `noise_v` standard deviation. A ramp begins at `begun_ns` and reaches `change_v`
    after `over_ns`, where it stays.
    """

    ripple_v: float = 0.0
    ripple_hz: float = 100.0
    noise_v: float = 0.0
    change_v: float = 0.0
    begun_ns: int = 0
    over_ns: int = 0

    def at(self, now_ns: int) -> float:
        """Return the distance from the level, without noise."""
        moved = 0.0
        if self.change_v:
            share = (now_ns - self.begun_ns) / self.over_ns if self.over_ns else 1.0
            moved = self.change_v * min(max(share, 0.0), 1.0)
        if self.ripple_v:
            moved += self.ripple_v / 2 * math.sin(2e-9 * math.pi * self.ripple_hz * now_ns)
        return moved


STILL = Motion()


class Rail:
    """One rail ahead of the source resistor; `tap` is behind the divider's capacitor."""

    def __init__(self, level_v: float, tap_tau_ns: int, rng: random.Random) -> None:
        self.level_v = level_v
        self.motion = STILL
        self._tau_ns = tap_tau_ns
        self._rng = rng
        self._tap_v = level_v
        self._tapped_ns = 0

    def set(self, now_ns: int, level_v: float, motion: Motion) -> None:
        """Let the rail stand at `level_v`, or move round it, from `now_ns` on."""
        if (level_v, motion) != (self.level_v, self.motion):
            self.tap(now_ns)
            self.level_v, self.motion = level_v, motion

    @property
    def still(self) -> bool:
        """Whether it stays at its level."""
        return self.motion == STILL

    def moved(self, at_ns: int) -> float:
        """Return how far it was from its level at an instant since the last change."""
        noise_v = self.motion.noise_v
        return self.motion.at(at_ns) + (self._rng.gauss(0, noise_v) if noise_v else 0.0)

    def tap(self, now_ns: int) -> float:
        """Return the voltage that the tap stands for, which follows the rail with its time constant."""
        if self.still:
            self._follow(self.level_v, now_ns - self._tapped_ns)
        else:
            at_ns = max(self._tapped_ns, now_ns - SETTLED_TAUS * self._tau_ns)
            while at_ns < now_ns:
                span_ns = min(STEP_NS, now_ns - at_ns)
                self._follow(self.level_v + self.motion.at(at_ns + span_ns // 2), span_ns)
                at_ns += span_ns
        self._tapped_ns = max(self._tapped_ns, now_ns)
        return self._tap_v

    def _follow(self, level_v: float, span_ns: int) -> None:
        if span_ns > 0:
            self._tap_v = level_v + (self._tap_v - level_v) * math.exp(-span_ns / self._tau_ns)
