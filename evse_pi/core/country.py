"""What a country's rules and grid suggest to an installer, and what its rules forbid; docs/COUNTRIES.md names sources.

What nothing allows is refused: a country without a rule here gets the careful answer, and its installer is told so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hal.units import Milliamps, Millivolts

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMON_VOLTAGE_MV, NORTH_AMERICAN_VOLTAGE_MV = Millivolts(230_000), Millivolts(240_000)
MAXIMUM_RECLOSURES = 4
USUAL_RANDOM_DELAY_S = 600  # Source: SI 2021/1467 regulation 11; Matter Energy EVSE, RandomizationDelayWindow
MAXIMUM_RANDOM_DELAY_S = 1_800  # Source: the same regulation, what a charge point must be capable of

CODES = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA "
    "CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA "
    "GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP "
    "KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS "
    "MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS "
    "RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW "
    "TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW"
)
"""The codes of ISO 3166-1, each of two letters with a space between; one text, because the safety process keeps it."""


@dataclass(frozen=True, slots=True)
class CountryProfile:
    """What is proposed to the installer where nothing else is said, and what must be declared.

    `reclosures` is how often a residual current trip may be reset without a person. `random_delay_s` is the default of
    the delay that spreads the start of many boxes. `upstream_rcd` says that a residual current device stands before
    the box; where it does not, the box's own one protects persons. `unbalanced_ma` is the most that a circuit of fewer
    than three phases may carry, None without such a limit. `shunt_release`, `shutters` and `open_pen` must be declared
    by the installer. `it_earthing` says that houses have a supply without an earthed point. `north_american` needs a
    board for there.
    """

    voltage_mv: Millivolts = COMMON_VOLTAGE_MV
    reclosures: int = 0
    random_delay_s: int = 0
    upstream_rcd: bool = True
    unbalanced_ma: Milliamps | None = None
    shunt_release: bool = False
    shutters: bool = False
    open_pen: bool = False
    it_earthing: bool = False
    north_american: bool = False


_COMMON = CountryProfile()
_WELD_TRIPS = CountryProfile(shunt_release=True)
_BRITISH_ISLES = CountryProfile(shutters=True, open_pen=True)
_16_A_UNEVEN = CountryProfile(unbalanced_ma=Milliamps(16_000))
_NORTH_AMERICA = CountryProfile(
    voltage_mv=NORTH_AMERICAN_VOLTAGE_MV, reclosures=MAXIMUM_RECLOSURES, upstream_rcd=False, north_american=True
)
_US_TERRITORY = CountryProfile(voltage_mv=NORTH_AMERICAN_VOLTAGE_MV, upstream_rcd=False, north_american=True)
"""No maker's word on resets without a person was found for these."""

PROFILES: Mapping[str, CountryProfile] = {
    "AS": _US_TERRITORY,
    "AT": _16_A_UNEVEN,
    "BE": _COMMON,
    "CA": _NORTH_AMERICA,
    "CH": _16_A_UNEVEN,
    "CZ": _COMMON,
    "DE": CountryProfile(unbalanced_ma=Milliamps(20_000)),
    "DK": _COMMON,
    "ES": _COMMON,
    "FI": _COMMON,
    "FR": CountryProfile(shutters=True),
    "GB": CountryProfile(random_delay_s=USUAL_RANDOM_DELAY_S, shutters=True, open_pen=True),
    "GG": _BRITISH_ISLES,
    "GU": _US_TERRITORY,
    "IE": CountryProfile(open_pen=True),
    "IM": _BRITISH_ISLES,
    "IT": _WELD_TRIPS,
    "JE": _BRITISH_ISLES,
    "LU": _COMMON,
    "MP": _US_TERRITORY,
    "NL": _WELD_TRIPS,
    "NO": CountryProfile(it_earthing=True),
    "PL": _COMMON,
    "PR": _US_TERRITORY,
    "PT": _COMMON,
    "SE": _COMMON,
    "SJ": CountryProfile(it_earthing=True),
    "SM": _WELD_TRIPS,
    "UM": _US_TERRITORY,
    "US": _NORTH_AMERICA,
    "VA": _WELD_TRIPS,
    "VI": _US_TERRITORY,
}
"""Countries whose rules were looked for. Sources: `evse_pi.installation.countries.SOURCES`."""


def profile_of(country: str) -> CountryProfile:
    """Return the profile of an ISO 3166-1 code; a country whose rules were not looked for gets the common one."""
    return PROFILES.get(country, _COMMON)


def in_iso_3166(code: str) -> bool:
    """Return whether `code` is one of ISO 3166-1, in capital letters."""
    return len(code) == 2 and code.isalpha() and code in CODES
