"""Descriptor: what stands on an endpoint, always read from the tree itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Feature, Field, Struct
from evse_pi.matter.wire.chip_objects import Descriptor

if TYPE_CHECKING:
    from evse_pi.matter.identity.accessor import Accessor

SCHEMA = ClusterSchema(
    Descriptor,
    revision=3,
    features=(Feature("TAGLIST", "TagList"),),
    attributes=(
        Attribute("DeviceTypeList", "list", "R V", "F", "M", "min 1"),
        Attribute("ServerList", "list[cluster-id]", "R V", "F"),
        Attribute("ClientList", "list[cluster-id]", "R V", "F"),
        Attribute("PartsList", "list[endpoint-no]"),
        Attribute("TagList", "list", "R V", "F", "TAGLIST", "1 to 6"),
    ),
    structs=(
        Struct(
            "DeviceTypeStruct",
            (
                Field("deviceType", "devtype-id"),
                Field("revision", "uint16", "min 1"),
            ),
        ),
        Struct(
            "SemanticTagStruct",
            (
                Field("mfgCode", "vendor-id"),
                Field("namespaceID", "enum8"),
                Field("tag", "uint8"),
                Field("label", "string", "max 64"),
            ),
        ),
    ),
)


class DescriptorServer(ClusterServer):
    """The Descriptor of any endpoint."""

    schema = SCHEMA

    def read_device_type_list(self, _accessor: Accessor | None) -> list[dict[str, int]]:
        """Return the endpoint's device types."""
        return [{"deviceType": found.id, "revision": found.revision} for found in self.endpoint.device_types]

    def read_server_list(self, _accessor: Accessor | None) -> list[int]:
        """Return the clusters served here."""
        return sorted(self.endpoint.servers)

    def read_parts_list(self, _accessor: Accessor | None) -> list[int]:
        """Return the endpoints below this one."""
        return self.node.parts(self.endpoint.id)
