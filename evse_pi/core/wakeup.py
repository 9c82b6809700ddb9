"""A vehicle that sleeps through an offer is woken, step by step, and then left in peace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.core.states import PilotMode

if TYPE_CHECKING:
    from evse_pi.core.machine_settings import WakeUp, WakeUpStep


@dataclass(frozen=True, slots=True)
class Waking:
    """The next step of the ladder, since when the offer or the step lasts, and when the vehicle last asked.

    `holding` is the step that is being taken, None while the offer stands or nothing is offered.
    """

    step: int = 0
    since_ns: int = 0
    asked_ns: int = 0
    holding: WakeUpStep | None = None

    def due(self, now_ns: int, rules: WakeUp) -> bool:
        """Return whether the next step is to be taken, while the vehicle is offered current and does not ask for it."""
        if self.step >= len(rules.steps):
            return False
        wait_ns = rules.steps[self.step - 1].wait_ns if self.step else rules.patience_ns
        if now_ns - self.since_ns < wait_ns:
            return False
        return rules.steps[self.step].mode is not PilotMode.LOW or now_ns - self.asked_ns >= rules.calm_ns

    def over(self, now_ns: int) -> bool:
        """Return whether the step that is being taken has been held for long enough."""
        return self.holding is None or now_ns - self.since_ns >= self.holding.hold_ns

    def begun(self, now_ns: int, rules: WakeUp) -> Waking:
        """Return the ladder with its next step begun."""
        return Waking(self.step + 1, now_ns, self.asked_ns, rules.steps[self.step])

    def offered(self, now_ns: int) -> Waking:
        """Return the ladder when the offer stands again after a step."""
        return Waking(self.step, now_ns, self.asked_ns)

    def restarted(self, now_ns: int) -> Waking:
        """Return the ladder for a fresh offer."""
        return Waking(0, now_ns, self.asked_ns)

    def asked(self, now_ns: int) -> Waking:
        """Return the ladder when no vehicle is there, or it asks for power."""
        return Waking(0, now_ns, now_ns)
