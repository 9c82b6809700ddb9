"""What certification checks of any node over a wildcard read: lists and values tell the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.matter.clusters.basic_information import SPECIFICATION_VERSION
from evse_pi.matter.model.conformance import Conformance, Presence
from evse_pi.matter.wire import chip_objects
from examples.matter_lamp import lamp_endpoint
from tests.support.matter_bench import Bench
from tests.support.matter_certification import PROVISIONAL_ATTRIBUTES
from tests.support.matter_model import CLUSTERS as MODEL
from tests.support.virtual_loop import virtual_time

if TYPE_CHECKING:
    from tests.support.matter_initiator import Report

REVISIONS = {name: told["revision"] for name, told in MODEL.items()}
CHIP = {getattr(chip_objects, name).id: getattr(chip_objects, name) for name in REVISIONS}
GLOBALS = {0xFFF8, 0xFFF9, 0xFFFB, 0xFFFC, 0xFFFD}
REQUIRED_ON_ROOT = {0x1D, 0x1F, 0x28, 0x30, 0x31, 0x33, 0x3C, 0x3E, 0x3F}
DESCRIPTOR, BASIC = 0x1D, 0x28


@virtual_time
async def wildcard_read() -> tuple[Report, Bench]:
    async with Bench([lamp_endpoint()]) as device:
        controller, session = await device.commission()
        servers = {(server.endpoint.id, server.cluster.id): server for server in device.node.tree.servers()}
        device.servers = servers  # type: ignore[attr-defined]
        return await controller.read(session, (None, None, None), fabric_filtered=False), device


REPORT, DEVICE = wildcard_read()
CLUSTERS = sorted({(endpoint, cluster) for endpoint, cluster, _ in REPORT.attributes})


def value(endpoint: int, cluster: int, attribute: int) -> Any:
    return REPORT.attributes[endpoint, cluster, attribute]


@pytest.mark.parametrize(("endpoint", "cluster"), CLUSTERS)
def test_the_global_attributes_are_there_and_tell_the_truth(endpoint: int, cluster: int) -> None:
    returned = {attribute for where, which, attribute in REPORT.attributes if (where, which) == (endpoint, cluster)}
    assert returned >= GLOBALS
    listed = value(endpoint, cluster, 0xFFFB)
    assert set(listed) == returned
    for attribute in (0xFFF8, 0xFFF9, 0xFFFB):
        numbers = value(endpoint, cluster, attribute)
        assert len(set(numbers)) == len(numbers)
        assert all(type(number).__name__ == "uint" for number in numbers)
    assert value(endpoint, cluster, 0xFFFD) == REVISIONS[CHIP[cluster].__name__]


@pytest.mark.parametrize(("endpoint", "cluster"), CLUSTERS)
def test_nothing_is_there_that_the_specification_does_not_know(endpoint: int, cluster: int) -> None:
    chip = CHIP[cluster]
    known = {found.Tag for found in chip.descriptor.Fields}
    assert set(value(endpoint, cluster, 0xFFFB)) <= known
    commands: list[Any] = [kind for kind in vars(getattr(chip, "Commands", object)).values() if isinstance(kind, type)]
    accepted = {kind.command_id for kind in commands if kind.is_client}
    generated = {kind.command_id for kind in commands if not kind.is_client}
    assert set(value(endpoint, cluster, 0xFFF9)) <= accepted
    assert set(value(endpoint, cluster, 0xFFF8)) <= generated
    bits = sum(int(flag) for flag in getattr(getattr(chip, "Bitmaps", None), "Feature", ()))
    assert not value(endpoint, cluster, 0xFFFC) & ~bits


@pytest.mark.parametrize(("endpoint", "cluster"), CLUSTERS)
def test_what_is_mandatory_is_there_and_what_is_disallowed_is_not(endpoint: int, cluster: int) -> None:
    server = DEVICE.servers[endpoint, cluster]  # type: ignore[attr-defined]
    features = server.cluster.features
    tables = (
        (server.schema.attributes, server.cluster.attributes),
        (server.schema.commands, server.cluster.commands),
        (server.schema.events, server.cluster.events),
    )
    for rows, present in tables:
        names = {element.name for element in present.values()}
        for row in rows:
            presence = Conformance(row.conformance).presence(features)
            assert presence is not Presence.MANDATORY or row.name in names
            assert presence is not Presence.DISALLOWED or row.name not in names


@pytest.mark.parametrize(("endpoint", "cluster"), CLUSTERS)
def test_every_value_decodes_as_its_own_type(endpoint: int, cluster: int) -> None:
    server = DEVICE.servers[endpoint, cluster]  # type: ignore[attr-defined]
    for attribute in server.cluster.attributes.values():
        element = value(endpoint, cluster, attribute.id)
        if attribute.fabric_scoped or not attribute.id >= 0xF000:
            attribute.codec.from_tlv(element)


@pytest.mark.parametrize(("endpoint", "cluster"), CLUSTERS)
def test_a_mandatory_attribute_of_the_chip_package_is_there(endpoint: int, cluster: int) -> None:
    """What the chip package types without `Optional` is mandatory whatever the features, unless it is provisional."""
    from evse_pi.matter.model.value_codec import shape

    always = {found.Tag for found in CHIP[cluster].descriptor.Fields if not shape(found.Type).optional}
    assert always - PROVISIONAL_ATTRIBUTES[cluster] <= set(value(endpoint, cluster, 0xFFFB))


def test_the_root_endpoint_is_a_root_node() -> None:
    assert [device_type[0] for device_type in value(0, DESCRIPTOR, 0)] == [0x16]
    assert set(value(0, DESCRIPTOR, 1)) >= REQUIRED_ON_ROOT
    assert value(0, BASIC, 21) == SPECIFICATION_VERSION == 0x01040200
    assert value(0, BASIC, 0) == 19


def test_the_tree_is_a_tree() -> None:
    endpoints = {endpoint for endpoint, _ in CLUSTERS}
    assert set(value(0, DESCRIPTOR, 3)) == endpoints - {0}
    for endpoint in endpoints:
        assert value(endpoint, DESCRIPTOR, 0)
        assert set(value(endpoint, DESCRIPTOR, 1)) == {cluster for where, cluster in CLUSTERS if where == endpoint}
        assert endpoint not in value(endpoint, DESCRIPTOR, 3)
        assert endpoint == 0 or 0x16 not in [device_type[0] for device_type in value(endpoint, DESCRIPTOR, 0)]


def test_every_text_is_text() -> None:
    def texts(element: Any) -> Any:
        if isinstance(element, dict):
            element = list(element.values())
        if isinstance(element, list):
            for entry in element:
                yield from texts(entry)
        elif isinstance(element, str):
            yield element

    assert sum(1 for found in REPORT.attributes.values() for text in texts(found) if text.isprintable()) > 8
