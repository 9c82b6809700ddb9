"""NetworkCommissioning for a node that the operating system has put on the network already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Feature, Field, Struct
from evse_pi.matter.wire.chip_objects import NetworkCommissioning
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evse_pi.matter.clusters.network_interface import NetworkInterface
    from evse_pi.matter.identity.accessor import Accessor

MAX_NETWORKS = 1  # an Ethernet-like interface is one network

SCHEMA = ClusterSchema(
    NetworkCommissioning,
    revision=2,
    features=(
        Feature("WI", "WiFiNetworkInterface", "X"),
        Feature("TH", "ThreadNetworkInterface", "X"),
        Feature("ET", "EthernetNetworkInterface", "O.a"),
    ),
    attributes=(
        Attribute("MaxNetworks", "uint8", "R A", "F", "M", "min 1", MAX_NETWORKS),
        Attribute("Networks", "list", "R A"),
        Attribute("InterfaceEnabled", "bool", "RW VA", "N", default=True),
        Attribute("LastNetworkingStatus", "enum8", "R A", "X", default=None),
        Attribute("LastNetworkID", "octets", "R A", "X", "M", "1 to 32", None),
        Attribute("LastConnectErrorValue", "int32", "R A", "X", default=None),
    ),
    structs=(Struct("NetworkInfoStruct", (Field("networkID", "octets", "1 to 32"),)),),
)


class NetworkCommissioningServer(ClusterServer, features=("ET",)):
    """Shows the interfaces; whether a cable or the system's Wi-Fi, a commissioner has nothing to configure."""

    schema = SCHEMA

    def __init__(self, interfaces: Callable[[], Sequence[NetworkInterface]], **state: Any) -> None:
        super().__init__(**state)
        self._interfaces = interfaces

    def read_networks(self, _accessor: Accessor | None) -> list[Any]:
        """Return the network of the first interface, named like it."""
        found = self._interfaces()[:MAX_NETWORKS]
        return [NetworkCommissioning.Structs.NetworkInfoStruct(one.name.encode()[:32], connected=True) for one in found]

    def write_interface_enabled(self, enabled: bool) -> None:
        """Refuse to switch off what the request came over."""
        if not enabled:
            raise MatterStatus(StatusCode.INVALID_ACTION, "the node has no other way to be reached")
        self.state.interface_enabled = True
