"""What a country's rules and grid suggest to an installer, and what its rules forbid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hal.units import Millivolts

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMON_VOLTAGE_MV, NORTH_AMERICAN_VOLTAGE_MV = Millivolts(230_000), Millivolts(240_000)
MAXIMUM_RECLOSURES = 4
USUAL_RANDOM_DELAY_S = 600  # Source: the same regulation; Matter Energy EVSE, RandomizationDelayWindow
MAXIMUM_RANDOM_DELAY_S = 1_800  # Source: SI 2021/1467 regulation 11, what a charge point must be capable of


@dataclass(frozen=True, slots=True)
class CountryProfile:
    """What is proposed to the installer where nothing else is said.

    `reclosing` says that protection may be reset without a person. `random_delay_s` is the default of the delay that
    spreads the start of many boxes. `upstream_rcd` says that a residual current device stands before the box; where it
    does not, the box's own one protects persons.
    """

    voltage_mv: Millivolts = COMMON_VOLTAGE_MV
    reclosing: bool = True
    random_delay_s: int = 0
    upstream_rcd: bool = True


_ELSEWHERE = CountryProfile()
_NO_RECLOSING = CountryProfile(reclosing=False)
_NORTH_AMERICA = CountryProfile(voltage_mv=NORTH_AMERICAN_VOLTAGE_MV, upstream_rcd=False)

PROFILES: Mapping[str, CountryProfile] = {
    "CA": _NORTH_AMERICA,
    "CH": _NO_RECLOSING,
    "DK": _NO_RECLOSING,
    "FR": _NO_RECLOSING,
    "GB": CountryProfile(reclosing=False, random_delay_s=USUAL_RANDOM_DELAY_S),
    "US": _NORTH_AMERICA,
}
"""Countries with a rule of their own. Source: GB SI 2021/1467 regulation 11; US and CA UL 2231 (CCID in the box)."""


def profile_of(country: str) -> CountryProfile:
    """Return the profile of an ISO 3166-1 code; a country without a rule of its own gets the common one."""
    return PROFILES.get(country, _ELSEWHERE)
