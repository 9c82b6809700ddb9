"""The faults that neither a restart of the process nor a power cut may make the box forget.

They are kept twice. In the run directory, which is memory, every change is written at once. In the state directory, on
a disk that may be slow, full or hang, it is written by a process of its own, the writer: the safety loop hands it what
to keep and never waits for it, and a write that hangs holds none of the safety process's lines. The writer remembers
what was handed over and lets a child of its own do the writing, which it replaces when it dies.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn
from zlib import crc32

from evse_pi.core.faults import FAULTS, NO_FAULTS, Clear, Fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SLOT_BYTES = 4_096  # one block each, so that a torn write of one leaves the other
SLOTS = 2
FILE_BYTES = SLOTS * SLOT_BYTES
_SLOT = struct.Struct("<4sIQ")  # magic, number, one bit a fault
_CHECK = struct.Struct("<I")
_MAGIC = b"EPfm"
_MESSAGE = struct.Struct("<Q")
_AGAIN_S = 10
_REPLACED_AFTER_S = (1, 60)  # the first time, and at most: it is doubled each time
_ALL_DESCRIPTORS = 1 << 20
_NEEDS_A_PERSON = Clear.ON_UNPLUG | Clear.BY_USER | Clear.BY_INSTALLER

DOUBTFUL = frozenset((Fault.RCD_TRIPPED,))
"""What is assumed of a memory that was written and cannot be read: the trip that it may have held."""


def outliving(faults: frozenset[Fault]) -> frozenset[Fault]:
    """Return those of `faults` that wait for a person or for the plug, which a new start of the process is not."""
    return frozenset(fault for fault in faults if FAULTS[fault].clear & _NEEDS_A_PERSON)


class SlotFile:
    """A set of faults in two slots, allocated when the file is made: a later write needs no space on the disk.

    `kept` is what it holds, None when nothing was ever written, DOUBTFUL when that cannot be read any more.
    """

    def __init__(self, path: Path, *, wait: bool) -> None:
        """Open `path`, made and allocated when there is none, for this process alone; `wait` for another to let go.

        Raises: OSError; BlockingIOError where another process has it.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(self._descriptor).st_size < FILE_BYTES:
                os.pwrite(self._descriptor, bytes(FILE_BYTES), 0)
                os.fsync(self._descriptor)
            self._number, self.kept = _newest(os.pread(self._descriptor, FILE_BYTES, 0))
        except OSError:
            os.close(self._descriptor)
            raise

    def write(self, faults: frozenset[Fault]) -> None:
        """Replace the older of both slots. Raises: OSError; the newer one is as it was."""
        number = self._number + 1
        body = _SLOT.pack(_MAGIC, number, _bits(faults))
        os.pwrite(self._descriptor, body + _CHECK.pack(crc32(body)), number % SLOTS * SLOT_BYTES)
        self._number, self.kept = number, faults

    def sync(self) -> None:
        """Wait until the disk has what was written. Raises: OSError."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._descriptor)


class FaultWriter:
    """The process that has the disk written, and the end of its line here.

    It has none of this process's files: one that hangs in a write cannot be ended, and would hold lines and locks. It
    is made before any device is opened, since a process cannot be copied later on without holding up the tick; so it
    uses no disk itself, and replaces the child that does.
    """

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        """Start the process, which may wait for the disk under `path` for as long as it likes. Raises: OSError."""
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            _keep(other.fileno(), path, say)
        other.close()
        self._socket.setblocking(False)

    def hand(self, faults: frozenset[Fault]) -> bool:
        """Hand over what is to be kept from now on, without waiting; return whether the line took it.

        Raises: OSError when the writer is gone.
        """
        try:
            self._socket.send(_MESSAGE.pack(_bits(faults)), socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Let the writer end once it has written what was handed to it."""
        self._socket.close()


