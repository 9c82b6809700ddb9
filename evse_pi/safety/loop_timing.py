"""What the loop knows of its own time, and whether that is good enough to close a contactor."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from evse_pi.recorder.histogram import Histogram
from hal.units import MILLISECOND

if TYPE_CHECKING:
    from evse_pi.core.board_ratings import BoardRatings
    from hal.interfaces import PilotWindow

WINDOWS_TO_LEAVE = 2
TICK_COST_NS = 6 * MILLISECOND  # from a tick's beginning to its outputs: one window, and what goes round it
GENERATION = 10_000  # ticks to a verdict, 100 s: a quantile of 99.9 % then stands on its ten worst
_MAY_EXCEED = GENERATION // 1000


class LoopTiming:
    """Counts lateness, window and reaction, and judges every tick's worst case against the norm.

    The reaction of a tick is that of a vehicle which left C just after the second last window had begun: the last two
    windows show it, and this tick acts on it. Hazard: H-04.
    """

    def __init__(self, board: BoardRatings) -> None:
        self.lateness = Histogram()
        self.window = Histogram()
        self.reaction = Histogram()
        self._late_limit_ns = board.late_limit_ns
        self._budget_ns = board.reaction_ns
        self._starts: deque[int] = deque(maxlen=WINDOWS_TO_LEAVE + 1)
        self._counted = 0
        self._exceeded = 0
        self._last_generation_failed = False

    @property
    def within_budget(self) -> bool:
        """Whether 99.9 % of the reactions of the last generation, and of the running one so far, were fast enough."""
        return not self._last_generation_failed and self._exceeded <= _MAY_EXCEED

    def overdue(self, now_ns: int, late_ns: int) -> bool:
        """Return whether a vehicle that left since the last window but one would be let go of too late by now.

        Two ticks that are each late by little add up: the second is the one that would see it.
        """
        if late_ns > self._late_limit_ns:
            return True
        seen = len(self._starts) >= WINDOWS_TO_LEAVE
        return seen and now_ns + TICK_COST_NS - self._starts[-WINDOWS_TO_LEAVE] > self._budget_ns

    def add_window(self, window: PilotWindow) -> None:
        """Count one look at the pilot."""
        self.window.add(window.ended_ns - window.started_ns)
        self._starts.append(window.started_ns)

    def lose_window(self) -> None:
        """Forget the windows so far: without a pilot the contactor is open, and nothing is left to be late for."""
        self._starts.clear()

    def add_acted(self, now_ns: int) -> None:
        """Count the reaction that ends with the outputs driven at `now_ns`."""
        if len(self._starts) <= WINDOWS_TO_LEAVE:
            return
        reaction_ns = now_ns - self._starts[0]
        self.reaction.add(reaction_ns)
        self._counted += 1
        self._exceeded += reaction_ns > self._budget_ns
        if self._counted == GENERATION:
            self._last_generation_failed = self._exceeded > _MAY_EXCEED
            self._counted = self._exceeded = 0
