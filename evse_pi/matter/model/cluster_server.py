"""The behaviour of a cluster: a class with the schema above it and the rules inside it.

A subclass names its `schema` and has one method per command, called like the command in snake case and taking the
request (or nothing, if the command has no fields); it returns the response, or None for plain success, or raises
`MatterStatus`. It may be asynchronous, but what it changes is seen by others only when it has returned.
Three kinds of optional method are found by name:
`read_<attribute>(accessor)` computes a value instead of storing it,
`write_<attribute>(value)` takes what a peer wrote instead of storing it as it is, or refuses it,
`initialize()` and `close()` begin and end the server's life.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from enum import IntFlag
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from evse_pi.matter.model import derivation, request
from evse_pi.matter.model.cluster import (
    ACCEPTED_COMMAND_LIST,
    ATTRIBUTE_LIST,
    CLUSTER_REVISION,
    FEATURE_MAP,
    GENERATED_COMMAND_LIST,
    Cluster,
    ClusterAttribute,
    ClusterEvent,
    Composition,
    resolve,
)
from evse_pi.matter.model.event_source import Change, Events
from evse_pi.matter.model.operations import ATTRIBUTE_DATA_TAG
from evse_pi.matter.model.peer import PeerServer
from evse_pi.matter.model.quieter import Quieter
from evse_pi.matter.model.schema_guard import SchemaGuard, member
from evse_pi.matter.model.state import State, state_class
from evse_pi.matter.model.transaction import UNCHANGED, current_transaction, independent, transaction
from evse_pi.matter.wire.status_code import MatterStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from evse_pi.matter.identity.accessor import Accessor
    from evse_pi.matter.model.declaration import ClusterSchema
    from evse_pi.matter.model.observable import Listener, Observable
    from evse_pi.matter.model.tree_interface import EndpointInterface, NodeInterface, ServerInterface

log = logging.getLogger(__name__)

T = TypeVar("T")


class NoFeatures(IntFlag):
    """The flags of a cluster without features."""

    NONE = 0


class ClusterServer:
    """Base of all cluster behaviours."""

    schema: ClassVar[ClusterSchema]
    composition: ClassVar[Composition] = Composition()
    cluster: ClassVar[Cluster]
    schema_guard: ClassVar[SchemaGuard]
    id: ClassVar[str]
    name: ClassVar[str]
    features: ClassVar[IntFlag]
    defaults: ClassVar[Mapping[str, Any]]
    State: ClassVar[type[State]]
    Events: ClassVar[type[Events]] = Events
    Interface: ClassVar[type]
    dependencies: ClassVar[tuple[type[ClusterServer], ...]] = ()
    early: ClassVar[bool] = False
    quiet_interval_s: ClassVar[Mapping[str, float]] = MappingProxyType({})
    """Least time between two reports of a quieter attribute, where the usual second is too short."""

    class Internal:
        """State of the implementation that no peer sees."""

    class ExtensionInterface:
        """What a class that uses this server has to add to it."""

    def __init_subclass__(cls, features: tuple[str, ...] | None = None, enable: tuple[str, ...] = ()) -> None:
        """Resolve the schema for this class."""
        super().__init_subclass__()
        if features is not None or enable:
            cls.composition = Composition(frozenset(features or ()), frozenset(enable), cls.composition.defaults)
        if not hasattr(cls, "schema"):
            return
        cls.cluster = resolve(cls.schema, cls.composition)
        cls.schema_guard = SchemaGuard(cls.cluster)
        cls.name = cls.schema.name
        cls.id = derivation.behaviour_id(cls.schema)
        cls.features = derivation.feature_flags(cls.schema, cls.cluster.feature_map, NoFeatures)
        cls.State = state_class(cls.cluster)
        cls.Interface = derivation.interface(cls.cluster)
        attributes = cls.cluster.attributes.values()
        cls.defaults = MappingProxyType({attribute.key: attribute.default for attribute in attributes})

    def __init__(self, **state: Any) -> None:
        """Make a server whose state differs from the defaults by `state`.

        Raises: TypeError when a command or extension has no method, AttributeError or MatterStatus for a bad state.
        """
        derivation.check_handlers(type(self), self.ExtensionInterface)
        self._endpoint: EndpointInterface | None = None
        self._closed = False
        self._subscriptions: list[Listener] = []
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._encoded: dict[int, bytes] = {}
        self._values = {attribute.id: attribute.default for attribute in self.cluster.attributes.values()}
        self._values |= {
            GENERATED_COMMAND_LIST: _response_ids(self.cluster),
            ACCEPTED_COMMAND_LIST: tuple(self.cluster.commands),
            ATTRIBUTE_LIST: tuple(self.cluster.attributes),
            FEATURE_MAP: self.cluster.feature_map,
            CLUSTER_REVISION: self.cluster.revision,
        }
        self.data_version = 0
        self.internal: Any = self.Internal()
        self.events: Any = self.Events(self)
        self.state: Any = self.State(self)
        self.quieter = Quieter(self._report, self.quiet_interval_s)
        for key, value in state.items():
            self._values[self.schema_guard.attribute(key).id] = self.schema_guard.cast(key, value)

    # Where it stands

    @property
    def endpoint(self) -> EndpointInterface:
        """Return the endpoint this server is part of.

        Raises: RuntimeError before it is part of one.
        """
        if self._endpoint is None:
            raise RuntimeError(f"{self.name} is not part of an endpoint yet")
        return self._endpoint

    @property
    def node(self) -> NodeInterface:
        """Return the node this server is part of."""
        return self.endpoint.node

    def peer(self, server: type[ClusterServer], endpoint: EndpointInterface | None = None) -> PeerServer:
        """Return another server, limited to what the present requester may do with it."""
        return PeerServer((endpoint or self.endpoint).server(server))

    @property
    def request(self) -> request.PeerRequest | None:
        """Return the request being served, or None when the node acts by itself."""
        return request.current_request()

    @property
    def accessor(self) -> Accessor | None:
        """Return who asked for what is being done, or None when the node acts by itself."""
        found = request.current_request()
        return None if found is None else found.accessor

    # Life cycle

    def attach(self, endpoint: EndpointInterface) -> None:
        """Become part of `endpoint` and take back the state that was stored."""
        if self._endpoint is not None:
            raise RuntimeError(f"{self.name} is part of endpoint {self._endpoint.id} already")
        self._endpoint = endpoint
        self._initial = dict(self._values)
        self.data_version = int.from_bytes(self.node.entropy.octets(4), "little")
        for attribute in self.cluster.attributes.values():
            record = self.node.store.get(self._key(attribute)) if self._is_stored(attribute) else None
            if record is not None:
                self._load(attribute, record)

    def initialize(self) -> Awaitable[None] | None:
        """Prepare for service; the endpoint answers nothing before this, or what it returns, is done."""
        return None

    def close(self) -> Awaitable[None] | None:
        """Release what `initialize` took."""
        return None

    async def shut(self) -> None:
        """End the server's life: no reactor runs any more, its tasks are cancelled, then `close`."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()
        self.quieter.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        closing = self.close()
        if closing is not None:
            await closing

    def react_to(self, observable: Observable[T], reactor: Callable[[T], object]) -> Listener:
        """Run `reactor` on everything `observable` emits while this server lives, each time as one transaction."""
        subscription = observable.on(self.callback(reactor))
        self._subscriptions.append(subscription)
        return subscription

    def callback(self, function: Callable[..., object]) -> Callable[..., None]:
        """Return a function to hand out: it runs `function`, sync or async, as a reactor runs."""

        def call(*arguments: Any, **named: Any) -> None:
            if self._closed:
                return
            with transaction():
                result = function(*arguments, **named)
            if inspect.iscoroutine(result):
                self.spawn(result)

        return call

    def spawn(self, work: Awaitable[object]) -> asyncio.Task[None]:
        """Run `work` as one transaction in a task that ends with this server."""

        async def run() -> None:
            with independent(), transaction():
                await work

        task = asyncio.get_running_loop().create_task(run())
        self._tasks[task] = None
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task failed cluster=%s", self.name, exc_info=error)

    @staticmethod
    def as_admin(action: Callable[[], T]) -> T:
        """Return what the synchronous `action` returns, run without access control."""
        return request.as_admin(action)

    # State

    def value(self, attribute: ClusterAttribute) -> Any:
        """Return the value of an attribute that the running code may see."""
        reader = getattr(self, f"read_{attribute.key}", None)
        if reader is not None:
            return attribute.codec.cast(reader(None))
        open_transaction = current_transaction()
        staged = UNCHANGED if open_transaction is None else open_transaction.staged(self, attribute.id)
        return self._values[attribute.id] if staged is UNCHANGED else staged

    def encoded(self, attribute: ClusterAttribute) -> bytes:
        """Return the committed value as the data member of a report; encoded once per change of the cluster."""
        found = self._encoded.get(attribute.id)
        if found is None:
            found = member(ATTRIBUTE_DATA_TAG, attribute.codec.to_tlv(self._values[attribute.id]))
            self._encoded[attribute.id] = found
        return found

    def assign(self, attribute: ClusterAttribute, value: Any) -> None:
        """Give an attribute a new value, at once or as part of the present transaction."""
        normal = attribute.codec.cast(value)
        if self._endpoint is None:
            self._values[attribute.id] = normal
            return
        with transaction() as unit:
            unit.stage(self, attribute.id, normal)

    def publish(self, *keys: str) -> None:
        """Report attributes now, whether or not they differ and however quiet they are."""
        with transaction() as unit:
            for key in keys:
                unit.publish(self, self.schema_guard.attribute(key).id)

    def changed(self, *keys: str) -> None:
        """Say that computed attributes have new values."""
        attributes = [self.schema_guard.attribute(key) for key in keys]
        self._bump()
        self._report({attribute.id for attribute in attributes if not attribute.changes_omitted})

    def differences(self, values: Mapping[int, Any]) -> dict[int, Any]:
        """Return those of `values` that are not in force already."""
        return {key: value for key, value in values.items() if self._values[key] != value}

    def records(self, values: Mapping[int, Any]) -> list[tuple[str, bytes]]:
        """Return what of `values` must be stored, by key."""
        attributes = [self.cluster.attributes[key] for key in values]
        return [
            (self._key(attribute), self.schema_guard.dump(attribute, values[attribute.id]))
            for attribute in attributes
            if attribute.nonvolatile
        ]

    def apply(self, values: Mapping[int, Any], published: AbstractSet[int]) -> None:
        """Put `values` in force and tell everybody who wants to know; `published` are reported in any case."""
        old = {key: self._values[key] for key in values}
        self._values.update(values)
        if values:
            self._bump()
        reports = set(published)
        for key, value in values.items():
            attribute = self.cluster.attributes[key]
            if attribute.quieter and key not in published:
                self.quieter.changed(attribute, from_or_to_null=old[key] is None or value is None)
            elif not attribute.changes_omitted:
                reports.add(key)
        for key in published:
            self.quieter.reported(self.cluster.attributes[key])
        # Listeners come last: what they change in turn must be reported after what made them change it.
        self._report(reports)
        for key, value in values.items():
            self.events.changed(self.cluster.attributes[key].key, Change(old[key], value))

    def record_event(self, event: ClusterEvent, payload: Any) -> None:
        """Put an event into the node's log."""
        fabric_index = payload.fabricIndex if event.access.fabric_sensitive else None
        path = (self.endpoint.id, self.cluster.id, event.id)
        self.node.event_log.append(path, event.priority, self.schema_guard.event_payload(event, payload), fabric_index)

    def keep_fabrics(self, fabric_indexes: AbstractSet[int]) -> None:
        """Drop the entries of all other fabrics from this cluster's fabric-scoped lists."""
        for attribute in self.cluster.attributes.values():
            if attribute.fabric_scoped and not hasattr(self, f"read_{attribute.key}"):
                entries = self._values[attribute.id]
                self.assign(attribute, [entry for entry in entries if entry.fabricIndex in fabric_indexes])

    def reset(self) -> None:
        """Give every stored attribute the value it had when the server was made."""
        with transaction():
            for attribute in self.cluster.attributes.values():
                if self._is_stored(attribute):
                    self.assign(attribute, self._initial[attribute.id])

    def _report(self, attribute_ids: AbstractSet[int]) -> None:
        if attribute_ids:
            self.node.attributes_changed(self, attribute_ids)

    def _bump(self) -> None:
        self.data_version = (self.data_version + 1) & 0xFFFF_FFFF
        self._encoded.clear()

    def _is_stored(self, attribute: ClusterAttribute) -> bool:
        """Return whether a value is kept here; one that is computed is kept by what it is computed from."""
        return attribute.nonvolatile and not hasattr(self, f"read_{attribute.key}")

    def _key(self, attribute: ClusterAttribute) -> str:
        return f"state/{self.endpoint.id}/{self.cluster.id:08x}/{attribute.id:04x}"

    def _load(self, attribute: ClusterAttribute, record: bytes) -> None:
        try:
            self._values[attribute.id] = self.schema_guard.load(attribute, record)
        except (MatterStatus, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            log.warning("stored value dropped cluster=%s attribute=%s: %s", self.name, attribute.name, error)

    # Composition

    @classmethod
    def supports(cls, other: type[ServerInterface]) -> bool:
        """Return whether this class can stand where `other` is asked for: same cluster, nothing missing."""
        mine, theirs = cls.cluster, other.cluster
        return (
            mine.id == theirs.id
            and mine.features >= theirs.features
            and mine.attributes.keys() >= theirs.attributes.keys()
            and mine.commands.keys() >= theirs.commands.keys()
            and mine.events.keys() >= theirs.events.keys()
        )

    @classmethod
    def with_features(cls, *features: str | IntFlag) -> type[Self]:
        """Return this class with exactly these features (and those that are mandatory), by code or as flags.

        Raises: ValueError when the conformance tables do not allow the set.
        """
        return derivation.with_features(cls, *features)

    @classmethod
    def enable(
        cls, *, attributes: Sequence[str] = (), commands: Sequence[str] = (), events: Sequence[str] = ()
    ) -> type[Self]:
        """Return this class with optional elements present, by specification or Python name.

        Raises: ValueError for an element that does not exist or is disallowed.
        """
        return derivation.enable(cls, attributes, commands, events)

    @classmethod
    def alter(cls, **rows: Mapping[str, Any]) -> type[Self]:
        """Return this class with columns of its tables replaced: `alter(on_time={"constraint": "max 600"})`.

        Raises: ValueError for an unknown element or column, or text that does not parse.
        """
        return derivation.alter(cls, rows)

    @classmethod
    def for_cluster(cls, schema: ClusterSchema) -> type[Self]:
        """Return this class for another cluster that has the same commands, such as another mode cluster."""
        return derivation.for_cluster(cls, schema)

    @classmethod
    def set(cls, **defaults: Any) -> type[Self]:
        """Return this class with other defaults of attributes, checked like any value.

        Raises: AttributeError for an unknown attribute, MatterStatus for a value the schema does not allow.
        """
        return derivation.set_defaults(cls, defaults)


def _response_ids(cluster: Cluster) -> tuple[int, ...]:
    identifiers = {command.response_id for command in cluster.commands.values()}
    return tuple(sorted(identifier for identifier in identifiers if identifier is not None))
