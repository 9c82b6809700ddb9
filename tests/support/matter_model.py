"""Our clusters against a foreign data model, fact by fact: `tests/data/matter_model.json` names its source.

`matter_model.json` is written by `tests/interop/matterjs/model.mjs`. Names are compared without their case, because the
chip package writes `EVConnected` and the model `EvConnected`; a fact is one comparison of one column of one element.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from enum import IntFlag
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from evse_pi.matter.model.cluster import (
    ClusterAttribute,
    ClusterCommand,
    ClusterEvent,
    Composition,
    feature_bit,
    resolve,
)
from evse_pi.matter.model.value_codec import (
    BooleanCodec,
    EnumCodec,
    FloatCodec,
    IntegerCodec,
    ListCodec,
    NullableCodec,
    SequenceCodec,
    StructCodec,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from evse_pi.matter.model.cluster import Cluster
    from evse_pi.matter.model.datatype import Bounds
    from evse_pi.matter.model.declaration import Access, ClusterSchema

E = TypeVar("E", ClusterAttribute, ClusterCommand, ClusterEvent)

FILE = Path(__file__).parents[1] / "data" / "matter_model.json"
MODEL: dict[str, Any] = json.loads(FILE.read_text())
SOURCE: dict[str, Any] = MODEL["source"]
CLUSTERS: dict[str, Any] = MODEL["clusters"]
DEVICE_TYPES: dict[str, Any] = MODEL["device_types"]
BY_ID = {told["id"]: told for told in CLUSTERS.values()}

_INTEGER = re.compile(r"^(u?)int(\d+)$")
_RANGES = {"percent": (0, 100), "percent100ths": (0, 10_000), "temperature": (-27_315, 32_767)}
"""Types whose range is narrower than their base's. Source: Matter core 7.19.2."""
_POWER = re.compile(r"^\(?(-?)(\d+)\^(\d+)\)?(?: - (\d+))?$")
_ANY = (None, None)
Range = tuple[int | None, int | None]


@dataclass
class Comparison:
    """What was compared, by column, and what differs."""

    facts: Counter[str] = field(default_factory=Counter)
    open: Counter[str] = field(default_factory=Counter)
    """What the model leaves to words (`desc`) or to another value, and a table cannot compare."""
    differences: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def equal(self, where: str, column: str, ours: Any, theirs: Any) -> None:
        """Compare one fact."""
        self.facts[column] += 1
        if ours != theirs:
            self.differences[f"{where} {column}"] = (ours, theirs)


def compare(schema: ClusterSchema, result: Comparison) -> None:
    """Compare everything that `schema` says with the model, all features on."""
    told = BY_ID[schema.id]
    bare = replace(
        schema,
        features=(),
        attributes=tuple(replace(row, conformance="M") for row in schema.attributes),
        commands=tuple(replace(row, conformance="M") for row in schema.commands),
        events=tuple(replace(row, conformance="M") for row in schema.events),
    )
    cluster = resolve(bare, Composition())
    result.equal(schema.name, "revision", cluster.revision, told["revision"])
    _features(schema, told, result)
    values = _Values(schema.name, told["types"], result)
    _attributes(schema, cluster, told, values)
    _commands(schema, cluster, told, values)
    _events(schema, cluster, told, values)
    left_out = {row.code for row in schema.features if row.conformance == "X"}
    _nothing_missing(schema.name, schema, told, left_out, result)


def _attributes(schema: ClusterSchema, cluster: Cluster, told: Mapping[str, Any], values: _Values) -> None:
    result, rows = values.result, {row.name: row.conformance for row in schema.attributes}
    for where, attribute, theirs in _pairs(schema.name, cluster.attributes, told["attributes"], result):
        values.compare(where, attribute.codec, theirs)
        qualities = {
            "N": attribute.nonvolatile, "Q": attribute.quieter, "C": attribute.changes_omitted, "F": attribute.fixed,
            "X": isinstance(attribute.codec, NullableCodec),
        }  # fmt: skip
        for quality, ours in qualities.items():
            result.equal(where, f"quality {quality}", ours, quality in theirs["quality"].split())
        _access(where, attribute.access, theirs, result)
        if attribute.name in rows:
            _conformance(where, rows[attribute.name], theirs["conformance"], result)


