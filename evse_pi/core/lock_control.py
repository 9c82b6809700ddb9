"""The plug is held while a vehicle is connected, and let go only from a dead contactor."""

from __future__ import annotations

from dataclasses import dataclass

from hal.units import MILLISECOND, SECOND

PULSE_NS = 300 * MILLISECOND
BREAK_NS = SECOND
TRIES = 5
LOST_NS = 500 * MILLISECOND  # a feedback contact that trembles is no plug that leaves


@dataclass(frozen=True, slots=True)
class LockControl:
    """What the lock shall do, and how far the motor has come with it.

    `goal` is True for locked, False for unlocked, None before the first order. `driving` says that the motor runs
    since `since_ns`; otherwise that is when it stopped. `tries` counts pulses that have not been answered.
    """

    goal: bool | None = None
    driving: bool = False
    since_ns: int = 0
    tries: int = 0
    lost_ns: int | None = None

    def advance(self, now_ns: int, goal: bool | None, feedback: bool | None, *, retry: bool = False) -> LockControl:
        """Return the lock after one tick; `retry` gives a lock that gave up its five tries again."""
        if goal is not self.goal:
            return LockControl(goal) if feedback is goal else LockControl(goal, driving=True, since_ns=now_ns, tries=1)
        if self.driving:
            if now_ns - self.since_ns < PULSE_NS:
                return self
            return LockControl(goal, since_ns=now_ns, tries=0 if feedback is goal else self.tries)
        if feedback is goal:
            return self if self.tries == 0 and self.lost_ns is None else LockControl(goal)
        if self.tries == 0:
            if self.lost_ns is None:
                return LockControl(goal, lost_ns=now_ns)
            return (
                self if now_ns - self.lost_ns < LOST_NS else LockControl(goal, driving=True, since_ns=now_ns, tries=1)
            )
        if self.failed:
            return LockControl(goal, driving=True, since_ns=now_ns, tries=1) if retry else self
        if now_ns - self.since_ns < BREAK_NS:
            return self
        return LockControl(goal, driving=True, since_ns=now_ns, tries=self.tries + 1)

    @property
    def motor(self) -> bool | None:
        """What the motor shall do: True towards locked, False towards unlocked, None off."""
        return self.goal if self.driving else None

    @property
    def holding(self) -> bool:
        """The plug cannot leave the socket."""
        return self.goal is True and self.tries == 0

    @property
    def failed(self) -> bool:
        """Five pulses did not move it."""
        return self.tries >= TRIES and not self.driving
