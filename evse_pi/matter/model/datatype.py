"""Base data types and constraints: what an integer, a string or a list of the data model may be.

A constraint is written as in the specification: `max 80`, `min 6000`, `0 to 86400`, `all`. For a string or octets it
bounds the length, for a list the number of entries; `max 7[max 10]` bounds the entries as well, and `list[endpoint-no]`
gives them a type. A power of two is written as there, `-2^62 to 2^62`.
Source: Matter core 7.6.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """An inclusive range; None is open."""

    lower: int | None = None
    upper: int | None = None

    def hold(self, value: float) -> bool:
        """Return whether `value` lies inside."""
        return (self.lower is None or value >= self.lower) and (self.upper is None or value <= self.upper)

    def narrowed(self, other: Bounds) -> Bounds:
        """Return the range where both hold."""
        lowers = [bound for bound in (self.lower, other.lower) if bound is not None]
        uppers = [bound for bound in (self.upper, other.upper) if bound is not None]
        return Bounds(max(lowers, default=None), min(uppers, default=None))

    def __str__(self) -> str:
        if self.lower is None:
            return f"max {self.upper}"
        return f"min {self.lower}" if self.upper is None else f"{self.lower} to {self.upper}"


ANY = Bounds()


def _unsigned(bits: int) -> Bounds:
    return Bounds(0, (1 << bits) - 1)


def _signed(bits: int) -> Bounds:
    return Bounds(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


INTEGER_TYPES = {
    **{f"uint{bits}": _unsigned(bits) for bits in (8, 16, 24, 32, 40, 48, 56, 64)},
    **{f"int{bits}": _signed(bits) for bits in (8, 16, 24, 32, 40, 48, 56, 64)},
    **{f"map{bits}": _unsigned(bits) for bits in (8, 16, 32, 64)},
    "enum8": _unsigned(8),
    "enum16": _unsigned(16),
    "percent": Bounds(0, 100),
    "percent100ths": Bounds(0, 10_000),
    "epoch-s": _unsigned(32),
    "epoch-us": _unsigned(64),
    "elapsed-s": _unsigned(32),
    "systime-ms": _unsigned(64),
    "systime-us": _unsigned(64),
    "posix-ms": _unsigned(64),
    "command-id": _unsigned(32),
    "temperature": Bounds(-27_315, 32_767),
    "amperage-ma": _signed(64),
    "voltage-mv": _signed(64),
    "power-mw": _signed(64),
    "energy-mwh": _signed(64),
    "fabric-idx": _unsigned(8),
    "fabric-id": _unsigned(64),
    "node-id": _unsigned(64),
    "subject-id": _unsigned(64),
    "group-id": _unsigned(16),
    "vendor-id": _unsigned(16),
    "devtype-id": _unsigned(32),
    "cluster-id": _unsigned(32),
    "attrib-id": _unsigned(32),
    "endpoint-no": _unsigned(16),
}
OTHER_TYPES = frozenset({"", "bool", "string", "octets", "list", "struct", "single", "double"})

_NUMBER = r"-?\d+(?:\^\d+)?"
_CONSTRAINT = re.compile(
    rf"^(?:(?P<word>max|min) (?P<bound>{_NUMBER})|(?P<low>{_NUMBER}) to (?P<high>{_NUMBER})|all)?"
    r"(?:\[(?P<entries>.*)\])?$"
)


@dataclass(frozen=True, slots=True)
class Constraint:
    """One parsed constraint column: bounds of the value (or its length) and of a list's entries."""

    bounds: Bounds = ANY
    entries: Bounds = ANY


def parse_constraint(text: str) -> Constraint:
    """Return the constraint written in `text`.

    Raises: ValueError when it is not one.
    """
    match = _CONSTRAINT.match(text)
    if match is None:
        raise ValueError(f"constraint {text!r}: allowed are 'max N', 'min N', 'N to M', 'all', each with '[entries]'")
    entries = parse_constraint(match["entries"]).bounds if match["entries"] else ANY
    if match["word"] is not None:
        bound = _number(match["bound"])
        return Constraint(Bounds(upper=bound) if match["word"] == "max" else Bounds(lower=bound), entries)
    if match["low"] is not None:
        return Constraint(Bounds(_number(match["low"]), _number(match["high"])), entries)
    return Constraint(ANY, entries)


def _number(text: str) -> int:
    base, _, exponent = text.lstrip("-").partition("^")
    value = int(pow(int(base), int(exponent or 1)))
    return -value if text.startswith("-") else value


def entry_bounds(name: str) -> Bounds:
    """Return the range that the type of a list, such as `list[endpoint-no]`, gives its entries.

    Raises: ValueError for a type that the data model does not have.
    """
    return type_bounds(name.removeprefix("list[").removesuffix("]")) if name.startswith("list[") else ANY


def type_bounds(name: str) -> Bounds:
    """Return the range that the base type `name` gives an integer.

    Raises: ValueError for a type that the data model does not have.
    """
    if name in INTEGER_TYPES:
        return INTEGER_TYPES[name]
    if name in OTHER_TYPES or (name.startswith("list[") and entry_bounds(name)):
        return ANY
    raise ValueError(
        f"type {name!r}: allowed are {', '.join(sorted(INTEGER_TYPES | dict.fromkeys(OTHER_TYPES - {''})))}"
    )
