"""What the certification scripts look for in a wildcard read, for any node: returns findings, none is the aim.

Re-expressed from what connectedhomeip's device basic composition and device conformance tests check. The tables are
those of `tests/data/matter_model.json`, which holds what this project's nodes use; a cluster or device type that is
missing there is a finding.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import chip.clusters.Objects  # noqa: F401 (fills the tables below)
from chip.clusters.ClusterObjects import ALL_ACCEPTED_COMMANDS, ALL_ATTRIBUTES, ALL_CLUSTERS, ALL_GENERATED_COMMANDS

from tests.support.matter_model import CLUSTERS
from tests.support.matter_model import DEVICE_TYPES as DEVICE_TYPE_MODEL

if TYPE_CHECKING:
    from collections.abc import Iterator

Clusters = dict[int, dict[int, Any]]
"""The attributes of one endpoint by cluster and attribute id."""

GENERATED, ACCEPTED, ATTRIBUTES, FEATURES, REVISION = 0xFFF8, 0xFFF9, 0xFFFB, 0xFFFC, 0xFFFD
GLOBALS = {GENERATED, ACCEPTED, ATTRIBUTES, FEATURES, REVISION}
DESCRIPTOR, ROOT_NODE, POWER_SOURCE, SPECIFICATION_1_4_2 = 0x1D, 0x16, 0x2F, 0x0104_0200

REVISIONS = {told["id"]: told["revision"] for told in CLUSTERS.values()}
EVERYWHERE = {told["id"] for told in DEVICE_TYPE_MODEL["Base"]["requirements"].values()}
PROVISIONAL_FEATURES = {
    told["id"]: sum(1 << row["bit"] for row in told["features"].values() if row["conformance"].startswith("P"))
    for told in CLUSTERS.values()
}
PROVISIONAL_ATTRIBUTES = {
    told["id"]: {row["id"] for row in told["attributes"].values() if row["conformance"] in ("P", "P, M", "P, O")}
    for told in CLUSTERS.values()
}


@dataclass(frozen=True, slots=True)
class DeviceType:
    """What one device type asks of its endpoint."""

    revision: int
    required: frozenset[int] = frozenset()
    optional: frozenset[int] = frozenset()
    one_of: frozenset[int] = frozenset()


def _device_type(told: dict[str, Any]) -> DeviceType:
    clusters = {
        row["id"]: row["conformance"] for row in told["requirements"].values() if row["element"] == "serverCluster"
    }
    required = frozenset(number for number, conformance in clusters.items() if conformance == "M")
    one_of = frozenset(number for number, conformance in clusters.items() if ".a+" in conformance)
    return DeviceType(told["revision"], required, frozenset(clusters) - required, one_of)


DEVICE_TYPES = {told["id"]: _device_type(told) for told in DEVICE_TYPE_MODEL.values() if "id" in told}


# examples/matter_lamp.py shows one small cluster; a light on the market also serves groups and scenes.
EXAMPLE_LAMP_FINDINGS = {
    "endpoint 1: device type 0x0100 requires cluster 0x0004",
    "endpoint 1: device type 0x0100 requires cluster 0x0062",
}


def by_endpoint(attributes: dict[tuple[int, int, int], Any]) -> dict[int, Clusters]:
    """Return attributes by (endpoint, cluster, attribute) in the form that `findings` takes."""
    endpoints: dict[int, Clusters] = {}
    for (endpoint, cluster, attribute), value in attributes.items():
        endpoints.setdefault(endpoint, {}).setdefault(cluster, {})[attribute] = value
    return endpoints


def findings(endpoints: dict[int, Clusters]) -> list[str]:
    """Return everything that certification would object to."""
    return [
        *_composition(endpoints),
        *(finding for number, clusters in endpoints.items() for finding in _endpoint(number, clusters, endpoints)),
        *(
            f"endpoint {number} cluster 0x{cluster:04X}: {finding}"
            for number, clusters in endpoints.items()
            for cluster, attributes in clusters.items()
            for finding in _cluster(cluster, attributes)
        ),
    ]


def device_types(clusters: Clusters) -> list[int]:
    """Return the device types that an endpoint says it is."""
    return [entry[0] for entry in clusters.get(DESCRIPTOR, {}).get(0, [])]


def _composition(endpoints: dict[int, Clusters]) -> Iterator[str]:
    if 0 not in endpoints:
        yield "endpoint 0 is missing"
        return
    roots = [number for number, clusters in endpoints.items() if ROOT_NODE in device_types(clusters)]
    if roots != [0]:
        yield f"the root node device type is on endpoints {roots}"
    basic = endpoints[0].get(0x28, {})
    if basic.get(0x15) != SPECIFICATION_1_4_2:
        yield f"SpecificationVersion is {basic.get(0x15)}"
    parts = endpoints[0].get(DESCRIPTOR, {}).get(3, [])
    if sorted(parts) != sorted(set(endpoints) - {0}):
        yield f"PartsList of endpoint 0 is {parts}, endpoints are {sorted(endpoints)}"
    siblings: dict[int, list[int]] = {}
    for number, clusters in endpoints.items():
        for device_type in device_types(clusters):
            siblings.setdefault(device_type, []).append(number)
    for device_type, numbers in siblings.items():
        untagged = [number for number in numbers if not endpoints[number].get(DESCRIPTOR, {}).get(4)]
        if len(numbers) > 1 and untagged:
            yield f"endpoints {numbers} share device type 0x{device_type:04X}, {untagged} have no TagList"


def _endpoint(number: int, clusters: Clusters, endpoints: dict[int, Clusters]) -> Iterator[str]:
    name = f"endpoint {number}"
    descriptor = clusters.get(DESCRIPTOR)
    if descriptor is None:
        yield f"{name} has no Descriptor"
        return
    servers = descriptor.get(1, [])
    if sorted(servers) != sorted(clusters):
        yield f"{name}: ServerList {sorted(servers)} is not what it serves, {sorted(clusters)}"
    if number in descriptor.get(3, []) or not set(descriptor.get(3, [])) <= set(endpoints):
        yield f"{name}: PartsList {descriptor.get(3)} names itself or what does not exist"
    entries = descriptor.get(0, [])
    if not entries:
        yield f"{name}: DeviceTypeList is empty"
    allowed = set(EVERYWHERE)
    for entry in entries:
        wanted = DEVICE_TYPES.get(entry[0])
        if wanted is None:
            yield f"{name}: device type 0x{entry[0]:04X} is not in the table"
            continue
        if entry[1] != wanted.revision:
            yield f"{name}: device type 0x{entry[0]:04X} has revision {entry[1]}, not {wanted.revision}"
        for missing in sorted(wanted.required - set(clusters)):
            yield f"{name}: device type 0x{entry[0]:04X} requires cluster 0x{missing:04X}"
        if wanted.one_of and not wanted.one_of & set(clusters):
            yield f"{name}: device type 0x{entry[0]:04X} requires one of {sorted(wanted.one_of)}"
        allowed |= wanted.required | wanted.optional
    for extra in sorted(set(clusters) - allowed):
        yield f"{name}: cluster 0x{extra:04X} belongs to none of its device types"
    if POWER_SOURCE in clusters and not set(clusters[POWER_SOURCE].get(31, [])) <= set(endpoints):
        yield f"{name}: PowerSource powers endpoints that do not exist"


def _cluster(cluster: int, attributes: dict[int, Any]) -> Iterator[str]:
    known = ALL_CLUSTERS.get(cluster)
    if known is None:
        yield "is no standard cluster"
        return
    if missing := GLOBALS - set(attributes):
        yield f"lacks global attributes {sorted(missing)}"
        return
    if attributes[REVISION] != REVISIONS.get(cluster):
        yield f"ClusterRevision is {attributes[REVISION]}, not {REVISIONS.get(cluster)}"
    for name, listed in (("AttributeList", ATTRIBUTES), ("AcceptedCommandList", ACCEPTED), ("Generated", GENERATED)):
        if len(set(attributes[listed])) != len(attributes[listed]):
            yield f"{name} has duplicates"
    if set(attributes[ATTRIBUTES]) != set(attributes):
        yield f"AttributeList differs by {sorted(set(attributes[ATTRIBUTES]) ^ set(attributes))} from what is returned"
    yield from _elements(cluster, known, attributes)
    yield from _commands(cluster, attributes)


def _elements(cluster: int, known: Any, attributes: dict[int, Any]) -> Iterator[str]:
    descriptors = ALL_ATTRIBUTES[cluster]
    for attribute, value in attributes.items():
        if attribute not in descriptors:
            yield f"attribute 0x{attribute:04X} is unknown"
            continue
        try:
            descriptors[attribute].FromTagDictOrRawValue(value)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            yield f"attribute 0x{attribute:04X} = {value!r} is not of its type: {error}"
        yield from _text(attribute, value)
    for field in known.descriptor.Fields:
        optional = type(None) in typing.get_args(field.Type)
        provisional = field.Tag in PROVISIONAL_ATTRIBUTES.get(cluster, ())
        if provisional and field.Tag in attributes:
            yield f"attribute 0x{field.Tag:04X} {field.Label} is provisional"
        if not optional and not provisional and field.Tag not in attributes:
            yield f"mandatory attribute 0x{field.Tag:04X} {field.Label} is missing"
    features = getattr(getattr(known, "Bitmaps", None), "Feature", None)
    bits = sum(int(feature) for feature in features) if features is not None else 0
    if attributes[FEATURES] & ~bits:
        yield f"FeatureMap 0x{attributes[FEATURES]:X} has unknown bits"
    if attributes[FEATURES] & PROVISIONAL_FEATURES.get(cluster, 0):
        yield f"FeatureMap 0x{attributes[FEATURES]:X} has provisional features"


def _text(attribute: int, value: Any) -> Iterator[str]:
    if isinstance(value, str) and "\N{REPLACEMENT CHARACTER}" in value:
        yield f"attribute 0x{attribute:04X} is no valid UTF-8"


def _commands(cluster: int, attributes: dict[int, Any]) -> Iterator[str]:
    accepted, generated = ALL_ACCEPTED_COMMANDS.get(cluster, {}), ALL_GENERATED_COMMANDS.get(cluster, {})
    for unknown in sorted(set(attributes[ACCEPTED]) - set(accepted)):
        yield f"accepted command 0x{unknown:02X} is unknown"
    for unknown in sorted(set(attributes[GENERATED]) - set(generated)):
        yield f"generated command 0x{unknown:02X} is unknown"
    responses = {command.__name__: number for number, command in generated.items()}
    wanted = {
        responses[accepted[number].response_type]
        for number in attributes[ACCEPTED]
        if number in accepted and accepted[number].response_type in responses
    }
    if wanted != set(attributes[GENERATED]):
        yield f"GeneratedCommandList {attributes[GENERATED]} is not what its commands answer, {sorted(wanted)}"
