"""A residual current device with test winding, latch and reset, and the ways in which it breaks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.sim.agenda import Agenda

MS = 1_000_000
DC_TRIP_NS = ((200_000, 50 * MS), (60_000, 150 * MS), (6_000, 2_000 * MS))  # residual µA from which, and how soon
AC_TRIP_NS = ((150_000, 20 * MS), (60_000, 70 * MS), (30_000, 120 * MS))
"""Inside the limits of IEC 62955 (0.1, 0.3 and 10 s) and of a type A device (0.04, 0.15 and 0.3 s)."""
SLOW_TEST_NS, SLOW_RESET_NS = 900 * MS, 1_300 * MS  # of a device that takes almost the time that it is allowed


class Injection(StrEnum):
    """What the test winding needs to make the device trip."""

    LEVEL = "level"
    TOGGLE = "toggle"  # alternating current made by the controller, at mains frequency


class RcdFault(StrEnum):
    """How the device is broken."""

    BLIND = "blind"  # residual current does not trip it
    TEST_DEAD = "test_dead"
    STUCK_CLEAR = "stuck_clear"  # its output never says tripped
    STUCK_TRIPPED = "stuck_tripped"
    RESET_DEAD = "reset_dead"
    SLOW = "slow"  # test and reset take so long that a little more would be too long


@dataclass(frozen=True, slots=True)
class RcdSettings:
    """How this device behaves when it works."""

    test: Injection = Injection.LEVEL
    test_trip_ns: int = 60 * MS
    toggles_to_trip: int = 4
    latching: bool = True
    release_ns: int = 200 * MS  # of a device that does not latch, after the current is gone
    wakes_ns: int = 0  # after its supply came, until then it says tripped and takes no reset
    latch_starts_set: bool = False  # its latch is set when the supply comes, as a circuit without memory is wired
    cuts_coil: bool = True  # its latch takes the contactor's coil by itself


class ResidualDevice:
    """The device: told the residual current, it says whether it is tripped."""

    def __init__(self, settings: RcdSettings, agenda: Agenda, changed: Callable[[], None]) -> None:
        self.settings = settings
        self.faults: set[RcdFault] = set()
        self.trips = 0
        self._latched = False
        self._toggles: list[int] = []
        self._test = False
        self._trip_ns: int | None = None
        self._waking = False
        self._agenda = agenda
        self._changed = changed

    @property
    def tripped(self) -> bool:
        """Return what its output says."""
        if RcdFault.STUCK_TRIPPED in self.faults:
            return True
        holds = RcdFault.SLOW in self.faults and self._agenda.pending("rcd.hold")
        return (self._latched or self._waking or holds) and RcdFault.STUCK_CLEAR not in self.faults

    @property
    def cuts(self) -> bool:
        """Return whether its latch takes the coil's supply."""
        return self.tripped and self.settings.cuts_coil

    def feel(self, dc_ma: float, ac_ma: float) -> None:
        """Take the residual current that flows now."""
        blind = RcdFault.BLIND in self.faults
        delays = [] if blind else [_delay_ns(dc_ma, DC_TRIP_NS), _delay_ns(ac_ma, AC_TRIP_NS)]
        trip_ns = min((delay for delay in delays if delay is not None), default=None)
        if trip_ns == self._trip_ns:
            return
        self._trip_ns = trip_ns
        if trip_ns is None:
            self._agenda.cancel("rcd.trip")
            self._clear_later()
        else:
            self._agenda.after("rcd.trip", trip_ns, self.trip)

    def power_up(self) -> None:
        """Get the supply back after it was gone: nothing is remembered, and the circuit decides where the latch is."""
        self._latched = self.settings.latch_starts_set
        self._toggles = []
        self._waking = self.settings.wakes_ns > 0
        if self._waking:
            self._agenda.after("rcd.wake", self.settings.wakes_ns, self._wake)
        self._changed()

    def set_test(self, on: bool) -> None:
        """Drive the test winding."""
        self._test = on
        if RcdFault.TEST_DEAD in self.faults:
            self._agenda.cancel("rcd.test")
        elif self.settings.test is Injection.TOGGLE:
            now_ns = self._agenda.now_ns
            self._toggles = [at for at in self._toggles if at > now_ns - 100 * MS] + [now_ns] * on
            if len(self._toggles) >= self.settings.toggles_to_trip:
                self.trip()
        elif on:
            trip_ns = SLOW_TEST_NS if RcdFault.SLOW in self.faults else self.settings.test_trip_ns
            self._agenda.after("rcd.test", trip_ns, self.trip)
        else:
            self._agenda.cancel("rcd.test")
        self._clear_later()

    def reset(self) -> None:
        """Close the latch again, unless it is still asked to trip."""
        if RcdFault.RESET_DEAD not in self.faults and not self._asked:
            self._latched = False
            if RcdFault.SLOW in self.faults:
                self._agenda.after("rcd.hold", SLOW_RESET_NS, self._changed)

    def trip(self) -> None:
        """Trip now."""
        self._toggles = []
        if not self._latched:
            self._latched = True
            self.trips += 1
            self._clear_later()
        self._changed()

    @property
    def _asked(self) -> bool:
        testing = self._test and self.settings.test is Injection.LEVEL and RcdFault.TEST_DEAD not in self.faults
        return testing or self._trip_ns is not None or self._waking

    def _clear_later(self) -> None:
        if self._latched and not self.settings.latching and not self._asked:
            self._agenda.after("rcd.clear", self.settings.release_ns, self._clear)
        else:
            self._agenda.cancel("rcd.clear")

    def _wake(self) -> None:
        self._waking = False
        self._clear_later()
        self._changed()

    def _clear(self) -> None:
        self._latched = False
        self._changed()


def _delay_ns(ma: float, table: tuple[tuple[int, int], ...]) -> int | None:
    return next((delay_ns for from_ua, delay_ns in table if ma * 1000 >= from_ua), None)
