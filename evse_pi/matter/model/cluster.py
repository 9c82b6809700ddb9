"""A cluster as a server implements it: the schema resolved for chosen features and optional elements."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from evse_pi.matter.model.conformance import Conformance, Presence
from evse_pi.matter.model.declaration import (
    UNSET,
    Access,
    Attribute,
    ClusterSchema,
    Command,
    Event,
    Feature,
    Field,
    attribute_access,
    invoke_access,
    snake_case,
)
from evse_pi.matter.model.value_codec import Codec, CodecFactory, ListCodec, NullableCodec, StructCodec

if TYPE_CHECKING:
    from collections.abc import Mapping

GENERATED_COMMAND_LIST = 0xFFF8
ACCEPTED_COMMAND_LIST = 0xFFF9
ATTRIBUTE_LIST = 0xFFFB
FEATURE_MAP = 0xFFFC
CLUSTER_REVISION = 0xFFFD

_GLOBALS = (
    Attribute("GeneratedCommandList", "list[command-id]", quality="F"),
    Attribute("AcceptedCommandList", "list[command-id]", quality="F"),
    Attribute("AttributeList", "list[attrib-id]", quality="F"),
    Attribute("FeatureMap", "map32", quality="F"),
    Attribute("ClusterRevision", "uint16", quality="F", constraint="min 1"),
)
_PRIORITIES = {"debug": 0, "info": 1, "critical": 2}


@dataclass(frozen=True, slots=True)
class Composition:
    """What was chosen of a schema."""

    features: frozenset[str] = frozenset()
    enabled: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterAttribute:
    """An attribute that is there."""

    id: int
    name: str
    key: str
    access: Access
    codec: Codec
    default: Any
    nonvolatile: bool = False
    quieter: bool = False
    changes_omitted: bool = False
    fixed: bool = False

    @property
    def list_codec(self) -> ListCodec | None:
        """Return the codec of its list, or None for anything else."""
        inner = self.codec.inner if isinstance(self.codec, NullableCodec) else self.codec
        return inner if isinstance(inner, ListCodec) else None

    @property
    def fabric_scoped(self) -> bool:
        """Return whether its entries belong to fabrics."""
        entries = self.list_codec.entry if self.list_codec else None
        return isinstance(entries, StructCodec) and entries.fabric_scoped


@dataclass(frozen=True, slots=True)
class ClusterCommand:
    """A command that is accepted."""

    id: int
    name: str
    key: str
    access: Access
    request: StructCodec
    response_id: int | None
    response: StructCodec | None


@dataclass(frozen=True, slots=True)
class ClusterEvent:
    """An event that may be emitted."""

    id: int
    name: str
    key: str
    priority: int
    access: Access
    payload: StructCodec


@dataclass(frozen=True, slots=True)
class Cluster:
    """All that is there, by identifier."""

    id: int
    name: str
    revision: int
    feature_map: int
    features: frozenset[str]
    attributes: Mapping[int, ClusterAttribute]
    commands: Mapping[int, ClusterCommand]
    events: Mapping[int, ClusterEvent]
    diagnostics: bool


def resolve(schema: ClusterSchema, composition: Composition) -> Cluster:
    """Return the cluster that `schema` is under `composition`.

    Raises: ValueError when the features or enabled elements contradict the conformance tables.
    """
    features = _features(schema, composition.features)
    _known(schema, composition)
    factory = CodecFactory(schema.structs)
    labels = {found.Label.lower(): found for found in schema.chip.descriptor.Fields}
    rows = [row for row in schema.attributes if _present(schema, row, features, composition.enabled)]
    attributes = [_attribute(schema, row, labels, factory, composition) for row in (*rows, *_GLOBALS)]
    commands = [
        _command(schema, row, factory)
        for row in schema.commands
        if _present(schema, row, features, composition.enabled)
    ]
    events = [
        _event(schema, row, factory) for row in schema.events if _present(schema, row, features, composition.enabled)
    ]
    for table in (schema.attributes, schema.commands, schema.events):
        _check_choices(schema, table, features, composition.enabled)
    return Cluster(
        schema.id,
        schema.name,
        schema.revision,
        sum(int(feature_bit(schema, row)) for row in schema.features if row.code in features),
        features,
        {found.id: found for found in sorted(attributes, key=lambda attribute: attribute.id)},
        {found.id: found for found in sorted(commands, key=lambda command: command.id)},
        {found.id: found for found in sorted(events, key=lambda event: event.id)},
        schema.diagnostics,
    )


def feature_bit(schema: ClusterSchema, row: Feature) -> Any:
    """Return the flag of a feature in the chip package's feature enumeration."""
    return getattr(schema.chip.Bitmaps.Feature, f"k{row.name}")


def alter(schema: ClusterSchema, changes: Mapping[str, Mapping[str, Any]]) -> ClusterSchema:
    """Return `schema` with columns of the rows named in `changes` replaced.

    Raises: ValueError for an unknown row or column.
    """
    names = dict(changes)

    def altered(rows: tuple[Any, ...]) -> tuple[Any, ...]:
        result = []
        for row in rows:
            columns = names.pop(row.name, None) or names.pop(snake_case(row.name), None) or {}
            if unknown := set(columns) - {column.name for column in fields(row)} | {"name"} & set(columns):
                raise ValueError(f"{schema.name}.{row.name} has no column {', '.join(sorted(unknown))}")
            result.append(replace(row, **columns))
        return tuple(result)

    new = replace(
        schema,
        attributes=altered(schema.attributes),
        commands=altered(schema.commands),
        events=altered(schema.events),
    )
    if names:
        raise ValueError(f"{schema.name} has no element {', '.join(sorted(names))}")
    return new


