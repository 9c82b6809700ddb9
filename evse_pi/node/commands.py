"""What may be asked of the node: the commands of the control socket."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from evse_pi.api import API_VERSION
from evse_pi.api.commissioning import COMMISSION, CommissionAction, CommissionAnswer
from evse_pi.api.history import FAULTS, SESSIONS, TRANSITIONS
from evse_pi.api.orders import (
    CLEAR,
    PERMIT,
    RELOAD,
    SELF_TEST,
    SET,
    START,
    STOP,
    VERSION,
    WAKE,
    ClearAnswer,
    Keep,
    Ordered,
    OwnerAnswer,
    Role,
    StartAnswer,
    VersionAnswer,
)
from evse_pi.api.refusal import AtFault, Refusal, check_range
from evse_pi.api.repair import REPAIR, DamagedFabric, LeftOut, RepairAction, RepairAnswer, SetAside
from evse_pi.api.service import CommandHandler
from evse_pi.api.status import LIMITS, STATUS, WATCH
from evse_pi.api.texts.catalogue import tr
from evse_pi.api.texts.trouble_texts import permission_doubt
from evse_pi.api.troubles import DoubtKind, PermissionDoubt
from evse_pi.clearance import Clearance
from evse_pi.core.duty import MIN_OFFER_MA
from evse_pi.core.records import Request
from evse_pi.node.box_status import PRODUCT_VERSION, fault_event, limits, session_summary, status, transition_event
from hal.units import Milliamps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from evse_pi.api.commissioning import Commission
    from evse_pi.api.history import FaultEvent, PageRequest, TransitionEvent
    from evse_pi.api.orders import ClearFaults, SetOwner
    from evse_pi.api.protocol import Nothing
    from evse_pi.api.repair import Repair
    from evse_pi.api.service import Caller
    from evse_pi.api.session_summary import SessionSummary
    from evse_pi.api.status import LimitStatus, Status
    from evse_pi.charging.charge_point import ChargePoint
    from evse_pi.node.box_status import NodeStatus
    from evse_pi.node.matter_device import MatterDevice
    from evse_pi.storage.database import Store
    from evse_pi.storage.writer_thread import WriterThread

WATCH_AT_LEAST_S = 1.0
WATCH_AT_MOST_S = 0.1  # a terminal shows ten changes a second; no reader follows more
CLEAR_TRIES = 4
CLEAR_AGAIN_S = 0.5  # a reset of the residual current device, and the snapshot that tells of it
HEARD_WITHIN_S = 3.0  # a snapshot comes every second


class ChangeNotifier:
    """Wakes all who wait for a change; nothing piles up for those who do not."""

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

    def set_owner_permission(self, *, permitted: bool | None, limit_ma: Milliamps | None) -> None:
        """Carry out what the owner sets at once; None keeps what is permitted."""

    def begin_charging(self) -> None:
        """Skip the random delay and the planned start at once."""

    def renew(self) -> None:
        """Send a new demand at once."""

    async def reload(self) -> None:
        """Read the installer's file again."""

    async def flush(self) -> str | None:
        """Write what was said; return why it is not durable, None when it is."""

    def node_status(self) -> NodeStatus:
        """Return what the status shows beside the box itself."""


