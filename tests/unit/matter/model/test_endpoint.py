"""Endpoints come and go, servers start in order, and Descriptor tells the truth."""

from __future__ import annotations

import pytest

from evse_pi.matter.clusters.descriptor import DescriptorServer
from evse_pi.matter.clusters.label import FixedLabelServer, UserLabelServer
from evse_pi.matter.model.endpoint import AttributesChanged, Endpoint
from tests.support.model_bench import LAMP, ROOT, Charger, model_node
from tests.support.virtual_loop import virtual_time


@virtual_time
async def test_descriptor_follows_the_tree() -> None:
    node = model_node()
    changes: list[AttributesChanged] = []
    await node.add(Endpoint(0, [ROOT], []))
    node.changes.on(changes.append)
    await node.add(Endpoint(1, [LAMP], [Charger()]))
    await node.add(Endpoint(2, [LAMP], [], parent=1))
    root, first = (node.endpoints[number].server(DescriptorServer).state for number in (0, 1))
    assert (root.parts_list, first.parts_list) == ((1, 2), (2,))
    assert first.server_list == (0x1D, 0x99)
    assert [(found.deviceType, found.revision) for found in first.device_type_list] == [(0x0100, 3)]
    assert AttributesChanged(0, 0x1D, frozenset({3})) in changes
    assert any(found.endpoint == 2 and found.cluster == 0x1D for found in changes)
    await node.remove(2)
    assert (root.parts_list, first.parts_list) == ((1,), ())


@virtual_time
async def test_numbers_and_parents_have_to_fit() -> None:
    node = model_node()
    await node.add(Endpoint(0, [ROOT], []))
    with pytest.raises(ValueError, match="endpoint 0 exists already"):
        await node.add(Endpoint(0, [ROOT], []))
    with pytest.raises(ValueError, match="its parent 7 does not exist"):
        await node.add(Endpoint(1, [LAMP], [], parent=7))
    with pytest.raises(ValueError, match="has a EnergyEvse server already"):
        Endpoint(1, [LAMP], [Charger(), Charger()])
    with pytest.raises(ValueError, match="endpoint 0 has parts"):
        await node.remove(0)


@virtual_time
async def test_early_servers_start_first_and_dependents_after_what_they_need() -> None:
    order: list[str] = []

    class Label(UserLabelServer):
        def initialize(self) -> None:
            order.append("label")

    class Dependent(Charger):
        dependencies = (Label,)
        early = True

        def initialize(self) -> None:
            order.append("charger")

    class Early(FixedLabelServer):
        early = True

        def initialize(self) -> None:
            order.append("fixed")

    node = model_node()
    await node.add(Endpoint(0, [ROOT], [Dependent(), Label(), Early()]))
    assert order == ["fixed", "label", "charger"]


@virtual_time
async def test_a_missing_or_circular_dependency_is_refused() -> None:
    class Lonely(Charger):
        dependencies = (UserLabelServer,)

    with pytest.raises(LookupError, match="no UserLabel server"):
        await model_node().add(Endpoint(0, [ROOT], [Lonely()]))

    class One(UserLabelServer): ...

    class Other(FixedLabelServer):
        dependencies = (One,)

    One.dependencies = (Other,)
    with pytest.raises(ValueError, match="depend on each other"):
        await model_node().add(Endpoint(0, [ROOT], [One(), Other()]))


@virtual_time
async def test_a_server_is_found_by_what_it_supports() -> None:
    node = model_node()
    more = Charger.enable(attributes=("UserMaximumChargeCurrent",))
    await node.add(Endpoint(0, [ROOT], [Charger()]))
    assert isinstance(node.root.server(Charger), Charger)
    with pytest.raises(LookupError, match="no EnergyEvse server that supports"):
        node.root.server(more)


@virtual_time
async def test_a_server_belongs_to_one_endpoint() -> None:
    server = Charger()
    with pytest.raises(RuntimeError, match="not part of an endpoint yet"):
        _ = server.endpoint
    await model_node().add(Endpoint(0, [ROOT], [server]))
    with pytest.raises(RuntimeError, match="part of endpoint 0 already"):
        await model_node().add(Endpoint(0, [ROOT], [server]))
