"""What the installer says of the house, checked against what the board can carry."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeVar

from hal.units import Milliamps, Millivolts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evse_pi.core.settings import BoardRatings

MINIMUM_CAPACITY_MA = Milliamps(6_000)  # below it no current can be signalled
MAXIMUM_RECLOSURES = 4
NO_RECLOSING_COUNTRIES = frozenset({"CH", "DK", "FR", "GB"})
SUPPLY_VOLTAGES_MV = (Millivolts(120_000), Millivolts(230_000), Millivolts(240_000))
DEFAULT_VOLTAGE_MV = SUPPLY_VOLTAGES_MV[1]

T = TypeVar("T", int, bool, str)


class InstallationError(ValueError):
    """An entry is missing, unknown, of the wrong type or outside what is allowed; the text names it."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What only the installer may set.

    `ventilated` says that the room may serve vehicles that ask for ventilation (state D). `rcd_reclosures` is how
    often a residual current trip may be reset without a person; 0 where the country forbids it.
    """

    circuit_capacity_ma: Milliamps
    phases: int
    country: str
    nominal_voltage_mv: Millivolts = DEFAULT_VOLTAGE_MV
    ventilated: bool = False
    rcd_reclosures: int = 0


_KEYS = tuple(field.name for field in fields(Installation))


def parse_installation(values: Mapping[str, object], board: BoardRatings) -> Installation:
    """Return the installation that `values` describe.

    Raises: InstallationError for the first entry that is unknown, missing, of the wrong type or not allowed.
    """
    unknown = sorted(set(values) - set(_KEYS))
    if unknown:
        raise InstallationError(f"{unknown[0]}: unknown key; allowed are {', '.join(_KEYS)}")
    installation = Installation(
        circuit_capacity_ma=Milliamps(_entry(values, "circuit_capacity_ma", int)),
        phases=_entry(values, "phases", int),
        country=_entry(values, "country", str),
        nominal_voltage_mv=Millivolts(_entry(values, "nominal_voltage_mv", int, DEFAULT_VOLTAGE_MV)),
        ventilated=_entry(values, "ventilated", bool, False),
        rcd_reclosures=_entry(values, "rcd_reclosures", int, 0),
    )
    check_installation(installation, board)
    return installation


def check_installation(installation: Installation, board: BoardRatings) -> None:
    """Compare with the board's ratings and the country's rule. Raises: InstallationError for the first violation."""
    _within("circuit_capacity_ma", installation.circuit_capacity_ma, MINIMUM_CAPACITY_MA, board.rated_current_ma)
    _within("phases", installation.phases, 1, board.phases)
    country = installation.country
    if len(country) != 2 or not (country.isascii() and country.isalpha() and country.isupper()):
        raise InstallationError(f"country: {country!r} is not allowed; two capital letters of ISO 3166-1")
    if installation.nominal_voltage_mv not in SUPPLY_VOLTAGES_MV:
        allowed = ", ".join(map(str, SUPPLY_VOLTAGES_MV))
        raise InstallationError(
            f"nominal_voltage_mv: {installation.nominal_voltage_mv} is not allowed; one of {allowed}"
        )
    reclosures = 0 if country in NO_RECLOSING_COUNTRIES else MAXIMUM_RECLOSURES
    _within("rcd_reclosures", installation.rcd_reclosures, 0, reclosures, f" in {country}")


def _within(key: str, value: int, lowest: int, highest: int, where: str = "") -> None:
    if not lowest <= value <= highest:
        raise InstallationError(f"{key}: {value} is not allowed{where}; {lowest} to {highest}")


def _entry(values: Mapping[str, object], key: str, kind: type[T], default: T | None = None) -> T:
    value = values.get(key, default)
    if value is None:
        raise InstallationError(f"{key}: missing; a value of type {kind.__name__} is required")
    if type(value) is not kind:
        raise InstallationError(f"{key}: {value!r} is not allowed; a value of type {kind.__name__}")
    return value
