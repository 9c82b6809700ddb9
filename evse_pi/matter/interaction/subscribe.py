"""Subscriptions: owned by a peer, reported over whatever session it has."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from evse_pi.matter.channel.exchange import Exchange, ExchangeTimeout
from evse_pi.matter.channel.shares import GROUPS, Shares
from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.interaction.messages import InteractionOpcode, SubscribeRequest, encode_subscribe_response
from evse_pi.matter.interaction.paths import READ, PathTarget, selects
from evse_pi.matter.interaction.report import (
    ReportMemory,
    ReportRefused,
    attribute_reports,
    event_reports,
    pack,
    send_report,
    target_report,
)
from evse_pi.matter.wire.message import PROTOCOL_INTERACTION_MODEL
from evse_pi.matter.wire.status_code import DecodeError, MatterStatus, StatusCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.matter.channel.peer_session import PeerSession
    from evse_pi.matter.channel.shares import Holder
    from evse_pi.matter.channel.stack import MessageStack
    from evse_pi.matter.environment import Entropy
    from evse_pi.matter.model.endpoint import AttributesChanged, Node
    from evse_pi.matter.model.event_log import EventRecord

log = logging.getLogger(__name__)

MAX_INTERVAL_S = 3600  # SUBSCRIPTION_MAX_INTERVAL_PUBLISHER_LIMIT, Matter core 8.5.2.2
MAX_PER_PEER = 5  # a hub keeps one, a test suite a handful
MAX_PER_GROUP = 6  # administrators of a fabric, or its other members; the specification wants 3 for a fabric
FIRST_RETRY_S = 1.0
KEEP_ALIVE_MARGIN_S = 30  # the worst MRP case is 7 s; more leaves room for one retry

_FLUSH_STEP_S = 0.02

AttributeKey = tuple[int, int, int]


class Subscription:
    """One peer's request to be told of changes."""

    def __init__(
        self,
        subscription_id: int,
        node: Node,
        request: SubscribeRequest,
        accessor: Accessor,
        channel: Callable[[], Exchange | None],
    ) -> None:
        self.id = subscription_id
        self.accessor = accessor
        self.max_interval_s = max(1, request.min_interval_s, min(request.max_interval_s, MAX_INTERVAL_S))
        self.task: asyncio.Task[None] | None = None
        self._node = node
        self._request = request
        self._channel = channel
        self._dirty: set[AttributeKey] = set()
        self._next_event = 0
        self._urgent = False
        self._wake = asyncio.Event()
        self._last_sent = 0.0
        self._last_confirmed = 0.0

    @property
    def is_idle(self) -> bool:
        """Return whether there is nothing to report."""
        return not self._dirty and not self._urgent

    @property
    def is_behind(self) -> bool:
        """Return whether the peer has not confirmed all that it should know."""
        return not self.is_idle or self._last_sent > self._last_confirmed

    def note_change(self, changed: AttributesChanged) -> None:
        """Remember attributes that have to be reported."""
        server = self._node.endpoints[changed.endpoint].servers[changed.cluster]
        for identifier in changed.attributes:
            attribute = server.cluster.attributes[identifier]
            for path in self._request.read.attributes:
                wanted = zip(
                    (path.endpoint, path.cluster, path.element),
                    (changed.endpoint, changed.cluster, identifier),
                    strict=True,
                )
                if all(want in (None, have) for want, have in wanted) and selects(path, server, attribute):
                    self._dirty.add((changed.endpoint, changed.cluster, identifier))
                    self._wake.set()

    def note_event(self, record: EventRecord) -> None:
        """Report soon if an urgent path covers the event."""
        have = (record.endpoint, record.cluster, record.event)
        for path in self._request.read.events:
            wanted = zip((path.endpoint, path.cluster, path.element), have, strict=True)
            if path.urgent and all(want in (None, value) for want, value in wanted):
                self._urgent = True
                self._wake.set()

    async def prime(self, exchange: Exchange, memory: ReportMemory) -> None:
        """Send the first report and the SubscribeResponse.

        Raises: MatterStatus, ReportRefused or ExchangeTimeout when there is to be no subscription.
        """
        read = self._request.read
        attributes, any_attribute = attribute_reports(self._node, read, self.accessor)
        self._next_event = self._node.event_log.next_number
        events, any_event = event_reports(self._node, read.events, self.accessor, read.event_min)
        if not any_attribute and not any_event:
            raise MatterStatus(StatusCode.INVALID_ACTION, "no path of the subscription means anything")
        self._dirty.clear()
        self._urgent = False
        self._last_sent = self._now()
        payloads = pack(attributes, events, subscription_id=self.id, suppress_response=False)
        with memory.holding(exchange.session, payloads):
            await send_report(exchange, payloads, confirmed=True)
        await exchange.send(
            InteractionOpcode.SUBSCRIBE_RESPONSE, encode_subscribe_response(self.id, self.max_interval_s)
        )
        self._last_confirmed = self._now()

    async def run(self) -> None:
        """Report for as long as the peer answers."""
        retry_s = FIRST_RETRY_S
        while True:
            await self._until_due()
            try:
                confirmed = await self._report()
            except (ReportRefused, DecodeError) as ended:
                log.info("subscription ended id=%d: %s", self.id, ended)
                return
            if confirmed:
                retry_s = FIRST_RETRY_S
                continue
            if self._now() - self._last_confirmed > self.max_interval_s:
                log.info("subscription ended id=%d: peer silent", self.id)
                return
            await asyncio.sleep(retry_s)
            retry_s *= 2

    async def _until_due(self) -> None:
        """Wait until there is something to report and enough time has passed, or a sign of life is due."""
        keep_alive_at = self._last_sent + _keep_alive_interval_s(self.max_interval_s, self._request.min_interval_s)
        while True:
            due = keep_alive_at if self.is_idle else self._last_sent + self._request.min_interval_s
            wait_s = due - self._now()
            if wait_s <= 0:
                await asyncio.sleep(0)
                return
            self._wake.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _report(self) -> bool:
        """Send what is new; return False, with nothing forgotten, when the peer cannot be reached."""
        exchange = self._channel()
        if exchange is None:
            return False
        dirty, urgent, next_event = self._dirty, self._urgent, self._node.event_log.next_number
        self._dirty, self._urgent = set(), False
        accessor = exchange.accessor
        attributes = [block for key in sorted(dirty) for block in self._attribute(key, accessor)]
        events = self._events(accessor)
        payloads = pack(attributes, events, subscription_id=self.id, suppress_response=False)
        self._last_sent = started = self._now()
        try:
            async with exchange:
                await send_report(exchange, payloads, confirmed=True)
        except ExchangeTimeout:
            self._dirty |= dirty
            self._urgent = self._urgent or urgent
            return False
        self._last_confirmed, self._next_event = max(started, self._now()), next_event
        return True

    def _attribute(self, key: AttributeKey, accessor: Accessor) -> list[bytes]:
        endpoint = self._node.endpoints.get(key[0])
        server = endpoint.servers.get(key[1]) if endpoint else None
        if server is None:
            return []
        target = PathTarget(server, server.cluster.attributes[key[2]])
        privilege = READ.privilege(target.element)
        if privilege is None or not self._node.permits(accessor, privilege, key[0], key[1]):
            return []
        return target_report(target, accessor, fabric_filtered=self._request.read.fabric_filtered)

    def _events(self, accessor: Accessor) -> list[bytes]:
        paths = self._request.read.events
        return event_reports(self._node, paths, accessor, self._next_event, with_refusals=False)[0]

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _keep_alive_interval_s(max_interval_s: int, min_interval_s: int) -> float:
    """Return when to send an empty report: well before the peer gives up, never within its minimum interval."""
    return max(max_interval_s - KEEP_ALIVE_MARGIN_S, max_interval_s * 0.8, min_interval_s)


