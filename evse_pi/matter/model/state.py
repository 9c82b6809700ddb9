"""The state object of a cluster server: one checked Python attribute per attribute of the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evse_pi.matter.model.cluster import CLUSTER_REVISION, GENERATED_COMMAND_LIST, Cluster, ClusterAttribute

if TYPE_CHECKING:
    from evse_pi.matter.model.tree_interface import ServerInterface


class State:
    """Base of the generated state classes; a name that the cluster does not have raises AttributeError."""

    __slots__ = ("_server",)

    def __init__(self, server: ServerInterface) -> None:
        self._server = server

    def __repr__(self) -> str:
        names = [name for name in dir(type(self)) if isinstance(getattr(type(self), name), StateField)]
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"


class StateField:
    """The descriptor of one attribute: reads the value in force, validates and stages what is assigned."""

    __slots__ = ("_attribute",)

    def __init__(self, attribute: ClusterAttribute) -> None:
        self._attribute = attribute

    def __get__(self, state: State | None, _owner: type[State]) -> Any:
        return self if state is None else state._server.value(self._attribute)  # noqa: SLF001

    def __set__(self, state: State, value: Any) -> None:
        state._server.assign(self._attribute, value)  # noqa: SLF001


def state_class(cluster: Cluster) -> type[State]:
    """Return the state class of a cluster."""
    fields: dict[str, Any] = {
        attribute.key: StateField(attribute)
        for attribute in cluster.attributes.values()
        if not GENERATED_COMMAND_LIST <= attribute.id <= CLUSTER_REVISION
    }
    return type(f"{cluster.name}State", (State,), {"__slots__": (), **fields})
