"""Records of the contract as plain JSON values and back, by their type annotations alone.

A record is a NamedTuple: creating the class costs 0.4 ms where a frozen dataclass costs 1.5 ms, and a command that asks
once pays that for every record at each start. For the same reason modules of records do not postpone their annotations:
each would be compiled once more, as a text. An enumeration travels by its name, a set as a sorted list.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, Literal

from evse_pi.api.refusal import Allowed

if typing.TYPE_CHECKING:
    from collections.abc import Callable

    _Reader = Callable[[Any, str, "Unknown"], Any]
    """Reads plain data at a path."""

Unknown = Literal["refuse", "ignore"]
"""What becomes of a key that the record does not have: a request with one is refused, for it asks for something that
would not be done; in an answer it is ignored, for a newer box may say more."""


class Mismatch(ValueError):  # noqa: N818 (it says what is the case)
    """Plain data is not what the contract says: `field` is its path, `allowed` tells what may stand there.

    `bounds` are those of a number, where it has some.
    """

    def __init__(
        self, field: str, value: object, allowed: str, *, text: str | None = None, bounds: Allowed | None = None
    ) -> None:
        super().__init__(text or f"{field}: {_short(value)} is not allowed; {allowed}")
        self.field = field
        self.value = value
        self.allowed = allowed
        self.bounds = bounds


def to_plain(value: Any) -> Any:
    """Return `value` as what JSON can hold."""
    if value is None or type(value) in (int, str, bool, float):
        return value
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: to_plain(each) for name, each in zip(value._fields, value, strict=True)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(each) for key, each in value.items()}
    if isinstance(value, (frozenset, set)):
        return sorted(to_plain(each) for each in value)
    if isinstance(value, (list, tuple)):
        return [to_plain(each) for each in value]
    raise TypeError(f"{type(value).__name__}: no part of a contract")


def from_plain(kind: Any, plain: Any, unknown: Unknown, where: str = "") -> Any:
    """Return `plain` as `kind`; `where` is the path that an error begins with.

    Raises: Mismatch that names the field, its value and what is allowed.
    """
    return _reader(kind)(plain, where, unknown)


def fields_of(record: Any) -> Mapping[str, Any]:
    """Return the fields of a record with their types."""
    fields: dict[str, Any] = record.__annotations__
    if any(isinstance(hint, typing.ForwardRef) for hint in fields.values()):
        return typing.get_type_hints(record, include_extras=True)
    return fields


def is_record(kind: Any) -> bool:
    """Return whether `kind` is a record of the contract."""
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


@cache
def _reader(kind: Any) -> _Reader:
    """Return what reads plain data as `kind`. Raises: TypeError for a type that no contract may have."""
    kind = getattr(kind, "__supertype__", kind)  # a NewType is its integer
    if kind is Any:
        return lambda plain, _where, _unknown: plain
    if kind in _SCALARS:
        return _scalar(kind)
    if is_record(kind):
        return _record(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _member(kind)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        bounds = next((each for each in inner[1:] if isinstance(each, Allowed)), None)
        return _secret if bounds is None else _bounded(inner[0], bounds)
    if origin in (typing.Union, types.UnionType):
        return _union(inner)
    if origin is tuple and inner[1:] == (...,):
        return _sequence(inner[0], tuple)
    if origin is frozenset:
        return _sequence(inner[0], frozenset)
    if origin is Mapping:
        return _mapping(inner[1])
    raise TypeError(f"{kind}: no part of a contract")


_SCALARS = {int: "a whole number", str: "a text", bool: "true or false", type(None): "null"}


def _scalar(kind: type) -> _Reader:
    def read(plain: Any, where: str, _unknown: Unknown) -> Any:
        if type(plain) is not kind:  # True is no number
            raise Mismatch(where, plain, _SCALARS[kind])
        return plain

    return read


def _secret(plain: Any, where: str, _unknown: Unknown) -> Any:
    if not isinstance(plain, str):
        raise Mismatch(where, None, "a text", text=f"{where}: must be a text")
    return plain


def _bounded(kind: Any, bounds: Allowed) -> _Reader:
    reader, lowest, highest = _reader(kind), bounds.lowest, bounds.highest

    def read(plain: Any, where: str, unknown: Unknown) -> Any:
        try:
            value = reader(plain, where, unknown)
        except Mismatch:
            value = None
        if value is None or (lowest is not None and value < lowest) or (highest is not None and value > highest):
            raise Mismatch(where, plain, str(bounds), bounds=bounds)
        return value

    return read


def _member(kind: type[Enum]) -> _Reader:
    members = dict(kind.__members__)
    allowed = f"one of {', '.join(members)}"

    def read(plain: Any, where: str, _unknown: Unknown) -> Any:
        if not isinstance(plain, str) or plain not in members:
            raise Mismatch(where, plain, allowed)
        return members[plain]

    return read


def _union(kinds: tuple[Any, ...]) -> _Reader:
    readers = [_reader(kind) for kind in kinds if kind is not type(None)]
    nullable = type(None) in kinds

    def read(plain: Any, where: str, unknown: Unknown) -> Any:
        if plain is None and nullable:
            return None
        failed: list[Mismatch] = []
        for each in readers:
            try:
                return each(plain, where, unknown)
            except Mismatch as mismatch:
                failed.append(mismatch)
        inside = next((each for each in failed if each.field != where), None)
        if inside is not None:
            raise inside
        allowed = [each.allowed for each in failed] + ["null"] * nullable
        bounds = next((each.bounds for each in failed if each.bounds is not None), None)
        raise Mismatch(where, plain, ", or ".join(allowed), bounds=bounds)

    return read


def _sequence(kind: Any, made: Any) -> _Reader:
    reader = _reader(kind)

    def read(plain: Any, where: str, unknown: Unknown) -> Any:
        if not isinstance(plain, list):
            raise Mismatch(where, plain, "a list")
        return made(reader(each, f"{where}[{index}]", unknown) for index, each in enumerate(plain))

    return read


def _mapping(kind: Any) -> _Reader:
    reader = _reader(kind)

    def read(plain: Any, where: str, unknown: Unknown) -> Any:
        if not isinstance(plain, dict):
            raise Mismatch(where, plain, "an object")
        return {key: reader(each, _joined(where, key), unknown) for key, each in plain.items()}

    return read


def _record(kind: Any) -> _Reader:
    readers = {name: _reader(hint) for name, hint in fields_of(kind).items()}
    required = [name for name in kind._fields if name not in kind._field_defaults]

    def read(plain: Any, where: str, unknown: Unknown) -> Any:
        if not isinstance(plain, dict):
            raise Mismatch(where or kind.__name__, plain, "an object")
        values = {}
        for name, value in plain.items():
            reader = readers.get(name)
            if reader is not None:
                values[name] = reader(value, _joined(where, name), unknown)
            elif unknown == "refuse":
                known = ", ".join(readers) or "none"
                field = _joined(where, name)
                raise Mismatch(field, value, known, text=f"{field}: unknown field; allowed are {known}")
        for name in required:
            if name not in values:
                field = _joined(where, name)
                raise Mismatch(field, None, "required", text=f"{field}: is missing")
        return kind(**values)

    return read


def _joined(where: str, name: str) -> str:
    return f"{where}.{name}" if where else str(name)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_TOLD else f"{text[:MAX_TOLD]}..."


MAX_TOLD = 80
