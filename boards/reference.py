"""The keys of a board file as the loader reads them: `python -m boards.reference` writes a page or a JSON schema.

The loader itself reads a table that holds nothing, through sections that write down what it asks for. So page and
schema cannot say anything else than the loader does.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from boards.loader import read_spec
from boards.section import Section

if TYPE_CHECKING:
    from enum import Enum

    from boards.section import E


@dataclass(slots=True)
class KeyTable:
    """What may stand in one table: its keys as JSON schemas, those that must stand there, and its tables."""

    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    required: dict[str, None] = field(default_factory=dict)
    tables: dict[str, KeyTable] = field(default_factory=dict)
    repeated: bool = False


class _RecordingSection(Section):
    """A section of a table that holds nothing; `present` are the paths that it says are there."""

    def __init__(self, path: str, keys: KeyTable, present: frozenset[str] | None, asked: set[str]) -> None:
        super().__init__(path, {}, [])
        self._keys, self._present, self._asked = keys, present, asked
        self._optional: set[str] = set()

    def has(self, key: str) -> bool:
        self._optional.add(key)
        self._asked.add(self._path + key)
        return self._present is None or self._path + key in self._present

    def integer(self, key: str, low: int, high: int, *, default: int | None = None) -> int:
        self._note(key, {"type": "integer", "minimum": low, "maximum": high}, default)
        return low

    def integers(self, key: str, count: int, low: int, high: int, *, default: tuple[int, ...]) -> tuple[int, ...]:
        each = {"type": "integer", "minimum": low, "maximum": high}
        self._note(key, {"type": "array", "items": each, "minItems": count, "maxItems": count}, list(default))
        return default

    def flag(self, key: str, *, default: bool | None = None) -> bool:
        self._note(key, {"type": "boolean"}, default)
        return False

    def text(self, key: str, *, at_least: int = 1, default: str | None = None) -> str:
        self._note(key, {"type": "string", "minLength": at_least}, default)
        return ""

    def choice(self, key: str, kind: type[E], *, default: E | None = None) -> E:
        members: list[Enum] = list(kind)
        self._note(key, {"enum": [each.value for each in members]}, None if default is None else default.value)
        return next(iter(kind))

    def table(self, key: str) -> Section:
        self._require(key, None)
        return self._inner_of(key)

    def tables(self, key: str) -> list[Section]:
        inner = self._inner_of(key)
        self._keys.tables[key].repeated = True
        return [inner]

    def _inner_of(self, key: str) -> _RecordingSection:
        inner = self._keys.tables.setdefault(key, KeyTable())
        return _RecordingSection(f"{self._path}{key}.", inner, self._present, self._asked)

    def _note(self, key: str, schema: dict[str, Any], default: object) -> None:
        self._keys.keys[key] = schema if default is None else {**schema, "default": default}
        self._require(key, default)

    def _require(self, key: str, default: object) -> None:
        if default is None and key not in self._optional:
            self._keys.required[key] = None


def key_tables() -> tuple[KeyTable, KeyTable]:
    """Return the keys of a file, and those of one in which every table that has a shorter form has that."""
    full, short = KeyTable(), KeyTable()
    asked: set[str] = set()
    read_spec(_RecordingSection("", short, None, asked), "")
    texts = {path for path in asked if _is_text(short, path.split("."))}
    for _ in range(len(asked) + 1):  # a table that was not read with its short form may ask for more
        before = len(asked)
        full = KeyTable()
        read_spec(_RecordingSection("", full, frozenset(asked - texts), asked), "")
        if len(asked) == before:
            break
    return full, short


def _is_text(keys: KeyTable, path: list[str]) -> bool:
    for name in path[:-1]:
        keys = keys.tables[name]
    return path[-1] in keys.keys


def schema() -> dict[str, Any]:
    """Return the JSON schema of a board file."""
    full, short = key_tables()
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "board file of evse-pi"}
    return {**head, **_schema_of(full, short)}


def _schema_of(full: KeyTable, short: KeyTable) -> dict[str, Any]:
    properties: dict[str, Any] = {name: {**each, "description": MEANINGS[name]} for name, each in full.keys.items()}
    for name, table in full.tables.items():
        inner = _schema_of(table, short.tables.get(name, table))
        inner["description"] = TABLES[name]
        properties[name] = {"type": "array", "items": inner} if table.repeated else inner
    found = {
        "type": "object",
        "properties": properties,
        "required": list(full.required),
        "additionalProperties": False,
    }
    other = {key: value for key, value in short.keys.items() if key not in full.keys}
    if not other:
        return found
    keys = {name: {**each, "description": MEANINGS[name]} for name, each in other.items()}
    return {"oneOf": [found, {**found, "properties": keys, "required": list(other)}]}


def page() -> str:
    """Return the page of every key."""
    full, short = key_tables()
    lines = [*HEAD.splitlines(), *_rows("", full, short)]
    return "\n".join(lines) + "\n"


def _rows(path: str, full: KeyTable, short: KeyTable, *, needed: bool = True) -> list[str]:
    lines: list[str] = []
    if path:
        name = path.split(".")[-1]
        kind = "array of tables" if full.repeated else "table" if needed else "optional table"
        lines += ["", f"## {path}", "", f"{TABLES[name]} ({kind})", ""]
        lines += ["| key | meaning | unit | allowed | without it |", "|---|---|---|---|---|"]
        lines += [_row(key, each, required=key in full.required) for key, each in full.keys.items()]
        other = {key: each for key, each in short.keys.items() if key not in full.keys}
        lines += [f"{_row(key, each, required=False)[:-2]}, or else every key above |" for key, each in other.items()]
    for key, table in full.tables.items():
        inner = f"{path}.{key}" if path else key
        lines += _rows(inner, table, short.tables.get(key, table), needed=key in full.required)
    return lines


def _row(key: str, schema: dict[str, Any], *, required: bool) -> str:
    absent = "refused" if required else f"{json.dumps(schema['default'])}" if "default" in schema else "needed"
    unit = next((unit for end, unit in UNITS.items() if key.endswith(end)), "")
    return f"| `{key}` | {MEANINGS[key]} | {unit} | {_allowed(schema)} | {absent} |"


def _allowed(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(each)}`" for each in schema["enum"])
    match schema["type"]:
        case "integer":
            return f"{schema['minimum']} to {schema['maximum']}"
        case "array":
            return f"{schema['minItems']} of {_allowed(schema['items'])}"
        case "string":
            return f"a text of at least {schema['minLength']} characters"
    return "true or false"


HEAD = """# The keys of a board file

