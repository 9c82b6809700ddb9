"""From plateaus measured at known voltages to the scale of the pilot's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.api.texts.catalogue import tr
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
        Reference("open", 12_000, 11_400, 12_600, tr("unplug everything")),
        Reference("9V", 9_000, 8_200, 9_800, tr("plug in a test adapter in state B (2.74 kOhm)")),
        Reference("6V", 6_000, 5_300, 6_700, tr("set the test adapter to state C (882 Ohm)")),
        Reference("3V", 3_000, 2_300, 3_700, tr("set the test adapter to state D (246 Ohm)")),
        Reference("-12V", -12_000, -12_600, -11_400, tr("leave it; the box shows -12 V by itself")),
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
            tr("{name}: {true_mv} mV is not allowed; a healthy circuit shows {lowest_mv} to {highest_mv} mV").format(
                name=name, true_mv=true_mv, lowest_mv=reference.lowest_mv, highest_mv=reference.highest_mv
            )
        )
    scatter_mv = max(read_mv) - min(read_mv)
    if scatter_mv > MAX_SCATTER_MV:
        raise CalibrationError(
            tr(
                "{name}: the readings scatter by {scatter_mv} mV ({min} to {max} mV); at most {max_scatter_mv} mV"
            ).format(
                name=name, scatter_mv=scatter_mv, min=min(read_mv), max=max(read_mv), max_scatter_mv=MAX_SCATTER_MV
            )
        )
    return Point(name, true_mv, tuple(scale.code(each) for each in read_mv))


def fit(points: Mapping[str, Point], board: BoardSpec) -> Result:
    """Return the straight line nearest to `points`, in the integers that are stored.

    Raises: CalibrationError when points are missing, do not lie on a line, or the line cannot be this board's.
    """
    missing = [name for name in REQUIRED if name not in points]
    if missing:
        raise CalibrationError(
            tr("not measured yet: {names}; run: evse-pi calibrate measure {missing}").format(
                names=", ".join(missing), missing=missing[0]
            )
        )
    count = len(points)
    mean_code = sum(each.code for each in points.values()) / count
    mean_mv = sum(each.true_mv for each in points.values()) / count
    spread = sum((each.code - mean_code) ** 2 for each in points.values())
    if spread == 0:
        raise CalibrationError(
            tr("every reference reads the same code {mean_code:.0f}; the input is stuck").format(mean_code=mean_code)
        )
    slope = sum((each.code - mean_code) * (each.true_mv - mean_mv) for each in points.values()) / spread
    gain = round(slope * 1000)
    if gain == 0:
        raise CalibrationError(tr("the readings do not follow the references; check the wiring"))
    scale = LinearScale(gain, Millivolts(round(mean_mv - mean_code * gain / 1000)))
    return _judged(scale, points, board)


def _judged(scale: LinearScale, points: Mapping[str, Point], board: BoardSpec) -> Result:
    """Return a line with how far it misses each point. Raises: CalibrationError where it cannot be this board's."""
    residuals = {each.reference: scale.millivolts(round(each.code)) - each.true_mv for each in points.values()}
    worst = max(residuals, key=lambda name: abs(residuals[name]))
    if abs(residuals[worst]) > MAX_RESIDUAL_MV:
        raise CalibrationError(
            tr("{worst}: misses the line by {residuals} mV, at most {max_residual_mv} mV; measure it again").format(
                worst=worst, residuals=residuals[worst], max_residual_mv=MAX_RESIDUAL_MV
            )
        )
    problem = scale_problem(scale, board)
    if problem:
        raise CalibrationError(
            tr("gain {gain_uv_per_code} uV/code, offset {offset_mv} mV: {problem}").format(
                gain_uv_per_code=scale.gain_uv_per_code, offset_mv=scale.offset_mv, problem=problem
            )
        )
    return Result(scale, residuals)
