"""One recording: the seconds round a fault as a small file, and back.

gzip, JSON, one value a line: what it is about, the machine's state at its beginning, the ticks as columns, the last raw
windows. It holds readings of the box and nothing of its owner.
"""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evse_pi.core.records import METER_AT, VERSIONS
from evse_pi.recorder.frame import COLUMNS, Frame, FrameError, frame_of
from evse_pi.recorder.keyframe import KeyframeError, from_plain
from evse_pi.recorder.ring import RawWindow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from evse_pi.core.machine import MachineState
    from evse_pi.core.machine_settings import MachineSettings
    from evse_pi.recorder.ring import RingContents

FORMAT = 1
MAX_BYTES = 4 << 20  # a whole ring is below 1 MiB
WINDOWS_KEPT = 48
_FORMER_COLUMNS = {"contactor_closed": "close_ordered"}
"""Columns of recordings that version 0.1.0 made, and what they are called now."""
_LATER_COLUMNS = {
    *("load_phases", "load1_before_mv", "load2_before_mv", "load3_before_mv", "load1_after_mv", "load2_after_mv"),
    *("load3_after_mv", "weld_output_closed", "weld_output", "coil_node_mv", "coil_read_ns", "coil_fed_ns"),
}
"""Columns that recordings of an earlier version lack: such a box had nothing to fill them with, and 0 says so."""


_FORMER_DEMAND, _DEMAND_KIND = 4, 1
_FORMER_PHASES, _INSTANT_BYTES = b"\3\3", 8


class RecordingError(ValueError):
    """This file is no recording that this version can read."""


@dataclass(frozen=True, slots=True)
class Recording:
    """`about` says what, when and where; the ticks are consecutive from the one that `keyframe` begins with."""

    about: Mapping[str, Any]
    keyframe: Mapping[str, Any]
    frames: list[list[Any]]
    windows: list[RawWindow] = field(default_factory=list)

    def state(self) -> MachineState:
        """Return the machine's state before the first tick. Raises: RecordingError."""
        return self._restored("state")  # type: ignore[no-any-return]

    def settings(self) -> MachineSettings:
        """Return the settings of the first tick. Raises: RecordingError."""
        return self._restored("settings")  # type: ignore[no-any-return]

    def ticks(self) -> list[Frame]:
        """Return the ticks. Raises: RecordingError."""
        try:
            return [frame_of(values) for values in self.frames]
        except FrameError as error:
            raise RecordingError(str(error)) from error

    def _restored(self, name: str) -> Any:
        try:
            return from_plain(self.keyframe[name])
        except (KeyError, KeyframeError) as error:
            raise RecordingError(f"{name}: {error}; it was recorded by another version") from error


def recording_of(contents: RingContents, about: Mapping[str, Any], at_ns: int | None = None) -> Recording:
    """Return what is known round `at_ns`, or now, in the run of the safety process that it belongs to.

    Raises: RecordingError when nothing is known of that time.
    """
    frames = contents.frames
    if at_ns is not None:
        frames = [values for values in frames if values[2] <= at_ns] or frames
    if not frames:
        raise RecordingError("the black box is empty")
    life = frames[-1][1]
    frames = [values for values in contents.frames if values[1] == life]
    whole = [values for place, values in enumerate(frames) if values[0] - frames[-1][0] == place - len(frames) + 1]
    numbers = {values[0] for values in whole}
    keyframe = next((each for each in contents.keyframes if each["life"] == life and each["number"] in numbers), None)
    if keyframe is None:
        raise RecordingError("the black box has no beginning to replay from yet")
    kept = [values for values in whole if values[0] >= keyframe["number"]]
    windows = [window for window in contents.windows if kept[0][0] <= window.number <= kept[-1][0]]
    header = contents.header
    scale = {"gain_uv_per_code": header.scale.gain_uv_per_code, "offset_mv": header.scale.offset_mv}
    run = header.safety_run_id
    known = {"format": FORMAT, "columns": COLUMNS, "safety_run_id": run, "at_ns": at_ns, "scale": scale, **about}
    return Recording(known, keyframe, kept, windows[-WINDOWS_KEPT:])


def encoded(recording: Recording) -> bytes:
    """Return the content of a recording's file; the same recording gives the same bytes."""
    windows = [[window.number, window.started_ns, window.ended_ns, *window.codes] for window in recording.windows]
    parts: list[Any] = [
        recording.about,
        recording.keyframe,
        *([*values[:-1], values[-1].hex()] for values in recording.frames),
        {"windows": windows},
    ]
    lines = "".join(json.dumps(part, separators=(",", ":")) + "\n" for part in parts)
    return gzip.compress(lines.encode(), mtime=0)


def load(path: Path) -> Recording:
    """Return the recording in `path`. Raises: RecordingError, OSError."""
    try:
        with gzip.open(io.BytesIO(path.read_bytes())) as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise RecordingError(f"{path}: more than {MAX_BYTES} bytes")
        about, keyframe, *frames, last = [json.loads(line) for line in content.splitlines()]
        known = [_FORMER_COLUMNS.get(name, name) for name in about["columns"]]
        about["columns"] = COLUMNS
        if about["format"] != FORMAT or known not in (COLUMNS, _earlier(known)):
            raise RecordingError(f"{path}: recorded by another version; this one reads format {FORMAT}")
        windows = [RawWindow(each[0], each[1], each[2], tuple(each[3:])) for each in last["windows"]]
        whole = [_renewed(_widened([*values[:-1], bytes.fromhex(values[-1])], known)) for values in frames]
        return Recording(about, keyframe, whole, windows)
    except (gzip.BadGzipFile, EOFError, ValueError, KeyError, TypeError, IndexError) as error:
        if isinstance(error, RecordingError):
            raise
        raise RecordingError(f"{path}: no recording of a box: {error}") from error


def _earlier(known: list[str]) -> list[str]:
    """Return the columns of this version without those that came later than a recording with the columns `known`."""
    return [name for name in COLUMNS if name in known or name not in _LATER_COLUMNS]


def _widened(values: list[Any], known: list[str]) -> list[Any]:
    """Return a tick's values with a 0 for each column that its recording lacks. Raises: IndexError."""
    if len(known) == len(COLUMNS):
        return values
    row = dict(zip(known, values, strict=True))
    return [row.get(name, 0) for name in COLUMNS]


def _renewed(values: list[Any]) -> list[Any]:
    """Return a tick's values with a demand of version 0.1.0, whose meter had three phases, in the form of this one."""
    size, demand = values[-2], values[-1]
    if size <= METER_AT or demand[2] != _FORMER_DEMAND:
        return values
    measured = _FORMER_PHASES if demand[METER_AT] else b""
    at = METER_AT + 1 + (_INSTANT_BYTES if measured else 0)
    size += len(measured)
    head = demand[:2] + bytes((VERSIONS[_DEMAND_KIND], _DEMAND_KIND)) + size.to_bytes(2, "little")
    return [*values[:-2], size, head + demand[len(head) : at] + measured + demand[at:]]
