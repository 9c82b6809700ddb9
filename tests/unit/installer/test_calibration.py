"""A calibration is a straight line through what was measured, or it is refused with numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boards.loader import load_board
from evse_pi.installer.calibration import REFERENCES, CalibrationError, Point, fit, point
from hal.linear_scale import LinearScale
from hal.units import Millivolts

BOARD = load_board("simulated")
NOMINAL = BOARD.pilot_adc.scale


def measured(true: LinearScale, *names: str) -> dict[str, Point]:
    """Return what an input of scale `true` shows of exact references."""
    chosen = names or tuple(REFERENCES)
    return {
        name: Point(name, REFERENCES[name].nominal_mv, (true.code(REFERENCES[name].nominal_mv),)) for name in chosen
    }


@given(st.integers(7_100, 7_500), st.integers(-500, 500))
def test_what_is_fitted_reads_every_reference_right(gain: int, shift_mv: int) -> None:
    true = LinearScale(gain, Millivolts(round(-14_925 * gain / 7_312) + shift_mv))
    scale = fit(measured(true), BOARD).scale
    for reference in REFERENCES.values():
        assert abs(scale.millivolts(true.code(reference.nominal_mv)) - reference.nominal_mv) <= 10


def test_three_references_suffice_and_each_is_needed() -> None:
    assert fit(measured(NOMINAL, "open", "6V", "-12V"), BOARD).scale.gain_uv_per_code == pytest.approx(7_312, abs=8)
    for missing in ("open", "6V", "-12V"):
        names = [name for name in ("open", "6V", "-12V") if name != missing]
        with pytest.raises(CalibrationError, match=f"not measured yet: {missing}"):
            fit(measured(NOMINAL, *names), BOARD)


def test_a_reference_off_the_line_is_named_with_its_error() -> None:
    points = measured(NOMINAL)
    points["6V"] = Point("6V", 6_000, (NOMINAL.code(6_600),))
    with pytest.raises(CalibrationError, match=r"6V: misses the line by \d+ mV, at most 120 mV"):
        fit(points, BOARD)


def test_a_line_that_cannot_be_this_board_is_refused_with_numbers() -> None:
    with pytest.raises(CalibrationError, match=r"gain 8\d\d\d uV/code.*moves -?12000 mV by .* at most 1500 mV"):
        fit(measured(LinearScale(8_400, Millivolts(-17_150))), BOARD)


def test_a_stuck_input_is_no_scale() -> None:
    points = {name: Point(name, each.nominal_mv, (2_000,)) for name, each in REFERENCES.items()}
    with pytest.raises(CalibrationError, match="same code 2000; the input is stuck"):
        fit(points, BOARD)


@pytest.mark.parametrize(("name", "true_mv"), [("open", 10_000), ("6V", 9_000), ("-12V", 12_000), ("3V", 0)])
def test_a_voltage_that_no_healthy_circuit_has_is_refused(name: str, true_mv: int) -> None:
    with pytest.raises(CalibrationError, match=f"{name}: {true_mv} mV is not allowed"):
        point(name, true_mv, [0], NOMINAL)


def test_readings_that_scatter_are_refused() -> None:
    with pytest.raises(CalibrationError, match=r"scatter by 100 mV \(8950 to 9050 mV\); at most 80 mV"):
        point("9V", 9_000, [8_950, 9_050, 9_000], NOMINAL)
