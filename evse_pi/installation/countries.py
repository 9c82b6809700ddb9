"""Where the countries' rules come from: `python -m evse_pi.installation.countries` writes the page of them.

The rules themselves are `evse_pi.core.country.PROFILES`; this adds what the safety process need not carry.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from evse_pi.core.country import PROFILES, CountryProfile

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Source:
    """What a rule was read in; `verified` says that the text which makes it a rule was read, not one that quotes it."""

    text: str
    verified: bool = False


_UL = "UL 2231 as quoted by OpenEVSE's page on safety"
_TESLA = "Tesla, Wall Connector Gen 3 manual 1069742: again after 15 minutes, up to 4 times"
_ITALY = "IEC 61851-1 clause 8.1 and its notes as read by nt24.it and vaielettrico.it, in force since 5 July 2022"
_SHUTTERS = "IEC 61851-1, notes for some countries, as quoted in the IET's forum"
_STANDARD = Source("common to IEC 60364-7-722, as quoted for IT (CEI 64-8) and NO (NEK 400)")

SOURCES: dict[str, dict[str, Source]] = {
    "AT": {
        "unbalanced_ma": Source(
            "3.68 kVA on one phase (16 A), remembered of the grid operators' conditions, no text found"
        )
    },
    "CA": {
        "voltage_mv": Source("120/240 V in split phase: SAE J1772 level 2, as implemented by OpenEVSE"),
        "reclosures": Source(_TESLA),
        "upstream_rcd": Source(_UL),
        "north_american": Source(f"{_UL} (20 mA, earth watched at all times, tested before each closing)"),
    },
    "CH": {
        "unbalanced_ma": Source(
            "3.7 kVA on one phase, as a grid operator's conditions have it (elektrathal.ch); others allow more"
        )
    },
    "DE": {"unbalanced_ma": Source("VDE-AR-N 4100 (4.6 kVA between any two phases), as quoted by energieloesung.de")},
    "FR": {"shutters": Source(_SHUTTERS)},
    "GB": {
        "random_delay_s": Source("SI 2021/1467 regulation 11, legislation.gov.uk", verified=True),
        "shutters": Source(_SHUTTERS),
        "open_pen": Source("BS 7671 regulation 722.411.4.1, as quoted in Salus's manual and by matt:e"),
    },
    "IE": {
        "open_pen": Source(
            "I.S. 10101 section 722 as quoted by volteire.ie: an electrode or a protection, outdoors on TN-C-S"
        )
    },
    "IT": {"shunt_release": Source(_ITALY)},
    "NL": {"shunt_release": Source(f"{_ITALY}; the Netherlands are named beside Italy")},
    "NO": {"it_earthing": Source("Tesla, Wall Connector manual: houses with 230 V between phases and no neutral")},
}
SOURCES["US"] = SOURCES["CA"]
for _area in ("GG", "IM", "JE"):
    _quoted = "taken over from GB, whose BS 7671 installers there follow; no text of the island's own was found"
    SOURCES[_area] = {name: Source(f"{SOURCES['GB'][name].text}; {_quoted}") for name in ("shutters", "open_pen")}
for _area, _neighbour in (("SJ", "NO"), ("SM", "IT"), ("VA", "IT")):
    SOURCES[_area] = {
        name: Source(f"{source.text}; taken over from {_neighbour}, no text of its own was found")
        for name, source in SOURCES[_neighbour].items()
    }
for _area in ("AS", "GU", "MP", "PR", "UM", "VI"):  # Source: ISO 3166-2:US, the outlying areas
    SOURCES[_area] = {name: source for name, source in SOURCES["US"].items() if name != "reclosures"}
"""What each rule that differs from the common one was read in, by country and field of its profile."""

RULES: dict[str, Callable[[Any], str]] = {
    "voltage_mv": lambda value: f"proposed voltage {value // 1000} V",
    "reclosures": lambda value: f"up to {value} resets of a residual current trip without a person",
    "random_delay_s": lambda value: f"proposed random delay of starts {value} s",
    "upstream_rcd": lambda _: "the box's own device may be the only one (`rcd_type = \"none\"`), if it sees 20 mA AC",
    "unbalanced_ma": lambda value: f"a circuit of one or two phases carries at most {value / 1000:g} A",
    "shunt_release": lambda _: "refused without `shunt_release = true`: a welded contactor trips a device upstream",
    "shutters": lambda _: "a socket is refused without `shutters = true`",
    "open_pen": lambda _: "refused without `open_pen`: an electrode of its own (`earthing = \"tt\"`) or a device",
    "it_earthing": lambda _: "`earthing = \"it\"` is allowed",
    "north_american": lambda _: "refused on every board whose file has no `[north_america]`, and with 3 phases",
}  # fmt: skip
HEAD = """# The countries' rules, and where each was read

Made from `evse_pi.core.country` by `make docs`; do not edit. *Verified* means that the text which makes the rule was
read; everything else is quoted by others and must be compared with the rule itself before a product is sold.

Everywhere: the device in the distribution board must be stated (`rcd_type`); type A or F only where the board's own
monitor sees 6 mA of smooth direct current, else A with such a detection, or B. No trip is reset without a person, no
supply is of the IT kind, where the table does not say so: no rule was found that allows it. The vendor of another
box names DK, FR, GB and CH as countries that forbid such resets (a note in its source text, unverified).

A limit of one or two phases is one of the circuit. A vehicle that takes one phase of a circuit of three is not held
to it: where the grid operator counts that, the circuit's capacity must be set to that limit.

| country | rule | read in | verified |
|---|---|---|---|"""
TAIL = """
For every other code of ISO 3166-1 nothing is known here: the rules above that hold everywhere are kept, and the
installer answers for the country's own. `evse-pi setup` and the certificate say so. The United Kingdom is `GB`."""


def differing(profile: CountryProfile) -> tuple[str, ...]:
    """Return the fields of a profile that are not the common ones."""
    common = CountryProfile()
    names = [each.name for each in fields(CountryProfile)]
    return tuple(name for name in names if getattr(profile, name) != getattr(common, name))


def page() -> str:
    """Return the page of every rule and its source."""
    lines = HEAD.splitlines()
    for code, profile in PROFILES.items():
        rows = [
            (RULES[name](getattr(profile, name)), SOURCES[code][name]) for name in differing(profile)
        ] or [("the common ones", _STANDARD)]  # fmt: skip
        lines += [
            f"| {code} | {rule} | {source.text} | {'yes' if source.verified else 'no'} |" for rule, source in rows
        ]
    return "\n".join([*lines, *TAIL.splitlines()]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
