"""The pilot as the converter saw it: one window, its plateaus, and what the bands of the standard make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evse_pi.core.pilot import (
    A_FROM_MV,
    B_BELOW_MV,
    B_FROM_MV,
    C_BELOW_MV,
    C_FROM_MV,
    D_BELOW_MV,
    DIODE_LIMIT_MV,
    SHORT_LIMIT_MV,
)
from evse_pi.core.states import PilotMode
from evse_pi.recorder.ring import RingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evse_pi.recorder.frame import Frame
    from evse_pi.recorder.ring import RawWindow, RingHeader

TOP_MV = 14_000
PLOT_TOP_MV, ROW_MV, PLOT_ROWS = 13_500, 1_500, 19
LABEL = 7
NOMINAL_MV = {"A": 12_000, "B": 9_000, "C": 6_000, "D": 3_000, "E": 0, "F": -12_000}
BANDS = (
    ("A", A_FROM_MV, TOP_MV),
    ("B", B_FROM_MV, B_BELOW_MV),
    ("C", C_FROM_MV, C_BELOW_MV),
    ("D", SHORT_LIMIT_MV, D_BELOW_MV),
    ("E", -SHORT_LIMIT_MV, SHORT_LIMIT_MV),
)
"""Where the positive half of each state lies at the box. Source: IEC 61851-1 Table A.4, see evse_pi.core.pilot."""


def scope_view(frames: Sequence[Frame], windows: Sequence[RawWindow], header: RingHeader) -> dict[str, Any]:
    """Return the newest window that belongs to a known tick, in mV, with what that tick made of it.

    Raises: RingError when there is none.
    """
    ticks = {frame.number: frame for frame in frames}
    for window in reversed(windows):
        frame, before = ticks.get(window.number), ticks.get(window.number - 1)
        if frame is not None and frame.inputs.pilot is not None:
            break
    else:
        raise RingError("no window of the pilot has been read in the last half second")
    pilot = frame.inputs.pilot
    driven = before.outcome if before else frame.outcome
    count = len(window.codes)
    return {
        "at_ns": window.started_ns,
        "span_us": (window.ended_ns - window.started_ns) // 1000,
        "samples_mv": [header.scale.millivolts(code) for code in window.codes],
        "spacing_us": (window.ended_ns - window.started_ns) // 1000 // max(count, 1),
        "high_mv": pilot.high_mv,
        "low_mv": pilot.low_mv,
        "spread_mv": pilot.spread_mv,
        "high_ppm": pilot.high_ppm,
        "driven": driven.pilot_mode.value,
        "driven_ppm": driven.duty_ppm if driven.pilot_mode is PilotMode.PWM else None,
        "state": frame.outcome.pilot_state.name,
        "evse_state": frame.outcome.evse_state.name,
        "band": band_of(pilot.high_mv),
        "bands": [{"state": name, "from_mv": lowest, "to_mv": highest} for name, lowest, highest in BANDS],
        "diode": diode(pilot.low_mv, driven.pilot_mode, frame.outcome.pilot_state.name),
        "faults": sorted(fault.name for fault in frame.outcome.faults),
    }


def band_of(high_mv: int | None) -> str | None:
    """Return the state in whose band the positive half lies, None between two."""
    if high_mv is None:
        return None
    return next((name for name, lowest, highest in BANDS if lowest <= high_mv < highest), None)


def diode(low_mv: int | None, mode: PilotMode, state: str) -> str:
    """Return what one window says of the vehicle's diode."""
    if mode is not PilotMode.PWM or state not in ("B", "C", "D"):
        return "not to be seen: it takes an oscillating pilot and a vehicle"
    if low_mv is None:
        return "not to be seen: too few samples of the negative half"
    return "present" if low_mv <= DIODE_LIMIT_MV else "missing"


def plot(view: dict[str, Any], width: int = 80) -> list[str]:
    """Return the samples in their order as lines of plain characters, 1.5 V each, with the bands at the left."""
    columns = width - LABEL
    rows = [[" "] * columns for _ in range(PLOT_ROWS)]
    rows[_row_of(0)] = list("-" * columns)
    samples = view["samples_mv"]
    for column in range(columns):
        first = column * len(samples) // columns
        last = max((column + 1) * len(samples) // columns, first + 1)
        for millivolts in samples[first:last]:
            rows[_row_of(millivolts)][column] = "*"
    names = {_row_of(nominal_mv): name for name, nominal_mv in NOMINAL_MV.items()}
    told = []
    for index, row in enumerate(rows):
        level = PLOT_TOP_MV - index * ROW_MV
        label = f"{level // 1000:>4}" if level % 3_000 == 0 else "    "
        told.append(f"{label} {names.get(index, ' ')}|{''.join(row)}".rstrip())
    return told


def _row_of(millivolts: int) -> int:
    return min(max(round((PLOT_TOP_MV - millivolts) / ROW_MV), 0), PLOT_ROWS - 1)
