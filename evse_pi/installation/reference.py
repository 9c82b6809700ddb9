"""The keys of an installation file: `python -m evse_pi.installation.reference` writes a page or a JSON schema.

What is allowed is what the loader answers to a wrong value, so that the page cannot say anything else.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import MISSING, asdict, fields
from typing import Any

from boards.spec import MeterModel
from evse_pi.core.board_ratings import BoardRatings
from evse_pi.core.installation_limits import (
    Earthing,
    Installation,
    InstallationError,
    Purpose,
    RcdType,
)
from evse_pi.core.installation_rules import parse_installation
from evse_pi.installation.files import check_house
from hal.units import MILLISECOND, Milliamps

WIDEST_BOARD = BoardRatings(
    Milliamps(80_000),
    3,
    30 * MILLISECOND,
    30 * MILLISECOND,
    rcd_fitted=True,
    rcd_dc_ma=Milliamps(6),
    rcd_ac_ma=Milliamps(20),
    north_american=True,
    weld_output_fitted=True,
)
"""What the narrowest limits of a board are not; a real board narrows them further."""
RIGHT = Installation(
    circuit_capacity_ma=Milliamps(6_000),
    phases=1,  # which every meter measures
    country="US",  # where a trip may be reset without a person
    rcd_type=RcdType.B.value,
    meter_model=MeterModel.SDM630.value,
    meter_port="/dev/ttyAMA0",
    earthing=Earthing.TT.value,
)
WRONG: dict[type, Any] = {int: -1, str: "?"}


def allowed(key: str) -> tuple[str, tuple[int, int] | None]:
    """Return what may stand at `key` in the loader's words, and the range where it is one."""
    kind = type(getattr(RIGHT, key))
    if kind is bool:
        return "true or false", None
    values = asdict(RIGHT)
    try:
        check_house(parse_installation({**values, key: WRONG[kind]}, WIDEST_BOARD), WIDEST_BOARD)
    except InstallationError as error:
        ends = None if error.lowest is None or error.highest is None else (error.lowest, error.highest)
        return error.told(str).rpartition("; ")[2].removeprefix("one of "), ends
    raise LookupError(f"{key}: the loader takes {WRONG[kind]!r}; tell {__name__} a wrong value")


def schema() -> dict[str, Any]:
    """Return the JSON schema of an installation file."""
    kinds = {int: "integer", str: "string", bool: "boolean"}
    properties: dict[str, Any] = {}
    for each in fields(Installation):
        words, ends = allowed(each.name)
        one: dict[str, Any] = {"type": kinds[type(getattr(RIGHT, each.name))], "description": MEANINGS[each.name]}
        if each.name in CHOICES:
            one |= {"enum": words.split(", ")}
        if ends is not None:
            one |= {"minimum": ends[0], "maximum": ends[1]}
        if each.name not in REQUIRED:
            default: Any = each.default
            one |= {"default": default}
            if ends is not None and not ends[0] <= default <= ends[1]:  # a number that stands for something else
                one |= {"anyOf": [{"const": default}, {"minimum": one.pop("minimum"), "maximum": one.pop("maximum")}]}
        properties[each.name] = one
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "installation file of evse-pi",
        "type": "object",
        "properties": properties,
        "required": list(REQUIRED),
        "additionalProperties": False,
    }


REQUIRED = (*(each.name for each in fields(Installation) if each.default is MISSING), "rcd_type")
"""A house needs its residual current device stated: `evse_pi.installation.files.check_house`."""
CHOICES = ("rcd_type", "meter_model", "meter_parity", "purpose", "earthing", "open_pen")


def page() -> str:
    """Return the page of every key."""
    lines = HEAD.splitlines()
    for each in fields(Installation):
        absent = "refused" if each.name in REQUIRED else f"`{json.dumps(each.default)}`"
        words = re.sub(r"\s+", " ", allowed(each.name)[0])
        lines.append(f"| `{each.name}` | {MEANINGS[each.name]} | {words} | {absent} |")
    return "\n".join(lines) + "\n"


HEAD = """# The keys of an installation file

Made from the loader by `make docs`; do not edit. `evse-pi setup` writes the file, `/etc/evse-pi/installation.toml`, and
seals it: a file that was changed by hand is refused. [Its JSON schema](installation.schema.json) is made with it.
Currents are in mA, voltages in mV, times in s. What is allowed is that of a board for 80 A and three phases that
detects residual current, in a country where a trip may be reset without a person; a smaller board, a fixed cable and
another country allow less or ask for more ([its rules](COUNTRIES.md)), and the refusal says what.

| key | meaning | allowed | without it |
|---|---|---|---|"""

MEANINGS = {
    "circuit_capacity_ma": "What the circuit carries for any time; no current above it is ever offered",
    "phases": "How many phases the circuit has",
    "country": "The country, whose rules narrow other keys",
    "nominal_voltage_mv": "Voltage of a phase against neutral, for what no meter measures",
    "ventilated": "Whether the room may serve vehicles that ask for ventilation (state D)",
    "rcd_reclosures": "How often a trip of the residual current device may be reset without a person",
    "tethered_cable_ma": "Rating of a fixed cable; 0 leaves it to the board",
    "rcd_type": "The residual current device in the distribution board",
    "random_delay_s": "Longest random delay of a start, until a user chooses another",
    "meter_model": "The meter that is fitted: `board` for the board's own, or a model",
    "meter_port": "Serial device of the meter; only with a model",
    "meter_unit": "Modbus address of the meter; only with a model",
    "meter_baud": "Speed of its line in bit/s; only with a model",
    "meter_parity": "Parity of its line; only with a model",
    "meter_inverted": (
        "Whether the current goes through the meter the other way round than the model, or the board's file, has it"
    ),
    "neutral": "Whether the circuit has a neutral; three lines without one have the nominal voltage between them",
    "purpose": f"`{Purpose.BENCH.value}` for a set-up in a laboratory, where a plug that becomes live meets no person",
    "earthing": "How the supply is earthed; `it` only where houses have such a supply, `tt` with an electrode",
    "open_pen": "What protects where a combined neutral and earth breaks; demanded in GB",
    "shunt_release": "Whether a release upstream opens the supply of a welded contactor; demanded in IT and NL",
    "shutters": "Whether shutters cover the contacts of the socket; demanded of a socket in FR and GB",
}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema(), indent=2) + "\n" if sys.argv[1:] == ["schema"] else page())
