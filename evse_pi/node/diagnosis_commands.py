"""The technician's side of the node: readings and recordings of faults, counters, timing. It decides nothing."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evse_pi.api.codec import to_plain
from evse_pi.api.diagnosis import COUNTERS as COUNTERS_COMMAND
from evse_pi.api.diagnosis import READINGS, RECORDINGS, SCOPE, TIMING
from evse_pi.api.refusal import Refusal
from evse_pi.api.service import CommandHandler
from evse_pi.api.status import Notice, NoticeKind
from evse_pi.api.texts import english as words
from evse_pi.api.texts.catalogue import tr
from evse_pi.api.why import WHY
from evse_pi.charging.history_rows import setting_row
from evse_pi.diagnostics import counters as counting
from evse_pi.diagnostics.explanation import why
from evse_pi.diagnostics.scope import scope_view
from evse_pi.diagnostics.tick_readings import at_fault, readings
from evse_pi.diagnostics.timing_report import timing_view
from evse_pi.recorder.recording import RecordingError, encoded, recording_of
from evse_pi.recorder.ring import RingError
from hal.units import MILLISECOND, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from boards.spec import BoardSpec
    from evse_pi.api.diagnosis import ReactionTiming, Scope, WearCounters
    from evse_pi.api.protocol import Nothing
    from evse_pi.api.readings import Readings
    from evse_pi.api.service import Caller
    from evse_pi.api.status import Status
    from evse_pi.api.why import Why
    from evse_pi.charging.charge_point import ChargePoint
    from evse_pi.charging.history_rows import FaultRecord
    from evse_pi.core.faults import Fault
    from evse_pi.core.records import Snapshot
    from evse_pi.recorder.archive import RecordingArchive
    from evse_pi.recorder.reader import Ring
    from evse_pi.storage.writer_thread import WriterThread

log = logging.getLogger(__name__)

COUNTERS = "counters"
DESCRIBE_AFTER_NS = 100 * MILLISECOND  # the tick that set a fault is written after its snapshot was sent
RECORD_AFTER_NS = 2 * SECOND  # what follows belongs to the story; the ring reaches back 15 s
RECORD_AT_MOST_NS = 10 * SECOND  # a fault that comes and goes fills no shelf: one recording tells it
FRAMES_OF_A_FAULT = 300
MAX_WAITING = 4


@dataclass(slots=True)
class Open:
    """A fault whose readings, or whose recording, are still to be taken."""

    record: FaultRecord
    reported_ns: int
    described: bool = False


class Diagnosis:
    """Follows the box by its snapshots and its ring; `keep` writes what came of it.

    Everything it holds is bounded, and a ring that cannot be read costs readings, not charging.
    """

    def __init__(self, board: BoardSpec, box: ChargePoint, ring: Ring, archive: RecordingArchive, saved: Any) -> None:
        self.counters = counting.recalled(saved).started(box.clock.kernel_boot_id)
        self._board = board
        self._box = box
        self._ring = ring
        self._archive = archive
        self._known: set[int] = {record.number for record in box.event_recorder.faults}
        self._open: deque[Open] = deque(maxlen=2 * MAX_WAITING)
        self._waiting: deque[tuple[str, bytes]] = deque(maxlen=MAX_WAITING)
        self._recorded_ns: dict[Fault, int] = {}
        self._was_closed = False
        self._opened_ns: int | None = None
        self._release_after_ns = box.clock.monotonic_ns()
        self._note_counters(self.counters, urgent=True)

    def offers(self, view: Callable[[], Status], storage: WriterThread) -> tuple[CommandHandler, ...]:
        """Return the commands of diagnosis with what answers them; `view` returns the whole status.

        What lies on the card is looked up by `storage`.
        """

        async def explain(_request: Nothing, _caller: Caller) -> Why:
            return why(view())

        async def recordings(_request: Nothing, _caller: Caller) -> tuple[str, ...]:
            return tuple(await storage.call(self._archive.names))

        return (
            CommandHandler(WHY, explain),
            CommandHandler(SCOPE, self._scope),
            CommandHandler(COUNTERS_COMMAND, self._counters),
            CommandHandler(TIMING, self._timing),
            CommandHandler(RECORDINGS, recordings),
            CommandHandler(READINGS, self._readings),
        )

    # What happens.

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """Learn from a snapshot which the box has taken in."""
        now_ns = self._box.clock.monotonic_ns()
        for record in self._box.event_recorder.faults:
            if record.number not in self._known:
                self._open.append(Open(record, now_ns))
        self._known = {record.number for record in self._box.event_recorder.faults}
        self._note_counters(self.counters.after_snapshot(snapshot))
        if self._was_closed and not snapshot.close_ordered:
            self._opened_ns = now_ns
        self._was_closed = snapshot.close_ordered
        self.tick()

    def tick(self) -> None:
        """Do what is due: readings of new faults, a recording round them, the time of an opening."""
        now_ns = self._box.clock.monotonic_ns()
        with suppress(OSError, RingError):
            self._describe(now_ns)
            self._measure_release(now_ns)
            self._record(now_ns)

    async def keep(self, storage: WriterThread) -> None:
        """Write the recordings that wait; those that the disk refuses go on waiting."""
        while self._waiting:
            name, content = self._waiting[0]
            if not await storage.call(self._archive.put, name, content):
                return
            if self._waiting and self._waiting[0][0] == name:
                self._waiting.popleft()

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What people must know of the diagnosis itself."""
        trouble = self._archive.trouble
        return (Notice(NoticeKind.RECORDINGS, words.RECORDINGS_NOT_STORED.format(trouble=trouble)),) if trouble else ()

    def _describe(self, now_ns: int) -> None:
        due = [each for each in self._open if not each.described and now_ns - each.reported_ns >= DESCRIBE_AFTER_NS]
        if not due:
            return
        frames = self._ring.frames(FRAMES_OF_A_FAULT)
        for each in due:
            each.described = True
            seen = at_fault(frames, each.record.fault, each.record.set_ns)
            if seen is not None:
                self._box.event_recorder.describe(each.record.number, to_plain(seen))

    def _record(self, now_ns: int) -> None:
        due = [each for each in self._open if now_ns - each.reported_ns >= RECORD_AFTER_NS]
        if not due or len(due) < len(self._open):
            return  # faults that follow each other closely share one recording
        self._open.clear()
        faults = [each.record.fault for each in due]
        if all(now_ns - self._recorded_ns.get(fault, -RECORD_AT_MOST_NS) < RECORD_AT_MOST_NS for fault in faults):
            return
        self._recorded_ns |= dict.fromkeys(faults, now_ns)
        first = due[0].record
        about = {
            "board": self._board.name,
            "fault": first.fault.name,
            "number": first.number,
            "faults": [fault.name for fault in faults],
            "unix_s": first.set_unix_s,
        }
        try:
            recording = recording_of(self._ring.contents(), about, first.set_ns)
        except RecordingError as error:
            log.warning("no recording of the fault fault=%s problem=%s", first.fault.name, error)
            return
        self._waiting.append((f"{first.number:06}-{first.fault.name.lower()}.json.gz", encoded(recording)))

    def _measure_release(self, now_ns: int) -> None:
        if self._opened_ns is None or now_ns - self._opened_ns < DESCRIBE_AFTER_NS:
            return
        self._opened_ns = None
        found = counting.release_us(self._ring.frames(FRAMES_OF_A_FAULT), self._release_after_ns)
        if found is not None:
            self._release_after_ns, took_us = found
            self._note_counters(self.counters.released(took_us, self._box.clock.unix_s()))

    def _note_counters(self, counters: counting.Counters, *, urgent: bool = False) -> None:
        with suppress(OSError, RingError):
            counters = counters.ended(self._ring.header().unclean)
        if counters is not self.counters or urgent:
            self.counters = counters
            self._box.event_recorder.write_queue.note(setting_row(COUNTERS, counting.saved(counters)), urgent=urgent)

    # Commands.

    async def _scope(self, _request: Nothing, _caller: Caller) -> Scope:
        with _black_box():
            return scope_view(self._ring.frames(64), self._ring.windows(), self._ring.header())

    async def _counters(self, _request: Nothing, _caller: Caller) -> WearCounters:
        return counting.view(self.counters, self._board.contactor.release_ms)

    async def _timing(self, _request: Nothing, _caller: Caller) -> ReactionTiming:
        with _black_box():
            return timing_view(self._ring.contents())

    async def _readings(self, _request: Nothing, _caller: Caller) -> Readings | None:
        with _black_box():
            frames = self._ring.frames(2)
        return readings(frames[-1], frames[0] if len(frames) > 1 else None) if frames else None


@contextmanager
def _black_box() -> Iterator[None]:
    """Raise a Refusal when the black box cannot be read."""
    try:
        yield
    except (OSError, RingError) as error:
        raise Refusal(tr("the black box cannot be read: {error}").format(error=error)) from error
