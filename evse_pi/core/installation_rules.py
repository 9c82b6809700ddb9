"""What the installer says of the house, checked against the board and the country's rules."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from evse_pi.core.country import MAXIMUM_RANDOM_DELAY_S, PROFILES, in_iso_3166, profile_of
from evse_pi.core.installation_limits import (
    BOARD_METER,
    DETECTS_DC,
    MAX_PORT_LENGTH,
    MINIMUM_CAPACITY_MA,
    NO_METER,
    PARITIES,
    PHASES_WITHOUT_NEUTRAL,
    SUPPLY_VOLTAGES_MV,
    Earthing,
    Installation,
    InstallationError,
    OpenPen,
    Purpose,
    RcdType,
    fit_for_purpose,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from enum import Enum

    from evse_pi.core.board_ratings import BoardRatings
    from evse_pi.core.country import CountryProfile

MAXIMUM_CABLE_MA = 80_000
THREE_PHASES = 3
DC_DETECTION_MA = 6
"""Smooth DC from which a type A or F device upstream may be blinded. Source: IEC 62955."""
PERSONS_MA = 20
"""What a device that protects persons without one upstream trips at. Source: UL 2231 (CCID20)."""
NORTH_AMERICAN_BOARD = "ccid_ma = 20, ground_monitor, frequency_hz = 60 and load_sense_poles = 2"
_KEYS = {field.name: field for field in fields(Installation)}
_KINDS = {
    "country": str,
    "ventilated": bool,
    "meter_inverted": bool,
    "neutral": bool,
    "rcd_type": str,
    "meter_model": str,
    "meter_port": str,
    "meter_parity": str,
    "purpose": str,
    "earthing": str,
    "open_pen": str,
    "shunt_release": bool,
    "shutters": bool,
}
_REQUIRED = ("circuit_capacity_ma", "phases", "country")


def parse_installation(values: Mapping[str, object], board: BoardRatings) -> Installation:
    """Return the installation that `values` describe.

    Raises: InstallationError for the first entry that is unknown, missing, of the wrong type or not allowed.
    """
    installation, found = read_entries(values)
    if installation is None:
        raise found[0]
    check_installation(installation, board)
    return installation


def read_entries(values: Mapping[str, object]) -> tuple[Installation | None, list[InstallationError]]:
    """Return the installation that `values` describe, None with everything that is unknown, missing or no such type."""
    unknown = sorted(set(values) - set(_KEYS))
    found = [InstallationError(key, f"unknown key; allowed are {', '.join(_KEYS)}") for key in unknown]
    entries: dict[str, Any] = {}
    for key in _KEYS:
        if key in values or key in _REQUIRED:
            try:
                entries[key] = _entry(values, key, _KINDS.get(key, int))
            except InstallationError as error:
                found.append(error)
    return (None, found) if found else (Installation(**entries), [])


def check_installation(installation: Installation, board: BoardRatings) -> None:
    """Compare with the board's ratings and the country's rule. Raises: InstallationError for the first violation."""
    for error in problems(installation, board):
        raise error


def problems(installation: Installation, board: BoardRatings) -> Iterator[InstallationError]:
    """Yield everything about an installation that this board or the country's rule does not allow."""
    profile = profile_of(installation.country)
    yield from _country(installation, board, profile)
    yield from _currents(installation, board, profile)
    yield from _phases(installation, board, profile)
    if installation.nominal_voltage_mv not in SUPPLY_VOLTAGES_MV:
        allowed = ", ".join("{}" for _ in SUPPLY_VOLTAGES_MV)
        values = (installation.nominal_voltage_mv, *SUPPLY_VOLTAGES_MV)
        yield InstallationError("nominal_voltage_mv", f"{{}} is not allowed; one of {allowed}", *values)
    elif _low_voltage(installation) and rules_known(installation.country) and not profile.north_american:
        yield InstallationError(
            "nominal_voltage_mv",
            f"{{}} is not allowed in {installation.country}, where no supply has it; one of {{}}, {{}}",
            installation.nominal_voltage_mv,
            *SUPPLY_VOLTAGES_MV[1:],
        )
    where = f" in {installation.country}"
    yield from _within("rcd_reclosures", installation.rcd_reclosures, 0, profile.reclosures, where)
    yield from _within("random_delay_s", installation.random_delay_s, 0, MAXIMUM_RANDOM_DELAY_S)
    yield from _rcd(installation, board, upstream=profile.upstream_rcd)
    yield from _earthing(installation, profile)
    yield from _declared(installation, board, profile)
    yield from _meter(installation)
    yield from _purpose(installation, board)


def rules_known(country: str) -> bool:
    """Return whether the country's rules were looked for; where not, the installer answers for them."""
    return country in PROFILES


