from __future__ import annotations

import pytest

from evse_pi.core.cable_coding import Cable, cable_for
from hal.units import Ohms


# Lowest, nominal and highest coding resistor of each rating.
@pytest.mark.parametrize(
    ("ohms", "rating_ma"),
    [
        *((value, 63_000) for value in (80, 100, 140)),
        *((value, 32_000) for value in (164, 220, 308)),
        *((value, 20_000) for value in (400, 680, 936)),
        *((value, 13_000) for value in (1_100, 1_500, 2_460)),
    ],
)
def test_a_coding_resistor_is_a_rating(ohms: int, rating_ma: int) -> None:
    assert cable_for(Ohms(ohms)).rating_ma == rating_ma


@pytest.mark.parametrize(
    ("ohms", "rating_ma"), [(60, 63_000), (141, 32_000), (309, 20_000), (937, 13_000), (4_500, 13_000)]
)
def test_between_two_codes_it_is_the_lower_rating(ohms: int, rating_ma: int) -> None:
    assert cable_for(Ohms(ohms)).rating_ma == rating_ma


@pytest.mark.parametrize("ohms", [-1, 0, 59, 4_501, 1_000_000])
def test_a_resistance_that_codes_nothing_is_invalid_and_carries_nothing(ohms: int) -> None:
    assert cable_for(Ohms(ohms)) is Cable.INVALID
    assert cable_for(Ohms(ohms)).rating_ma == 0


def test_nothing_plugged_in_is_no_cable() -> None:
    assert cable_for(None) is Cable.NONE
    assert Cable.NONE.rating_ma == 0
