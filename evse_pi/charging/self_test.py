"""A self-test that a controller has ordered: when it begins, and when it is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hal.units import SECOND

if TYPE_CHECKING:
    from evse_pi.core.evidence import Evidence

GIVEN_UP_AFTER_NS = 60 * SECOND  # one that never began, such as with a shorted pilot


@dataclass(frozen=True, slots=True)
class SelfTestView:
    """Where the self-test is; `ordered` says that the safety process has not yet received the order for one."""

    ordered: bool
    running: bool
    passed: bool
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class WantedSelfTest:
    """A self-test wanted since `since_ns`; `ordered` once the safety process was told to begin it."""

    since_ns: int
    ordered: bool = False

    def due(self, *, current_may_flow: bool) -> bool:
        """Return whether the safety process is to be told now: once the contactor is open."""
        return not self.ordered and not current_may_flow

    def over(self, now_ns: int, test: SelfTestView, *, faulty: bool) -> bool:
        """Return whether it has passed, has found a fault, or has to be given up."""
        ended = self.ordered and not test.ordered and not test.running and (test.passed or faulty)
        return ended or now_ns - self.since_ns >= GIVEN_UP_AFTER_NS
