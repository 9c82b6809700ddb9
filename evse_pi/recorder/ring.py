"""The black box in memory: the last 15 s of ticks, the last raw windows, the machine's state now and then.

    header | frames | windows | keyframes | histograms

One process writes, any may read, none waits: each slot carries a number and a checksum, and a slot that is caught
half written counts as absent.
"""

from __future__ import annotations

import json
import struct
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from zlib import crc32

from evse_pi.core.board_ratings import OPEN_WITHIN_NS
from evse_pi.recorder.frame import FRAME_BYTES, values_of
from evse_pi.recorder.histogram import BINS, Histogram
from hal.linear_scale import LinearScale
from hal.units import Millivolts

if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC = b"EVSEBOX1"
VERSION = 4
HEADER = struct.Struct("<8sIIIBBQQqiiqq")
HEADER_BYTES = 128
FRAMES = 1_536  # 15.4 s
WINDOWS = 64  # 0.64 s, 0.4 s of which lead to the fault
WINDOW_CODES = 128
WINDOW = struct.Struct(f"<IIqq{WINDOW_CODES}HI")
KEYFRAMES = 16
KEYFRAME_EVERY = 128  # ticks
KEYFRAME = struct.Struct("<III")
KEYFRAME_BYTES = 12_288
HISTOGRAMS = ("lateness", "window", "reaction")
COUNTER_BYTES = array("L").itemsize
HISTOGRAM = struct.Struct("<q")
HISTOGRAM_BYTES = HISTOGRAM.size + BINS * COUNTER_BYTES

FRAMES_AT = HEADER_BYTES
WINDOWS_AT = FRAMES_AT + FRAMES * FRAME_BYTES
KEYFRAMES_AT = WINDOWS_AT + WINDOWS * WINDOW.size
HISTOGRAMS_AT = KEYFRAMES_AT + KEYFRAMES * KEYFRAME_BYTES
RING_BYTES = HISTOGRAMS_AT + len(HISTOGRAMS) * HISTOGRAM_BYTES


class RingError(ValueError):
    """These bytes are no ring of this version."""