def _low_voltage(installation: Installation) -> bool:
    return installation.nominal_voltage_mv == SUPPLY_VOLTAGES_MV[0]


def _country(installation: Installation, board: BoardRatings, profile: CountryProfile) -> Iterator[InstallationError]:
    country = installation.country
    if not in_iso_3166(country):
        hint = " (the United Kingdom is 'GB')" if country.upper() == "UK" else ""
        problem = f"{_quoted(country)} is not allowed{hint}; two capital letters of ISO 3166-1"
        yield InstallationError("country", problem)
    if profile.north_american and not board.north_american:
        yield InstallationError(
            "country",
            f"{_quoted(country)} is not allowed: this board is not for North America, its file has no [north_america] "
            f"with {NORTH_AMERICAN_BOARD}; another country, or another board",
        )
    if profile.shunt_release and not board.weld_output_fitted:
        yield InstallationError(
            "country",
            f"{_quoted(country)} is not allowed: a welded contactor must trip a device upstream there, and this board "
            "has no weld_output to do it; another country, or another board",
        )


def _phases(installation: Installation, board: BoardRatings, profile: CountryProfile) -> Iterator[InstallationError]:
    phases, country = installation.phases, installation.country
    yield from _within("phases", phases, 1, board.phases)
    if profile.north_american and phases == THREE_PHASES:
        yield InstallationError(
            "phases", f"{{}} is not allowed in {country}, where a vehicle takes one; 1 or 2", phases
        )
    if installation.neutral and phases == THREE_PHASES and installation.earthing == Earthing.IT.value:
        yield InstallationError(
            "neutral", "true is not allowed with three phases and earthing 'it', which has none; false"
        )
    if not installation.neutral and phases != PHASES_WITHOUT_NEUTRAL:
        yield InstallationError("neutral", "false is not allowed with fewer than 3 phases; true")


def _currents(installation: Installation, board: BoardRatings, profile: CountryProfile) -> Iterator[InstallationError]:
    rated_ma, cable_ma, capacity_ma = (
        board.rated_current_ma,
        installation.tethered_cable_ma,
        installation.circuit_capacity_ma,
    )
    if cable_ma:
        yield from _within("tethered_cable_ma", cable_ma, MINIMUM_CAPACITY_MA, MAXIMUM_CABLE_MA)
    uneven_ma = profile.unbalanced_ma if installation.phases < THREE_PHASES else None
    most_ma, text = rated_ma, " with a board of {}"
    if cable_ma and cable_ma < most_ma:
        most_ma, text = cable_ma, " with a fixed cable of {}"
    if uneven_ma is not None and uneven_ma < most_ma:
        most_ma, text = uneven_ma, f" with fewer than 3 phases in {installation.country}, which may carry {{}}"
    yield from _within("circuit_capacity_ma", capacity_ma, MINIMUM_CAPACITY_MA, most_ma, text, most_ma)


def _rcd(installation: Installation, board: BoardRatings, *, upstream: bool) -> Iterator[InstallationError]:
    kinds = [kind.value for kind in RcdType if kind is not RcdType.UNSTATED]
    if installation.rcd_type not in ("", *kinds):
        yield _no_member("rcd_type", installation.rcd_type, RcdType)
        return
    if not installation.rcd_type:
        one_of = ", ".join(kinds)
        yield InstallationError("rcd_type", f"missing; what is fitted in the distribution board, one of {one_of}")
    kind, country = RcdType(installation.rcd_type), installation.country
    protects = board.rcd_fitted and board.rcd_ac_ma is not None and board.rcd_ac_ma <= PERSONS_MA
    sees_dc = board.rcd_fitted and board.rcd_dc_ma is not None and board.rcd_dc_ma <= DC_DETECTION_MA
    if kind is RcdType.NONE and upstream:
        allowed = ", ".join(kinds[:-1])
        yield InstallationError("rcd_type", f"'none' is not allowed in {country}, whatever the board; one of {allowed}")
    elif kind is RcdType.NONE and not protects:
        allowed = ", ".join(kinds[:-1])
        yield InstallationError(
            "rcd_type",
            f"'none' is not allowed in {country} with this board, which must see {PERSONS_MA} mA AC for it "
            f"and sees {_seen(board.rcd_ac_ma)}; one of {allowed}",
        )
    elif kind in (RcdType.A, RcdType.F) and not sees_dc:
        allowed = ", ".join(kind.value for kind in DETECTS_DC)
        yield InstallationError(
            "rcd_type",
            f"{kind.value!r} is not allowed with this board, which must see {DC_DETECTION_MA} mA DC for it "
            f"and sees {_seen(board.rcd_dc_ma)}; one of {allowed}",
        )


def _seen(current_ma: int | None) -> str:
    return "none" if current_ma is None else f"{current_ma} mA"


