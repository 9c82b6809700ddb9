"""The residual current device: its test, its trips, and who may reset it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from evse_pi.core.faults import NO_FAULTS, Fault
from hal.units import MILLISECOND, SECOND

RESET_PULSE_NS = 100 * MILLISECOND
SETTLE_NS = 100 * MILLISECOND  # not tripped for as long: it has reset
RESET_LIMIT_NS = 1500 * MILLISECOND  # sensors that test themselves hold their output up to 1.2 s
TRIP_LIMIT_NS = SECOND
CUT_LIMIT_NS = 30 * MILLISECOND
"""From its word to the coil's node, which the next reading must show: three ticks."""
RETEST_NS = 24 * 3600 * SECOND
RECLOSE_WAIT_NS = 15 * 60 * SECOND
STARTING_NS = 10 * SECOND
"""A monitor that has just got its supply reads as tripped while it calibrates. Source: WARP's takes 3 s."""
STARTING_BREAK_NS = SECOND
LOCKOUT_NS = 10 * SECOND  # a trip so soon after closing is no coincidence


@dataclass(frozen=True, slots=True)
class CoilLook:
    """What is seen behind the contactor's coil: at half its supply, so that both switches are off, or at ground."""

    at_rest: bool
    at_ground: bool


class RcdStage(Enum):
    """What is being done with the device. A test goes down the list, a reset ends after SETTLING."""

    IDLE = "watched"
    STARTING = "wakes up, and may say tripped until it is reset"
    RELEASING = "reset while it wakes up"
    CLEARING = "reset before the test"
    CLEARED = "must not be tripped"
    INJECTING = "test current flows until it trips"
    CUTTING = "its latch must take the coil's return"
    DOUBTED = "the return is let go, to see whether the coil's supply is there at all"
    RESETTING = "reset"
    SETTLING = "must not be tripped any more"


_PULSES = {
    RcdStage.RELEASING: RcdStage.STARTING,
    RcdStage.CLEARING: RcdStage.CLEARED,
    RcdStage.RESETTING: RcdStage.SETTLING,
}