def _commands(schema: ClusterSchema, cluster: Cluster, told: Mapping[str, Any], values: _Values) -> None:
    result, rows = values.result, {row.name: row.conformance for row in schema.commands}
    for where, command, theirs in _pairs(schema.name, cluster.commands, told["commands"], result):
        _access(where, command.access, theirs, result)
        _conformance(where, rows[command.name], theirs["conformance"], result)
        values.fields(where, command.request, theirs["fields"])
        response = told["responses"].get(theirs["response"])
        result.equal(where, "response", command.response_id, None if response is None else response["id"])
        if response is not None and command.response is not None:
            values.fields(f"{where} response", command.response, response["fields"])


def _events(schema: ClusterSchema, cluster: Cluster, told: Mapping[str, Any], values: _Values) -> None:
    result, rows = values.result, {row.name: row.conformance for row in schema.events}
    for where, event, theirs in _pairs(schema.name, cluster.events, told["events"], result):
        _access(where, event.access, theirs, result)
        _conformance(where, rows[event.name], theirs["conformance"], result)
        result.equal(where, "priority", ("debug", "info", "critical")[event.priority], theirs["priority"])
        values.fields(where, event.payload, theirs["fields"])


def _pairs(
    name: str, own: Mapping[int, E], told: Mapping[str, Any], result: Comparison
) -> Iterator[tuple[str, E, Any]]:
    """Yield our elements with the model's of the same number; that there is one is a fact as well."""
    elements = _by_id(told)
    for number, element in own.items():
        where = f"{name}.{element.name}"
        result.equal(where, "exists", True, number in elements)
        if number in elements:
            yield where, element, elements[number]


def _by_id(elements: Mapping[str, Any]) -> dict[int, Any]:
    return {told["id"]: told for told in elements.values() if told["conformance"] not in ("X", "D")}


def _features(schema: ClusterSchema, told: Mapping[str, Any], result: Comparison) -> None:
    ours = {row.code: row for row in schema.features}
    result.equal(schema.name, "features", sorted(ours), sorted(told["features"]))
    for code, row in ours.items():
        theirs = told["features"].get(code)
        if theirs is None:
            continue
        result.equal(f"{schema.name}.{code}", "bit", int(feature_bit(schema, row)), 1 << theirs["bit"])
        if row.conformance != "X":  # not in this product, and not to be switched on by halves
            _conformance(f"{schema.name}.{code}", row.conformance, theirs["conformance"], result)


def _conformance(where: str, ours: str, theirs: str, result: Comparison) -> None:
    if "desc" in theirs or not theirs:
        result.open["conformance"] += 1
    else:
        result.equal(where, "conformance", ours.replace(" ", ""), theirs.replace(" ", ""))


def _access(where: str, access: Access, theirs: Mapping[str, Any], result: Comparison) -> None:
    for verb, ours in (("read", access.read), ("write", access.write)):
        if "invoke" in theirs or theirs.get("priority"):
            continue
        result.equal(where, f"access {verb}", None if ours is None else ours.name.lower(), theirs.get(verb))
    if theirs.get("priority"):
        result.equal(where, "access read", access.read and access.read.name.lower(), theirs["read"])
    if "invoke" in theirs:
        result.equal(where, "access invoke", access.write and access.write.name.lower(), theirs["invoke"])
        result.equal(where, "timed", access.timed, theirs.get("timed", False))
    marked = "F" if access.fabric_scoped else "S" if access.fabric_sensitive else None
    result.equal(where, "fabric", marked, theirs.get("fabric"))


