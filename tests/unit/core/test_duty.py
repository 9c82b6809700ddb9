from __future__ import annotations

import pytest

from evse_pi.core.duty import current_for, duty_for
from hal.units import DutyPpm, Milliamps


@pytest.mark.parametrize(
    ("current_ma", "ppm"),
    [
        (6_000, 100_000),
        (10_000, 166_666),
        (16_000, 266_666),
        (32_000, 533_333),
        (51_000, 850_000),
        (51_001, 850_000),
        (52_499, 850_000),
        (52_500, 850_000),
        (52_501, 850_004),
        (63_000, 892_000),
        (80_000, 960_000),
    ],
)
def test_duty_of_a_current(current_ma: int, ppm: int) -> None:
    assert duty_for(Milliamps(current_ma)) == ppm


@pytest.mark.parametrize("current_ma", [-1, 0, 5_999, 80_001])
def test_a_current_outside_6_to_80_a_is_not_offerable(current_ma: int) -> None:
    with pytest.raises(ValueError, match=f"current_ma {current_ma}: .* 6000 to 80000 mA"):
        duty_for(Milliamps(current_ma))


# Limits as a vehicle reads them: 3 to 7 % is digital communication, 8 to 10 % is 6 A, 96 to 97 % is 80 A.
@pytest.mark.parametrize(
    ("ppm", "current_ma"),
    [
        (0, 0),
        (50_000, 0),
        (79_999, 0),
        (80_000, 6_000),
        (99_999, 6_000),
        (100_000, 6_000),
        (500_000, 30_000),
        (850_000, 51_000),
        (850_004, 52_501),
        (892_000, 63_000),
        (960_000, 80_000),
        (970_000, 80_000),
        (970_001, 0),
        (1_000_000, 0),
    ],
)
def test_current_that_a_vehicle_reads(ppm: int, current_ma: int) -> None:
    assert current_for(DutyPpm(ppm)) == current_ma


def test_63_a_is_not_cut_by_integer_arithmetic() -> None:
    assert current_for(duty_for(Milliamps(63_000))) == 63_000


def test_steps_of_a_tenth_of_an_ampere_survive() -> None:
    lower = [duty_for(Milliamps(value)) for value in range(6_000, 51_001, 100)]
    upper = [duty_for(Milliamps(value)) for value in range(52_600, 80_001, 100)]
    assert len(set(lower)) == len(lower)
    assert len(set(upper)) == len(upper)
