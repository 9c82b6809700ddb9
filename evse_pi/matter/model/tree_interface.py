"""What a cluster server asks of the tree that it is part of, and what the model asks of a cluster server.

The tree (`endpoint`) holds servers and the servers (`cluster_server`) know their place in it. Both, and everything
that handles a server without being one, meet here, so that no module needs the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from enum import IntFlag

    from evse_pi.matter.environment import Entropy
    from evse_pi.matter.identity.accessor import Accessor
    from evse_pi.matter.identity.acl import Privilege
    from evse_pi.matter.model.cluster import Cluster, ClusterAttribute, ClusterEvent, Composition
    from evse_pi.matter.model.declaration import ClusterSchema
    from evse_pi.matter.model.event_log import EventLog
    from evse_pi.matter.model.schema_guard import SchemaGuard
    from evse_pi.matter.storage import KeyValueStore

S = TypeVar("S", bound="ServerInterface")


class ServerInterface(Protocol):
    """A cluster server as transactions, state, events, operations and other servers see it."""

    schema: ClassVar[ClusterSchema]
    composition: ClassVar[Composition]
    cluster: ClassVar[Cluster]
    schema_guard: ClassVar[SchemaGuard]
    id: ClassVar[str]
    name: ClassVar[str]
    features: ClassVar[IntFlag]
    state: Any
    events: Any

    @property
    def endpoint(self) -> EndpointInterface:
        """Return the endpoint that the server is part of."""

    @property
    def node(self) -> NodeInterface:
        """Return the node that the server is part of."""

    @property
    def accessor(self) -> Accessor | None:
        """Return who asked for what is being done, None when the node acts by itself."""

    def value(self, attribute: ClusterAttribute) -> Any:
        """Return the value of an attribute that the running code may see."""

    def encoded(self, attribute: ClusterAttribute) -> bytes:
        """Return the committed value as the data member of a report."""

    def assign(self, attribute: ClusterAttribute, value: Any) -> None:
        """Give an attribute a new value, at once or as part of the present transaction."""

    def differences(self, values: Mapping[int, Any]) -> dict[int, Any]:
        """Return those of `values` that are not in force already."""

    def records(self, values: Mapping[int, Any]) -> list[tuple[str, bytes]]:
        """Return what of `values` must be stored, by key."""

    def apply(self, values: Mapping[int, Any], published: AbstractSet[int]) -> None:
        """Put `values` in force and report what changed, and `published` in any case."""

    def record_event(self, event: ClusterEvent, payload: Any) -> None:
        """Put an event into the node's log."""


@dataclass(frozen=True, slots=True)
class DeviceType:
    """A device type of the device library with its revision."""

    id: int
    revision: int


class EndpointInterface(Protocol):
    """The endpoint of a server."""

    id: int

    @property
    def device_types(self) -> Sequence[DeviceType]:
        """Return what the endpoint is."""

    @property
    def servers(self) -> Mapping[int, ServerInterface]:
        """Return the servers by cluster id."""

    @property
    def node(self) -> NodeInterface:
        """Return the node of the endpoint. Raises: RuntimeError before it belongs to one."""

    def server(self, kind: type[S]) -> S:
        """Return the server that supports `kind`. Raises: LookupError when there is none."""


class NodeInterface(Protocol):
    """The node of a server, and what all servers share."""

    store: KeyValueStore
    entropy: Entropy
    event_log: EventLog

    def parts(self, endpoint_id: int) -> list[int]:
        """Return the endpoints below one."""

    def permits(self, accessor: Accessor, privilege: Privilege, endpoint: int, cluster: int) -> bool:
        """Return whether `accessor` has `privilege` on a cluster."""

    def attributes_changed(self, server: ServerInterface, attribute_ids: AbstractSet[int]) -> None:
        """Report that attributes of a server have new values."""
