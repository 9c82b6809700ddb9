"""The Power Topology cluster: what is measured is the whole node."""

from __future__ import annotations

from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Feature
from evse_pi.matter.wire.chip_objects import PowerTopology

SCHEMA = ClusterSchema(
    PowerTopology,
    revision=1,
    features=(
        Feature("NODE", "NodeTopology", "O.a"),
        Feature("TREE", "TreeTopology", "O.a"),
        Feature("SET", "SetTopology", "O.a"),
        Feature("DYPF", "DynamicPowerFlow", "[SET]"),
    ),
    attributes=(
        Attribute("AvailableEndpoints", "list[endpoint-no]", "R V", "F", "SET", "max 20"),
        Attribute("ActiveEndpoints", "list[endpoint-no]", "R V", "N", "DYPF", "max 20"),
    ),
)


class PowerTopologyServer(ClusterServer, features=("NODE",)):
    """One meter, one circuit, one box."""

    schema = SCHEMA
