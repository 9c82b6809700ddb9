"""From chip types to checked Python values and TLV elements, and back.

A codec has three verbs: `cast` takes what Python code offers, `from_tlv` what a peer sent (as `chip.tlv` decodes it),
and both return the one normal form; `to_tlv` turns that into what `chip.tlv` encodes. Null is None wherever a field
cannot be absent; where it can be both, `NullValue` is null and None is absent.

Raises: MatterStatus with INVALID_DATA_TYPE or CONSTRAINT_ERROR, naming the field, the value and what is allowed.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import IntFlag
from typing import Any, Protocol

from chip.tlv import float32, uint

from evse_pi.matter.model.datatype import ANY, Bounds, Constraint, entry_bounds, parse_constraint, type_bounds
from evse_pi.matter.wire.chip_objects import ClusterObject, Nullable, NullValue
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

if typing.TYPE_CHECKING:
    from evse_pi.matter.model.declaration import Field, Struct

FABRIC_INDEX_TAG = 254
_UINT64 = Bounds(0, (1 << 64) - 1)


class Codec(Protocol):
    """The two-way translator of one type."""

    def cast(self, value: Any) -> Any:
        """Return the normal form of a value offered by code."""

    def from_tlv(self, element: Any) -> Any:
        """Return the normal form of a decoded TLV element."""

    def to_tlv(self, value: Any) -> Any:
        """Return the TLV element of a normal form."""

    def zero(self) -> Any:
        """Return the value an attribute of this type has before it was given one."""


def _wrong_type(label: str, value: Any, expected: str) -> MatterStatus:
    return MatterStatus(StatusCode.INVALID_DATA_TYPE, f"{label}: {type(value).__name__} instead of {expected}")


def _out_of_range(label: str, value: Any, allowed: object) -> MatterStatus:
    return MatterStatus(StatusCode.CONSTRAINT_ERROR, f"{label}={value!r}: allowed is {allowed}")


@dataclass(frozen=True, slots=True)
class IntegerCodec:
    """Whole numbers, signed or not."""

    label: str
    bounds: Bounds
    unsigned: bool

    def cast(self, value: Any) -> int:
        """Return `value` as an int inside the bounds."""
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong_type(self.label, value, "an integer")
        if not self.bounds.hold(value):
            raise _out_of_range(self.label, int(value), self.bounds)
        return int(value)

    def from_tlv(self, element: Any) -> int:
        """Return the number in `element`; either signedness is understood if the value fits."""
        return self.cast(element)

    def to_tlv(self, value: int) -> int:
        """Return the number in the signedness that the type has on the wire."""
        return uint(value) if self.unsigned else value

    def zero(self) -> int:
        """Return the allowed number nearest to zero."""
        lower = self.bounds.lower
        return lower if lower is not None and lower > 0 else 0


@dataclass(frozen=True, slots=True)
class BooleanCodec:
    """True or false."""

    label: str

    def cast(self, value: Any) -> bool:
        """Return `value` if it is a bool."""
        if not isinstance(value, bool):
            raise _wrong_type(self.label, value, "a boolean")
        return value

    def from_tlv(self, element: Any) -> bool:
        """Return the boolean in `element`."""
        return self.cast(element)

    def to_tlv(self, value: bool) -> bool:
        """Return the element."""
        return value

    def zero(self) -> bool:
        """Return false."""
        return False


@dataclass(frozen=True, slots=True)
class FloatCodec:
    """Single or double precision numbers."""

    label: str
    bounds: Bounds
    single: bool

    def cast(self, value: Any) -> float:
        """Return `value` as a float inside the bounds."""
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise _wrong_type(self.label, value, "a number")
        if not self.bounds.hold(value):
            raise _out_of_range(self.label, value, self.bounds)
        return float(value)

    def from_tlv(self, element: Any) -> float:
        """Return the number in `element`."""
        return self.cast(element)

    def to_tlv(self, value: float) -> float:
        """Return the element in the precision of the type."""
        return float32(value) if self.single else value

    def zero(self) -> float:
        """Return 0.0."""
        return 0.0


@dataclass(frozen=True, slots=True)
class SequenceCodec:
    """Text or octets, bounded by length in octets."""

    label: str
    bounds: Bounds
    kind: type[str | bytes]

    def cast(self, value: Any) -> str | bytes:
        """Return `value` if it is of the kind and not too long."""
        if not isinstance(value, self.kind):
            raise _wrong_type(self.label, value, "text" if self.kind is str else "octets")
        length = len(value.encode()) if isinstance(value, str) else len(value)
        if not self.bounds.hold(length):
            shown = value if isinstance(value, str) else f"{length} octets"  # octets may be a key
            raise _out_of_range(self.label, shown, f"length {self.bounds}")
        return value

    def from_tlv(self, element: Any) -> str | bytes:
        """Return the text or octets in `element`."""
        return self.cast(element)

    def to_tlv(self, value: str | bytes) -> str | bytes:
        """Return the element."""
        return value

    def zero(self) -> str | bytes:
        """Return the empty sequence."""
        return self.kind()


@dataclass(frozen=True, slots=True)
class EnumCodec:
    """One of the named values of a chip enumeration, or a set of flags."""

    label: str
    enum: Any
    values: frozenset[int]
    bounds: Bounds = ANY
    answered: bool = False

    def cast(self, value: Any) -> Any:
        """Return the member for `value`, or the number that is none where the command answers for it."""
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong_type(self.label, value, self.enum.__name__)
        if self.answered and value not in self.values:
            return int(value)
        known = value in self.values or (issubclass(self.enum, IntFlag) and not int(value) & ~sum(self.values))
        if not known or not self.bounds.hold(value):
            raise _out_of_range(self.label, int(value), sorted(self.values))
        return self.enum(int(value))

    def from_tlv(self, element: Any) -> Any:
        """Return the member for the number in `element`."""
        return self.cast(element)

    def to_tlv(self, value: Any) -> int:
        """Return the member's number, which is unsigned."""
        return uint(int(value))  # type: ignore[no-any-return]

    def zero(self) -> Any:
        """Return the first member, or no flags."""
        return self.enum(0) if issubclass(self.enum, IntFlag) else self.enum(min(self.values))