class SubscriptionTable:
    """All subscriptions of the node, bounded per peer and per fabric."""

    def __init__(self, node: Node, stack: MessageStack, entropy: Entropy) -> None:
        self._node = node
        self._stack = stack
        self._entropy = entropy
        self._shares = Shares(
            total=GROUPS * MAX_PER_GROUP, own=MAX_PER_GROUP, per_group=MAX_PER_GROUP, per_peer=MAX_PER_PEER
        )
        self._holders: dict[int, Holder] = {}
        self.memory = ReportMemory(stack.holder)
        """What reports take; reads use the same."""
        self._subscriptions: dict[int, Subscription] = {}
        self._owners: dict[int, tuple[int, int] | PeerSession] = {}
        stack.sessions.closed.append(self._session_closed)
        node.changes.on(self._changed)
        node.event_log.recorded.on(self._recorded)

    def __len__(self) -> int:
        return len(self._subscriptions)

    async def subscribe(self, exchange: Exchange, request: SubscribeRequest) -> None:
        """Serve a SubscribeRequest.

        Raises: MatterStatus when it is refused.
        """
        owner = _owner(exchange.session)
        if not request.keep_subscriptions:
            self._drop(lambda found: found == owner)
        if request.min_interval_s > request.max_interval_s:
            raise MatterStatus(StatusCode.INVALID_ACTION, "the least interval is above the greatest")
        holder = self._stack.holder(exchange.session)
        if not self._shares.take(holder):
            raise MatterStatus(
                StatusCode.RESOURCE_EXHAUSTED,
                f"at most {MAX_PER_PEER} subscriptions of a peer, {MAX_PER_GROUP} of those like it on its fabric",
            )
        subscription = Subscription(
            self._new_id(), self._node, request, exchange.accessor, lambda: self._channel(owner)
        )
        self._holders[subscription.id] = holder
        self._subscriptions[subscription.id] = subscription
        self._owners[subscription.id] = owner
        try:
            await subscription.prime(exchange, self.memory)
        except BaseException:
            self._forget(subscription.id)
            raise
        if subscription.id in self._subscriptions:
            self._start(subscription)

    def drop_fabric(self, fabric_index: int) -> None:
        """End every subscription of a fabric."""
        self._drop(lambda owner: isinstance(owner, tuple) and owner[0] == fabric_index)

    async def flush(self, timeout_s: float) -> None:
        """Return when everything is reported, or after `timeout_s`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while loop.time() < end and any(found.is_behind for found in self._subscriptions.values()):  # noqa: ASYNC110
            await asyncio.sleep(_FLUSH_STEP_S)

    async def close(self) -> None:
        """End all subscriptions."""
        tasks = [found.task for found in self._subscriptions.values() if found.task is not None]
        self._drop(lambda _owner: True)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, subscription: Subscription) -> None:
        task = asyncio.get_running_loop().create_task(subscription.run())
        subscription.task = task
        task.add_done_callback(lambda done: self._ended(subscription.id, done))

    def _ended(self, subscription_id: int, task: asyncio.Task[None]) -> None:
        self._forget(subscription_id)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("subscription failed id=%d", subscription_id, exc_info=error)

    def _channel(self, owner: tuple[int, int] | PeerSession) -> Exchange | None:
        session = self._stack.sessions.newest(*owner) if isinstance(owner, tuple) else owner
        return None if session is None else self._stack.initiate(session, PROTOCOL_INTERACTION_MODEL)

    def _new_id(self) -> int:
        while True:
            subscription_id = int.from_bytes(self._entropy.octets(4), "little")
            if subscription_id and subscription_id not in self._subscriptions:
                return subscription_id

    def _session_closed(self, session: PeerSession) -> None:
        self._drop(lambda owner: owner is session)

    def _drop(self, belongs: Callable[[tuple[int, int] | PeerSession], bool]) -> None:
        for subscription_id in [found for found, owner in self._owners.items() if belongs(owner)]:
            self._forget(subscription_id)

    def _forget(self, subscription_id: int) -> None:
        subscription = self._subscriptions.pop(subscription_id, None)
        self._owners.pop(subscription_id, None)
        holder = self._holders.pop(subscription_id, None)
        if holder is not None:
            self._shares.give_back(holder)
        if subscription is not None and subscription.task is not None:
            subscription.task.cancel()

    def _changed(self, changed: AttributesChanged) -> None:
        for subscription in self._subscriptions.values():
            subscription.note_change(changed)

    def _recorded(self, record: EventRecord) -> None:
        for subscription in self._subscriptions.values():
            subscription.note_event(record)


def _owner(session: PeerSession) -> tuple[int, int] | PeerSession:
    """Return the peer that owns a subscription: a node of a fabric, or the session of a commissioner."""
    if session.accessor.auth_mode is AuthMode.CASE:
        return session.fabric_index, session.peer_node_id
    return session
