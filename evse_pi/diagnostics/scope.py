"""The pilot as the converter saw it: one window, its plateaus, and what the bands of the standard make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.diagnosis import Band, Diode, Scope
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
from evse_pi.core.states import PilotMode, PilotState
from evse_pi.recorder.ring import RingError
from hal.units import Millivolts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evse_pi.recorder.frame import Frame
    from evse_pi.recorder.ring import RawWindow, RingHeader

TOP_MV = 14_000
PLOT_TOP_MV, ROW_MV, PLOT_ROWS = 13_500, 1_500, 19
LABEL = 7
NOMINAL_MV = {"A": 12_000, "B": 9_000, "C": 6_000, "D": 3_000, "E": 0, "F": -12_000}
VEHICLE_STATES = (PilotState.B, PilotState.C, PilotState.D)
BANDS = (
    Band(PilotState.A, Millivolts(A_FROM_MV), Millivolts(TOP_MV)),
    Band(PilotState.B, Millivolts(B_FROM_MV), Millivolts(B_BELOW_MV)),
    Band(PilotState.C, Millivolts(C_FROM_MV), Millivolts(C_BELOW_MV)),
    Band(PilotState.D, Millivolts(SHORT_LIMIT_MV), Millivolts(D_BELOW_MV)),
    Band(PilotState.E, Millivolts(-SHORT_LIMIT_MV), Millivolts(SHORT_LIMIT_MV)),
)
"""Where the positive half of each state lies at the box. Source: IEC 61851-1 Table A.4, see evse_pi.core.pilot."""


def scope_view(frames: Sequence[Frame], windows: Sequence[RawWindow], header: RingHeader) -> Scope:
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
    return Scope(
        at_ns=window.started_ns,
        span_us=(window.ended_ns - window.started_ns) // 1000,
        samples_mv=tuple(header.scale.millivolts(code) for code in window.codes),
        spacing_us=(window.ended_ns - window.started_ns) // 1000 // max(count, 1),
        high_mv=pilot.high_mv,
        low_mv=pilot.low_mv,
        positive_mv=pilot.supply.positive_after_mv if pilot.supply else None,
        negative_mv=pilot.supply.negative_mv if pilot.supply else None,
        spread_mv=pilot.spread_mv,
        high_ppm=pilot.high_ppm,
        driven=driven.pilot_mode,
        driven_ppm=driven.duty_ppm if driven.pilot_mode is PilotMode.PWM else None,
        state=frame.outcome.pilot_state,
        evse_state=frame.outcome.evse_state,
        band=band_of(pilot.high_mv),
        bands=BANDS,
        diode=diode(pilot.low_mv, driven.pilot_mode, frame.outcome.pilot_state),
        faults=frame.outcome.faults,
    )


def band_of(high_mv: int | None) -> PilotState | None:
    """Return the state in whose band the positive half lies, None between two."""
    if high_mv is None:
        return None
    return next((band.state for band in BANDS if band.from_mv <= high_mv < band.to_mv), None)


def diode(low_mv: int | None, mode: PilotMode, state: PilotState) -> Diode:
    """Return what one window says of the vehicle's diode."""
    if mode is not PilotMode.PWM or state not in VEHICLE_STATES:
        return Diode.NO_OSCILLATION
    if low_mv is None:
        return Diode.TOO_FEW_SAMPLES
    return Diode.PRESENT if low_mv <= DIODE_LIMIT_MV else Diode.MISSING


def plot(view: Scope, width: int = 80) -> list[str]:
    """Return the samples in their order as lines of plain characters, 1.5 V each, with the bands at the left."""
    columns = width - LABEL
    rows = [[" "] * columns for _ in range(PLOT_ROWS)]
    rows[_row_of(0)] = list("-" * columns)
    samples = view.samples_mv
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
