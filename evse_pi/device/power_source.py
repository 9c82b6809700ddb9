"""The Power Source cluster: the mains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Event, Feature, Field, Struct
from evse_pi.matter.wire.chip_objects import PowerSource

if TYPE_CHECKING:
    from evse_pi.matter.identity.accessor import Accessor

_Enums = PowerSource.Enums

SCHEMA = ClusterSchema(
    PowerSource,
    revision=3,
    features=(
        Feature("WIRED", "Wired", "O.a"),
        Feature("BAT", "Battery", "X"),
        Feature("RECHG", "Rechargeable", "X"),
        Feature("REPLC", "Replaceable", "X"),
    ),
    attributes=(
        Attribute("Status", "enum8", default=_Enums.PowerSourceStatusEnum.kActive),
        Attribute("Order", "uint8", "R V", "N", default=0),
        Attribute("Description", "string", "R V", "F", "M", "max 60", "Mains"),
        Attribute("WiredCurrentType", "enum8", "R V", "F", "WIRED", default=_Enums.WiredCurrentTypeEnum.kAc),
        Attribute("WiredNominalVoltage", "uint32", "R V", "F", "[WIRED]"),
        Attribute("WiredMaximumCurrent", "uint32", "R V", "F", "[WIRED]"),
        Attribute("WiredPresent", "bool", "R V", "", "[WIRED]", default=True),
        Attribute("EndpointList", "list[endpoint-no]"),
    ),
    events=(Event("WiredFaultChange", "info", conformance="[WIRED]"),),
    structs=(
        Struct(
            "WiredFaultChange",
            (
                Field("current", "list", "max 8"),
                Field("previous", "list", "max 8"),
            ),
        ),
    ),
)


class PowerSourceServer(ClusterServer, features=("WIRED",)):
    """A box that runs has power; it knows no other source."""

    schema = SCHEMA

    def read_endpoint_list(self, _accessor: Accessor | None) -> list[int]:
        """Return the endpoint that the mains feed."""
        return [self.endpoint.id]
