"""The events object of a cluster server: observables that code can emit, listen to, or both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evse_pi.matter.model.observable import Observable
from evse_pi.matter.model.transaction import current_transaction

if TYPE_CHECKING:
    from evse_pi.matter.model.cluster import ClusterEvent
    from evse_pi.matter.model.tree_interface import ServerInterface

_CHANGED = "_changed"


@dataclass(frozen=True, slots=True)
class Change:
    """What a `<attribute>_changed` observable emits."""

    old: Any
    value: Any


class EventSource(Observable[Any]):
    """One event of a cluster; listeners get its payload once it is recorded."""

    __slots__ = ("_event", "_server")

    def __init__(self, server: ServerInterface, event: ClusterEvent) -> None:
        super().__init__(f"{server.cluster.name}.{event.name}")
        self._server = server
        self._event = event

    def emit(self, value: Any = None, /, **fields: Any) -> None:
        """Record the event with a payload, given whole or by field, when the present transaction commits.

        Raises: MatterStatus when the payload does not fit the schema.
        """
        payload = self._event.payload.cast(fields if value is None else value)
        transaction = current_transaction()
        if transaction is None:
            self._record(payload)
        else:
            transaction.after_commit(lambda: self._record(payload))

    def _record(self, payload: Any) -> None:
        self._server.record_event(self._event, payload)
        super().emit(payload)


class Events:
    """All observables of one server: its events by name, and `<attribute>_changed` for each attribute."""

    def __init__(self, server: ServerInterface) -> None:
        self._server = server
        self._sources = {event.key: EventSource(server, event) for event in server.cluster.events.values()}
        self._changes: dict[str, Observable[Change]] = {}

    def __getattr__(self, name: str) -> Observable[Any]:
        if name in self._sources:
            return self._sources[name]
        if name.endswith(_CHANGED):
            key = self._server.schema_guard.attribute(name.removesuffix(_CHANGED)).key
            return self._changes.setdefault(key, Observable(f"{self._server.cluster.name}.{name}"))
        self._server.schema_guard.event(name)
        raise AttributeError(name)

    def changed(self, key: str, change: Change) -> None:
        """Tell those who listen to an attribute that it has changed."""
        observable = self._changes.get(key)
        if observable is not None:
            observable.emit(change)
