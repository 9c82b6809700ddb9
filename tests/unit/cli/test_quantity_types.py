"""A current or voltage is a number with its unit, and nothing else."""

from __future__ import annotations

import click
import pytest

from evse_pi.api.texts.quantities import amps, exact_amps
from evse_pi.cli.quantity_types import AMPERES, LIMIT, VOLTS


@pytest.mark.parametrize(
    ("text", "expected"),
    [("16A", 16_000), ("6.5 A", 6_500), ("6500mA", 6_500), ("32a", 32_000), ("0.001A", 1), ("7000MA", 7_000)],
)
def test_a_current_is_read_with_its_unit(text: str, expected: int) -> None:
    assert AMPERES.convert(text, None, None) == expected
    assert LIMIT.convert(text, None, None) == expected


@pytest.mark.parametrize(
    "text", ["16", "A", "16 W", "-6A", "1e3A", "6.5mA", "sixteen amps", "16.0001A", "1.2.3A", "٣A", "²A", "", "nanA"]
)
def test_a_current_without_a_unit_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(click.UsageError, match="unit"):
        AMPERES.convert(text, None, None)


def test_only_a_limit_may_be_none() -> None:
    assert LIMIT.convert("None", None, None) == "none"
    with pytest.raises(click.UsageError, match="unit"):
        AMPERES.convert("none", None, None)


def test_a_voltage_may_be_negative() -> None:
    assert VOLTS.convert("-11.93V", None, None) == -11_930
    assert VOLTS.convert("230 v", None, None) == 230_000


def test_what_is_shown_can_be_typed() -> None:
    for current_ma in (6_000, 6_500, 12_350, 13_001, 32_000):
        assert AMPERES.convert(exact_amps(current_ma), None, None) == current_ma
    assert exact_amps(16_000) == amps(16_000) == "16.0 A"
