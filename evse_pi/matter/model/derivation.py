"""Deriving a cluster server class from another: other features, more elements, tighter rules, other defaults."""

from __future__ import annotations

from dataclasses import replace
from enum import IntFlag
from typing import TYPE_CHECKING, Any, TypeVar

from evse_pi.matter.model.cluster import Cluster, ClusterCommand, Composition
from evse_pi.matter.model.cluster import alter as altered_schema
from evse_pi.matter.model.declaration import ClusterSchema, snake_case
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evse_pi.matter.model.tree_interface import ServerInterface

    S = TypeVar("S", bound=ServerInterface)


def with_features(cls: type[S], *features: str | IntFlag) -> type[S]:
    """Return `cls` with exactly these features and the mandatory ones."""
    rows = cls.schema.features
    chosen = {feature for feature in features if isinstance(feature, str)}
    for flags in (feature for feature in features if isinstance(feature, IntFlag)):
        chosen |= {row.code for row in rows if flags & _flag(cls.schema, row.name)}
    return _derive(cls, composition=replace(cls.composition, features=frozenset(chosen)))


def enable(cls: type[S], attributes: Sequence[str], commands: Sequence[str], events: Sequence[str]) -> type[S]:
    """Return `cls` with optional elements present."""
    tables = ((cls.schema.attributes, attributes), (cls.schema.commands, commands), (cls.schema.events, events))
    chosen = {_row_name(cls.schema, rows, name) for rows, names in tables for name in names}
    return _derive(cls, composition=replace(cls.composition, enabled=cls.composition.enabled | chosen))


def alter(cls: type[S], rows: Mapping[str, Mapping[str, Any]]) -> type[S]:
    """Return `cls` with columns of its tables replaced."""
    return _derive(cls, schema=altered_schema(cls.schema, rows))


def set_defaults(cls: type[S], defaults: Mapping[str, Any]) -> type[S]:
    """Return `cls` with other defaults."""
    for key, value in defaults.items():
        cls.schema_guard.cast(key, value)
    merged = {**cls.composition.defaults, **defaults}
    return _derive(cls, composition=replace(cls.composition, defaults=merged))


def for_cluster(cls: type[S], schema: ClusterSchema) -> type[S]:
    """Return `cls` for another cluster, with the features and optional elements that it has as well."""
    names = {row.name for rows in (schema.attributes, schema.commands, schema.events) for row in rows}
    codes = {feature.code for feature in schema.features}
    kept = Composition(cls.composition.features & codes, cls.composition.enabled & names)
    return _derive(cls, schema=schema, composition=kept)


def behaviour_id(schema: ClusterSchema) -> str:
    """Return the identifier of behaviours for this cluster: its name in Python's writing."""
    return snake_case(schema.name)


def feature_flags(schema: ClusterSchema, feature_map: int, fallback: type[IntFlag]) -> IntFlag:
    """Return the supported features as flags of the chip package's enumeration."""
    bitmaps = getattr(schema.chip, "Bitmaps", None)
    kind: type[IntFlag] = getattr(bitmaps, "Feature", fallback)
    return kind(feature_map)


def handler_name(cls: type[ServerInterface], command: ClusterCommand) -> str:
    """Return the name of a command's method: its own, or with `_command` where a server has that name already."""
    bases = [base for base in cls.__mro__ if base.__name__ == "ClusterServer"]
    taken = any(hasattr(base, command.key) for base in bases)
    return f"{command.key}_command" if taken else command.key


def interface(cluster: Cluster) -> type:
    """Return the class that shows which methods a server of this cluster has to have."""
    return type(
        f"{cluster.name}Interface", (), {command.key: _unsupported(command) for command in cluster.commands.values()}
    )


def check_handlers(cls: type[ServerInterface], extension: type) -> None:
    """Raise TypeError if a command, or what `extension` asks for, has no method."""
    names = [handler_name(cls, command) for command in cls.cluster.commands.values()]
    names += [
        name
        for base in extension.__mro__
        for name, member in vars(base).items()
        if callable(member) and not name.startswith("_")
    ]
    missing = [name for name in names if not callable(getattr(cls, name, None))]
    if missing:
        raise TypeError(f"{cls.__name__} lacks the methods {', '.join(missing)} of {cls.cluster.name}")


def _unsupported(command: ClusterCommand) -> Any:
    def method(_server: object, _request: object = None) -> object:
        raise MatterStatus(StatusCode.UNSUPPORTED_COMMAND, command.name)

    method.__name__ = command.key
    method.__doc__ = f"Serve {command.name}."
    method.__annotations__ = {
        "request": command.request.kind,
        "return": None if command.response is None else command.response.kind,
    }
    return method


def _flag(schema: ClusterSchema, name: str) -> int:
    return int(getattr(schema.chip.Bitmaps.Feature, f"k{name}"))


def _row_name(schema: ClusterSchema, rows: tuple[Any, ...], name: str) -> str:
    for row in rows:
        if name in (row.name, snake_case(row.name)):
            return str(row.name)
    raise ValueError(f"{schema.name} has no element {name!r}; it has {', '.join(row.name for row in rows) or 'none'}")


def _derive(cls: type[S], **changes: Any) -> type[S]:
    return type(cls.__name__, (cls,), {"__module__": cls.__module__, "__doc__": cls.__doc__, **changes})