def _nothing_missing(
    name: str, schema: ClusterSchema, told: Mapping[str, Any], left_out: set[str], result: Comparison
) -> None:
    """Whatever is mandatory, always or with a feature that can be switched on, has its row."""
    for kind, rows in (("attributes", schema.attributes), ("commands", schema.commands), ("events", schema.events)):
        ours = {row.name.lower() for row in rows}
        for element, theirs in told[kind].items():
            if 0xF000 <= theirs["id"] <= 0xFFFE or element.lower() in ours:
                continue
            optional = re.fullmatch(r"(?:X|D|O|P|P, O|P, M|\[.*\]|desc)(?:, .*)?", theirs["conformance"])
            words = set(re.findall(r"[A-Za-z_]\w*", theirs["conformance"]))
            absent = words and words <= left_out
            result.equal(f"{name}.{element}", "mandatory", bool(optional or absent), True)


class _Values:
    """Compares codecs with the model's types, structures by their fields, each structure once."""

    def __init__(self, cluster: str, types: Mapping[str, Any], result: Comparison) -> None:
        self._cluster = cluster
        self._types = types
        self.result = result
        self._seen: set[str] = set()

    def compare(self, where: str, codec: Any, theirs: Mapping[str, Any]) -> None:
        """Compare one value's type and constraint."""
        if isinstance(codec, NullableCodec):
            codec = codec.inner
        shape, expected = _shape(codec), _expected_shape(theirs["base"])
        if shape == "unsigned" and expected in ("enumeration", "bitmap"):  # the same on the wire, of the same width
            expected, theirs = "unsigned", {**theirs, "base": re.sub(r"^\D+", "uint", theirs["base"])}
        self.result.equal(where, "type", shape, expected)
        if shape != expected:
            return
        constraint, _, entries = theirs["constraint"].partition("[")
        if isinstance(codec, IntegerCodec):
            self._bounds(where, codec.bounds, _integer_range(theirs), told=constraint)
        elif isinstance(codec, EnumCodec):
            self._enumeration(where, codec, theirs)
        elif isinstance(codec, SequenceCodec):
            self._bounds(where, codec.bounds, _range(constraint) or (0, None), told=constraint)
        elif isinstance(codec, ListCodec):
            self._bounds(where, codec.bounds, _range(constraint) or (0, None), told=constraint)
            entry = dict(theirs["entry"])
            if entries:
                entry["constraint"] = entries.rstrip("]")
            self.compare(f"{where}[]", codec.entry, entry)
        elif isinstance(codec, StructCodec):
            self.fields(f"{self._cluster}.{theirs['type']}", codec, self._types[theirs["type"]]["fields"])

    def fields(self, where: str, codec: StructCodec, told: Mapping[str, Any]) -> None:
        """Compare the fields of a structure or a payload."""
        if where in self._seen:
            return
        self._seen.add(where)
        theirs = {each["id"]: (label, each) for label, each in told.items() if each["conformance"] not in ("X", "D")}
        ours = {slot.tag: slot for slot in codec.slots}
        self.result.equal(where, "fields", sorted(set(ours) - {254}), sorted(set(theirs) - {254}))
        for tag, slot in ours.items():
            if tag not in theirs or tag == 254:
                continue
            label, each = theirs[tag]
            place = f"{where}.{slot.label}"
            self.result.equal(place, "name", slot.label.lower(), label.lower())
            if "desc" not in each["conformance"]:
                self.result.equal(place, "optional", slot.optional, each["conformance"] != "M")
            nullable = slot.nullable or isinstance(slot.codec, NullableCodec)
            self.result.equal(place, "nullable", nullable, "X" in each["quality"].split())
            self.compare(place, slot.codec, each)

    def _enumeration(self, where: str, codec: EnumCodec, theirs: Mapping[str, Any]) -> None:
        told = self._types.get(theirs["type"])
        if told is None:
            self.result.open["values"] += 1
        elif "bits" in told:
            self.result.equal(where, "bits", sum(codec.values), _mask(told["bits"]))
        else:
            self.result.equal(where, "values", sorted(codec.values), sorted(told["values"].values()))

    def _bounds(self, where: str, ours: Bounds, theirs: Range, *, told: str) -> None:
        if re.search(r"desc|[a-z]+[A-Z]|current", told):  # by words or by another value: ours may be narrower
            self.result.open["bounds"] += 1
            return
        lower, upper = theirs
        if lower is not None and (lower, ours.lower) != (0, None):
            self.result.equal(where, "lower bound", ours.lower, lower)
        if upper is not None or ours.upper is not None:
            self.result.equal(where, "upper bound", ours.upper, upper)


