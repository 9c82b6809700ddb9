"""What may be asked of the node: the commands of the control socket."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

from evse_pi.api.server import ControlRequest, Refusal
from evse_pi.charging.modes import MODE_SOURCES
from evse_pi.clearance import Clearance
from evse_pi.core.duty import MIN_OFFER_MA
from evse_pi.core.records import Request as Order
from evse_pi.node.status import fault_view, limits, session_view, status
from hal.units import Milliamps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from evse_pi.charging.charge_point import ChargePoint
    from evse_pi.node.matter import MatterDevice
    from evse_pi.storage.database import Store
    from evse_pi.storage.writer_thread import WriterThread

MAX_PAGE = 1_000
WATCH_AT_LEAST_S = 1.0
WATCH_AT_MOST_S = 0.1  # a terminal shows ten changes a second; nobody reads more
CLEAR_TRIES = 4
CLEAR_AGAIN_S = 0.5  # a reset of the residual current device, and the snapshot that tells of it
HEARD_WITHIN_S = 3.0  # a snapshot comes every second


class ChangeNotifier:
    """Wakes everybody who waits for a change; nothing piles up for those who do not."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def notify(self) -> None:
        """Wake who waits."""
        self._next.set()
        self._next = asyncio.Event()

    def next_change(self) -> asyncio.Event:
        """Return the event that the next ring sets."""
        return self._next


class NodeActions(Protocol):
    """The running node, as far as commands need it."""

    notifier: ChangeNotifier
    matter: MatterDevice | None

    @property
    def matter_absence(self) -> str | None:
        """Return why there is no Matter device, None when there is one."""

    @property
    def owner_permits(self) -> bool:
        """Return whether charging is permitted as far as it is the owner's to say."""

    def set_owner_permission(self, *, permitted: bool, limit_ma: Milliamps | None) -> None:
        """Carry out the owner's word at once."""

    def begin_charging(self) -> None:
        """Skip the random delay and the planned start at once."""

    def renew(self) -> None:
        """Send a new demand at once."""

    def reload(self) -> None:
        """Read the installer's file again."""

    async def flush(self) -> bool:
        """Write what is urgent; return whether all that was noted is durable."""

    def extras(self) -> dict[str, Any]:
        """Return what the status shows beside the box itself."""


