"""What the installer says of the house, checked against what the board can carry."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from evse_pi.core.country import MAXIMUM_RANDOM_DELAY_S, MAXIMUM_RECLOSURES, USUAL_RANDOM_DELAY_S, profile_of
from hal.units import Milliamps, Millivolts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evse_pi.core.machine_settings import BoardRatings

MINIMUM_CAPACITY_MA = Milliamps(6_000)  # below it no current can be signalled
SUPPLY_VOLTAGES_MV = (Millivolts(120_000), Millivolts(230_000), Millivolts(240_000))
DEFAULT_VOLTAGE_MV = SUPPLY_VOLTAGES_MV[1]
BOARDS_CABLE = Milliamps(0)
BOARD_METER, NO_METER = "board", "none"
PARITIES = ("N", "E", "O")
MAX_PORT_LENGTH = 100


class InstallationError(ValueError):
    """An entry is missing, unknown, of the wrong type or outside what is allowed; the text names it."""


class RcdType(Enum):
    """The residual current device in the distribution board. Source: IEC 61851-1 clause 8.5."""

    UNSTATED = ""
    A = "a"
    F = "f"
    A_RDC_DD = "a_rdc_dd"  # with 6 mA DC detection of its own, IEC 62955
    B = "b"
    NONE = "none"  # where the box's own device protects persons


DETECTS_DC = (RcdType.A_RDC_DD, RcdType.B)


@dataclass(frozen=True, slots=True)
class Installation:
    """What only the installer may set.

    `ventilated` says that the room may serve vehicles that ask for ventilation (state D). `rcd_reclosures` is how
    often a residual current trip may be reset without a person; 0 where the country forbids it. `tethered_cable_ma` is
    the rating of a fixed cable, 0 to leave it to the board: a socket if it reads proximity, else a cable of its own
    rating. `meter_model` names the meter that is fitted, "board" for the board's own; the other entries of the meter
    count only when a model is named. `random_delay_s` is the window of the start's random delay until
    a user chooses another.
    """

    circuit_capacity_ma: Milliamps
    phases: int
    country: str
    nominal_voltage_mv: Millivolts = DEFAULT_VOLTAGE_MV
    ventilated: bool = False
    rcd_reclosures: int = 0
    tethered_cable_ma: Milliamps = BOARDS_CABLE
    rcd_type: str = RcdType.UNSTATED.value
    random_delay_s: int = USUAL_RANDOM_DELAY_S
    meter_model: str = BOARD_METER
    meter_port: str = ""
    meter_unit: int = 1
    meter_baud: int = 9_600
    meter_parity: str = PARITIES[0]

    @property
    def meter(self) -> tuple[str, str, int, int, str]:
        """Everything that is said of the meter."""
        return self.meter_model, self.meter_port, self.meter_unit, self.meter_baud, self.meter_parity


_KEYS = {field.name: field for field in fields(Installation)}
_KINDS = {
    "country": str,
    "ventilated": bool,
    "rcd_type": str,
    "meter_model": str,
    "meter_port": str,
    "meter_parity": str,
}
_REQUIRED = ("circuit_capacity_ma", "phases", "country")


def parse_installation(values: Mapping[str, object], board: BoardRatings) -> Installation:
    """Return the installation that `values` describe.

    Raises: InstallationError for the first entry that is unknown, missing, of the wrong type or not allowed.
    """
    unknown = sorted(set(values) - set(_KEYS))
    if unknown:
        raise InstallationError(f"{unknown[0]}: unknown key; allowed are {', '.join(_KEYS)}")
    entries = {key: _entry(values, key, _KINDS.get(key, int)) for key in _KEYS if key in values or key in _REQUIRED}
    installation = Installation(**entries)
    check_installation(installation, board)
    return installation


def check_installation(installation: Installation, board: BoardRatings) -> None:
    """Compare with the board's ratings and the country's rule. Raises: InstallationError for the first violation."""
    country = installation.country
    if len(country) != 2 or not (country.isascii() and country.isalpha() and country.isupper()):
        raise InstallationError(f"country: {country!r} is not allowed; two capital letters of ISO 3166-1")
    profile = profile_of(country)
    _check_currents(installation, board)
    _within("phases", installation.phases, 1, board.phases)
    if installation.nominal_voltage_mv not in SUPPLY_VOLTAGES_MV:
        allowed = ", ".join(map(str, SUPPLY_VOLTAGES_MV))
        raise InstallationError(
            f"nominal_voltage_mv: {installation.nominal_voltage_mv} is not allowed; one of {allowed}"
        )
    reclosures = MAXIMUM_RECLOSURES if profile.reclosing else 0
    _within("rcd_reclosures", installation.rcd_reclosures, 0, reclosures, f" in {country}")
    _within("random_delay_s", installation.random_delay_s, 0, MAXIMUM_RANDOM_DELAY_S)
    _check_rcd(installation, board, upstream=profile.upstream_rcd)
    _check_meter(installation)


def fitted(board: BoardRatings, installation: Installation, *, board_meter: bool) -> BoardRatings:
    """Return what the machine must know of `board` with the cable and the meter that the installer fitted."""
    meter = board_meter if installation.meter_model == BOARD_METER else installation.meter_model != NO_METER
    return replace(
        board, tethered_cable_ma=installation.tethered_cable_ma or board.tethered_cable_ma, meter_fitted=meter
    )


def _check_currents(installation: Installation, board: BoardRatings) -> None:
    rated_ma, cable_ma = board.rated_current_ma, installation.tethered_cable_ma
    if cable_ma:
        _within("tethered_cable_ma", cable_ma, MINIMUM_CAPACITY_MA, 80_000)
    if cable_ma and cable_ma < rated_ma:
        text = f" with a fixed cable of {cable_ma} mA"
        _within("circuit_capacity_ma", installation.circuit_capacity_ma, MINIMUM_CAPACITY_MA, cable_ma, text)
    else:
        text = f" with a board of {rated_ma} mA"
        _within("circuit_capacity_ma", installation.circuit_capacity_ma, MINIMUM_CAPACITY_MA, rated_ma, text)


def _check_rcd(installation: Installation, board: BoardRatings, *, upstream: bool) -> None:
    kinds = [kind.value for kind in RcdType if kind is not RcdType.UNSTATED]
    if installation.rcd_type not in ("", *kinds):
        raise InstallationError(f"rcd_type: {installation.rcd_type!r} is not allowed; one of {', '.join(kinds)}")
    kind = RcdType(installation.rcd_type)
    if kind is RcdType.NONE and (upstream or not board.rcd_fitted):
        raise InstallationError(
            f"rcd_type: 'none' is not allowed in {installation.country} on this board; one of {', '.join(kinds[:-1])}"
        )
    if kind not in (*DETECTS_DC, RcdType.UNSTATED) and not board.rcd_fitted:
        raise InstallationError(
            f"rcd_type: {kind.value!r} is not allowed with a board that detects no residual current; "
            f"one of {', '.join(kind.value for kind in DETECTS_DC)}"
        )


def _check_meter(installation: Installation) -> None:
    model, port = installation.meter_model, installation.meter_port
    if model in (BOARD_METER, NO_METER):
        if port:
            raise InstallationError(f"meter_port: {port!r} is not allowed without a meter_model")
        return
    if not port.startswith("/dev/") or len(port) > MAX_PORT_LENGTH or not port.isprintable() or set(port) & {'"', "\\"}:
        raise InstallationError(f"meter_port: {port!r} is not allowed; a device, such as /dev/serial0")
    _within("meter_unit", installation.meter_unit, 1, 247)
    _within("meter_baud", installation.meter_baud, 1_200, 115_200)
    if installation.meter_parity not in PARITIES:
        raise InstallationError(f"meter_parity: {installation.meter_parity!r} is not allowed; one of N, E, O")


def _within(key: str, value: int, lowest: int, highest: int, where: str = "") -> None:
    if not lowest <= value <= highest:
        raise InstallationError(f"{key}: {value} is not allowed{where}; {lowest} to {highest}")


def _entry(values: Mapping[str, object], key: str, kind: type) -> Any:
    value = values.get(key)
    if value is None:
        raise InstallationError(f"{key}: missing; a value of type {kind.__name__} is required")
    if type(value) is not kind:
        raise InstallationError(f"{key}: {value!r} is not allowed; a value of type {kind.__name__}")
    return value
