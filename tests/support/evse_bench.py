"""An EVSE cluster on a box that is moved by hand, for tests without processes and network."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from evse_pi.charging.acting_limits import ActingLimit
from evse_pi.charging.charge_scheduling import ChargeScheduling, InstalledSupply
from evse_pi.charging.charging_plan_memory import PLAN, plan_of
from evse_pi.charging.charging_planner import ChargingPlanner
from evse_pi.charging.controller_permission import ControllerPermission
from evse_pi.charging.demand_arbiter import DemandArbiter, LimitRequest
from evse_pi.charging.evse_status import SafetyReport
from evse_pi.charging.self_test import SelfTestView
from evse_pi.charging.session import Session
from evse_pi.charging.settings import NOTHING_SET, SETTINGS, settings_of
from evse_pi.core.states import LimitSource, PilotState, Reason
from evse_pi.device.charge_point_view import ChargePointView
from evse_pi.device.energy_evse import EnergyEvseServer
from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S
from evse_pi.matter.model.observable import Observable
from evse_pi.matter.storage import MemoryStore
from evse_pi.matter.wire.chip_objects import EnergyEvse
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode
from hal.units import SECOND, Milliamps, Millivolts
from tests.support.model_bench import attached, model_node
from tests.support.node_box import HandWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from evse_pi.charging.modes import PowerAdjustment
    from evse_pi.charging.settings import ChargingSettings
    from evse_pi.core.faults import Fault

ZONE = ZoneInfo("Europe/Berlin")
NOW_S = 1_800_000_000 - MATTER_EPOCH_UNIX_S
CAPACITY_MA = 32_000

IDLE = ChargePointView(
    now_ns=1_000 * SECOND,
    safety_online=True,
    pilot=PilotState.A,
    current_may_flow=False,
    offered_current_ma=Milliamps(0),
    permitted=False,
    reason=Reason.NO_VEHICLE,
    reason_until_ns=0,
    faults=frozenset(),
    limits=(
        ActingLimit(LimitSource.BOARD, Milliamps(32_000)),
        ActingLimit(LimitSource.CIRCUIT_CAPACITY, Milliamps(CAPACITY_MA)),
    ),
    cable_ma=None,
    rated_current_ma=Milliamps(32_000),
    circuit_capacity_ma=Milliamps(CAPACITY_MA),
    phases=3,
    voltage_mv=Millivolts(230_000),
    self_test=SelfTestView(ordered=False, running=False, passed=True),
    session=None,
    last_session=None,
    meter_fitted=True,
    meter=None,
    power_mw=None,
    power_estimated=False,
    temperature=None,
)


class HandWallClock:
    """The time of day, moved by hand; None is a clock that was never set."""

    def __init__(self, now_s: int | None = NOW_S) -> None:
        self.now_s = now_s

    def unix_us(self) -> int | None:
        return None if self.now_s is None else (self.now_s + MATTER_EPOCH_UNIX_S) * 1_000_000


class HandCharger:
    """A box whose every change is a call; sessions follow the pilot as in the real one.

    What controllers set is kept by the real `ControllerPermission` and planned by the real `ChargingPlanner`, on a
    database of its own.
    """

    zone = ZONE

    def __init__(
        self,
        view: ChargePointView = IDLE,
        sessions: int = 0,
        writer: HandWriter | None = None,
        *,
        clock: HandWallClock | None = None,
        kernel_boot_id: str = "first life",
        draw: Callable[[int], int] = lambda _below: 0,
    ) -> None:
        self.changed: Observable[ChargePointView] = Observable("charger")
        self.arbiter = DemandArbiter()
        self.writer = writer or HandWriter()
        self.self_tests = 0
        self.identifying = False
        self.kernel_boot_id = kernel_boot_id
        self.draw = draw
        self._view = view
        self._sessions = sessions
        self._emitting = self._again = False
        self.begin(clock or HandWallClock(), commissioned=True)

    def begin(self, clock: HandWallClock, *, commissioned: bool) -> None:
        """Start on what is stored."""
        self.clock = clock
        stored = self.writer.settings.get(SETTINGS)
        settings = NOTHING_SET if stored is None else settings_of(stored)
        self.permission = ControllerPermission(self, self.arbiter, self.writer, settings, commissioned=commissioned)
        plan = self.writer.settings.get(PLAN)
        kept = None if plan is None else plan_of(plan)
        self.planner = ChargingPlanner(self, self.arbiter, self.writer, kept, self.draw)
        self.scheduling = ChargeScheduling(self, self.arbiter, self.permission, self.planner)
        self._follow()

    def tell(self, unix_s: int) -> None:
        """Do nothing: the test alone sets this clock."""

    def monotonic_ns(self) -> int:
        return self._view.now_ns

    def unix_s(self) -> int | None:
        return None if self.clock.now_s is None else self.clock.now_s + MATTER_EPOCH_UNIX_S

    @property
    def asks(self) -> dict[LimitSource, LimitRequest]:
        """Every request by its source."""
        found = {source: self.arbiter.request_of(source) for source in LimitSource}
        return {source: request for source, request in found.items() if request is not None}

    def view(self) -> ChargePointView:
        requested = self.arbiter.limits(self._view.now_ns)
        return replace(
            self._view,
            limits=(*self._view.limits, *requested),
            settings=self.permission.settings,
            permission=self.permission.now,
            unix_s=self.unix_s(),
            next_charge=self.planner.next_charge,
        )

    def request_limit(self, request: LimitRequest) -> None:
        self.arbiter.put(request)
        self._again = True

    def withdraw(self, source: LimitSource) -> None:
        self.arbiter.withdraw(source)
        self._again = True

    def request_of(self, source: LimitSource) -> LimitRequest | None:
        return self.arbiter.request_of(source)

    def apply(self, settings: ChargingSettings) -> None:
        self.permission.apply(settings)
        self._plan()

    async def apply_stored(
        self, change: Callable[[ChargingSettings], ChargingSettings], *, starts: bool = False
    ) -> None:
        await self.permission.apply_stored(change)
        if starts:
            self.planner.start_now()
        self._plan()

    def adjust_power(self, adjustment: PowerAdjustment | None) -> None:
        self.scheduling.adjustment = adjustment
        self._plan()
        self._emit()

    def start(self) -> None:
        """Do what a person orders who wants charging to begin now."""
        self.scheduling.begin()
        self._plan()
        self._emit()

    def want_self_test(self) -> None:
        self.permission.want_self_test()
        self._follow()

    def refresh_soon(self) -> None:
        self._emit()

    def identify(self, *, active: bool) -> None:
        self.identifying = active

    # What happens to the box.

    def become(self, **changes: Any) -> None:
        """Change the view and tell it; not before all have reacted to the one that is being told."""
        self._view = replace(self._view, **changes)
        self._follow()
        self._emit()

    def _follow(self) -> None:
        view = self._view
        self.permission.capacity_ma = view.circuit_capacity_ma
        self.permission.advance()
        if self.permission.follow_self_test(
            view.self_test, current_may_flow=view.current_may_flow, faulty=bool(view.faults)
        ):
            self.self_tests += 1
            self._view = replace(view, self_test=SelfTestView(ordered=True, running=False, passed=True))
        self._plan()

    def _plan(self) -> None:
        view = self._view
        report = SafetyReport(view.pilot, view.faults, view.current_may_flow, view.safety_online)
        supply = InstalledSupply(view.phases, view.voltage_mv, view.random_delay_s)
        self.scheduling.vehicle = view.vehicle
        if self.scheduling.advance(report, view.session, supply, lambda: self.view().limits):
            self._again = True

    def _emit(self) -> None:
        self._again = True
        if self._emitting:
            return
        self._emitting = True
        while self._again:
            self._again = False
            self.changed.emit(self.view())
        self._emitting = False

    def pilot(self, state: PilotState, *, closed: bool = False, offered_ma: int = 0, **changes: Any) -> None:
        """Let the pilot be accepted as `state`; a vehicle's session begins and ends with it."""
        view = self._view
        session, last = view.session, view.last_session
        if state is PilotState.A and session is not None:
            last = session.ended(view.now_ns, None)
            session = None
        if state in (PilotState.B, PilotState.C, PilotState.D) and session is None:
            self._sessions += 1
            session = Session(self._sessions, view.now_ns)
        self.become(
            pilot=state,
            current_may_flow=closed,
            offered_current_ma=Milliamps(offered_ma),
            session=session,
            last_session=last,
            **changes,
        )

    def charge(self, offered_ma: int = 16_000) -> None:
        """Let the vehicle ask and the contactor close."""
        self.pilot(PilotState.C, closed=True, offered_ma=offered_ma)

    def fault(self, *faults: Fault, **changes: Any) -> None:
        """Let exactly these faults be active, which opens the contactor."""
        opened = {"current_may_flow": False, "offered_current_ma": Milliamps(0)} if faults else {}
        self.become(faults=frozenset(faults), **{**opened, **changes})

    def spend(self, seconds: int, energy_mwh: int = 0) -> None:
        """Let time pass, and energy flow into the session."""
        view = self._view
        session = view.session
        if session is not None:
            session = session.add(energy_mwh, estimated=False)
        self.become(now_ns=view.now_ns + seconds * SECOND, session=session)


