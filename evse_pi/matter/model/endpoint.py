"""The tree of a node: endpoints with their cluster servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from evse_pi.matter.model.observable import Observable
from evse_pi.matter.model.peer import PeerServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from evse_pi.matter.environment import Entropy
    from evse_pi.matter.identity.accessor import Accessor
    from evse_pi.matter.identity.acl import Privilege
    from evse_pi.matter.model.cluster_server import ClusterServer
    from evse_pi.matter.model.event_log import EventLog
    from evse_pi.matter.model.tree_interface import DeviceType, ServerInterface
    from evse_pi.matter.storage import KeyValueStore

S = TypeVar("S", bound="ServerInterface")

ROOT_ENDPOINT = 0


class AccessPolicy(Protocol):
    """Who may do what; `identity.acl.AccessControl` is one."""

    def allows(
        self, accessor: Accessor, privilege: Privilege, endpoint: int, cluster: int, device_types: Sequence[int]
    ) -> bool:
        """Return whether `accessor` has `privilege` on a cluster of an endpoint with `device_types`."""


@dataclass(frozen=True, slots=True)
class AttributesChanged:
    """Attributes of one cluster that subscribers have to be told of."""

    endpoint: int
    cluster: int
    attributes: frozenset[int]


class Endpoint:
    """One device, or part of one: device types and the servers of its clusters."""

    def __init__(
        self, endpoint_id: int, device_types: Iterable[DeviceType], servers: Iterable[ClusterServer], *, parent: int = 0
    ) -> None:
        self.id = endpoint_id
        self.device_types = tuple(device_types)
        self.parent = parent
        self.servers: dict[int, ClusterServer] = {}
        self._node: Node | None = None
        for server in servers:
            self._add(server)

    @property
    def node(self) -> Node:
        """Return the node this endpoint belongs to.

        Raises: RuntimeError before it belongs to one.
        """
        if self._node is None:
            raise RuntimeError(f"endpoint {self.id} belongs to no node yet")
        return self._node

    def server(self, kind: type[S]) -> S:
        """Return this endpoint's server that supports `kind`.

        Raises: LookupError when there is none.
        """
        found = self.servers.get(kind.cluster.id)
        if found is None or not type(found).supports(kind):
            raise LookupError(f"endpoint {self.id} has no {kind.cluster.name} server that supports what is asked for")
        return found  # type: ignore[return-value]

    def peer(self, kind: type[ServerInterface]) -> PeerServer:
        """Return the server that supports `kind`, limited to what the present requester may do with it."""
        return PeerServer(self.server(kind))

    async def open(self, node: Node, descriptor: Callable[[], ClusterServer]) -> None:
        """Attach and initialise all servers in their start order; if one fails, those before it are closed again."""
        self._node = node
        if not any(server.id == "descriptor" for server in self.servers.values()):
            self._add(descriptor())
        order = self._start_order()
        for server in order:
            server.attach(self)
        started: list[ClusterServer] = []
        try:
            for server in order:
                started.append(server)
                waiting = server.initialize()
                if waiting is not None:
                    await waiting
        except BaseException:
            for server in reversed(started):
                await server.shut()
            raise

    async def close(self) -> None:
        """Shut all servers, the last started first."""
        for server in reversed(self._start_order()):
            await server.shut()

    def _add(self, server: ClusterServer) -> None:
        if server.cluster.id in self.servers:
            raise ValueError(f"endpoint {self.id} has a {server.name} server already")
        self.servers[server.cluster.id] = server

    def _start_order(self) -> list[ClusterServer]:
        """Return the servers, early ones first, each after those it depends on."""
        waiting = sorted(self.servers.values(), key=lambda server: not server.early)
        order: list[ClusterServer] = []
        while waiting:
            ready = next((server for server in waiting if self._needs(server).isdisjoint(waiting)), None)
            if ready is None:
                names = ", ".join(server.name for server in waiting)
                raise ValueError(f"endpoint {self.id}: {names} depend on each other")
            waiting.remove(ready)
            order.append(ready)
        return order

    def _needs(self, server: ClusterServer) -> set[ClusterServer]:
        return {self.server(kind) for kind in server.dependencies}


class Node:
    """All endpoints and what their servers share."""

    def __init__(
        self,
        *,
        store: KeyValueStore,
        entropy: Entropy,
        event_log: EventLog,
        access: AccessPolicy,
        descriptor: Callable[[], ClusterServer],
    ) -> None:
        self.store = store
        self.entropy = entropy
        self.event_log = event_log
        self.endpoints: dict[int, Endpoint] = {}
        self.changes: Observable[AttributesChanged] = Observable("attribute changes")
        self._access = access
        self._descriptor = descriptor

    @property
    def root(self) -> Endpoint:
        """Return the root endpoint."""
        return self.endpoints[ROOT_ENDPOINT]

    async def add(self, endpoint: Endpoint) -> None:
        """Make `endpoint` part of the node once all its servers are ready.

        Raises: ValueError when its number is taken or its parent unknown.
        """
        if endpoint.id in self.endpoints:
            raise ValueError(f"endpoint {endpoint.id} exists already")
        if endpoint.id != ROOT_ENDPOINT and endpoint.parent not in self.endpoints:
            raise ValueError(f"endpoint {endpoint.id}: its parent {endpoint.parent} does not exist")
        await endpoint.open(self, self._descriptor)
        self.endpoints[endpoint.id] = endpoint
        self._parts_changed(endpoint)
        for server in endpoint.servers.values():
            attributes = server.cluster.attributes.values()
            self.attributes_changed(server, {found.id for found in attributes if not found.changes_omitted})

    async def remove(self, endpoint_id: int) -> None:
        """Take an endpoint out of the node and shut its servers.

        Raises: ValueError for the root endpoint and for one that has parts.
        """
        if endpoint_id == ROOT_ENDPOINT or self.parts(endpoint_id):
            raise ValueError(f"endpoint {endpoint_id} has parts")
        endpoint = self.endpoints.pop(endpoint_id)
        self._parts_changed(endpoint)
        await endpoint.close()

    async def close(self) -> None:
        """Shut every endpoint, the last added first."""
        for endpoint in reversed(self.endpoints.values()):
            await endpoint.close()
        self.endpoints.clear()

    def parts(self, endpoint_id: int) -> list[int]:
        """Return the endpoints below one: all others for the root, the direct parts for any other."""
        others = (endpoint for endpoint in self.endpoints.values() if endpoint.id != ROOT_ENDPOINT)
        return sorted(
            endpoint.id for endpoint in others if endpoint_id == ROOT_ENDPOINT or endpoint.parent == endpoint_id
        )

    def permits(self, accessor: Accessor, privilege: Privilege, endpoint: int, cluster: int) -> bool:
        """Return whether `accessor` has `privilege` on a cluster."""
        found = self.endpoints.get(endpoint)
        device_types = [] if found is None else [device_type.id for device_type in found.device_types]
        return self._access.allows(accessor, privilege, endpoint, cluster, device_types)

    def attributes_changed(self, server: ServerInterface, attribute_ids: AbstractSet[int]) -> None:
        """Tell those who watch the node that attributes of a server have new values."""
        if server.endpoint.id in self.endpoints:
            changed = AttributesChanged(server.endpoint.id, server.cluster.id, frozenset(attribute_ids))
            self.changes.emit(changed)

    def servers(self) -> list[ClusterServer]:
        """Return every server of every endpoint."""
        return [server for endpoint in self.endpoints.values() for server in endpoint.servers.values()]

    def _parts_changed(self, endpoint: Endpoint) -> None:
        for above in {ROOT_ENDPOINT, endpoint.parent} & self.endpoints.keys() - {endpoint.id}:
            for server in self.endpoints[above].servers.values():
                if server.id == "descriptor":
                    server.changed("parts_list")
