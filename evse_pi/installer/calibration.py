"""From plateaus measured at known voltages to the scale of the pilot's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.installation.files import scale_problem
from hal.linear_scale import LinearScale
from hal.units import Millivolts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from boards.spec import BoardSpec


class CalibrationError(ValueError):
    """What was measured cannot be right; the text says what, with numbers."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A voltage that is put on the pilot. `lowest_mv` to `highest_mv` is what a healthy circuit makes of it.

    Source: IEC 61851-1 Annex A, tables A.2 and A.3 with their tolerances.
    """

    name: str
    nominal_mv: int
    lowest_mv: int
    highest_mv: int
    told: str


REFERENCES = {
    reference.name: reference
    for reference in (
        Reference("open", 12_000, 11_400, 12_600, "unplug everything"),
        Reference("9V", 9_000, 8_200, 9_800, "plug in a test adapter in state B (2.74 kOhm)"),
        Reference("6V", 6_000, 5_300, 6_700, "set the test adapter to state C (882 Ohm)"),
        Reference("3V", 3_000, 2_300, 3_700, "set the test adapter to state D (246 Ohm)"),
        Reference("-12V", -12_000, -12_600, -11_400, "leave it; the box shows -12 V by itself"),
    )
}
REQUIRED = ("open", "6V", "-12V")
"""Both ends of the line and the state that the contactor closes in; 9V and 3V make the result better."""
MAX_RESIDUAL_MV = 120
MAX_SCATTER_MV = 80


@dataclass(frozen=True, slots=True)
class Point:
    """One reference: its true voltage, and what was read with which scale."""

    reference: str
    true_mv: int
    codes: tuple[int, ...]

    @property
    def code(self) -> float:
        """The mean of the readings."""
        return sum(self.codes) / len(self.codes)


@dataclass(frozen=True, slots=True)
class Result:
    """A scale and how far it misses each point, in mV."""

    scale: LinearScale
    residuals_mv: Mapping[str, int]


def point(name: str, true_mv: int, read_mv: Sequence[int], scale: LinearScale) -> Point:
    """Return what was measured at a reference while `scale` was in use. Raises: CalibrationError."""
    reference = REFERENCES[name]
    if not reference.lowest_mv <= true_mv <= reference.highest_mv:
        raise CalibrationError(
            f"{name}: {true_mv} mV is not allowed; a healthy circuit shows {reference.lowest_mv} to "
            f"{reference.highest_mv} mV"
        )
    scatter_mv = max(read_mv) - min(read_mv)
    if scatter_mv > MAX_SCATTER_MV:
        raise CalibrationError(
            f"{name}: the readings scatter by {scatter_mv} mV ({min(read_mv)} to {max(read_mv)} mV); "
            f"at most {MAX_SCATTER_MV} mV"
        )
    return Point(name, true_mv, tuple(scale.code(each) for each in read_mv))


def fit(points: Mapping[str, Point], board: BoardSpec) -> Result:
    """Return the straight line nearest to `points`, in the integers that are stored.

    Raises: CalibrationError when points are missing, do not lie on a line, or the line cannot be this board's.
    """
    missing = [name for name in REQUIRED if name not in points]
    if missing:
        raise CalibrationError(f"not measured yet: {', '.join(missing)}; run: evse-pi calibrate measure {missing[0]}")
    count = len(points)
    mean_code = sum(each.code for each in points.values()) / count
    mean_mv = sum(each.true_mv for each in points.values()) / count
    spread = sum((each.code - mean_code) ** 2 for each in points.values())
    if spread == 0:
        raise CalibrationError(f"every reference reads the same code {mean_code:.0f}; the input is stuck")
    slope = sum((each.code - mean_code) * (each.true_mv - mean_mv) for each in points.values()) / spread
    gain = round(slope * 1000)
    if gain == 0:
        raise CalibrationError("the readings do not follow the references; check the wiring")
    scale = LinearScale(gain, Millivolts(round(mean_mv - mean_code * gain / 1000)))
    residuals = {each.reference: scale.millivolts(round(each.code)) - each.true_mv for each in points.values()}
    worst = max(residuals, key=lambda name: abs(residuals[name]))
    if abs(residuals[worst]) > MAX_RESIDUAL_MV:
        raise CalibrationError(
            f"{worst}: misses the line by {residuals[worst]} mV, at most {MAX_RESIDUAL_MV} mV; measure it again"
        )
    problem = scale_problem(scale, board)
    if problem:
        raise CalibrationError(f"gain {scale.gain_uv_per_code} uV/code, offset {scale.offset_mv} mV: {problem}")
    return Result(scale, residuals)
