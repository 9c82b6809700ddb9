"""The plug is held while a vehicle is connected, and let go only from a dead contactor.

The feedback contact is one wire: stuck at "locked" it looks like a bolt that is out. So the bolt is believed only once
it was seen to move: unlocked, then a pulse, then locked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evse_pi.core.records import Request
from evse_pi.core.states import PilotState
from hal.units import MILLISECOND, SECOND

if TYPE_CHECKING:
    from evse_pi.core.contactor_monitor import ContactorMonitor
    from evse_pi.core.io_records import Inputs
    from evse_pi.core.machine_settings import MachineSettings
    from evse_pi.core.pilot_monitor import PilotMonitor
    from evse_pi.core.tick_view import TickView

PULSE_NS = 300 * MILLISECOND
BREAK_NS = SECOND
TRIES = 5
UNLOCK_AFTER_NS = 5 * SECOND  # a line that shows no vehicle state must do so for as long before the plug is let go
LOST_NS = 500 * MILLISECOND  # a feedback contact that trembles is no plug that leaves


@dataclass(frozen=True, slots=True)
class LockControl:
    """What the lock shall do, and how far the motor has come with it.

    `goal` is True for locked, False for unlocked, None before the first order. `driving` says that the motor runs
    since `since_ns`, `towards` where to; otherwise `since_ns` is when it stopped. `tries` counts pulses that have not
    been answered. `free_seen` says that the feedback contact was seen to say unlocked, which it must before a pulse
    can prove anything. `failed` stays until a person has acknowledged it; a plug is still let go then, not held.
    """

    goal: bool | None = None
    driving: bool = False
    since_ns: int = 0
    tries: int = 0
    lost_ns: int | None = None
    towards: bool = False
    free_seen: bool = False
    failed: bool = False

    def follow(self, inputs: Inputs, seen: TickView, settings: MachineSettings, *, welded: bool) -> LockControl:
        """Return the lock after one tick. Behind a weld the plug stays as it is once the vehicle has left it."""
        goal = self.goal
        if seen.pilot.connected or not welded:
            goal = _goal(goal, seen.pilot, seen.contactor, settings, inputs.now_ns)
        retry = Request.CLEAR_USER in seen.lease.orders
        return self.advance(inputs.now_ns, goal, inputs.locked, retry=retry, releasable=seen.contactor.dead)

    def advance(
        self, now_ns: int, goal: bool | None, feedback: bool | None, *, retry: bool = False, releasable: bool = True
    ) -> LockControl:
        """Return the lock after one tick.

        `releasable` says that the plug is dead: only then is a bolt that says locked pulled back to prove its contact.
        `retry` gives a lock that gave up its tries again.
        """
        if goal is None:
            return self
        failed = self.failed and not retry
        if goal is not self.goal or failed is not self.failed:
            fresh = LockControl(goal, free_seen=feedback is False, failed=failed)
            return fresh if failed and goal else _pulse(fresh, now_ns, feedback, releasable=releasable)
        seen = self if self.free_seen or feedback is not False else replace(self, free_seen=True)
        if self.driving:
            return seen if now_ns - self.since_ns < PULSE_NS else _stopped(seen, now_ns, feedback)
        if self.tries == 0:
            return _watched(seen, now_ns, feedback, releasable=releasable) if not failed else seen
        if feedback is goal and _proven(seen, feedback):
            return LockControl(goal, free_seen=feedback is False, failed=failed)
        came_back = goal and feedback is False and not self.towards  # the contact is proven, now the bolt must go out
        if self.tries >= TRIES or (not came_back and now_ns - self.since_ns < BREAK_NS):
            return seen
        return _pulse(seen, now_ns, feedback, releasable=releasable)

    @property
    def motor(self) -> bool | None:
        """What the motor shall do: True towards locked, False towards unlocked, None off."""
        return self.towards if self.driving else None

    @property
    def holding(self) -> bool:
        """The plug cannot leave the socket."""
        return self.goal is True and self.tries == 0 and not self.failed


def _proven(lock: LockControl, feedback: bool | None) -> bool:
    """Return whether the feedback stands for a bolt that was seen to move to where it shall be."""
    return feedback is False or (lock.free_seen and lock.towards)


def _pulse(lock: LockControl, now_ns: int, feedback: bool | None, *, releasable: bool) -> LockControl:
    """Return the lock with its next pulse begun: towards the goal, or back to prove its contact first."""
    back = not lock.goal or (feedback is True and not lock.free_seen and releasable)
    return replace(lock, driving=True, since_ns=now_ns, tries=lock.tries + 1, lost_ns=None, towards=not back)


def _stopped(lock: LockControl, now_ns: int, feedback: bool | None) -> LockControl:
    """Return the lock when a pulse is over: there, or to be tried again, or given up."""
    if feedback is lock.goal and _proven(lock, feedback):
        return LockControl(lock.goal, since_ns=now_ns, free_seen=feedback is False, failed=lock.failed)
    return replace(lock, driving=False, since_ns=now_ns, failed=lock.failed or lock.tries >= TRIES)


def _watched(lock: LockControl, now_ns: int, feedback: bool | None, *, releasable: bool) -> LockControl:
    """Return the lock while it is where it should be, driven again once that has been lost for long enough."""
    if feedback is lock.goal:
        return lock if lock.lost_ns is None else replace(lock, lost_ns=None)
    if lock.lost_ns is None:
        return replace(lock, lost_ns=now_ns)
    return lock if now_ns - lock.lost_ns < LOST_NS else _pulse(lock, now_ns, feedback, releasable=releasable)


def _goal(
    goal: bool | None, pilot: PilotMonitor, contactor: ContactorMonitor, settings: MachineSettings, now_ns: int
) -> bool | None:
    """Return whether the plug shall be held: from B on, until the vehicle has left and the load side is dead.

    On a line that shows no vehicle state the plug is let go only if contacts or voltage prove that it is dead. A plug
    behind a welded contactor stays as it is though the switch ahead of the box may be off: it can be switched on again
    by a person who does not see the plug. Hazard: H-13 a live plug in the hand.
    """
    if pilot.connected:
        return True
    if not contactor.dead:
        return goal
    if pilot.state is PilotState.A:
        return False
    proven = settings.board.mirror_fitted or settings.board.load_sense_fitted
    return False if proven and now_ns - pilot.since_ns >= UNLOCK_AFTER_NS else goal
