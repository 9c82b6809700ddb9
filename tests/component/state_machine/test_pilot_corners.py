"""The corner resistors of the bands of B and C, disturbed to the limits, never read as another state."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from evse_pi.core.pilot import DiodeVerdict


def _bench() -> Any:
    path = Path(__file__).parents[3] / "bench" / "pilot_corners.py"
    spec = importlib.util.spec_from_file_location("pilot_corners", path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pilot_corners"] = module
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(module)
    return module


bench = _bench()
CASES = (*bench.CORNER_CASES, *bench.D_CASES, *bench.A_CASES)


@pytest.mark.hazard("H-02")
@pytest.mark.parametrize("corner", CASES, ids=[corner.name for corner in CASES])
def test_no_window_of_a_corner_resistor_reads_as_another_state(corner: Any) -> None:
    tally = bench.judge(corner, 2_000, seed=1)
    assert tally.wrong == 0
    assert tally.invalid < tally.windows // 10


@pytest.mark.parametrize("corner", bench.CORNER_CASES, ids=[corner.name for corner in bench.CORNER_CASES])
@pytest.mark.parametrize(("diode_v", "never"), [(0.7, DiodeVerdict.MISSING), (None, DiodeVerdict.OK)])
def test_the_diode_is_never_judged_wrong(corner: Any, diode_v: float | None, never: DiodeVerdict) -> None:
    verdicts = bench.judge_diode(corner, 1_500, 1, diode_v)
    assert verdicts[never] == 0
    assert verdicts[DiodeVerdict.UNKNOWN] < 1_000


@pytest.mark.nightly
@pytest.mark.parametrize("corner", bench.CORNER_CASES, ids=[corner.name for corner in bench.CORNER_CASES])
def test_no_window_of_100_000_reads_as_another_state(corner: Any) -> None:
    assert bench.judge(corner, 100_000, seed=2).wrong == 0
