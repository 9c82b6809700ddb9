"""A session: from plugging in to unplugging."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evse_pi.charging.metering import NO_ENERGY
from evse_pi.core.states import PilotState
from hal.units import SECOND, MilliwattHours

if TYPE_CHECKING:
    from evse_pi.core.records import Snapshot, Transition

CONNECTED = (PilotState.B, PilotState.C, PilotState.D)
LONGEST_OUTAGE_S = 30 * 86_400  # a larger gap is a wrong clock


@dataclass(frozen=True, slots=True)
class Session:
    """One vehicle's stay.

    Units: instants in ns of CLOCK_MONOTONIC of this boot; a session that is older than the boot began
    at a negative one. `charging_ns` is how long the contactor was closed before `closed_since_ns`. `estimated` says
    that energy was derived from the offer at least in part. `outage` says that the time without power, before this
    boot of the machine, is not yet counted because no clock could tell.
    """

    number: int
    started_ns: int
    started_unix_s: int | None = None
    energy_mwh: MilliwattHours = NO_ENERGY
    estimated: bool = False
    charging_ns: int = 0
    closed_since_ns: int | None = None
    ended_ns: int | None = None
    ended_unix_s: int | None = None
    outage: bool = False

    def duration_ns(self, now_ns: int) -> int:
        """Return how long the session lasts, or lasted."""
        return max((now_ns if self.ended_ns is None else self.ended_ns) - self.started_ns, 0)

    def closed_ns(self, now_ns: int) -> int:
        """Return how long the contactor was closed in it."""
        return self.charging_ns + (0 if self.closed_since_ns is None else max(now_ns - self.closed_since_ns, 0))

    def add(self, energy_mwh: int, *, estimated: bool) -> Session:
        """Return the session with more energy."""
        if energy_mwh <= 0:
            return self
        total = MilliwattHours(self.energy_mwh + energy_mwh)
        return replace(self, energy_mwh=total, estimated=self.estimated or estimated)

    def dated(self, now_ns: int, unix_s: int | None) -> Session:
        """Return the session with its start on the calendar, and with the outage counted, once the clock is right."""
        if unix_s is None or self.ended_ns is not None:
            return self
        if self.started_unix_s is None:
            return replace(self, started_unix_s=unix_s - self.duration_ns(now_ns) // SECOND, outage=False)
        if not self.outage:
            return self
        age_s = unix_s - self.started_unix_s
        missed_s = age_s - self.duration_ns(now_ns) // SECOND
        if not 0 < missed_s <= LONGEST_OUTAGE_S:
            return replace(self, outage=False)
        return replace(self, started_ns=now_ns - age_s * SECOND, outage=False)

    def redated(self, epoch_s: int) -> Session:
        """Return the session with the date of its start corrected, see `evse_pi.charging.history_rows.redated`.

        One that began before this boot keeps its start, and what it missed is counted again.
        """
        if self.started_ns < 0:
            return replace(self, outage=self.ended_ns is None)
        ended_ns = self.ended_ns
        return replace(
            self,
            started_unix_s=epoch_s + self.started_ns // SECOND,
            ended_unix_s=None if ended_ns is None else epoch_s + ended_ns // SECOND,
        )

    def switched(self, at_ns: int, *, closed: bool) -> Session:
        """Return the session after the contactor closed or opened; telling it again changes nothing."""
        if closed == (self.closed_since_ns is not None):
            return self
        if closed:
            return replace(self, closed_since_ns=at_ns)
        return replace(self, charging_ns=self.closed_ns(at_ns), closed_since_ns=None)

    def ended(self, at_ns: int, unix_s: int | None) -> Session:
        """Return the session as it stays in the history."""
        at_ns = max(at_ns, self.started_ns)
        if unix_s is not None and self.started_unix_s is not None:
            unix_s = max(unix_s, self.started_unix_s)
        done = self.switched(at_ns, closed=False)
        return replace(done, ended_ns=at_ns, ended_unix_s=unix_s, outage=False)


@dataclass(frozen=True, slots=True)
class Sessions:
    """The present session, the last one that ended, and the number of the next."""

    current: Session | None = None
    last: Session | None = None
    next_number: int = 1

    def advance(self, change: Transition, unix_s: int | None) -> Sessions:
        """Return the sessions after one transition, which happened at `unix_s` on the calendar if that is known.

        A pilot that is short, held down or uncertain neither begins nor ends a session: only state A is an unplug.
        """
        current, number = self.current, self.next_number
        if change.pilot_state is PilotState.A:
            if current is None:
                return self
            return Sessions(None, current.ended(change.at_ns, unix_s), number)
        if current is None:
            if change.pilot_state not in CONNECTED:
                return self
            current, number = Session(number, change.at_ns, unix_s), number + 1
        current = current.switched(change.at_ns, closed=change.close_ordered)
        return self if current is self.current else Sessions(current, self.last, number)

    def observe(self, snapshot: Snapshot, unix_s: int | None) -> Sessions:
        """Return the sessions that fit what the box says of itself now, for whatever no transition told."""
        current = self.current
        if snapshot.pilot_state is PilotState.A:
            return Sessions(None, current.ended(snapshot.at_ns, unix_s), self.next_number) if current else self
        if current is None:
            if snapshot.pilot_state not in CONNECTED:
                return self
            begun = Session(self.next_number, snapshot.at_ns, unix_s)
            return Sessions(begun, self.last, self.next_number + 1).observe(snapshot, unix_s)
        switched = current.switched(snapshot.at_ns, closed=snapshot.close_ordered)
        return self if switched is current else replace(self, current=switched)

    def add(self, energy_mwh: int, *, estimated: bool) -> Sessions:
        """Return the sessions with more energy in the present one; without one it is not counted."""
        return (
            self if self.current is None else replace(self, current=self.current.add(energy_mwh, estimated=estimated))
        )

    def redated(self, epoch_s: int) -> Sessions:
        """Return the sessions since the process started with corrected dates."""
        current, last = (None if one is None else one.redated(epoch_s) for one in (self.current, self.last))
        return replace(self, current=current, last=last)

    def dated(self, now_ns: int, unix_s: int | None) -> Sessions:
        """Return the sessions with the present one on the calendar."""
        if self.current is None:
            return self
        dated = self.current.dated(now_ns, unix_s)
        return self if dated is self.current else replace(self, current=dated)


@dataclass(frozen=True, slots=True)
class SavedSession:
    """A session as it was when it was saved, and what a later start of the process needs to continue it.

    `kernel_boot_id` tells whether its instants still mean anything; `register_mwh` is the meter's register then.
    """

    session: Session
    kernel_boot_id: str
    saved_ns: int
    register_mwh: MilliwattHours | None = None

    def resumed(self, now_ns: int, kernel_boot_id: str, unix_s: int | None) -> Session:
        """Return the session to continue; after another boot, the contactor opened when it was saved."""
        if kernel_boot_id == self.kernel_boot_id:
            return self.session
        session = self.session.switched(self.saved_ns, closed=False)
        lasted_ns = session.duration_ns(self.saved_ns)
        return replace(session, started_ns=now_ns - lasted_ns, outage=True).dated(now_ns, unix_s)