@dataclass(frozen=True, slots=True)
class NullableCodec:
    """A value that may be null."""

    inner: Codec

    def cast(self, value: Any) -> Any:
        """Return None for null, else what the inner codec makes of it."""
        return None if value is None or isinstance(value, Nullable) else self.inner.cast(value)

    def from_tlv(self, element: Any) -> Any:
        """Return None for a TLV null."""
        return None if element is None else self.inner.from_tlv(element)

    def to_tlv(self, value: Any) -> Any:
        """Return None, which is encoded as null, or the inner element."""
        return None if value is None else self.inner.to_tlv(value)

    def zero(self) -> None:
        """Return null."""


@dataclass(frozen=True, slots=True)
class ListCodec:
    """A list, held as a tuple."""

    label: str
    entry: Codec
    bounds: Bounds

    def cast(self, value: Any) -> tuple[Any, ...]:
        """Return the cast entries."""
        if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__iter__"):
            raise _wrong_type(self.label, value, "a list")
        return self._bounded(tuple(map(self.entry.cast, value)))

    def from_tlv(self, element: Any) -> tuple[Any, ...]:
        """Return the decoded entries."""
        if not isinstance(element, list):
            raise _wrong_type(self.label, element, "a list")
        return self._bounded(tuple(map(self.entry.from_tlv, element)))

    def to_tlv(self, value: tuple[Any, ...]) -> list[Any]:
        """Return the encoded entries."""
        return list(map(self.entry.to_tlv, value))

    def zero(self) -> tuple[Any, ...]:
        """Return the empty list."""
        return ()

    def _bounded(self, entries: tuple[Any, ...]) -> tuple[Any, ...]:
        if not self.bounds.hold(len(entries)):
            raise _out_of_range(self.label, len(entries), f"{self.bounds} entries")
        return entries


@dataclass(frozen=True, slots=True)
class Slot:
    """One field of a structure."""

    label: str
    tag: int
    codec: Codec
    optional: bool
    nullable: bool
    sensitive: bool

    def cast(self, value: Any) -> Any:
        """Return the normal form of a field's value, absent included."""
        if self.optional and (value is None or (self.nullable and isinstance(value, Nullable))):
            return value
        return self.codec.cast(value)


@dataclass(frozen=True, slots=True)
class StructCodec:
    """A chip structure, command or event payload, held as its (frozen) chip class."""

    label: str
    kind: Any
    slots: tuple[Slot, ...]

    @property
    def fabric_scoped(self) -> bool:
        """Return whether the structure carries a fabric index."""
        return any(slot.tag == FABRIC_INDEX_TAG for slot in self.slots)

    def cast(self, value: Any) -> Any:
        """Return a structure with all fields cast; a mapping of labels is understood too."""
        if isinstance(value, Mapping):
            if unknown := set(value) - {slot.label for slot in self.slots}:
                raise MatterStatus(
                    StatusCode.INVALID_DATA_TYPE, f"{self.label} has no field {', '.join(sorted(unknown))}"
                )
            value = self.kind(**value)
        if not isinstance(value, self.kind):
            raise _wrong_type(self.label, value, self.kind.__name__)
        return self.kind(**{slot.label: slot.cast(getattr(value, slot.label)) for slot in self.slots})

    def from_tlv(self, element: Any) -> Any:
        """Return the structure in `element`; unknown fields are ignored."""
        if not isinstance(element, Mapping):
            raise _wrong_type(self.label, element, "a structure")
        return self.kind(**{slot.label: self._field(slot, element) for slot in self.slots})

    def _field(self, slot: Slot, element: Mapping[Any, Any]) -> Any:
        if slot.tag not in element:
            if slot.tag == FABRIC_INDEX_TAG:
                return 0
            if not slot.optional:
                raise MatterStatus(StatusCode.INVALID_DATA_TYPE, f"{self.label}.{slot.label} is missing")
            return None
        value = element[slot.tag]
        if value is None and slot.optional and slot.nullable:
            return NullValue
        return slot.codec.from_tlv(value)

    def to_tlv(self, value: Any, *, redacted: bool = False) -> dict[int, Any]:
        """Return the fields by tag; `redacted` leaves the fabric-sensitive ones out."""
        fields: dict[int, Any] = {}
        for slot in self.slots:
            content = getattr(value, slot.label)
            if (redacted and slot.sensitive) or (slot.optional and content is None):
                continue
            null = content is None or isinstance(content, Nullable)
            fields[slot.tag] = None if null else slot.codec.to_tlv(content)
        return fields

    def zero(self) -> Any:
        """Return the structure of its fields' zeros."""
        return self.kind(**{slot.label: None if slot.optional else slot.codec.zero() for slot in self.slots})