@dataclass(frozen=True, slots=True)
class RingHeader:
    """Who writes. `life` counts the starts since the memory was made, `unclean` those lives that ended without a word.

    Units: instants in ns of CLOCK_MONOTONIC; `budget_ns` is what is left of `within_ns` for a reaction.
    """

    life: int
    unclean: int
    running: bool
    safety_run_id: int
    newest: int
    started_ns: int
    scale: LinearScale
    budget_ns: int
    within_ns: int

    def pack(self) -> bytes:
        """Return the bytes at the front of a ring."""
        return HEADER.pack(
            MAGIC, VERSION, self.life, self.unclean, self.running, COUNTER_BYTES, self.safety_run_id, self.newest,
            self.started_ns, self.scale.gain_uv_per_code, self.scale.offset_mv, self.budget_ns, self.within_ns,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RawWindow:
    """The codes of the window that tick `number` judged."""

    number: int
    started_ns: int
    ended_ns: int
    codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RingContents:
    """What a ring held when it was read: ticks as their columns and everything by its number, oldest first."""

    header: RingHeader
    frames: list[list[Any]] = field(default_factory=list)
    windows: list[RawWindow] = field(default_factory=list)
    keyframes: list[dict[str, Any]] = field(default_factory=list)
    histograms: dict[str, Histogram] = field(default_factory=dict)


def header_of(ring: bytes | memoryview) -> RingHeader:
    """Return who writes. Raises: RingError."""
    if len(ring) < RING_BYTES:
        raise RingError(f"{len(ring)} bytes: a ring has {RING_BYTES}")
    magic, version, life, unclean, running, size, safety_run_id, newest, started_ns, gain, offset, budget, within = (
        HEADER.unpack_from(ring)
    )
    if (magic, version) != (MAGIC, VERSION) or size != COUNTER_BYTES:
        raise RingError(f"magic {magic!r} version {version}: {MAGIC!r} and {VERSION}")
    scale = LinearScale(gain, Millivolts(offset))
    within_ns = within or OPEN_WITHIN_NS  # left out by a process of an earlier release, which may still run
    return RingHeader(life, unclean, bool(running), safety_run_id, newest, started_ns, scale, budget, within_ns)


def contents_of(ring: bytes | memoryview) -> RingContents:
    """Return everything that is whole in `ring`, a copy of one. Raises: RingError."""
    view = memoryview(ring)
    frames = [
        values
        for index in range(FRAMES)
        if (values := values_of(view[FRAMES_AT + index * FRAME_BYTES :][:FRAME_BYTES])) is not None
    ]
    return RingContents(
        header=header_of(view),
        frames=sorted(frames, key=lambda values: int(values[0])),
        windows=sorted(windows_of(view), key=lambda window: window.number),
        keyframes=sorted(_keyframes(view), key=lambda keyframe: int(keyframe["number"])),
        histograms=histograms_of(view),
    )


def newest_frames(ring: memoryview, count: int) -> list[list[Any]]:
    """Return the columns of the last `count` ticks, oldest first. Raises: RingError."""
    newest = header_of(ring).newest
    found = []
    for number in range(max(newest - count, 0) + 1, newest + 1):
        values = values_of(ring[FRAMES_AT + number % FRAMES * FRAME_BYTES :][:FRAME_BYTES])
        if values is not None and values[0] == number:
            found.append(values)
    return found


def windows_of(ring: memoryview) -> list[RawWindow]:
    """Return the windows that are whole."""
    found = []
    for index in range(WINDOWS):
        slot = ring[WINDOWS_AT + index * WINDOW.size :][: WINDOW.size]
        number, count, started_ns, ended_ns, *codes, check = WINDOW.unpack(slot)
        if number and count <= WINDOW_CODES and check == crc32(slot[:-4]):
            found.append(RawWindow(number, started_ns, ended_ns, tuple(codes[:count])))
    return found


def histograms_of(ring: memoryview) -> dict[str, Histogram]:
    """Return the histograms by name."""
    found = {}
    for index, name in enumerate(HISTOGRAMS):
        slot = bytes(ring[HISTOGRAMS_AT + index * HISTOGRAM_BYTES :][:HISTOGRAM_BYTES])
        (largest_ns,) = HISTOGRAM.unpack_from(slot)
        found[name] = Histogram.of(array("L", slot[HISTOGRAM.size :]), largest_ns)
    return found


def window_slot(number: int, started_ns: int, ended_ns: int, codes: Sequence[int]) -> bytes:
    """Return the bytes of one window; of a longer one than fits, the first codes."""
    kept = list(codes[:WINDOW_CODES])
    body = WINDOW.pack(number, len(kept), started_ns, ended_ns, *kept, *(0,) * (WINDOW_CODES - len(kept)), 0)[:-4]
    return body + crc32(body).to_bytes(4, "little")


def keyframe_slot(number: int, content: bytes) -> bytes:
    """Return the bytes of one keyframe. Raises: ValueError when it is too long."""
    if len(content) > KEYFRAME_BYTES - KEYFRAME.size:
        raise ValueError(f"{len(content)} bytes: a keyframe has at most {KEYFRAME_BYTES - KEYFRAME.size}")
    return KEYFRAME.pack(number, len(content), crc32(content)) + content


def _keyframes(ring: memoryview) -> list[dict[str, Any]]:
    found = []
    for index in range(KEYFRAMES):
        slot = ring[KEYFRAMES_AT + index * KEYFRAME_BYTES :][:KEYFRAME_BYTES]
        number, length, check = KEYFRAME.unpack_from(slot)
        content = bytes(slot[KEYFRAME.size :][:length])
        if number and check == crc32(content):
            found.append(json.loads(content))
    return found