class Commands:
    """Answers requests from box and store, and carries out orders."""

    def __init__(self, box: ChargePoint, storage: WriterThread, store: Store, node: NodeActions) -> None:
        self._box = box
        self._storage = storage
        self._store = store
        self._node = node

    @property
    def answers(self) -> dict[str, Callable[[ControlRequest], Awaitable[Any]]]:
        """The commands with one answer."""
        return {
            "status": self._status,
            "limits": self._limits,
            "sessions": self._sessions,
            "faults": self._faults,
            "transitions": self._transitions,
            "set": self._set,
            "permit": self._permit,
            "stop": self._stop,
            "start": self._start,
            "clear": self._clear,
            "selftest": self._self_test,
            "wake": self._wake,
            "commission": self._commission,
            "reload": self._reload_installation,
            "version": self._version,
        }

    @property
    def streams(self) -> dict[str, Callable[[ControlRequest], AsyncIterator[Any]]]:
        """The commands that answer for ever."""
        return {"watch": self._watch}

    def view(self) -> dict[str, Any]:
        """Return the whole status."""
        return {**status(self._box), **self._node.extras()}

    async def _status(self, request: ControlRequest) -> Any:
        request.only()
        return self.view()

    async def _watch(self, request: ControlRequest) -> AsyncIterator[Any]:
        request.only()
        while True:
            changed = self._node.notifier.next_change()
            yield self.view()
            await asyncio.sleep(WATCH_AT_MOST_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_AT_LEAST_S - WATCH_AT_MOST_S):
                    await changed.wait()

    async def _limits(self, request: ControlRequest) -> Any:
        request.only()
        return limits(self._box)

    async def _sessions(self, request: ControlRequest) -> Any:
        limit, before = _page(request)
        now_ns = self._box.clock.monotonic_ns()
        saved = await self._storage.call(self._store.sessions, limit, before)
        views = {record.session.number: session_view(record.session, record.saved_ns) for record in saved}
        present = self._box.event_recorder.session
        if present is not None and (before is None or present.number < before):
            views[present.number] = session_view(present, now_ns)
        return [views[number] for number in sorted(views, reverse=True)[:limit]]

    async def _faults(self, request: ControlRequest) -> Any:
        limit, before = _page(request)
        saved = await self._storage.call(self._store.faults, limit, before)
        records = {record.number: record for record in saved}
        records |= {record.number: record for record in self._box.event_recorder.faults}
        return [fault_view(records[number]) for number in sorted(records, reverse=True)[:limit]]

    async def _transitions(self, request: ControlRequest) -> Any:
        limit, before = _page(request)
        return [
            {
                "number": record.number,
                "unix_s": record.unix_s,
                "at_ns": record.at_ns,
                "state": record.evse_state.name,
                "contactor_closed": record.contactor_closed,
                "offered_current_ma": record.offered_ma,
                "faults": sorted(fault.name for fault in record.faults),
                "reason": record.reason.name,
            }
            for record in await self._storage.call(self._store.transitions, limit, before)
        ]

    async def _set(self, request: ControlRequest) -> Any:
        fields = request.only("limit_ma", "permitted")
        permitted, limit_ma = fields.get("permitted", self._node.owner_permits), self._box.owner.limit_ma
        if not isinstance(permitted, bool):
            raise Refusal(f"permitted: {permitted!r} is not allowed; true or false")
        if "limit_ma" in fields:
            limit_ma = None if fields["limit_ma"] is None else self._offerable(request)
        return await self._set_owner_permission(permitted, limit_ma)

    async def _permit(self, request: ControlRequest) -> Any:
        request.only()
        return await self._set_owner_permission(True, self._box.owner.limit_ma)

    async def _stop(self, request: ControlRequest) -> Any:
        request.only()
        return await self._set_owner_permission(False, self._box.owner.limit_ma)

    async def _start(self, request: ControlRequest) -> Any:
        request.only()
        if not self._node.owner_permits:
            raise Refusal("charging is not permitted, so that there is no start to bring forward; permit it first")
        before = self._held_up()
        self._node.begin_charging()
        await self._node.flush()
        after = self._held_up()
        return {"skipped": sorted(before - after), "held_up_by": sorted(after)}

    def _held_up(self) -> set[str]:
        """Return who lets a permitted charge wait."""
        waiting = (ask for ask in self._box.arbiter.limits(self._box.clock.monotonic_ns()) if not ask.permitted)
        return {ask.source.name for ask in waiting if ask.source in MODE_SOURCES}

    def _offerable(self, request: ControlRequest) -> Milliamps:
        return Milliamps(request.integer("limit_ma", MIN_OFFER_MA, self._box.ratings.rated_current_ma, 0))

    async def _set_owner_permission(self, permitted: bool, limit_ma: Milliamps | None) -> Any:
        """Carry out the owner's word at once, and say whether it will outlast a power cut."""
        self._node.set_owner_permission(permitted=permitted, limit_ma=limit_ma)
        stored = await self._node.flush()
        return {"permitted": permitted, "limit_ma": limit_ma, "stored": stored}

    async def _commission(self, request: ControlRequest) -> Any:
        fields = request.only("action", "fabric")
        matter, action = self._node.matter, fields.get("action", "show")
        if matter is None:
            raise Refusal(f"the box is no Matter device: {self._node.matter_absence}")
        actions: dict[Any, Callable[[], None]] = {
            "show": lambda: None,
            "codes": lambda: None,
            "open": matter.open_window,
            "remove": lambda: matter.remove(request.integer("fabric", 1, 254, 0)),
            "factory-reset": matter.factory_reset,
        }
        if action not in actions:
            raise Refusal(f"action: {action!r} is not allowed; one of {', '.join(actions)}")
        try:
            actions[action]()
            told = matter.describe()
            wanted = action in ("codes", "open", "factory-reset") or (action == "show" and not told["commissioned"])
            return {**told, "codes": matter.codes() if wanted and matter.ready else None}
        except LookupError as error:
            raise Refusal(str(error)) from error

    async def _clear(self, request: ControlRequest) -> Any:
        fields = request.only("role", "clearance")
        role, told = fields.get("role", "user"), fields.get("clearance")
        if role not in ("user", "installer"):
            raise Refusal(f"role: {role!r} is not allowed; user or installer")
        if role == "installer" and not request.installer:
            raise Refusal("role: only root may clear as installer; use sudo")
        order = Order.CLEAR_USER | (Order.CLEAR_INSTALLER if role == "installer" else Order.NONE)
        await self._acknowledge(order, None if told is None else _clearance(told))
        return {"faults": [record.fault.name for record in self._box.event_recorder.faults]}

    async def _acknowledge(self, order: Order, clearance: Clearance | None) -> None:
        """Order it until the faults of this moment are gone, or it seems to be of no use.

        The box carries an order out in the tick that hears it or not at all, and while contacts settle or the residual
        current device tests itself it cannot. It ends with those faults, so that later ones need a word of their own.
        """
        known = {record.number for record in self._box.event_recorder.faults}
        for _ in range(CLEAR_TRIES):
            await self._order(order, clearance)
            with suppress(TimeoutError):
                async with asyncio.timeout(CLEAR_AGAIN_S):
                    while not known.isdisjoint(record.number for record in self._box.event_recorder.faults):
                        await self._node.notifier.next_change().wait()
                    return

    async def _self_test(self, request: ControlRequest) -> Any:
        request.only()
        await self._order(Order.SELF_TEST)
        return {"ordered": True}

    async def _wake(self, request: ControlRequest) -> Any:
        request.only()
        await self._order(Order.RESTART_WAKE_UP)
        return {"ordered": True}

    async def _reload_installation(self, request: ControlRequest) -> Any:
        request.only()
        if not request.installer:
            raise Refusal("reload: only root may change the installation; use sudo")
        self._node.reload()
        await self._order(Order.RELOAD_INSTALLATION)
        return {"ordered": True}

    async def _order(self, order: Order, clearance: Clearance | None = None) -> None:
        """Return once the safety process has heard `order`. Raises: Refusal when it does not."""
        self._box.order(order, clearance)
        self._node.renew()
        try:
            async with asyncio.timeout(HEARD_WITHIN_S):
                while self._box.requests.outstanding:
                    await self._node.notifier.next_change().wait()
        except TimeoutError:
            self._box.requests.withdraw()
            raise Refusal("the safety process does not answer; the order was withdrawn") from None

    async def _version(self, request: ControlRequest) -> Any:
        request.only()
        return {"version": version("evse-pi")}


def _clearance(told: Any) -> Clearance:
    """Return the proof in a request. Raises: Refusal naming what is wrong with it."""
    names = ("at_ns", "digest")
    if not isinstance(told, dict) or set(told) != set(names) or any(type(told[name]) is not int for name in names):
        raise Refusal(f"clearance: must have {' and '.join(names)}, whole numbers, and nothing else")
    try:
        return Clearance(told["at_ns"], told["digest"])
    except ValueError as error:
        raise Refusal(f"clearance: {error}") from error


def _page(request: ControlRequest) -> tuple[int, int | None]:
    fields = request.only("limit", "before")
    before = None if fields.get("before") is None else request.integer("before", 1, 1 << 62, 1)
    return request.integer("limit", 1, MAX_PAGE, 50), before
