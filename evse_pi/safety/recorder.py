"""Writes every tick into memory that others may read; it never waits, and its own failure costs nothing but history."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

from evse_pi.core.transition_log import TransitionLog
from evse_pi.recorder.frame import FRAME_BYTES, FrameWriter
from evse_pi.recorder.keyframe import to_plain
from evse_pi.recorder.ring import (
    FRAMES,
    FRAMES_AT,
    HISTOGRAM,
    HISTOGRAM_BYTES,
    HISTOGRAMS,
    HISTOGRAMS_AT,
    KEYFRAME_BYTES,
    KEYFRAME_EVERY,
    KEYFRAMES,
    KEYFRAMES_AT,
    RING_BYTES,
    WINDOW,
    WINDOWS,
    WINDOWS_AT,
    RingError,
    RingHeader,
    header_of,
    keyframe_slot,
    window_slot,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evse_pi.core.board_ratings import BoardRatings
    from evse_pi.core.io_records import Inputs
    from evse_pi.core.machine import MachineState
    from evse_pi.core.machine_settings import MachineSettings
    from evse_pi.safety.loop_timing import LoopTiming
    from hal.interfaces import PilotWindow
    from hal.linear_scale import LinearScale


RING_MODE = 0o640
_NEWEST_AT = 30  # magic 8, version 4, life 4, unclean 4, two bytes, safety_run_id 8
_NEWEST = struct.Struct("<Q")
LAST_NUMBER = (1 << 32) - 1  # of a frame: a machine that is up for 497 days gets there
_RUNNING_AT = 20
_SCALE_AT = 46  # after the newest number and the start
_SCALE = struct.Struct("<ii")
_NO_JOURNAL = TransitionLog()


class RingMemory:
    """A file in memory, written and not mapped: no page of it is locked here, and where none is left, no SIGBUS."""

    def __init__(self, path: Path) -> None:
        """Open `path`, made when there is none. Raises: OSError."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, RING_MODE)
        os.ftruncate(self._descriptor, RING_BYTES)  # so that a reader may map it at once

    def read(self) -> bytes:
        """Return everything. Raises: OSError."""
        return os.pread(self._descriptor, RING_BYTES, 0)

    def write(self, at: int, content: bytes) -> None:
        """Replace what begins at `at`. Raises: OSError."""
        os.pwrite(self._descriptor, content, at)

    def close(self) -> None:
        """Give the file back; what it holds stays."""
        os.close(self._descriptor)


class BlackBoxWriter:
    """The writer of one run of the process; ticks count on from the run before, whose last seconds stay readable."""

    def __init__(
        self,
        former: bytes,
        write: Callable[[int, bytes], None],
        *,
        safety_run_id: int,
        scale: LinearScale,
        board: BoardRatings,
        started_ns: int,
    ) -> None:
        """Begin a life after the one that left `former`; `write` replaces what begins at an offset, or OSError."""
        header = _header(former)
        self.lost = 0
        self._write = write
        self._frames = FrameWriter()
        self._number = header.newest if header else 0
        self._life = header.life % 0xFFFF + 1 if header else 1
        self._scale = scale
        self._keyframe_due = True
        self._settings: MachineSettings | None = None
        unclean = header.unclean + header.running if header else 0
        if header is None:
            self._put(0, bytes(RING_BYTES))
        elif header.scale != scale:
            self._forget_windows()
        self._header = RingHeader(
            self._life, unclean, True, safety_run_id, self._number, started_ns, scale,
            budget_ns=board.reaction_ns, within_ns=board.open_within_ns,
        )  # fmt: skip
        self._put(0, self._header.pack())

    def note(
        self,
        before: MachineState,
        inputs: Inputs,
        state: MachineState,
        settings: MachineSettings,
        times_us: tuple[int, int],
        window: PilotWindow | None,
    ) -> None:
        """Keep the tick that went from `before` to `state`, and the window it judged; what cannot be kept is `lost`."""
        if self._number == LAST_NUMBER:
            self._begin_again()
        number = self._number + 1
        try:
            if self._keyframe_due or number % KEYFRAME_EVERY == 0 or settings is not self._settings:
                self._keep_state(number, before, settings)
            frame = self._frames.encode(number, self._life, times_us, inputs, state)
            self._put(FRAMES_AT + number % FRAMES * FRAME_BYTES, frame)
            if window is not None:
                slot = window_slot(number, window.started_ns, window.ended_ns, window.codes)
                self._put(WINDOWS_AT + number % WINDOWS * WINDOW.size, slot)
        except (struct.error, ValueError, OverflowError, KeyError):
            self.lost += 1
            self._keyframe_due = True
        self._number = number
        self._put(_NEWEST_AT, _NEWEST.pack(number))

    def note_timing(self, timing: LoopTiming, scale: LinearScale) -> None:
        """Copy one histogram, each in its turn, and the scale by which codes become voltages from here on."""
        if scale is not self._scale:
            self._scale = scale
            self._forget_windows()
            self._put(_SCALE_AT, _SCALE.pack(scale.gain_uv_per_code, scale.offset_mv))
        index = self._number % len(HISTOGRAMS)
        histogram = (timing.lateness, timing.window, timing.reaction)[index]
        content = HISTOGRAM.pack(histogram.largest_ns) + histogram.counts
        self._put(HISTOGRAMS_AT + index * HISTOGRAM_BYTES, content)

    def _begin_again(self) -> None:
        """Number ticks from 1 on an empty ring: readers go by the numbers."""
        self._number = 0
        self._keyframe_due = True
        self._header = replace(self._header, newest=0, scale=self._scale)
        self._put(0, bytes(RING_BYTES))
        self._put(0, self._header.pack())

    def _forget_windows(self) -> None:
        """Drop the raw windows, because the scale that comes makes other voltages of their codes."""
        self._put(WINDOWS_AT, bytes(WINDOWS * WINDOW.size))

    def end(self) -> None:
        """Write down that this run ends as it should."""
        self._put(_RUNNING_AT, b"\0")

    def _keep_state(self, number: int, before: MachineState, settings: MachineSettings) -> None:
        """Keep what tick `number` begins with, so that the ticks from there on can be taken again."""
        drawn = to_plain(replace(before, journal=_NO_JOURNAL))
        content = {"number": number, "life": self._life, "state": drawn, "settings": to_plain(settings)}
        slot = keyframe_slot(number, json.dumps(content, separators=(",", ":")).encode())
        self._put(KEYFRAMES_AT + (number // KEYFRAME_EVERY) % KEYFRAMES * KEYFRAME_BYTES, slot)
        self._keyframe_due = False
        self._settings = settings

    def _put(self, at: int, content: bytes) -> None:
        try:
            self._write(at, content)
        except OSError:
            self.lost += 1


def _header(ring: bytes) -> RingHeader | None:
    try:
        return header_of(ring)
    except RingError:
        return None
