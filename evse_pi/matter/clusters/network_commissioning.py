"""NetworkCommissioning for a node that the operating system has put on the network already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Feature, Field, Struct
from evse_pi.matter.model.watch import Watch
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


_CONNECTED = NetworkCommissioning.Enums.NetworkCommissioningStatusEnum.kSuccess


class NetworkCommissioningServer(ClusterServer, features=("ET",)):
    """Shows the interfaces; whether a cable or the system's Wi-Fi, a commissioner has nothing to configure.

    The last networking status is that of the last interface that was connected; null before the first.
    """

    schema = SCHEMA

    def __init__(self, interfaces: Callable[[], Sequence[NetworkInterface]], **state: Any) -> None:
        super().__init__(**state)
        self._interfaces = interfaces
        self._last_id: bytes | None = None
        self._watch = Watch(self, "networks", "last_networking_status", "last_network_id")

    def initialize(self) -> None:
        """Follow cables and addresses."""
        self._watch.start()

    def close(self) -> None:
        """Follow them no more."""
        self._watch.close()

    def read_networks(self, _accessor: Accessor | None) -> list[Any]:
        """Return the network of the first interface, named like it."""
        return [NetworkCommissioning.Structs.NetworkInfoStruct(name, connected=True) for name in self._connected()]

    def read_last_networking_status(self, _accessor: Accessor | None) -> Any:
        """Return that the machine is connected, or was."""
        return None if self._last() is None else _CONNECTED

    def read_last_network_id(self, _accessor: Accessor | None) -> bytes | None:
        """Return the network that the machine is connected to, or was last."""
        return self._last()

    def _connected(self) -> list[bytes]:
        return [one.name.encode()[:32] for one in self._interfaces()[:MAX_NETWORKS]]

    def _last(self) -> bytes | None:
        self._last_id = next(iter(self._connected()), self._last_id)
        return self._last_id

    def write_interface_enabled(self, enabled: bool) -> None:
        """Refuse to switch off what the request came over."""
        if not enabled:
            raise MatterStatus(StatusCode.INVALID_ACTION, "the node has no other way to be reached")
        self.state.interface_enabled = True
