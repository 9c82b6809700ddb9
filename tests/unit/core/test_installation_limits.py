"""The installer's entries: what is refused, and that the text says what would be allowed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evse_pi.core.installation_limits import Installation, InstallationError, parse_installation
from tests.support.ideal_box import PLAIN_BOARD

MINIMAL = {"circuit_capacity_ma": 16_000, "phases": 1, "country": "DE"}


def test_the_least_that_an_installer_must_say_gives_careful_defaults():
    assert parse_installation(MINIMAL, PLAIN_BOARD) == Installation(16_000, 1, "DE", 230_000, False, 0)


def test_every_entry_is_taken():
    values = {
        "circuit_capacity_ma": 32_000,
        "phases": 3,
        "country": "US",
        "nominal_voltage_mv": 240_000,
        "ventilated": True,
        "rcd_reclosures": 4,
    }
    assert parse_installation(values, PLAIN_BOARD) == Installation(32_000, 3, "US", 240_000, True, 4)


@pytest.mark.hazard("H-17")
@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("circuit_capacity_ma", 32_001, ("32001 mA", "6000 mA to 32000 mA")),
        ("circuit_capacity_ma", 5_999, ("5999 mA", "6000 mA to 32000 mA")),
        ("circuit_capacity_ma", 16.0, ("16.0", "int")),
        ("circuit_capacity_ma", True, ("True", "int")),
        ("circuit_capacity_ma", None, ("missing", "int")),
        ("phases", 4, ("4", "1 to 3")),
        ("phases", 0, ("0", "1 to 3")),
        ("country", "de", ("'de'", "ISO 3166-1")),
        ("country", "DEU", ("'DEU'", "ISO 3166-1")),
        ("country", "D1", ("'D1'", "ISO 3166-1")),
        ("country", "ÄÖ", ("'ÄÖ'", "ISO 3166-1")),
        ("nominal_voltage_mv", 230, ("230", "230000")),
        ("ventilated", 1, ("1", "bool")),
        ("meter_port", "{0}", ("'{0}'", "without a meter_model")),
        ("country", "{}", ("'{}'", "ISO 3166-1")),
        ("rcd_reclosures", 5, ("5", "0 to 4", "DE")),
        ("rcd_reclosures", -1, ("-1", "0 to 4")),
        ("circuit_capacity", 16_000, ("unknown", "circuit_capacity_ma")),
    ],
)
def test_an_entry_that_is_not_allowed_is_refused_by_name(key, value, words):
    with pytest.raises(InstallationError, match=key) as refusal:
        parse_installation({**MINIMAL, key: value}, PLAIN_BOARD)
    for word in words:
        assert word in str(refusal.value)


@pytest.mark.hazard("H-14")
@pytest.mark.parametrize("country", ["CH", "DK", "FR", "GB"])
def test_where_reclosing_is_forbidden_the_installer_cannot_allow_it(country):
    with pytest.raises(InstallationError, match=f"rcd_reclosures: 1 is not allowed in {country}; 0 to 0"):
        parse_installation({**MINIMAL, "country": country, "rcd_reclosures": 1}, PLAIN_BOARD)


def test_a_board_with_one_phase_takes_one():
    with pytest.raises(InstallationError, match="phases: 3 is not allowed; 1 to 1"):
        parse_installation({**MINIMAL, "phases": 3}, replace(PLAIN_BOARD, phases=1))


def test_a_refusal_may_be_said_in_other_units():
    with pytest.raises(InstallationError) as refusal:
        parse_installation({**MINIMAL, "circuit_capacity_ma": 40_000}, PLAIN_BOARD)
    told = refusal.value.told(lambda milliamps: f"{milliamps // 1000} A")
    assert told == "40 A is not allowed with a board of 32 A; 6 A to 32 A"
    assert (refusal.value.entry, refusal.value.lowest, refusal.value.highest) == ("circuit_capacity_ma", 6_000, 32_000)