@dataclass(frozen=True, slots=True)
class RcdMonitor:
    """The device, its last test and its last trip.

    `stage` since `since_ns`; in a stage that waits for the reset, `quiet_ns` is since when it is not tripped.
    `awake_ns` is when a device that has just been switched on must have woken up. `testing` tells a test from a mere
    reset. `tested_ns` is None until a test has passed since the last trip; `fresh`
    ends when the next vehicle comes. `trip_took_ns` and `reset_took_ns` are the last test's evidence.
    `proving` says that the coil's return is ordered on during the test, so that its node shows whether a trip takes it;
    a test that could not prove that though the node can be read, `coil_seen`, leaves the device untested. `uncut` says
    that a trip did not take the return.
    `released` is True in the one tick in which a reset after a trip has succeeded.
    """

    stage: RcdStage = RcdStage.IDLE
    since_ns: int = 0
    quiet_ns: int | None = None
    testing: bool = False
    tested_ns: int | None = None
    fresh: bool = False
    failed: bool = False
    tripped_ns: int | None = None
    locked_out: bool = False
    reclosures: int = 0
    trip_took_ns: int = 0
    reset_took_ns: int = 0
    released: bool = False
    awake_ns: int = 0
    proving: bool = False
    coil_seen: bool = False
    uncut: bool = False

    @classmethod
    def switched_on(cls, now_ns: int) -> RcdMonitor:
        """Return a device that has got its supply just now, with a latch that its circuit may have set by that."""
        return cls(RcdStage.STARTING, now_ns, awake_ns=now_ns + STARTING_NS)

    def advance(
        self, now_ns: int, *, tripped: bool, closed_ns: int | None, dead: bool = True, coil: CoilLook | None = None
    ) -> RcdMonitor:
        """Return the device after one tick.

        `closed_ns` is when the contactor was closed, None while it is open; `dead` that it is proven open; `coil` what
        is seen of the coil, None where nothing is.
        """
        if self.starting:
            return self._wake(now_ns, tripped=tripped, dead=dead)
        if self.stage is not RcdStage.IDLE:
            return self._carry_on(now_ns, coil, tripped=tripped)
        if tripped and self.tripped_ns is None:
            early = closed_ns is not None and now_ns - closed_ns < LOCKOUT_NS
            return replace(self, tripped_ns=now_ns, locked_out=self.locked_out or early, tested_ns=None, fresh=False)
        return replace(self, released=False) if self.released else self

    def test(self, now_ns: int) -> RcdMonitor:
        """Return the device with its test begun. Hazard: H-05; never while the contactor is closed."""
        return replace(self, stage=RcdStage.CLEARING, since_ns=now_ns, quiet_ns=None, testing=True, uncut=False)

    def reset(self, now_ns: int, *, by_user: bool) -> RcdMonitor:
        """Return the device with its reset begun, by a person, or else counted as a reclosure."""
        return replace(
            self,
            stage=RcdStage.RESETTING,
            since_ns=now_ns,
            quiet_ns=None,
            testing=False,
            locked_out=self.locked_out and not by_user,
            reclosures=0 if by_user else self.reclosures + 1,
        )

    def unplugged(self) -> RcdMonitor:
        """Return the device when no vehicle is connected any more: the next one gets its own test and retries."""
        return replace(self, fresh=False, reclosures=0) if self.fresh or self.reclosures else self

    def forgiven(self) -> RcdMonitor:
        """Return the device after the installer acknowledged a failed test; the next one must pass."""
        return replace(self, failed=False) if self.failed else self

    def reclosable(self, now_ns: int, allowed: int) -> bool:
        """Return whether the installation lets the box itself reset the device now."""
        return (
            self.tripped_ns is not None
            and not self.locked_out
            and self.reclosures < allowed
            and now_ns - self.tripped_ns >= RECLOSE_WAIT_NS
        )

    def tested(self, now_ns: int) -> bool:
        """Return whether the test has passed since the vehicle came and within 24 h."""
        return self.fresh and self.tested_ns is not None and now_ns - self.tested_ns < RETEST_NS

    def ready(self, now_ns: int) -> bool:
        """Return whether nothing of it stands in the way of closing."""
        return self.idle and self.tested(now_ns)

    @property
    def starting(self) -> bool:
        """It wakes up, and what it says means nothing yet."""
        return self.stage in (RcdStage.STARTING, RcdStage.RELEASING)

    @property
    def idle(self) -> bool:
        """Neither test nor reset is under way."""
        return self.stage is RcdStage.IDLE

    @property
    def acknowledged(self) -> bool:
        """A reset that was ordered, and is no reclosure of the box's own, is under way."""
        return self.stage is RcdStage.RESETTING and not self.testing and self.reclosures == 0

    @property
    def injecting(self) -> bool:
        """The test current shall flow."""
        return self.stage in (RcdStage.INJECTING, RcdStage.CUTTING)

    @property
    def coil_returned(self) -> bool:
        """The coil's return switch shall conduct, without pulses for the gate."""
        return self.proving and self.stage not in (RcdStage.IDLE, RcdStage.CLEARING, RcdStage.DOUBTED)

    @property
    def decides_return(self) -> bool:
        """It is the device, or its latch, that now decides over the coil's return."""
        return self.proving and self.stage not in (RcdStage.IDLE, RcdStage.CLEARING, RcdStage.CLEARED)

    @property
    def pulsing(self) -> bool:
        """The reset line shall be active."""
        return self.stage in _PULSES

    def faults(self) -> frozenset[Fault]:
        """Return what is wrong with it; trips during its own test are not."""
        found = frozenset((Fault.RCD_TRIPPED,)) if self.tripped_ns is not None else NO_FAULTS
        return found | {Fault.RCD_TEST_FAILED} if self.failed else found

    def _wake(self, now_ns: int, *, tripped: bool, dead: bool) -> RcdMonitor:
        """Return the device a tick later: watched once it says clear, reset once a second until then, for 10 s."""
        elapsed_ns = now_ns - self.since_ns
        if self.stage is RcdStage.RELEASING:
            return self if elapsed_ns < RESET_PULSE_NS else replace(self, stage=RcdStage.STARTING, since_ns=now_ns)
        if not tripped:
            if self.quiet_ns is None:
                return replace(self, quiet_ns=now_ns)
            return self if now_ns - self.quiet_ns < SETTLE_NS else replace(self, stage=RcdStage.IDLE, since_ns=now_ns)
        if now_ns >= self.awake_ns:
            return replace(self, stage=RcdStage.IDLE, since_ns=now_ns, quiet_ns=None, tripped_ns=now_ns)
        if dead and elapsed_ns >= STARTING_BREAK_NS:
            return replace(self, stage=RcdStage.RELEASING, since_ns=now_ns, quiet_ns=None)
        return self if self.quiet_ns is None else replace(self, quiet_ns=None)

    def _carry_on(self, now_ns: int, coil: CoilLook | None, *, tripped: bool) -> RcdMonitor:
        elapsed_ns = now_ns - self.since_ns
        if self.stage in _PULSES:
            if elapsed_ns < RESET_PULSE_NS:
                return self
            after = replace(self, stage=_PULSES[self.stage], since_ns=now_ns, quiet_ns=None)
            if self.stage is not RcdStage.CLEARING:
                return after
            return replace(after, coil_seen=coil is not None, proving=coil is not None and coil.at_rest)
        if self.stage is RcdStage.INJECTING:
            if tripped:
                following = RcdStage.CUTTING if self.proving else RcdStage.RESETTING
                return replace(self, stage=following, since_ns=now_ns, trip_took_ns=elapsed_ns)
            return self if elapsed_ns < TRIP_LIMIT_NS else self._given_up(now_ns)
        if self.stage in (RcdStage.CUTTING, RcdStage.DOUBTED):
            return self._cut(now_ns, coil, elapsed_ns)
        if tripped or (self.proving and coil is not None and not coil.at_ground):
            if elapsed_ns >= RESET_LIMIT_NS:
                return self._given_up(now_ns)
            return self if self.quiet_ns is None else replace(self, quiet_ns=None)
        if self.quiet_ns is None:
            return replace(self, quiet_ns=now_ns)
        if now_ns - self.quiet_ns < SETTLE_NS:
            return self
        if self.stage is RcdStage.CLEARED:
            return replace(self, stage=RcdStage.INJECTING, since_ns=now_ns)
        return self._finished(now_ns, elapsed_ns)

    def _cut(self, now_ns: int, coil: CoilLook | None, elapsed_ns: int) -> RcdMonitor:
        """Return the device while it says tripped: the node must rise though the coil's return is ordered on.

        Where it does not, the return is let go. A node that rises then has a whole supply, so the trip took nothing;
        one that does not has none, and nothing is proven either way.
        """
        done = replace(self, stage=RcdStage.RESETTING, since_ns=now_ns)
        rested = coil is not None and coil.at_rest
        if self.stage is RcdStage.CUTTING:
            if rested:
                return done
            return self if elapsed_ns < CUT_LIMIT_NS else replace(self, stage=RcdStage.DOUBTED, since_ns=now_ns)
        if coil is not None and rested:
            return replace(done, proving=False, uncut=True)
        return self if elapsed_ns < CUT_LIMIT_NS else replace(done, proving=False)

    def _finished(self, now_ns: int, elapsed_ns: int) -> RcdMonitor:
        if self.uncut and self.testing:
            return self._given_up(now_ns)
        done = replace(self, stage=RcdStage.IDLE, since_ns=now_ns, testing=False, proving=False)
        if self.testing:
            whole = self.proving or not self.coil_seen
            return replace(done, tested_ns=now_ns, fresh=whole, failed=False, reset_took_ns=elapsed_ns)
        return replace(done, tripped_ns=None, released=True)

    def _given_up(self, now_ns: int) -> RcdMonitor:
        done = replace(self, stage=RcdStage.IDLE, since_ns=now_ns, testing=False, proving=False)
        return replace(done, failed=True, tested_ns=None, fresh=False) if self.testing else done