Made from the loader by `make docs`; do not edit. `boards/board.schema.json` is the same for editors. A file is refused
whole, with every problem named: a key that is not here, a value outside what is allowed, and what does not fit together
(`boards.rules.check`): two devices at one pin or channel, a converter that does not see the pilot's rails or the peaks
of the mains, a contactor that opens too late, a socket without a lock or above 63 A. Pins are BCM numbers. A table that
may be left out stands for a device that is not there."""

UNITS = {
    "_ma": "mA", "_mv": "mV", "_ms": "ms", "_hz": "Hz", "_ohms": "Ω", "gain_uv_per_code": "µV a code", "baud": "bit/s",
}  # fmt: skip

TABLES = {
    "board": "What the board is.",
    "fail_safe": "What holds the contactor open when the software cannot.",
    "pilot_adc": "The converter that sees the control pilot.",
    "pilot_pwm": "The pin of the pilot's generator.",
    "contactor": "The contactor, active high: a floating or low pin is an open contactor.",
    "mirror": "The mirror contact of the contactor; active means closed.",
    "economiser": "A second coil output that is driven only while the contactor pulls in.",
    "watchdog": "The circuit that opens the contactor when its input stops toggling.",
    "rcd": "The residual current device on the board.",
    "detects": "The residual currents that it surely trips at, which decide what must stand upstream.",
    "trip": "Its output; active means tripped.",
    "test": "The input that injects a test current.",
    "reset": "The input that resets its latch; without it the device resets by itself.",
    "voltage_sense": "Couplers behind the contactor, which do not see one welded pole alone; active means live.",
    "load_sense": "Each phase behind the contactor against PE, in the place of couplers.",
    "l1": "The first phase.",
    "l2": "The second phase.",
    "l3": "The third phase.",
    "weld_output": "The relay that trips a switch ahead of the box while the contactor is welded.",
    "readback": "The second contact of that relay; active means that the output is closed.",
    "proximity": "The proximity contact: a pull-up, read by a channel of the pilot's converter.",
    "lock": "The motor of the connector lock.",
    "feedback": "The contact at the bolt; active means locked.",
    "emergency_stop": "The emergency stop; active means pressed.",
    "status_led": "The status LED.",
    "temperature": "A thermometer on an I2C bus.",
    "meter": "The energy meter that the board is sold with.",
    "coil_node": "The node between the contactor's coil and its return switch, at half its supply in rest.",
    "pilot_supply": "The generator's two rails as the converter sees them.",
    "positive": "The +12 V rail.",
    "negative": "The −12 V rail.",
    "north_america": "What a board for the United States and Canada must say; without it they are refused.",
}

MEANINGS = {
    "title": "What it is called",
    "phases": "How many phases the contactor switches",
    "rated_current_ma": "What it carries for any time",
    "boot": "Why the contactor is open until the software runs",
    "process_dies": "Why it opens when the safety process dies",
    "process_hangs": "Why it opens when the safety process hangs",
    "power_lost": "Why it opens without supply",
    "chip": "Which chip it is",
    "bus": "Number of the bus",
    "device": "Chip select on the bus",
    "channel": "Input of the converter",
    "speed_hz": "Clock of the bus",
    "gain_uv_per_code": "What one code means, ahead of the input stage",
    "offset_mv": "What code 0 means",
    "pin": "Its line",
    "active_high": "Whether a high line means it",
    "pull": "The pull resistor of the Pi",
    "inverted": "Whether a high pin gives −12 V",
    "pin_reason": "Why a pin is safe that is high while the Pi starts",
    "pull_in_ms": "From the order to closed contacts, at most",
    "release_ms": "From the order to open contacts, at most",
    "min_off_ms": "Shortest time between opening and closing",
    "boost_pin": "Line of the second output",
    "boost_ms": "How long it is driven",
    "hold_min_ms": "The least time for which it holds the coil's supply after a rising edge",
    "hold_max_ms": "The most time for which it does",
    "arm_ms": "The most that it takes from the first rising edge to a supplied coil",
    "rearms_by_itself": "Whether it conducts again without a new edge; such a circuit is refused",
    "channel_proof": "What proves the coil's two switches before every close; needed with a watchdog",
    "bench_only": "Why its hold may be longer than 90 ms less contactor.release_ms, on a board for the bench alone",
    "not_fitted": "Why the board has none; instead of the other keys",
    "dc_ma": "Smooth direct current that trips it, 0 where it sees none",
    "ac_ma": "Alternating current that trips it, 0 where it sees none",
    "standard": "The norm that it was tested by",
    "test_hz": "Frequency of the test, 0 for a level",
    "reset_ms": "Length of the pulse that resets",
    "supply_mv": "Nominal voltage of what feeds it",
    "pull_up_ohms": "The pull-up",
    "hold_ms": "How long the couplers show a voltage that has gone",
    "lock_pin": "Line that drives towards locked",
    "unlock_pin": "Line that drives towards unlocked",
    "drive_ms": "How long the motor is driven",
    "address": "Address on the bus",
    "place": "What it watches",
    "model": "Which meter it is",
    "port": "Serial device, or `header` for the UART of the header",
    "unit": "Modbus address",
    "baud": "Speed of the line",
    "parity": "Parity of the line",
    "current_inverted": "Whether the current goes through it the other way round",
    "window_mv": "Least and greatest distance from 0 V that a rail may read",
    "ccid_ma": "What its device for persons trips at",
    "ground_monitor": "The circuit that opens the contactor without the equipment's earth, at all times",
    "frequency_hz": "Frequency of the supply",
    "load_sense_poles": "Poles behind the contactor that are each seen live",
    "hardware_window": "The circuit that judges the rails without software; instead of the other keys",
}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema(), indent=2) + "\n" if sys.argv[1:] == ["schema"] else page())