class Commands:
    """Answers requests from box and store, and carries out orders."""

    def __init__(self, box: ChargePoint, storage: WriterThread, store: Store, node: NodeActions) -> None:
        self._box = box
        self._storage = storage
        self._store = store
        self._node = node

    @property
    def offers(self) -> tuple[CommandHandler, ...]:
        """The commands with what answers them."""
        return (
            CommandHandler(STATUS, self._status),
            CommandHandler(WATCH, self._watch),
            CommandHandler(LIMITS, self._limits),
            CommandHandler(SESSIONS, self._sessions),
            CommandHandler(FAULTS, self._faults),
            CommandHandler(TRANSITIONS, self._transitions),
            CommandHandler(SET, self._set),
            CommandHandler(PERMIT, self._permit),
            CommandHandler(STOP, self._stop),
            CommandHandler(START, self._start),
            CommandHandler(CLEAR, self._clear),
            CommandHandler(REPAIR, self._repair),
            CommandHandler(SELF_TEST, self._self_test),
            CommandHandler(WAKE, self._wake),
            CommandHandler(COMMISSION, self._commission),
            CommandHandler(RELOAD, self._reload_installation),
            CommandHandler(VERSION, self._version),
        )

    def view(self) -> Status:
        """Return the whole status."""
        return status(self._box, self._node.node_status())

    async def _status(self, _request: Nothing, _caller: Caller) -> Status:
        return self.view()

    async def _watch(self, _request: Nothing, _caller: Caller) -> AsyncIterator[Status]:
        while True:
            changed = self._node.notifier.next_change()
            yield self.view()
            await asyncio.sleep(WATCH_AT_MOST_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_AT_LEAST_S - WATCH_AT_MOST_S):
                    await changed.wait()

    async def _limits(self, _request: Nothing, _caller: Caller) -> tuple[LimitStatus, ...]:
        return limits(self._box)

    async def _sessions(self, request: PageRequest, _caller: Caller) -> tuple[SessionSummary, ...]:
        limit, before = request
        now_ns = self._box.clock.monotonic_ns()
        saved = await self._storage.call(self._store.sessions, limit, before)
        summaries = {record.session.number: session_summary(record.session, record.saved_ns) for record in saved}
        present = self._box.event_recorder.session
        if present is not None and (before is None or present.number < before):
            summaries[present.number] = session_summary(present, now_ns)
        return tuple(summaries[number] for number in sorted(summaries, reverse=True)[:limit])

    async def _faults(self, request: PageRequest, _caller: Caller) -> tuple[FaultEvent, ...]:
        limit, before = request
        saved = await self._storage.call(self._store.faults, limit, before)
        records = {record.number: record for record in saved}
        records |= {record.number: record for record in self._box.event_recorder.faults}
        return tuple(fault_event(records[number]) for number in sorted(records, reverse=True)[:limit])

    async def _transitions(self, request: PageRequest, _caller: Caller) -> tuple[TransitionEvent, ...]:
        records = await self._storage.call(self._store.transitions, *request)
        return tuple(transition_event(record) for record in records)

    async def _set(self, request: SetOwner, _caller: Caller) -> OwnerAnswer:
        limit_ma = request.limit_ma
        permitted = None if isinstance(request.permitted, Keep) else request.permitted
        if isinstance(limit_ma, Keep):
            limit_ma = self._box.owner.limit_ma
        elif limit_ma is not None:
            rated_ma = self._box.ratings.rated_current_ma
            limit_ma = Milliamps(check_range("limit_ma", limit_ma, MIN_OFFER_MA, rated_ma, "mA"))
        return await self._set_owner_permission(permitted, limit_ma)

    async def _permit(self, _request: Nothing, _caller: Caller) -> OwnerAnswer:
        return await self._set_owner_permission(True, self._box.owner.limit_ma)

    async def _stop(self, _request: Nothing, _caller: Caller) -> OwnerAnswer:
        return await self._set_owner_permission(False, self._box.owner.limit_ma)

    async def _start(self, _request: Nothing, _caller: Caller) -> StartAnswer:
        if not self._node.owner_permits:
            raise Refusal(tr("charging is not permitted, so that there is no start to bring forward; permit it first"))
        before = self._box.held_up_by
        self._node.begin_charging()
        await self._node.flush()
        after = self._box.held_up_by
        return StartAnswer(skipped=before - after, held_up_by=after)

    async def _set_owner_permission(self, permitted: bool | None, limit_ma: Milliamps | None) -> OwnerAnswer:
        """Carry out what the owner sets at once, and say whether it will outlast a power cut."""
        self._node.set_owner_permission(permitted=permitted, limit_ma=limit_ma)
        permits = self._node.owner_permits if permitted is None else permitted
        trouble = await self._node.flush()
        return OwnerAnswer(permits, limit_ma, trouble is None, trouble)

    async def _commission(self, request: Commission, _caller: Caller) -> CommissionAnswer:
        matter, action = self._node.matter, request.action
        if matter is None:
            raise self._no_matter_device()
        acts: dict[CommissionAction, Callable[[], None]] = {
            CommissionAction.OPEN: matter.open_window,
            CommissionAction.REMOVE: lambda: matter.remove(_named(request.fabric)),
            CommissionAction.FACTORY_RESET: matter.factory_reset,
            CommissionAction.NEW_IDENTITY: matter.make_new_identity,
            CommissionAction.KEEP_IDENTITY: matter.keep_identity,
        }
        if action in acts:
            acts[action]()
        told = matter.describe()
        # Codes of a commissioned box let one more controller in, so they are shown only to who asks for them.
        wanted = action in SHOWS_CODES or (action is CommissionAction.SHOW and not told.commissioned)
        return CommissionAnswer(*told, codes=matter.codes() if wanted and matter.ready else None)

    def _no_matter_device(self) -> Refusal:
        return Refusal(tr("the box is no Matter device: {absence}").format(absence=self._node.matter_absence))

    async def _repair(self, request: Repair, _caller: Caller) -> RepairAnswer:
        """Tell what is damaged. Where a damaged fabric goes, charging is forbidden: it may have forbidden it."""
        matter = self._node.matter
        reset: tuple[int, ...] = ()
        if request.action is RepairAction.RESET_FABRICS:
            if matter is None:
                raise self._no_matter_device()
            reset = await matter.reset_damaged()
            if reset:
                self._box.doubt_permission(PermissionDoubt(DoubtKind.FABRICS_DAMAGED, ", ".join(map(str, reset))))
                self._node.renew()
                await self._node.flush()
        damage = {} if matter is None else await matter.damage()
        aside = await self._storage.call(self._store.set_aside)
        return RepairAnswer(
            set_aside=tuple(SetAside(name, found.st_size, int(found.st_mtime)) for name, found in aside),
            left_out=tuple(LeftOut(table, str(key)) for table, key in sorted(self._store.skipped, key=str)),
            given_up=self._store.refusals,
            damaged_fabrics=tuple(DamagedFabric(*each) for each in damage.items()),
            matter_trouble=self._node.matter_absence if matter is None else matter.trouble,
            forbidden=None if self._box.doubt is None else permission_doubt(self._box.doubt),
            reset=reset,
        )

    async def _clear(self, request: ClearFaults, caller: Caller) -> ClearAnswer:
        order, told = Request.CLEAR_USER, request.clearance
        if request.role is Role.INSTALLER:
            if not caller.installer:
                raise Refusal(tr("role: only root may clear as installer; use sudo"))
            order |= Request.CLEAR_INSTALLER
        await self._acknowledge(order, None if told is None else Clearance(told.at_ns, told.digest))
        return ClearAnswer(tuple(record.fault for record in self._box.event_recorder.faults))

    async def _acknowledge(self, order: Request, clearance: Clearance | None) -> None:
        """Order it until the faults of this moment are gone, or it seems to be of no use.

        The box carries an order out in the tick that receives it or not at all, and while contacts settle or the
        residual current device tests itself it cannot. It ends with those faults, so that later ones need an order of
        their own. With a proof it is ordered once: the proof is good for no other, and who made it makes one for the
        next try.
        """
        known = {record.number for record in self._box.event_recorder.faults}
        for _ in range(CLEAR_TRIES if clearance is None else 1):
            await self._order(order, clearance)
            with suppress(TimeoutError):
                async with asyncio.timeout(CLEAR_AGAIN_S):
                    while not known.isdisjoint(record.number for record in self._box.event_recorder.faults):
                        await self._node.notifier.next_change().wait()
                    return

    async def _self_test(self, _request: Nothing, _caller: Caller) -> Ordered:
        return await self._order(Request.SELF_TEST)

    async def _wake(self, _request: Nothing, _caller: Caller) -> Ordered:
        return await self._order(Request.RESTART_WAKE_UP)

    async def _reload_installation(self, _request: Nothing, _caller: Caller) -> Ordered:
        await self._node.reload()
        return await self._order(Request.RELOAD_INSTALLATION)

    async def _order(self, order: Request, clearance: Clearance | None = None) -> Ordered:
        """Return once the safety process has received `order`. Raises: Refusal when it does not."""
        self._box.order(order, clearance)
        self._node.renew()
        try:
            async with asyncio.timeout(HEARD_WITHIN_S):
                while self._box.requests.outstanding:
                    await self._node.notifier.next_change().wait()
        except TimeoutError:
            self._box.requests.withdraw()
            raise Refusal(tr("the safety process does not answer; the order was withdrawn")) from None
        return Ordered()

    async def _version(self, _request: Nothing, _caller: Caller) -> VersionAnswer:
        return VersionAnswer(PRODUCT_VERSION, API_VERSION)


SHOWS_CODES = (CommissionAction.CODES, CommissionAction.OPEN, CommissionAction.FACTORY_RESET)


def _named(fabric: int | None) -> int:
    """Return the fabric to remove. Raises: Refusal when none was named."""
    if fabric is None:
        raise Refusal(tr("fabric: is missing; the number of the controller to remove"), AtFault("fabric"))
    return fabric