def _features(schema: ClusterSchema, chosen: frozenset[str]) -> frozenset[str]:
    codes = {row.code for row in schema.features}
    if unknown := chosen - codes:
        raise ValueError(
            f"{schema.name} has no feature {', '.join(sorted(unknown))}; it has {', '.join(sorted(codes))}"
        )
    features = set(chosen)
    for row in schema.features:
        presence = Conformance(row.conformance).presence(features)
        if presence is Presence.MANDATORY and Conformance(row.conformance).choice is None:
            features.add(row.code)
        if presence is Presence.DISALLOWED and row.code in chosen:
            raise ValueError(f"{schema.name} disallows feature {row.code} (conformance {row.conformance})")
    _check_choices(schema, schema.features, frozenset(features), frozenset(features))
    return frozenset(features)


def _check_choices(
    schema: ClusterSchema, rows: tuple[Any, ...], features: frozenset[str], chosen: frozenset[str]
) -> None:
    groups: dict[str, list[Any]] = {}
    for row in rows:
        conformance = Conformance(row.conformance)
        if conformance.choice and conformance.presence(features) is not Presence.DISALLOWED:
            groups.setdefault(conformance.choice.group, []).append(row)
    for members in groups.values():
        at_least = Conformance(members[0].conformance).choice
        names = [getattr(row, "code", row.name) for row in members]
        count = sum(name in chosen for name in names)
        if count == 0 or (count > 1 and not (at_least and at_least.at_least)):
            wanted = "at least one" if at_least and at_least.at_least else "exactly one"
            raise ValueError(f"{schema.name} needs {wanted} of {', '.join(names)}; {count} chosen")


def _known(schema: ClusterSchema, composition: Composition) -> None:
    rows: list[Attribute | Command | Event] = [*schema.attributes, *schema.commands, *schema.events]
    names = {row.name for row in rows}
    if unknown := composition.enabled - names:
        raise ValueError(f"{schema.name} has no element {', '.join(sorted(unknown))}")


def _present(
    schema: ClusterSchema, row: Attribute | Command | Event, features: frozenset[str], enabled: frozenset[str]
) -> bool:
    presence = Conformance(row.conformance).presence(features | enabled)  # a row may go by another element too
    if presence is Presence.DISALLOWED and row.name in enabled:
        raise ValueError(f"{schema.name} disallows {row.name} with {sorted(features)} (conformance {row.conformance})")
    return presence is Presence.MANDATORY or row.name in enabled


def _attribute(
    schema: ClusterSchema, row: Attribute, labels: Mapping[str, Any], factory: CodecFactory, composition: Composition
) -> ClusterAttribute:
    found = labels.get(row.name.lower())
    if found is None:
        raise ValueError(f"{schema.name}: the chip package has no attribute {row.name}")
    key = snake_case(row.name)
    label = f"{schema.name}.{row.name}"
    codec = factory.field(label, found.Type, Field(row.name, row.type, row.constraint), nullable="X" in row.quality)
    default = composition.defaults.get(key, row.default)
    value = codec.zero() if default is UNSET else codec.cast(default)
    return ClusterAttribute(
        int(found.Tag),
        row.name,
        key,
        attribute_access(row.access),
        codec,
        value,
        nonvolatile="N" in row.quality,
        quieter="Q" in row.quality,
        changes_omitted="C" in row.quality,
        fixed="F" in row.quality,
    )


def _chip_class(schema: ClusterSchema, group: str, name: str) -> Any:
    for found, kind in vars(getattr(schema.chip, group)).items():
        if found.lower() == name.lower():
            return kind
    raise ValueError(f"{schema.name}: the chip package has no {group[:-1].lower()} {name}")


def _command(schema: ClusterSchema, row: Command, factory: CodecFactory) -> ClusterCommand:
    kind = _chip_class(schema, "Commands", row.name)
    answer = getattr(schema.chip.Commands, kind.response_type) if kind.response_type else None
    access = invoke_access(row.access)
    if kind.must_use_timed_invoke:
        access = replace(access, timed=True)
    label = f"{schema.name}.{row.name}"
    return ClusterCommand(
        int(kind.command_id),
        row.name,
        snake_case(row.name),
        access,
        factory.struct(label, kind, row.fields),
        None if answer is None else int(answer.command_id),
        None if answer is None else factory.struct(f"{schema.name}.{answer.__name__}", answer),
    )


def _event(schema: ClusterSchema, row: Event, factory: CodecFactory) -> ClusterEvent:
    kind = _chip_class(schema, "Events", row.name)
    return ClusterEvent(
        int(kind.event_id),
        row.name,
        snake_case(row.name),
        _PRIORITIES[row.priority],
        invoke_access(row.access),
        factory.struct(f"{schema.name}.{row.name}", kind, row.fields),
    )