def _earthing(installation: Installation, profile: CountryProfile) -> Iterator[InstallationError]:
    earthing, open_pen, country = installation.earthing, installation.open_pen, installation.country
    if earthing not in [kind.value for kind in Earthing]:
        yield _no_member("earthing", earthing, Earthing)
    elif earthing == Earthing.IT.value and not profile.it_earthing:
        yield InstallationError("earthing", f"'it' is not allowed in {country}; one of tn, tt")
    if open_pen not in [kind.value for kind in OpenPen]:
        yield _no_member("open_pen", open_pen, OpenPen)
    elif profile.open_pen and not open_pen:
        yield InstallationError(
            "open_pen",
            f"missing in {country}, where the box cannot see that a combined neutral and earth breaks; "
            f"one of {_members(OpenPen)}",
        )
    elif open_pen == OpenPen.ELECTRODE.value and earthing != Earthing.TT.value:
        yield InstallationError("earthing", f"{_quoted(earthing)} is not allowed with open_pen 'electrode'; one of tt")


def _declared(installation: Installation, board: BoardRatings, profile: CountryProfile) -> Iterator[InstallationError]:
    """Yield what the installer must have fitted in this country and does not say to be there."""
    socket = board.tethered_cable_ma is None and not installation.tethered_cable_ma
    if profile.shunt_release and not installation.shunt_release:
        yield InstallationError(
            "shunt_release",
            f"false is not allowed in {installation.country}, where a welded contactor must trip a device upstream; "
            "true, once one is wired to the board's weld output",
        )
    if installation.shunt_release and not board.weld_output_fitted:
        yield InstallationError(
            "shunt_release", "true is not allowed with a board that has no weld_output, so that nothing trips it; false"
        )
    if profile.shutters and socket and not installation.shutters:
        yield InstallationError(
            "shutters",
            f"false is not allowed with a socket in {installation.country}; true, with a socket that has shutters, or "
            "a fixed cable",
        )


def _purpose(installation: Installation, board: BoardRatings) -> Iterator[InstallationError]:
    if installation.purpose not in [purpose.value for purpose in Purpose]:
        yield _no_member("purpose", installation.purpose, Purpose)
    elif not fit_for_purpose(board, installation):
        reason = str(board.bench_only).replace("{", "{{").replace("}", "}}")
        yield InstallationError(
            "purpose",
            f"{_quoted(installation.purpose)} is not allowed on a board for the bench only ({reason}); "
            f"{Purpose.BENCH.value!r}, which says that no vehicle and no person meets its plug",
        )


def _meter(installation: Installation) -> Iterator[InstallationError]:
    model, port = installation.meter_model, installation.meter_port
    if model in (BOARD_METER, NO_METER):
        if port:
            yield InstallationError("meter_port", f"{_quoted(port)} is not allowed without a meter_model")
        return
    if not port.startswith("/dev/") or len(port) > MAX_PORT_LENGTH or not port.isprintable() or set(port) & {'"', "\\"}:
        yield InstallationError("meter_port", f"{_quoted(port)} is not allowed; a device, such as /dev/ttyAMA0")
    yield from _within("meter_unit", installation.meter_unit, 1, 247)
    yield from _within("meter_baud", installation.meter_baud, 1_200, 115_200)
    if installation.meter_parity not in PARITIES:
        yield InstallationError("meter_parity", f"{_quoted(installation.meter_parity)} is not allowed; one of N, E, O")


def _within(
    key: str, value: int, lowest: int, highest: int, where: str = "", *more: int
) -> Iterator[InstallationError]:
    """Yield what is wrong with a value outside its range; `where` says why, with a `{}` for each of `more`."""
    if not lowest <= value <= highest:
        problem = f"{{}} is not allowed{where}; {{}} to {{}}"
        yield InstallationError(key, problem, value, *more, lowest, highest, lowest=lowest, highest=highest)


def _no_member(key: str, value: str, kinds: type[Enum]) -> InstallationError:
    return InstallationError(key, f"{_quoted(value)} is not allowed; one of {_members(kinds)}")


def _members(kinds: type[Enum]) -> str:
    return ", ".join(str(each.value) for each in kinds if each.value)


def _quoted(value: object) -> str:
    """Return what the installer wrote as it may stand in a problem, whose braces are its own."""
    return repr(value).replace("{", "{{").replace("}", "}}")


def _entry(values: Mapping[str, object], key: str, kind: type) -> Any:
    value = values.get(key)
    if value is None:
        raise InstallationError(key, f"missing; a value of type {kind.__name__} is required")
    if type(value) is not kind:
        raise InstallationError(key, f"{_quoted(value)} is not allowed; a value of type {kind.__name__}")
    return value
