"""What the installer says of the house, checked against what the board can carry."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from evse_pi.core.country import MAXIMUM_RANDOM_DELAY_S, MAXIMUM_RECLOSURES, USUAL_RANDOM_DELAY_S, profile_of
from hal.units import Milliamps, Millivolts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evse_pi.core.board_ratings import BoardRatings

MINIMUM_CAPACITY_MA = Milliamps(6_000)  # below it no current can be signalled
SUPPLY_VOLTAGES_MV = (Millivolts(120_000), Millivolts(230_000), Millivolts(240_000))
DEFAULT_VOLTAGE_MV = SUPPLY_VOLTAGES_MV[1]
BOARDS_CABLE = Milliamps(0)
BOARD_METER, NO_METER = "board", "none"
PARITIES = ("N", "E", "O")
MAX_PORT_LENGTH = 100


class InstallationError(ValueError):
    """An entry is missing, unknown, of the wrong type or outside what is allowed; the text names it.

    `problem` has a `{}` for each of `values`, which are in the unit of the entry's name, so that a command can say it
    in its own words and units. `lowest` and `highest` are what is allowed, where that is a range.
    """

    def __init__(
        self, entry: str, problem: str, *values: int, lowest: int | None = None, highest: int | None = None
    ) -> None:
        self.entry = entry
        self.problem = problem
        self.values = values
        self.lowest, self.highest = lowest, highest
        unit = next((unit for end, unit in _UNITS.items() if entry.endswith(end)), "")
        super().__init__(f"{entry}: {self.told(lambda value: f'{value}{unit}')}")

    def told(self, shown: Callable[[int], str]) -> str:
        """Return what is wrong, without the name of the entry, with its values as `shown` writes them."""
        return self.problem.format(*map(shown, self.values))


_UNITS = {"_ma": " mA", "_mv": " mV", "_s": " s"}


class RcdType(Enum):
    """The residual current device in the distribution board. Source: IEC 61851-1 clause 8.5."""

    UNSTATED = ""
    A = "a"
    F = "f"
    A_RDC_DD = "a_rdc_dd"  # with 6 mA DC detection of its own, IEC 62955
    B = "b"
    NONE = "none"  # where the box's own device protects persons


class Purpose(Enum):
    """What the box is set up for."""

    VEHICLES = "vehicles"
    BENCH = "bench"  # a set-up in a laboratory, where a plug that becomes live by mistake meets no person


DETECTS_DC = (RcdType.A_RDC_DD, RcdType.B)


@dataclass(frozen=True, slots=True)
class Installation:
    """What only the installer may set.

    `ventilated` says that the room may serve vehicles that ask for ventilation (state D). `rcd_reclosures` is how
    often a residual current trip may be reset without a person; 0 where the country forbids it. `tethered_cable_ma` is
    the rating of a fixed cable, 0 to leave it to the board: a socket if it reads proximity, else a cable of its own
    rating. `meter_model` names the meter that is fitted, "board" for the board's own; the other entries of the meter
    count only when a model is named. `random_delay_s` is the window of the start's random delay until
    a user chooses another. `purpose` must say that it is a bench set-up where the board is fit for nothing else.
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
    purpose: str = Purpose.VEHICLES.value

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
    "purpose": str,
}
_REQUIRED = ("circuit_capacity_ma", "phases", "country")


def parse_installation(values: Mapping[str, object], board: BoardRatings) -> Installation:
    """Return the installation that `values` describe.

    Raises: InstallationError for the first entry that is unknown, missing, of the wrong type or not allowed.
    """
    unknown = sorted(set(values) - set(_KEYS))
    if unknown:
        raise InstallationError(unknown[0], f"unknown key; allowed are {', '.join(_KEYS)}")
    entries = {key: _entry(values, key, _KINDS.get(key, int)) for key in _KEYS if key in values or key in _REQUIRED}
    installation = Installation(**entries)
    check_installation(installation, board)
    return installation


