"""What happened at the box: sessions, faults and transitions, each told once and handed to the journal."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evse_pi.api.texts.english_faults import FAULT_HINTS
from evse_pi.charging.history_rows import FaultRecord, fault_of, fault_row, redated, session_row, transition_row
from evse_pi.charging.session import SavedSession, Session, Sessions
from evse_pi.charging.startup_state import cursor_row
from evse_pi.charging.write_queue import PERIOD_NS, WriteQueue
from evse_pi.core.faults import FAULTS, Severity
from hal.units import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evse_pi.charging.clock import Clock
    from evse_pi.charging.startup_state import StartupState
    from evse_pi.core.faults import Fault
    from evse_pi.core.records import Snapshot, Transition
    from hal.units import Milliamps, MilliwattHours

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ToldSessions:
    """What peers were told of sessions: `latest` is the highest number, `connected` that of the one that has not ended.

    Of a session that is unknown here, `energy_mwh` is all that is left.
    """

    connected: int | None
    latest: int
    energy_mwh: MilliwattHours


class EventRecorder:
    """Consumes snapshots and energy; `write_queue` holds what is to be written of them.

    `register_mwh` and `current_ma` are what the meter shows now, to be kept with sessions and faults.
    """

    def __init__(self, clock: Clock, memory: StartupState) -> None:
        self.register_mwh: MilliwattHours | None = None
        self.current_ma: Milliamps | None = None
        self.cursor = memory.cursor
        self.on_transition: list[Callable[[Transition], None]] = []
        """Told of each transition, in their order, once sessions and faults are as after it."""
        self._clock = clock
        now_ns = clock.monotonic_ns()
        self.write_queue = WriteQueue(now_ns)
        self._next_fault = memory.next_fault
        self._next_transition = memory.next_transition
        self._told: ToldSessions | None = None
        self._faults: dict[Fault, FaultRecord] = {record.fault: record for record in memory.open_faults}
        self._last: Transition | None = None
        self._limit_ma: Milliamps | None = None
        self._saved_ns = now_ns
        saved = memory.session
        current = saved.resumed(now_ns, clock.kernel_boot_id, clock.unix_s()) if saved else None
        self._sessions = Sessions(current, None, memory.next_session)
        if saved is not None and current is not None:
            self.register_mwh = saved.register_mwh  # until the meter is read: energy and register belong together
            log.info("session resumed number=%d energy_mwh=%d", current.number, current.energy_mwh)

    @property
    def session(self) -> Session | None:
        """The present session."""
        return self._sessions.current

    @property
    def last_session(self) -> Session | None:
        """The last session that ended since the process started."""
        return self._sessions.last

    @property
    def faults(self) -> tuple[FaultRecord, ...]:
        """The active faults, oldest first."""
        return tuple(self._faults.values())

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """Take in a snapshot and every transition that is new in it.

        Transitions that were lost are made good by the snapshot itself: it tells where the box is now. What peers were
        told is reconciled once all known transitions were taken in.
        """
        self._take_in(snapshot)
        if self._told is not None:
            told, self._told = self._told, None
            self._reconcile(told)
            self._take_in(snapshot)

    def continue_sessions(self, told: ToldSessions) -> None:
        """Count sessions on from those that peers were told of, once the safety process has spoken."""
        self._told = told

    @property
    def reconciled(self) -> bool:
        """Whether the sessions are those that peers were told of."""
        return self._told is None

    def _take_in(self, snapshot: Snapshot) -> None:
        cursor, changes = self.cursor.accept(snapshot)
        if cursor.lost > self.cursor.lost:
            log.warning(
                "transitions lost count=%d safety_run_id=%d", cursor.lost - self.cursor.lost, snapshot.safety_run_id
            )
        for change in changes:
            self._advance(self._sessions.advance(change, self._unix_at(change.at_ns)))
            self._compare_faults(change.faults, change.at_ns, snapshot)
            self._keep(change)
            for listener in self.on_transition:
                listener(change)
        self._advance(self._sessions.observe(snapshot, self._unix_at(snapshot.at_ns)))
        self._compare_faults(snapshot.faults, snapshot.at_ns, snapshot)
        if cursor != self.cursor:
            self.cursor = cursor
            self.write_queue.note(cursor_row(cursor))
        if self._limit_ma is not None and snapshot.limit_ma != self._limit_ma:
            self._save(urgent=True)
        self._limit_ma = snapshot.limit_ma

    def describe(self, number: int, readings: Mapping[str, Any]) -> None:
        """Keep what the tick that set fault `number` saw."""
        record = next((each for each in self._faults.values() if each.number == number), None)
        if record is not None:
            self._faults[record.fault] = replace(record, readings=readings)
            self.write_queue.note(fault_row(self._faults[record.fault]), urgent=True)

    def redate(self, epoch_s: int) -> None:
        """Correct the dates of what is in memory; the store corrects what is written."""
        ours = self._clock.kernel_boot_id
        self._sessions = self._sessions.redated(epoch_s)
        self._faults = {
            fault: fault_of(redated(fault_row(record), epoch_s).values) if record.kernel_boot_id == ours else record
            for fault, record in self._faults.items()
        }

    def add_energy(self, energy_mwh: int, *, since_ns: int, estimated: bool) -> None:
        """Credit energy that flowed since `since_ns` to the session in which that time began."""
        last = self._sessions.last
        if self._sessions.current is None and last is not None and last.ended_ns is not None:
            if energy_mwh > 0 and since_ns < last.ended_ns:
                late = last.add(energy_mwh, estimated=estimated)
                self._sessions = replace(self._sessions, last=late)
                self.write_queue.note(session_row(self._saved(late)), urgent=True)
            return
        self._sessions = self._sessions.add(energy_mwh, estimated=estimated)

    def tick(self) -> None:
        """Let time pass: date the session, and save it every 5 min while the contactor is closed."""
        now_ns = self._clock.monotonic_ns()
        self._advance(self._sessions.dated(now_ns, self._clock.unix_s()))
        current = self._sessions.current
        if current is not None and current.closed_since_ns is not None and now_ns - self._saved_ns >= PERIOD_NS:
            self._save(urgent=True)

    def save(self) -> None:
        """Note the present session, because the process ends."""
        self._save(urgent=True)

    def _reconcile(self, told: ToldSessions) -> None:
        """Count sessions on from those that peers were told of, where the power went before they were written.

        Where a session is over, taking the snapshot in again begins one if there is a vehicle.
        """
        connected, latest, energy_mwh = told.connected, told.latest, told.energy_mwh
        sessions, current = self._sessions, self._sessions.current
        next_number = max(sessions.next_number, latest + 1)
        now_ns = self._clock.monotonic_ns()
        # The row is older than what peers were told: they know that this session ended, so its number must not go on.
        if current is not None and current.number <= latest and current.number != connected:
            self.write_queue.note(session_row(self._saved(current.ended(now_ns, self._clock.unix_s()))), urgent=True)
            log.warning("session number=%d was over before the power went, and was not written", current.number)
            known = replace(current, number=connected or 0, started_ns=now_ns, energy_mwh=energy_mwh)
            current = None if connected is None else known
        # Peers were told of a session that was never written. Its number is used up: they must not see it again.
        elif current is None and connected is not None and connected >= sessions.next_number:
            log.warning("session number=%d had not been written when the power went; it goes on", connected)
            current = Session(connected, now_ns, energy_mwh=energy_mwh)
        self._sessions = replace(sessions, current=current, next_number=next_number)
        self._save(urgent=True)

    def _advance(self, sessions: Sessions) -> None:
        """Take `sessions` over; what begins, ends, closes or opens is written at once."""
        before, self._sessions = self._sessions, sessions
        last, current = sessions.last, sessions.current
        if last is not None and last is not before.last:
            self.write_queue.note(session_row(self._saved(last)), urgent=True)
            log.info("session ended number=%d energy_mwh=%d", last.number, last.energy_mwh)
        if current is None:
            return
        if before.current is None or before.current.number != current.number:
            log.info("session begun number=%d", current.number)
            self._save(urgent=True)
        elif (before.current.closed_since_ns is None) != (current.closed_since_ns is None):
            self._save(urgent=True)

    def _save(self, *, urgent: bool) -> None:
        if self._sessions.current is not None:
            self._saved_ns = self._clock.monotonic_ns()
            self.write_queue.note(session_row(self._saved(self._sessions.current)), urgent=urgent)

    def _saved(self, session: Session) -> SavedSession:
        return SavedSession(session, self._clock.kernel_boot_id, self._clock.monotonic_ns(), self.register_mwh)

    def _keep(self, change: Transition) -> None:
        """Note a transition, unless only the offer or the reason changed: a regulated offer changes all day."""
        last, self._last = self._last, change
        log.info(
            "transition number=%d state=%s contactor=%s offered_ma=%d reason=%s",
            change.number,
            change.evse_state.name,
            "closed" if change.close_ordered else "open",
            change.offered_current_ma,
            change.reason.name,
        )
        if last is None or _essence(last) != _essence(change):
            unix_s = self._unix_at(change.at_ns)
            self.write_queue.note(transition_row(self._next_transition, change, unix_s, self._clock.kernel_boot_id))
            self._next_transition += 1

    def _compare_faults(self, faults: frozenset[Fault], at_ns: int, snapshot: Snapshot) -> None:
        for fault in sorted(faults - self._faults.keys()):
            self._faults[fault] = self._begun(fault, at_ns, snapshot)
        for fault in sorted(self._faults.keys() - faults):
            record = self._faults.pop(fault)
            cleared = replace(record, cleared_ns=at_ns, cleared_unix_s=self._unix_at(at_ns))
            self.write_queue.note(fault_row(cleared), urgent=True)
            log.info("fault cleared fault=%s", fault.name)

    def _begun(self, fault: Fault, at_ns: int, snapshot: Snapshot) -> FaultRecord:
        record = FaultRecord(
            number=self._next_fault,
            fault=fault,
            kernel_boot_id=self._clock.kernel_boot_id,
            set_ns=at_ns,
            set_unix_s=self._unix_at(at_ns),
            evse_state=snapshot.evse_state,
            close_ordered=snapshot.close_ordered,
            high_mv=snapshot.high_mv,
            low_mv=snapshot.low_mv,
            current_ma=self.current_ma,
        )
        self._next_fault += 1
        self.write_queue.note(fault_row(record), urgent=True)
        row = FAULTS[fault]
        level = logging.ERROR if row.severity is Severity.OPEN else logging.WARNING
        log.log(level, "fault set fault=%s hint=%s", fault.name, FAULT_HINTS[fault])
        return record

    def _unix_at(self, at_ns: int) -> int | None:
        """Return the time of day of an instant since the machine booted."""
        unix_s = self._clock.unix_s()
        return None if unix_s is None else unix_s - (self._clock.monotonic_ns() - at_ns) // SECOND


def _essence(change: Transition) -> tuple[object, ...]:
    return change.evse_state, change.close_ordered, change.faults