@dataclass(frozen=True, slots=True)
class Shape:
    """A chip type taken apart."""

    element: Any
    optional: bool
    nullable: bool
    is_list: bool


def shape(annotation: Any) -> Shape:
    """Return what a chip type annotation says."""
    options = typing.get_args(annotation) if typing.get_origin(annotation) is typing.Union else (annotation,)
    optional = type(None) in options
    nullable = Nullable in options
    (inner,) = (option for option in options if option is not type(None) and option is not Nullable)
    if typing.get_origin(inner) is list:
        return Shape(typing.get_args(inner)[0], optional, nullable, is_list=True)
    return Shape(inner, optional, nullable, is_list=False)


class CodecFactory:
    """Makes codecs for the types of one cluster, minding the constraints its structures declare."""

    def __init__(self, structs: tuple[Struct, ...] = ()) -> None:
        self._structs = {struct.name: {row.name: row for row in struct.fields} for struct in structs}

    def field(self, label: str, annotation: Any, row: Field | None = None, *, nullable: bool | None = None) -> Codec:
        """Return the codec of an annotation under the constraint and type of its table row."""
        parts = shape(annotation)
        constraint = parse_constraint(row.constraint) if row else Constraint()
        base = type_bounds(row.type) if row else ANY
        codec: Codec
        if parts.is_list:
            of_entries = entry_bounds(row.type) if row else ANY
            entry = self._single(f"{label}[]", parts.element, of_entries, constraint.entries)
            codec = ListCodec(label, entry, constraint.bounds)
        else:
            codec = self._single(label, parts.element, base, constraint.bounds)
            if row is not None and row.answered and isinstance(codec, EnumCodec):
                codec = replace(codec, answered=True)
        return NullableCodec(codec) if (parts.nullable if nullable is None else nullable) else codec

    def struct(self, label: str, kind: Any, rows: tuple[Field, ...] = ()) -> StructCodec:
        """Return the codec of a structure or payload class, its fields constrained by `rows`."""
        table = {row.name: row for row in rows} | self._structs.get(kind.__name__, {})
        fields = kind.descriptor.Fields
        if unknown := set(table) - {found.Label for found in fields}:
            raise ValueError(f"{label} has no field {', '.join(sorted(unknown))}")
        return StructCodec(label, kind, tuple(self._slot(label, found, table.get(found.Label)) for found in fields))

    def _slot(self, label: str, found: Any, row: Field | None) -> Slot:
        parts = shape(found.Type)
        codec = self.field(f"{label}.{found.Label}", found.Type, row, nullable=parts.nullable and not parts.optional)
        sensitive = row is not None and row.sensitive
        return Slot(found.Label, int(found.Tag), codec, parts.optional, parts.nullable, sensitive)

    def _single(self, label: str, kind: Any, base: Bounds, bounds: Bounds) -> Codec:
        if issubclass(kind, ClusterObject):
            return self.struct(label, kind)
        for match, make in _SINGLE:
            if issubclass(kind, match):
                return make(label, kind, base, bounds)
        if hasattr(kind, "kUnknownEnumValue"):
            values = frozenset(int(member) for member in kind if member.name != "kUnknownEnumValue")
            return EnumCodec(label, kind, values, bounds)
        return IntegerCodec(label, base.narrowed(bounds), unsigned=False)


_SINGLE: tuple[tuple[Any, Callable[[str, Any, Bounds, Bounds], Codec]], ...] = (
    (bool, lambda label, _kind, _base, _bounds: BooleanCodec(label)),
    (IntFlag, lambda label, kind, _base, bounds: EnumCodec(label, kind, frozenset(map(int, kind)), bounds)),
    (uint, lambda label, _kind, base, bounds: IntegerCodec(label, _UINT64.narrowed(base).narrowed(bounds), True)),
    (str, lambda label, _kind, _base, bounds: SequenceCodec(label, bounds, str)),
    (bytes, lambda label, _kind, _base, bounds: SequenceCodec(label, bounds, bytes)),
    (float32, lambda label, _kind, _base, bounds: FloatCodec(label, bounds, single=True)),
    (float, lambda label, _kind, _base, bounds: FloatCodec(label, bounds, single=False)),
)
