"""The installer's entries: what is refused, and that the text says what would be allowed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evse_pi.core.country import CODES, PROFILES, in_iso_3166
from evse_pi.core.installation_limits import Installation, InstallationError
from evse_pi.core.installation_rules import parse_installation
from hal.units import Milliamps, Millivolts
from tests.support.ideal_box import PLAIN_BOARD

BOARD = replace(PLAIN_BOARD, rcd_fitted=True, rcd_dc_ma=Milliamps(6), rcd_ac_ma=Milliamps(30))
SOCKET = replace(BOARD, tethered_cable_ma=None, weld_output_fitted=True)
THERE = replace(BOARD, north_american=True, rcd_ac_ma=Milliamps(20))
DECLARED: dict[str, dict[str, Any]] = {
    "IT": {"shunt_release": True},
    "NL": {"shunt_release": True},
    "FR": {"shutters": True},
    "GB": {"shutters": True, "open_pen": "external_device"},
    "GG": {"shutters": True, "open_pen": "external_device"},
    "IE": {"open_pen": "external_device"},
    "IM": {"shutters": True, "open_pen": "external_device"},
    "JE": {"shutters": True, "open_pen": "external_device"},
    "SM": {"shunt_release": True},
    "VA": {"shunt_release": True},
}
MINIMAL = {"circuit_capacity_ma": 16_000, "phases": 1, "country": "DE", "rcd_type": "b"}
US_TERRITORIES = ("AS", "GU", "MP", "PR", "UM", "VI")
"""Source: ISO 3166-2:US, the outlying areas that have a code of ISO 3166-1 as well."""


def test_the_least_that_an_installer_must_say_gives_careful_defaults() -> None:
    assert parse_installation(MINIMAL, PLAIN_BOARD) == Installation(
        Milliamps(16_000), 1, "DE", Millivolts(230_000), False, 0, rcd_type="b"
    )


@pytest.mark.hazard("H-05")
@pytest.mark.parametrize("more", [{}, {"rcd_type": ""}])
@pytest.mark.parametrize("country", ["DE", "US"])
def test_the_device_upstream_must_be_stated(country: Any, more: Any) -> None:
    """Source: IEC 61851-1 clause 8.5, which asks for one by its type."""
    values = {key: value for key, value in {**MINIMAL, "country": country}.items() if key != "rcd_type"} | more
    with pytest.raises(InstallationError, match=r"^rcd_type: missing; .* one of a, f, a_rdc_dd, b, none$"):
        parse_installation(values, THERE)


def test_every_entry_is_taken() -> None:
    values = {
        "circuit_capacity_ma": 32_000,
        "phases": 2,
        "country": "US",
        "rcd_type": "none",
        "nominal_voltage_mv": 240_000,
        "ventilated": True,
        "rcd_reclosures": 4,
    }
    assert parse_installation(values, THERE) == Installation(
        Milliamps(32_000), 2, "US", Millivolts(240_000), True, 4, rcd_type="none"
    )


@pytest.mark.hazard("H-17")
@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("circuit_capacity_ma", 20_001, ("20001 mA", "fewer than 3 phases in DE", "6000 mA to 20000 mA")),
        ("circuit_capacity_ma", 5_999, ("5999 mA", "6000 mA to 20000 mA")),
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
        ("country", "XX", ("'XX'", "two capital letters of ISO 3166-1")),
        ("country", "UK", ("'UK'", "'GB'", "two capital letters of ISO 3166-1")),
        ("country", "uk", ("'uk'", "'GB'")),
        ("country", "", ("''", "ISO 3166-1")),
        ("country", " A", ("' A'", "ISO 3166-1")),
        ("rcd_reclosures", 1, ("1", "0 to 0", "DE")),
        ("rcd_reclosures", -1, ("-1", "0 to 0")),
        ("earthing", "pen", ("'pen'", "tn, tt, it")),
        ("earthing", "it", ("'it'", "DE", "tn, tt")),
        ("open_pen", "meter", ("'meter'", "electrode, external_device")),
        ("shutters", "yes", ("'yes'", "bool")),
        ("circuit_capacity", 16_000, ("unknown", "circuit_capacity_ma")),
    ],
)
def test_an_entry_that_is_not_allowed_is_refused_by_name(key: Any, value: Any, words: Any) -> None:
    with pytest.raises(InstallationError, match=key) as refusal:
        parse_installation({**MINIMAL, key: value}, PLAIN_BOARD)
    for word in words:
        assert word in str(refusal.value)


@pytest.mark.hazard("H-14")
@pytest.mark.parametrize("country", ["AU", "CH", "DE", "DK", "FR", "GB", "IE", "IT", "NL", "NO", "NZ"])
def test_where_nothing_allows_reclosing_the_installer_cannot(country: Any) -> None:
    values = {**MINIMAL, "country": country, **DECLARED.get(country, {})}
    assert parse_installation(values, SOCKET).rcd_reclosures == 0
    with pytest.raises(InstallationError, match=f"rcd_reclosures: 1 is not allowed in {country}; 0 to 0"):
        parse_installation({**values, "rcd_reclosures": 1}, SOCKET)


@pytest.mark.hazard("H-14")
@pytest.mark.parametrize("country", ["US", "CA"])
def test_where_a_maker_recloses_it_is_four_times_at_most(country: Any) -> None:
    """Source: Tesla, Wall Connector Gen 3 manual 1069742: "Auto-Retry: after 15 minutes and up to 4 times"."""
    values = {**MINIMAL, "country": country, "rcd_reclosures": 4}
    assert parse_installation(values, THERE).rcd_reclosures == 4
    with pytest.raises(InstallationError, match=f"5 is not allowed in {country}; 0 to 4"):
        parse_installation({**values, "rcd_reclosures": 5}, THERE)


@pytest.mark.hazard("H-14")
def test_no_other_country_lets_a_box_reset_a_trip() -> None:
    assert {code for code, profile in PROFILES.items() if profile.reclosures} == {"CA", "US"}


@pytest.mark.hazard("H-17")
@pytest.mark.parametrize("country", ["US", "CA", *US_TERRITORIES])
def test_three_phases_are_refused_where_a_vehicle_takes_one(country: Any) -> None:
    """Source: SAE J1772, whose vehicle inlet has two contacts for the supply."""
    values = {**MINIMAL, "country": country}
    with pytest.raises(InstallationError, match=f"^phases: 3 is not allowed in {country}, .*; 1 or 2$"):
        parse_installation({**values, "phases": 3}, THERE)
    assert parse_installation({**values, "phases": 2}, THERE).phases == 2


@pytest.mark.hazard("H-17")
@pytest.mark.parametrize("country", ["US", "CA", *US_TERRITORIES])
def test_north_america_is_refused_with_a_board_that_does_not_say_that_it_is_for_there(country: Any) -> None:
    with pytest.raises(InstallationError) as refusal:
        parse_installation({**MINIMAL, "country": country}, BOARD)
    for words in (
        "not for North America",
        "ccid_ma = 20",
        "ground_monitor",
        "frequency_hz = 60",
        "load_sense_poles = 2",
    ):
        assert words in str(refusal.value)
    assert parse_installation({**MINIMAL, "country": country}, THERE).country == country


@pytest.mark.hazard("H-17")
@pytest.mark.parametrize("country", sorted(DECLARED))
def test_what_a_country_demands_beside_the_box_must_be_declared(country: Any) -> None:
    """Sources: IEC 61851-1 clause 8.1 as read by nt24.it, its notes on shutters, BS 7671 regulation 722.411.4.1."""
    declared = DECLARED[country]
    assert parse_installation({**MINIMAL, "country": country, **declared}, SOCKET).country == country
    for key in declared:
        less = {name: value for name, value in declared.items() if name != key}
        with pytest.raises(InstallationError, match=rf"^{key}: .*{country}"):
            parse_installation({**MINIMAL, "country": country, **less}, SOCKET)


@pytest.mark.hazard("H-03")
@pytest.mark.parametrize("country", ["IT", "NL"])
def test_where_a_weld_must_trip_a_device_upstream_the_board_needs_an_output_for_it(country: Any) -> None:
    """Source: IEC 61851-1 clause 8.1 with its notes, as read by nt24.it and vaielettrico.it."""
    without = replace(SOCKET, weld_output_fitted=False)
    with pytest.raises(
        InstallationError, match=rf"^country: '{country}' is not allowed: .* this board has no weld_output"
    ):
        parse_installation({**MINIMAL, "country": country, "shunt_release": True}, without)
    with pytest.raises(
        InstallationError, match=r"^shunt_release: true is not allowed with a board that has no weld_out"
    ):
        parse_installation({**MINIMAL, "shunt_release": True}, without)


@pytest.mark.parametrize("country", ["FR", "GB"])
def test_a_fixed_cable_needs_no_shutters(country: Any) -> None:
    values = {**MINIMAL, "country": country, **DECLARED[country], "shutters": False}
    assert parse_installation({**values, "tethered_cable_ma": 20_000}, SOCKET).shutters is False
    assert parse_installation(values, replace(SOCKET, tethered_cable_ma=Milliamps(20_000))).shutters is False


@pytest.mark.hazard("H-17")
@pytest.mark.parametrize("earthing", ["", "tn", "it"])
def test_an_electrode_in_great_britain_is_a_supply_of_the_kind_tt(earthing: Any) -> None:
    values = {**MINIMAL, "country": "GB", **DECLARED["GB"], "open_pen": "electrode"}
    with pytest.raises(InstallationError, match=r"^earthing: "):
        parse_installation({**values, "earthing": earthing}, PLAIN_BOARD)
    assert parse_installation({**values, "earthing": "tt"}, PLAIN_BOARD).open_pen == "electrode"


def test_a_supply_without_an_earthed_point_is_for_norway() -> None:
    assert parse_installation({**MINIMAL, "country": "NO", "earthing": "it"}, PLAIN_BOARD).earthing == "it"


@pytest.mark.hazard("H-04")
@pytest.mark.parametrize(
    ("country", "phases", "most_ma"),
    [("DE", 1, 20_000), ("DE", 2, 20_000), ("DE", 3, 32_000), ("SE", 1, 32_000), ("SE", 2, 32_000)],
)
def test_fewer_than_three_phases_carry_at_most_20_a_in_germany(country: Any, phases: Any, most_ma: Any) -> None:
    """Source: VDE-AR-N 4100, 4.6 kVA between any two phases, as quoted by energieloesung.de."""
    values = {**MINIMAL, "country": country, "phases": phases}
    assert parse_installation({**values, "circuit_capacity_ma": most_ma}, PLAIN_BOARD).circuit_capacity_ma == most_ma
    with pytest.raises(InstallationError, match=f"6000 mA to {most_ma} mA"):
        parse_installation({**values, "circuit_capacity_ma": most_ma + 1}, PLAIN_BOARD)


@pytest.mark.hazard("H-05")
@pytest.mark.parametrize("kind", ["a", "f"])
def test_a_device_upstream_that_direct_current_blinds_needs_a_board_that_sees_it(kind: Any) -> None:
    """Source: IEC 62955, 6 mA; a transformer for 60 Hz, as on the Pi EVSE HAT, sees none."""
    for blind in (
        replace(BOARD, rcd_dc_ma=None),
        replace(BOARD, rcd_dc_ma=Milliamps(30)),
        replace(BOARD, rcd_fitted=False),
    ):
        with pytest.raises(InstallationError, match=rf"^rcd_type: '{kind}' is not allowed .* one of a_rdc_dd, b$"):
            parse_installation({**MINIMAL, "rcd_type": kind}, blind)
    assert parse_installation({**MINIMAL, "rcd_type": kind}, BOARD).rcd_type == kind


def test_the_codes_are_those_of_iso_3166() -> None:
    """Source: iso3166.tab of the tz database, where this machine has it; else their number, 249."""
    codes = CODES.split()
    assert codes == sorted(set(codes))
    assert len(codes) == 249
    assert set(PROFILES) < set(codes)
    table = Path("/usr/share/zoneinfo/iso3166.tab")
    if table.exists():
        rows = table.read_text(encoding="utf-8").splitlines()
        assert codes == sorted(row.split("\t")[0] for row in rows if row and not row.startswith("#"))
    for wrong in ("D ", " D", "D", "DE ", "", "dE"):
        assert not in_iso_3166(wrong)


def test_a_board_with_one_phase_takes_one() -> None:
    with pytest.raises(InstallationError, match="phases: 3 is not allowed; 1 to 1"):
        parse_installation({**MINIMAL, "phases": 3}, replace(PLAIN_BOARD, phases=1))


def test_a_refusal_may_be_said_in_other_units() -> None:
    with pytest.raises(InstallationError) as refusal:
        parse_installation({**MINIMAL, "phases": 3, "circuit_capacity_ma": 40_000}, PLAIN_BOARD)
    told = refusal.value.told(lambda milliamps: f"{milliamps // 1000} A")
    assert told == "40 A is not allowed with a board of 32 A; 6 A to 32 A"
    assert (refusal.value.entry, refusal.value.lowest, refusal.value.highest) == ("circuit_capacity_ma", 6_000, 32_000)


@pytest.mark.hazard("H-17")
def test_three_phases_without_an_earthed_point_have_no_neutral() -> None:
    """Source: Tesla, Wall Connector manual, for houses in Norway: 230 V between phases and no neutral."""
    norway = {**MINIMAL, "country": "NO", "earthing": "it", "phases": 3}
    with pytest.raises(InstallationError, match="neutral: true is not allowed with three phases and earthing 'it'"):
        parse_installation(norway, PLAIN_BOARD)
    assert parse_installation({**norway, "neutral": False}, PLAIN_BOARD).unearthed
    assert parse_installation({**norway, "phases": 1}, PLAIN_BOARD).unearthed


@pytest.mark.hazard("H-04")
@pytest.mark.parametrize(("country", "most_ma"), [("AT", 16_000), ("CH", 16_000), ("DE", 20_000)])
def test_what_one_phase_may_carry_where_a_grid_limits_its_imbalance(country: str, most_ma: int) -> None:
    """Sources: VDE-AR-N 4100 as quoted by energieloesung.de, elektrathal.ch; Austria's 3.68 kVA is unverified."""
    values = {**MINIMAL, "country": country}
    assert parse_installation({**values, "circuit_capacity_ma": most_ma}, PLAIN_BOARD).circuit_capacity_ma == most_ma
    with pytest.raises(InstallationError, match=f"circuit_capacity_ma: .*fewer than 3 phases in {country}"):
        parse_installation({**values, "circuit_capacity_ma": most_ma + 1}, PLAIN_BOARD)


def test_120_v_is_for_north_america_and_for_countries_whose_rules_are_not_known() -> None:
    """Source: IEC 60038, 230 V in Europe; SAE J1772 level 1 at 120 V."""
    for country in ("DE", "GB", "NO"):
        values = {**MINIMAL, "country": country, **DECLARED.get(country, {}), "nominal_voltage_mv": 120_000}
        with pytest.raises(InstallationError, match=f"nominal_voltage_mv: 120000 mV is not allowed in {country}"):
            parse_installation(values, SOCKET)
    assert parse_installation({**MINIMAL, "country": "US", "nominal_voltage_mv": 120_000}, THERE).phases == 1
    assert parse_installation({**MINIMAL, "country": "JM", "nominal_voltage_mv": 120_000}, PLAIN_BOARD).phases == 1


def test_svalbard_may_have_a_supply_without_an_earthed_point_as_norway() -> None:
    assert parse_installation({**MINIMAL, "country": "SJ", "earthing": "it"}, PLAIN_BOARD).unearthed