@functools.cache
def evse_class(features: tuple[str, ...]) -> type[EnergyEvseServer]:
    """Return the cluster with features; resolving its tables takes longer than any test of it."""
    return EnergyEvseServer.with_features(*features) if features else EnergyEvseServer


@dataclass
class EvseBench:
    """One cluster with its box, its clock, and everything that peers would hear of it."""

    charger: HandCharger = field(default_factory=HandCharger)
    clock: HandWallClock = field(default_factory=HandWallClock)
    store: MemoryStore = field(default_factory=MemoryStore)
    commissioned: bool = True
    features: tuple[str, ...] = ()
    heard: list[tuple[str, Any]] = field(default_factory=list)
    reports: list[set[str]] = field(default_factory=list)

    async def start(self) -> EvseBench:
        self.charger.begin(self.clock, commissioned=self.commissioned)
        self.server = evse_class(self.features)(self.charger)
        self.node = await attached(self.server, node=model_node(self.store))
        for event in self.server.cluster.events.values():
            getattr(self.server.events, event.key).on(self._hear(event.key))
        self.node.changes.on(lambda change: self.reports.append({self._key(one) for one in change.attributes}))
        return self

    async def restart(self) -> EvseBench:
        """Restart the process on the same store and box."""
        await self.node.close()
        charger = HandCharger(self.charger._view, self.charger._sessions, self.charger.writer, clock=self.clock)
        again = EvseBench(charger, self.clock, self.store, self.commissioned, self.features)
        return await again.start()

    def _hear(self, name: str) -> Callable[[Any], None]:
        return lambda payload: self.heard.append((name, payload))

    def _key(self, attribute_id: int) -> str:
        return self.server.cluster.attributes[attribute_id].key

    @property
    def state(self) -> Any:
        return self.server.state

    @property
    def names(self) -> list[str]:
        """The events so far by name; reading them forgets them."""
        found = [name for name, _ in self.heard]
        self.heard.clear()
        return found

    def enable(self, until: int | None = None, minimum_ma: int = 6_000, maximum_ma: int = 32_000) -> StatusCode:
        request = EnergyEvse.Commands.EnableCharging(until, minimum_ma, maximum_ma)
        return self.status(lambda: self.server.enable_charging(request))

    def disable(self) -> StatusCode:
        return self.status(self.server.disable)

    def targets(self, *schedules: tuple[int, Iterable[tuple[int, int | None, int | None]]]) -> StatusCode:
        structs = EnergyEvse.Structs
        made = [
            structs.ChargingTargetScheduleStruct(days, [structs.ChargingTargetStruct(*target) for target in targets])
            for days, targets in schedules
        ]
        return self.status(lambda: self.server.set_targets(EnergyEvse.Commands.SetTargets(made)))

    @staticmethod
    def status(action: Callable[[], Any]) -> StatusCode:
        """Return how an action ends; a command that waits for its store finds one here that has stored at once."""
        try:
            answer = action()
            if inspect.iscoroutine(answer):
                answer.send(None)
                raise AssertionError("the command waits")
        except MatterStatus as refusal:
            return refusal.status
        except StopIteration:
            pass
        return StatusCode.SUCCESS
