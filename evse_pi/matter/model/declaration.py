"""A cluster's declaration: the specification's tables as values.

Identifiers and the types of structures, enumerations and fields come from the chip package's class; everything it does
not know (revision, access, quality, constraint, default, conformance) is written here once.

Access is written as in the specification: `R V`, `RW VM`, `RW F VA`, for commands `O`, `A F`, `O T`. Letters: V view,
O operate, M manage, A administer; F fabric-scoped, S fabric-sensitive, T timed. Qualities: N non-volatile,
Q quieter reporting, C changes omitted, F fixed, X nullable, S scene. Source: Matter core 7.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from evse_pi.matter.identity.acl import Privilege
from evse_pi.matter.model.conformance import Conformance
from evse_pi.matter.model.datatype import parse_constraint, type_bounds

_PRIVILEGES = {
    "V": Privilege.VIEW,
    "O": Privilege.OPERATE,
    "M": Privilege.MANAGE,
    "A": Privilege.ADMINISTER,
}
_QUALITIES = frozenset("NQCFXS")
_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])(?!.$)|(?<=[A-Z])(?=[A-Z][a-z](?!$))")

UNSET: Final[Any] = object()
"""The default of an attribute that has none of its own: the zero of its type, or null."""


def snake_case(name: str) -> str:
    """Return the Python name of a specification name: `EVConnected` is `ev_connected`, `NOCs` is `nocs`."""
    return _BOUNDARY.sub("_", name).lower()


@dataclass(frozen=True, slots=True)
class Access:
    """Who may read, write or invoke an element."""

    read: Privilege | None = None
    write: Privilege | None = None
    fabric_scoped: bool = False
    fabric_sensitive: bool = False
    timed: bool = False


def attribute_access(text: str) -> Access:
    """Return the access of an attribute from its column, such as `RW F VM`.

    Raises: ValueError when the text is not one.
    """
    words = text.split()
    modes, letters = words[0], words[-1]
    flags = "".join(words[1:-1])
    valid = modes in ("R", "W", "RW") and len(letters) == len(modes) and set(letters) <= set(_PRIVILEGES)
    if not valid or not set(flags) <= set("FST"):
        raise ValueError(f"access {text!r}: allowed is 'R V', 'RW VM', 'RW F VA' and the like")
    granted = dict(zip(modes, (_PRIVILEGES[letter] for letter in letters), strict=True))
    return Access(granted.get("R"), granted.get("W"), "F" in flags, "S" in flags, "T" in flags)


def invoke_access(text: str) -> Access:
    """Return the access of a command or an event from its column, such as `O T` (the privilege stands in `write`).

    Raises: ValueError when the text is not one.
    """
    letters = text.replace(" ", "")
    privileges = [_PRIVILEGES[letter] for letter in letters if letter in _PRIVILEGES]
    if len(privileges) != 1 or not set(letters) <= set("FST") | set(_PRIVILEGES):
        raise ValueError(f"access {text!r}: allowed is one of V O M A, with F, S, T")
    return Access(privileges[0], privileges[0], "F" in letters, "S" in letters, "T" in letters)


@dataclass(frozen=True, slots=True)
class Feature:
    """A row of the feature table; `name` is the chip package's, without its `k`."""

    code: str
    name: str
    conformance: str = "O"


@dataclass(frozen=True, slots=True)
class Field:
    """What a table says of one field of a structure, command or event beyond its chip type."""

    name: str
    type: str = ""
    constraint: str = ""
    sensitive: bool = False
    answered: bool = False
    """Whether the command itself answers for a number that its enumeration lacks, as some are told to."""

    def __post_init__(self) -> None:
        type_bounds(self.type)
        parse_constraint(self.constraint)


@dataclass(frozen=True, slots=True)
class Attribute:
    """A row of the attribute table."""

    name: str
    type: str = ""
    access: str = "R V"
    quality: str = ""
    conformance: str = "M"
    constraint: str = ""
    default: Any = UNSET

    def __post_init__(self) -> None:
        attribute_access(self.access)
        type_bounds(self.type)
        parse_constraint(self.constraint)
        if not set(self.quality) - {" "} <= _QUALITIES:
            raise ValueError(f"quality {self.quality!r}: allowed are the letters {' '.join(sorted(_QUALITIES))}")


@dataclass(frozen=True, slots=True)
class Command:
    """A row of the command table: a request with its response, if it has one."""

    name: str
    access: str = "O"
    conformance: str = "M"
    fields: tuple[Field, ...] = ()

    def __post_init__(self) -> None:
        invoke_access(self.access)


@dataclass(frozen=True, slots=True)
class Event:
    """A row of the event table; `priority` is `debug`, `info` or `critical`."""

    name: str
    priority: str
    access: str = "V"
    conformance: str = "M"
    fields: tuple[Field, ...] = ()

    def __post_init__(self) -> None:
        invoke_access(self.access)
        if self.priority not in ("debug", "info", "critical"):
            raise ValueError(f"priority {self.priority!r}: allowed are debug, info, critical")


@dataclass(frozen=True, slots=True)
class Struct:
    """Constraints on the fields of a structure type of the cluster (or of `Globals`)."""

    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class ClusterSchema:
    """A whole cluster of the specification, every optional part included."""

    chip: Any
    revision: int
    features: tuple[Feature, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    commands: tuple[Command, ...] = ()
    events: tuple[Event, ...] = ()
    structs: tuple[Struct, ...] = ()
    diagnostics: bool = False
    """Whether a wildcard may skip it as a diagnostics cluster. Source: Matter core 8.9.2.3."""
    identifier: int | None = None
    """Another identifier than the chip class has, for a cluster of one's own made from a like one."""
    title: str | None = None

    def __post_init__(self) -> None:
        known = {feature.code for feature in self.features} | {attribute.name for attribute in self.attributes}
        rows: list[Feature | Attribute | Command | Event] = [*self.features, *self.attributes, *self.commands]
        for row in (*rows, *self.events):
            conformance = Conformance(row.conformance)
            conformance.presence(frozenset())
            if unknown := conformance.names() - known:
                raise ValueError(f"{self.name}.{row.name} conformance={row.conformance!r}: unknown {sorted(unknown)}")

    @property
    def id(self) -> int:
        """Return the cluster identifier."""
        return int(self.chip.id) if self.identifier is None else self.identifier

    @property
    def name(self) -> str:
        """Return the specification's name of the cluster."""
        return self.title or str(self.chip.__name__)

    def attribute(self, name: str) -> Attribute:
        """Return the row of an attribute by its specification or Python name.

        Raises: ValueError when there is none.
        """
        for row in self.attributes:
            if name in (row.name, snake_case(row.name)):
                return row
        raise ValueError(f"{self.name} has no attribute {name!r}; it has {', '.join(a.name for a in self.attributes)}")
