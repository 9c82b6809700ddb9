"""How often the box may be had to do what wears it out or brings power back, whatever the node process demands.

The node may be captured: it then sends any demand at any time, and none of its words is a reason to trust it. What it
can exhaust ends in a pause that grows and passes by itself; what could bring power back to a person who has just been
protected ends in a fault that the installer must clear, by a proof that the node cannot make. Each budget has a number
in docs/SAFETY.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from evse_pi.core.faults import NO_FAULTS, Fault
from hal.units import SECOND

MINUTE, HOUR = 60 * SECOND, 3600 * SECOND


@dataclass(frozen=True, slots=True)
class Rule:
    """How a budget is spent: `free` uses at once; each further one makes the pause before the next twice as long.

    One use is forgiven every `forgive_ns`, which is the rate of a user who never stops trying.
    """

    free: int
    forgive_ns: int
    first_pause_ns: int
    longest_pause_ns: int


STOPS = Rule(free=10, forgive_ns=10 * MINUTE, first_pause_ns=30 * SECOND, longest_pause_ns=HOUR // 2)
"""B-1: a surplus regulator stops a few times an hour; 6 an hour leave a contactor of 100,000 operations 1.9 years."""
ORDERED_TESTS = Rule(free=10, forgive_ns=HOUR, first_pause_ns=MINUTE, longest_pause_ns=HOUR)
"""B-2: an installer orders a few; a residual current device is built for some thousand operations in all its years."""
RESETS = 3
"""B-3: as often as automatic reclosing devices try before they lock. Source: EN 63024, from memory."""
RESETS_FORGOTTEN_NS = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Budget:
    """What was used: `used` counts still, since `since_ns` one less every so often; the last use was at `last_ns`."""

    used: int = 0
    since_ns: int = 0
    last_ns: int = 0

    def ready_ns(self, rule: Rule) -> int:
        """Return from when on the next use is allowed; a time that is past when it is now."""
        excess = self.used - rule.free
        if excess < 0:
            return 0
        return self.last_ns + min(rule.first_pause_ns << min(excess, 16), rule.longest_pause_ns)

    def spent(self, rule: Rule, now_ns: int) -> Budget:
        """Return the budget after one more use."""
        forgiven = (now_ns - self.since_ns) // rule.forgive_ns
        if forgiven >= self.used:
            return Budget(1, now_ns, now_ns)
        return Budget(self.used - forgiven + 1, self.since_ns + forgiven * rule.forgive_ns, now_ns)


@dataclass(frozen=True, slots=True)
class Budgets:
    """All budgets. `resets` are those of the residual current device by order, the last one at `reset_ns`.

    `locked` says that it tripped again after as many resets as there may be.
    """

    stops: Budget = Budget()
    tests: Budget = Budget()
    resets: int = 0
    reset_ns: int = 0
    locked: bool = False

    def stopped(self, now_ns: int) -> Budgets:
        """Return the budgets after the box, not the vehicle, ended a charge. Hazard: H-15."""
        return replace(self, stops=self.stops.spent(STOPS, now_ns))

    @property
    def closable_ns(self) -> int:
        """From when on the contactor may be closed again, as far as stops have worn it."""
        return self.stops.ready_ns(STOPS)

    def may_test(self, now_ns: int) -> bool:
        """Return whether a self-test may be ordered now."""
        return now_ns >= self.tests.ready_ns(ORDERED_TESTS)

    def tested(self, now_ns: int) -> Budgets:
        """Return the budgets after a self-test was ordered. Hazard: H-05 a device that its tests have worn out."""
        return replace(self, tests=self.tests.spent(ORDERED_TESTS, now_ns))

    def reset(self, now_ns: int) -> Budgets:
        """Return the budgets after an order reset the residual current device."""
        kept = self.resets if now_ns - self.reset_ns < RESETS_FORGOTTEN_NS else 0
        return replace(self, resets=kept + 1, reset_ns=now_ns)

    def tripped(self, now_ns: int) -> Budgets:
        """Return the budgets after the device tripped. Hazard: H-14 power returns to a person just protected."""
        again = self.resets >= RESETS and now_ns - self.reset_ns < RESETS_FORGOTTEN_NS
        return replace(self, locked=True) if again and not self.locked else self

    def forgiven(self) -> Budgets:
        """Return the budgets after the installer's clear."""
        return Budgets()

    def faults(self) -> frozenset[Fault]:
        """Return what only the installer clears, because others cleared it too often."""
        return frozenset((Fault.RCD_TRIPS_REPEATED,)) if self.locked else NO_FAULTS