class FaultMemory:
    """What must be remembered, in memory and on disk; a place that fails is told once and costs nothing else.

    `former` is what the process before this one left, of whatever boot. `first_of_boot` says that none has run since
    the machine was switched on. Hazard: H-03, H-14.
    """

    def __init__(self, run: Path, disk: Path, say: Callable[[str], None]) -> None:
        """Begin with what `run` holds or, where the machine was switched off since, with what is on `disk`.

        Raises: OSError when `run` cannot be opened, BlockingIOError when another safety process has it.
        """
        self._say = say
        self._writer: FaultWriter | None = FaultWriter(disk, say)
        try:
            self._run = SlotFile(run, wait=False)
        except OSError:
            self._writer.close()
            raise
        self.first_of_boot = self._run.kept is None
        self.former = (self._on_disk(disk) if self._run.kept is None else self._run.kept) or NO_FAULTS
        self._complained = False
        self._kept: frozenset[Fault] | None = None
        self._handed: frozenset[Fault] | None = None
        self.keep(self.former)

    def keep(self, faults: frozenset[Fault]) -> None:
        """Replace what is remembered by those of `faults` that outlive the process; never waits and never raises."""
        kept = outliving(faults) if faults else NO_FAULTS
        # First the run directory, which outlives the process and never waits; then the disk, by a process of its own.
        try:
            if kept != self._kept:
                self._run.write(kept)
                self._kept, self._complained = kept, False
        except OSError as error:
            if not self._complained:
                self._say(f"the fault memory cannot be written: {error}")
            self._complained = True
        try:
            # One that takes nothing now, because its disk hangs, is asked again at the next call.
            if self._writer is not None and kept != self._handed and self._writer.hand(kept):
                self._handed = kept
        except OSError as error:
            if self._writer is not None:
                self._writer.close()
            self._writer = None
            self._say(f"faults outlive a restart and no power cut any more, their writer is gone: {error}")

    def close(self) -> None:
        """Give everything back; what was handed to the writer is still written."""
        self._run.close()
        if self._writer is not None:
            self._writer.close()

    def _on_disk(self, path: Path) -> frozenset[Fault] | None:
        try:
            kept = faults_in(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            self._say(f"{error}: a residual current trip is assumed")
            return DOUBTFUL
        if kept is DOUBTFUL:
            self._say(f"{path} cannot be read: a residual current trip is assumed")
        return kept


def _keep(line: int, path: Path, say: Callable[[str], None]) -> NoReturn:
    """Have written what comes until the other end is gone and the newest is on the disk; never touch the disk here."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # the tick's priority is inherited, and not needed here
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the service manager ends all, and the last fault is still to come
    os.closerange(3, line)
    os.closerange(line + 1, _ALL_DESCRIPTORS)

    def tell(text: str) -> None:
        with suppress(OSError, ValueError):  # where nothing can be said, the faults are kept nonetheless
            say(text)

    try:
        _replace_writers(line, path, tell)
    finally:
        sys.stderr.flush()
        os._exit(0)


def _replace_writers(line: int, path: Path, say: Callable[[str], None]) -> None:
    """Start a writer, and another with a growing pause whenever one dies; return once one has ended by itself.

    Where the other end is gone and writers go on dying, it is over as well.
    """
    wanted: bytes | None = None
    pause_s, longest_s = _REPLACED_AFTER_S
    ended = False
    while not ended or pause_s < longest_s:
        started_s = time.monotonic()
        try:
            writer, pid = _start_writer(path, say)
        except OSError as error:
            trouble = f"cannot be started: {error}"
        else:
            ended, wanted = _feed(line, writer, wanted, ended=ended)
            os.close(writer)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            if status == 0:
                return
            trouble = f"has died with status {status}"
        pause_s = _REPLACED_AFTER_S[0] if time.monotonic() - started_s > longest_s else pause_s
        say(f"what writes the fault memory on disk {trouble}; another is started in {pause_s} s")
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, longest_s)


def _start_writer(path: Path, say: Callable[[str], None]) -> tuple[int, int]:
    """Return the line to a new writer, and its process id."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        _write(its.fileno(), path, say)
    its.close()
    return ours.detach(), pid


def _feed(line: int, writer: int, wanted: bytes | None, *, ended: bool) -> tuple[bool, bytes | None]:
    """Pass on to `writer` what comes until it dies or all is over; return whether that is so, and the newest.

    A writer that waits for the disk takes no more after a while; then the newest is kept here until it does.
    """
    os.set_blocking(writer, False)
    passed = wanted is None
    while True:
        passed = passed or _passed_on(writer, wanted)
        if ended and passed:
            return True, wanted
        sources = [writer] if ended else [line, writer]
        ready, _, _ = select.select(sources, [] if passed else [writer], [])
        if writer in ready:
            return ended, wanted  # it says nothing, so this is its end
        if line in ready:
            message = os.read(line, _MESSAGE.size)
            ended = not message
            passed, wanted = (passed, wanted) if ended else (False, message)


def _passed_on(writer: int, wanted: bytes | None) -> bool:
    """Return whether `writer` has taken `wanted`; one that is dead has not, and is found out by its line."""
    try:
        os.write(writer, wanted or b"")
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        return False
    return True


def _write(line: int, path: Path, say: Callable[[str], None]) -> NoReturn:
    """Write what comes, the newest of what waits, until the other end is gone; what fails is tried again."""
    # Copies of the safety process's descriptors would keep its devices and its link open after its end.
    os.closerange(3, line)
    os.closerange(line + 1, _ALL_DESCRIPTORS)
    status = 1
    try:
        file: SlotFile | None = None
        wanted: frozenset[Fault] | None = None
        failed = ended = False
        # With the other end gone there is one more try and no endless one: its successor must find the file free.
        while not ended or (wanted is not None and not failed):
            while not ended and select.select([line], [], [], _patience_s(wanted, failed=failed))[0]:
                message = os.read(line, _MESSAGE.size)
                ended = not message
                wanted, failed = (wanted, failed) if ended else (_faults(_MESSAGE.unpack(message)[0]), False)
            try:
                if wanted is not None:
                    file = file or _made(path)
                    file.write(wanted)
                    file.sync()
                wanted, failed = None, False
            except OSError as error:
                if not failed:
                    say(f"the fault memory on disk cannot be written: {error}")
                failed = True
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def _patience_s(wanted: frozenset[Fault] | None, *, failed: bool) -> float | None:
    """Return how long the writer waits for more before it writes; without anything to write for ever."""
    if wanted is None:
        return None
    return _AGAIN_S if failed else 0.0


def _made(path: Path) -> SlotFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    return SlotFile(path, wait=True)


def faults_in(content: bytes) -> frozenset[Fault] | None:
    """Return what a file with `content` holds, None when nothing was ever written, DOUBTFUL when it is unreadable."""
    return _newest(content)[1]


def _newest(content: bytes) -> tuple[int, frozenset[Fault] | None]:
    """Return number and faults of the newest slot in `content`, 0 and None or DOUBTFUL without one."""
    slots = [_read(content[at : at + SLOT_BYTES]) for at in range(0, FILE_BYTES, SLOT_BYTES)]
    found = [slot for slot in slots if slot is not None]
    if not found:
        return 0, DOUBTFUL if any(content) else None
    return max(found, key=_number)


def _read(slot: bytes) -> tuple[int, frozenset[Fault]] | None:
    if len(slot) < _SLOT.size + _CHECK.size:
        return None
    body = slot[: _SLOT.size]
    magic, number, bits = _SLOT.unpack(body)
    (check,) = _CHECK.unpack_from(slot, _SLOT.size)
    return (number, _faults(bits)) if magic == _MAGIC and check == crc32(body) else None


def _number(slot: tuple[int, frozenset[Fault]]) -> int:
    return slot[0]


def _bits(faults: frozenset[Fault]) -> int:
    return sum(1 << fault for fault in faults)


def _faults(bits: int) -> frozenset[Fault]:
    return frozenset(fault for fault in Fault if bits >> fault & 1)