def _shape(codec: Any) -> str:
    match codec:
        case IntegerCodec():
            return "unsigned" if codec.unsigned else "signed"
        case EnumCodec():
            return "bitmap" if issubclass(codec.enum, IntFlag) else "enumeration"
        case SequenceCodec():
            return "text" if codec.kind is str else "octets"
        case FloatCodec():
            return "single" if codec.single else "double"
        case BooleanCodec():
            return "boolean"
        case ListCodec():
            return "list"
        case StructCodec():
            return "structure"
    raise TypeError(type(codec))


def _expected_shape(base: str) -> str:
    if match := _INTEGER.match(base):
        return "unsigned" if match[1] else "signed"
    named = {"string": "text", "octstr": "octets", "bool": "boolean", "struct": "structure", "list": "list"}
    if base in named:
        return named[base]
    return "enumeration" if base.startswith("enum") else "bitmap" if base.startswith("map") else base


def _integer_range(theirs: Mapping[str, Any]) -> Range:
    match = _INTEGER.match(theirs["base"])
    assert match
    unsigned, bits = bool(match[1]), int(match[2])
    lower, upper = (0, (1 << bits) - 1) if unsigned else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    if theirs["type"] in _RANGES:
        lower, upper = _RANGES[theirs["type"]]
    narrowed = _range(theirs["constraint"])
    if narrowed is None:
        return lower, upper
    low, high = narrowed
    return (lower if low is None else max(lower, low)), (upper if high is None else min(upper, high))


def _range(text: str) -> Range | None:
    """Return the bounds that a constraint gives, None for none, or nothing known where words or other values say it."""
    text = text.strip()
    if text in ("", "all"):
        return None
    for pattern, make in (
        (r"max (.+)", lambda match: (None, _number(match[1]))),
        (r"min (.+)", lambda match: (_number(match[1]), None)),
        (r"(.+) to (.+)", lambda match: (_number(match[1]), _number(match[2]))),
        (r"(\S+)", lambda match: (_number(match[1]), _number(match[1]))),
    ):
        if match := re.fullmatch(pattern, text):
            return make(match)
    return _ANY


def _number(text: str) -> int | None:
    text = text.strip()
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if re.fullmatch(r"0x[0-9a-fA-F]+", text):
        return int(text, 16)
    if match := _POWER.match(text):
        value = int(match[2]) ** int(match[3])
        return (-value if match[1] else value) - int(match[4] or 0)
    return None


def _mask(bits: Mapping[str, str]) -> int:
    mask = 0
    for text in bits.values():
        low, _, high = text.partition(" to ")
        mask |= sum(1 << bit for bit in range(int(low), int(high or low) + 1))
    return mask


def missing_requirements(name: str, servers: set[int], device_types: set[int]) -> Iterator[str]:
    """Yield what a device type requires, whatever its conditions are, of an endpoint that does not have it."""
    for what, told in DEVICE_TYPES[name]["requirements"].items():
        if told["conformance"] == "M":
            there = device_types if told["element"] == "deviceType" else servers
            if told["id"] not in there:
                yield what
