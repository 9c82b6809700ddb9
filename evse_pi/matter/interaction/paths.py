"""Path expansion: from a path with wildcards to what is there and may be touched; the same for every interaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from evse_pi.matter.identity.acl import Privilege
from evse_pi.matter.interaction.messages import Path, WildcardFlag
from evse_pi.matter.model.cluster import (
    ACCEPTED_COMMAND_LIST,
    ATTRIBUTE_LIST,
    GENERATED_COMMAND_LIST,
    Cluster,
    ClusterAttribute,
    ClusterCommand,
    ClusterEvent,
)
from evse_pi.matter.model.endpoint import ROOT_ENDPOINT, Node
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from evse_pi.matter.identity.accessor import Accessor
    from evse_pi.matter.model.cluster_server import ClusterServer

E = TypeVar("E", ClusterAttribute, ClusterCommand, ClusterEvent)

_FIRST_GLOBAL = 0xF000
_LAST_GLOBAL = 0xFFFE
_FIRST_CUSTOM = 0x0001_0000


@dataclass(frozen=True, slots=True)
class PathTarget(Generic[E]):
    """One element of one server."""

    server: ClusterServer
    element: E

    @property
    def path(self) -> Path:
        """Return the concrete path."""
        return Path(self.server.endpoint.id, self.server.cluster.id, self.element.id)


@dataclass(frozen=True, slots=True)
class PathPurpose(Generic[E]):
    """What an interaction looks for and what it needs to be allowed; `base` is needed to learn what exists at all."""

    base: Privilege
    table: Callable[[Cluster], Mapping[int, E]]
    privilege: Callable[[E], Privilege | None]
    unknown: StatusCode
    unavailable: StatusCode


READ: PathPurpose[ClusterAttribute] = PathPurpose(
    Privilege.VIEW,
    lambda cluster: cluster.attributes,
    lambda attribute: attribute.access.read,
    StatusCode.UNSUPPORTED_ATTRIBUTE,
    StatusCode.UNSUPPORTED_READ,
)
WRITE: PathPurpose[ClusterAttribute] = PathPurpose(
    Privilege.VIEW,
    lambda cluster: cluster.attributes,
    lambda attribute: attribute.access.write,
    StatusCode.UNSUPPORTED_ATTRIBUTE,
    StatusCode.UNSUPPORTED_WRITE,
)
INVOKE: PathPurpose[ClusterCommand] = PathPurpose(
    Privilege.OPERATE,
    lambda cluster: cluster.commands,
    lambda command: command.access.write,
    StatusCode.UNSUPPORTED_COMMAND,
    StatusCode.UNSUPPORTED_COMMAND,
)
EVENTS: PathPurpose[ClusterEvent] = PathPurpose(
    Privilege.VIEW,
    lambda cluster: cluster.events,
    lambda event: event.access.read,
    StatusCode.UNSUPPORTED_EVENT,
    StatusCode.UNSUPPORTED_EVENT,
)


def check_read_path(path: Path) -> None:
    """Raise INVALID_ACTION for a path with all clusters but one attribute, unless every cluster has it."""
    if path.cluster is None and path.element is not None and not _FIRST_GLOBAL <= path.element <= _LAST_GLOBAL:
        raise MatterStatus(StatusCode.INVALID_ACTION, "a wildcard cluster needs a wildcard or global attribute")


def expand(node: Node, purpose: PathPurpose[E], path: Path, accessor: Accessor) -> list[PathTarget[E]]:
    """Return everything that `path` means to `accessor`.

    Raises: MatterStatus for a path without wildcards that means nothing; a wildcard is silent about what it skips. A
    peer without the base privilege there is refused before it learns what exists.
    """
    if not path.is_wildcard:
        return [_concrete(node, purpose, path, accessor)]
    allowed: dict[tuple[int, int, Privilege], bool] = {}

    def permitted(target: PathTarget[E]) -> bool:
        privilege = purpose.privilege(target.element)
        if privilege is None:
            return False
        key = (target.server.endpoint.id, target.server.cluster.id, privilege)
        if key not in allowed:
            allowed[key] = node.permits(accessor, privilege, key[0], key[1])
        return allowed[key]

    return [target for target in _candidates(node, purpose, path) if permitted(target)]


def selects(path: Path, server: ClusterServer, element: ClusterAttribute) -> bool:
    """Return whether a wildcard path covers an attribute, its flags considered."""
    flags = path.flags
    if not flags:
        return True
    identifier = element.id
    is_global = _FIRST_GLOBAL <= identifier <= _LAST_GLOBAL
    command_list = identifier in (GENERATED_COMMAND_LIST, ACCEPTED_COMMAND_LIST)
    custom = identifier >= _FIRST_CUSTOM or server.cluster.id >= _FIRST_CUSTOM
    # A flag about endpoint, cluster or element leaves alone what the path names: that was asked for.
    skipped = (
        (WildcardFlag.ROOT_NODE in flags and path.endpoint is None and server.endpoint.id == ROOT_ENDPOINT)
        or (WildcardFlag.GLOBAL_ATTRIBUTES in flags and path.element is None and is_global)
        or (WildcardFlag.ATTRIBUTE_LIST in flags and path.element is None and identifier == ATTRIBUTE_LIST)
        or (WildcardFlag.COMMAND_LISTS in flags and path.element is None and command_list)
        or (WildcardFlag.CUSTOM_ELEMENTS in flags and custom)
        or (WildcardFlag.FIXED_ATTRIBUTES in flags and element.fixed)
        or (WildcardFlag.CHANGES_OMITTED in flags and element.changes_omitted)
        or (WildcardFlag.DIAGNOSTICS in flags and path.cluster is None and server.cluster.diagnostics)
    )
    return not skipped


def _candidates(node: Node, purpose: PathPurpose[E], path: Path) -> Iterator[PathTarget[E]]:
    for endpoint in _chosen(node.endpoints, path.endpoint):
        for server in _chosen(endpoint.servers, path.cluster):
            for element in _chosen(purpose.table(server.cluster), path.element):
                if not isinstance(element, ClusterAttribute) or selects(path, server, element):
                    yield PathTarget(server, element)


V = TypeVar("V")


def _chosen(table: Mapping[int, V], key: int | None) -> Iterator[V]:
    if key is None:
        yield from table.values()
    elif key in table:
        yield table[key]


def _concrete(node: Node, purpose: PathPurpose[E], path: Path, accessor: Accessor) -> PathTarget[E]:
    if not node.permits(accessor, purpose.base, path.endpoint or 0, path.cluster or 0):
        raise MatterStatus(StatusCode.UNSUPPORTED_ACCESS, f"{path} needs {purpose.base.name}")
    endpoint = node.endpoints.get(path.endpoint or 0)
    if endpoint is None:
        raise MatterStatus(StatusCode.UNSUPPORTED_ENDPOINT, f"endpoint {path.endpoint}")
    server = endpoint.servers.get(path.cluster or 0)
    if server is None:
        raise MatterStatus(StatusCode.UNSUPPORTED_CLUSTER, f"cluster 0x{path.cluster:X} on endpoint {path.endpoint}")
    element = purpose.table(server.cluster).get(path.element or 0)
    if element is None:
        raise MatterStatus(purpose.unknown, f"{server.name} 0x{path.element:X}")
    privilege = purpose.privilege(element)
    if privilege is None:
        raise MatterStatus(purpose.unavailable, f"{server.name}.{element.name}")
    if not node.permits(accessor, privilege, endpoint.id, server.cluster.id):
        raise MatterStatus(StatusCode.UNSUPPORTED_ACCESS, f"{server.name}.{element.name} needs {privilege.name}")
    return PathTarget(server, element)