def check_installation(installation: Installation, board: BoardRatings) -> None:
    """Compare with the board's ratings and the country's rule. Raises: InstallationError for the first violation."""
    country = installation.country
    if len(country) != 2 or not (country.isascii() and country.isalpha() and country.isupper()):
        raise InstallationError("country", f"{_quoted(country)} is not allowed; two capital letters of ISO 3166-1")
    profile = profile_of(country)
    _check_currents(installation, board)
    _within("phases", installation.phases, 1, board.phases)
    if installation.nominal_voltage_mv not in SUPPLY_VOLTAGES_MV:
        allowed = ", ".join("{}" for _ in SUPPLY_VOLTAGES_MV)
        raise InstallationError(
            "nominal_voltage_mv",
            f"{{}} is not allowed; one of {allowed}",
            installation.nominal_voltage_mv,
            *SUPPLY_VOLTAGES_MV,
        )
    reclosures = MAXIMUM_RECLOSURES if profile.reclosing else 0
    _within("rcd_reclosures", installation.rcd_reclosures, 0, reclosures, f" in {country}")
    _within("random_delay_s", installation.random_delay_s, 0, MAXIMUM_RANDOM_DELAY_S)
    _check_rcd(installation, board, upstream=profile.upstream_rcd)
    _check_meter(installation)
    _check_purpose(installation, board)


def fit_for_purpose(board: BoardRatings, installation: Installation) -> bool:
    """Return whether `board` may energise what the installation is for. Hazard: H-02."""
    return board.bench_only is None or installation.purpose == Purpose.BENCH.value


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
        text = " with a fixed cable of {}"
        _within("circuit_capacity_ma", installation.circuit_capacity_ma, MINIMUM_CAPACITY_MA, cable_ma, text, cable_ma)
    else:
        text = " with a board of {}"
        _within("circuit_capacity_ma", installation.circuit_capacity_ma, MINIMUM_CAPACITY_MA, rated_ma, text, rated_ma)


def _check_rcd(installation: Installation, board: BoardRatings, *, upstream: bool) -> None:
    kinds = [kind.value for kind in RcdType if kind is not RcdType.UNSTATED]
    if installation.rcd_type not in ("", *kinds):
        raise InstallationError(
            "rcd_type", f"{_quoted(installation.rcd_type)} is not allowed; one of {', '.join(kinds)}"
        )
    kind = RcdType(installation.rcd_type)
    if kind is RcdType.NONE and (upstream or not board.rcd_fitted):
        raise InstallationError(
            "rcd_type",
            f"'none' is not allowed in {installation.country} on this board; one of {', '.join(kinds[:-1])}",
        )
    if kind not in (*DETECTS_DC, RcdType.UNSTATED) and not board.rcd_fitted:
        raise InstallationError(
            "rcd_type",
            f"{kind.value!r} is not allowed with a board that detects no residual current; "
            f"one of {', '.join(kind.value for kind in DETECTS_DC)}",
        )


def _check_purpose(installation: Installation, board: BoardRatings) -> None:
    purposes = [purpose.value for purpose in Purpose]
    if installation.purpose not in purposes:
        raise InstallationError(
            "purpose", f"{_quoted(installation.purpose)} is not allowed; one of {', '.join(purposes)}"
        )
    if not fit_for_purpose(board, installation):
        reason = str(board.bench_only).replace("{", "{{").replace("}", "}}")
        raise InstallationError(
            "purpose",
            f"{_quoted(installation.purpose)} is not allowed on a board for the bench only ({reason}); "
            f"{Purpose.BENCH.value!r}, which says that no vehicle and no person meets its plug",
        )


def _check_meter(installation: Installation) -> None:
    model, port = installation.meter_model, installation.meter_port
    if model in (BOARD_METER, NO_METER):
        if port:
            raise InstallationError("meter_port", f"{_quoted(port)} is not allowed without a meter_model")
        return
    if not port.startswith("/dev/") or len(port) > MAX_PORT_LENGTH or not port.isprintable() or set(port) & {'"', "\\"}:
        raise InstallationError("meter_port", f"{_quoted(port)} is not allowed; a device, such as /dev/ttyAMA0")
    _within("meter_unit", installation.meter_unit, 1, 247)
    _within("meter_baud", installation.meter_baud, 1_200, 115_200)
    if installation.meter_parity not in PARITIES:
        raise InstallationError("meter_parity", f"{_quoted(installation.meter_parity)} is not allowed; one of N, E, O")


def _within(key: str, value: int, lowest: int, highest: int, where: str = "", *more: int) -> None:
    """Check a range; `where` says why it is so narrow, with a `{}` for each of `more`. Raises: InstallationError."""
    if not lowest <= value <= highest:
        problem = f"{{}} is not allowed{where}; {{}} to {{}}"
        raise InstallationError(key, problem, value, *more, lowest, highest, lowest=lowest, highest=highest)


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
