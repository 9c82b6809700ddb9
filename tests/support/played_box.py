"""The real charge point as clusters meet it: the safety process, the meter, the disk and the clock are played."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evse_pi.charging.charge_point import SILENT_NS, ChargePoint
from evse_pi.charging.charging_plan_memory import PLAN, plan_of
from evse_pi.charging.demand_arbiter import LimitRequest
from evse_pi.charging.session import SavedSession
from evse_pi.charging.settings import NOTHING_SET, SETTINGS, settings_of
from evse_pi.charging.startup_state import StartupState
from evse_pi.core.records import Request
from evse_pi.core.states import LimitSource, PilotState
from evse_pi.installation.files import SIMULATED_INSTALLATION
from evse_pi.node.charge_point_adapter import ChargePointAdapter
from evse_pi.sim.harness.virtual_clock import VirtualClock
from hal.units import Milliamps
from tests.support.node_box import RATINGS, FakeSafety, HandWriter, meter_reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.charging.charging_planner import ChargingPlanner
    from evse_pi.charging.controller_permission import ControllerPermission
    from evse_pi.charging.demand_arbiter import DemandArbiter
    from evse_pi.charging.settings import ChargingSettings
    from evse_pi.core.faults import Fault
    from evse_pi.core.installation_limits import Installation
    from evse_pi.device.charge_point_view import ChargePointView

COMMISSIONED = StartupState(commissioned=True)


class PlayedBox:
    """The real charge point and its adapter; the safety process, the meter, the disk and the clock are played.

    What clusters get is `adapter`. `restarted` goes on with what is stored, as another process of the node or after a
    power cut.
    """

    def __init__(
        self,
        clock: VirtualClock | None = None,
        memory: StartupState = COMMISSIONED,
        *,
        writer: HandWriter | None = None,
        safety: FakeSafety | None = None,
        draw: Callable[[int], int] = lambda _below: 0,
        register_mwh: int = 5_000_000,
        installation: Installation | None = SIMULATED_INSTALLATION,
    ) -> None:
        self.clock = clock or VirtualClock()
        self.writer = writer or HandWriter()
        self.safety = safety or FakeSafety(self.clock)
        self.draw = draw
        self.point = ChargePoint(self.clock, RATINGS, installation, memory, self.writer, draw=draw)
        self.adapter = ChargePointAdapter(self.point, lambda: None)
        self.register_mwh = register_mwh
        self.silent = False
        self.point.measure(meter_reading(self.clock.now_ns, register_mwh))

    # What the clusters' own calls come to.

    @property
    def arbiter(self) -> DemandArbiter:
        return self.point.arbiter

    @property
    def permission(self) -> ControllerPermission:
        return self.point.permission

    @property
    def planner(self) -> ChargingPlanner:
        return self.point.planner

    @property
    def self_test_ordered(self) -> bool:
        """Whether the safety process is to test the box, and has not received that yet."""
        return bool(self.point.requests.outstanding & Request.SELF_TEST)

    @property
    def asks(self) -> dict[LimitSource, LimitRequest]:
        """Every request by its source."""
        found = {source: self.arbiter.request_of(source) for source in LimitSource}
        return {source: request for source, request in found.items() if request is not None}

    def view(self) -> ChargePointView:
        return self.adapter.view()

    def request_of(self, source: LimitSource) -> LimitRequest | None:
        return self.arbiter.request_of(source)

    def apply(self, settings: ChargingSettings) -> None:
        self.adapter.apply(settings)
        self.settle()

    def start(self) -> None:
        """Do what a person orders who wants charging to begin now."""
        self.point.begin_charging()
        self.settle(tell=True)

    def settle(self, *, tell: bool = False) -> None:
        """Let the event loop's next turns come, in which a view is told that is due."""
        while tell or self.adapter._soon is not None:
            tell = False
            if self.adapter._soon is not None:
                self.adapter._soon.cancel()
            self.adapter.refresh()

    # What the safety process says.

    def link_up(self) -> None:
        """Let the processes find each other: the first number that is acknowledged orders nothing."""
        self.hear()
        self.hear()

    def hear(self, *, received: bool = True) -> None:
        """Let the safety process receive a demand, unless that got lost, and the node what it says then."""
        self.silent = False
        if received:
            self.safety.request_number = self.point.demand().request_number
        self.point.on_snapshot(self.safety.snapshot())
        self.point.tick()
        self.settle(tell=True)

    def pilot(self, state: PilotState, *, closed: bool = False, offered_ma: int = 0) -> None:
        """Let the pilot be accepted as `state`."""
        self.safety.show(pilot_state=state, close_ordered=closed, offered_current_ma=Milliamps(offered_ma))
        self.hear()

    def charge(self, offered_ma: int = 16_000) -> None:
        """Let the vehicle ask and the contactor close."""
        self.pilot(PilotState.C, closed=True, offered_ma=offered_ma)

    def fault(self, *faults: Fault, closed: bool = False) -> None:
        """Let exactly these faults be active, which opens the contactor unless it is `closed` for a while yet."""
        opened: dict[str, Any] = {}
        if faults and not closed:
            opened = {"close_ordered": False, "offered_current_ma": Milliamps(0)}
        self.safety.show(faults=frozenset(faults), **opened)
        self.hear()

    def open(self) -> None:
        """Let the contactor open, and nothing else change."""
        self.safety.show(close_ordered=False)
        self.hear()

    def limit(self, source: LimitSource, limit_ma: int) -> None:
        """Let the safety process say that this limit of its own is the lowest, or the node put one of its own."""
        if source >= LimitSource.OWNER:
            self.arbiter.put(LimitRequest(source, limit_ma=Milliamps(limit_ma)))
        else:
            self.safety.say(limit_source=source, limit_ma=Milliamps(limit_ma))
        self.hear()

    def cable(self, cable_ma: int) -> None:
        """Let proximity show a cable."""
        self.safety.say(cable_ma=Milliamps(cable_ma))
        self.hear()

    def test(self, *, received: bool = True, running: bool = False, passed: bool) -> None:
        """Let the safety process say where the self-test is that was ordered."""
        self.safety.say(self_test_running=running, self_test_passed=passed)
        self.hear(received=received)

    def fall_silent(self) -> None:
        """Let the safety process say nothing for longer than it takes to notice, until it is heard again."""
        self.silent = True
        self.clock.advance(SILENT_NS)
        self.point.tick()
        self.settle(tell=True)

    # What the house and the vehicle do.

    def install(self, **changes: Any) -> None:
        """Let the installer change the limits."""
        assert self.point.installation is not None
        self.point.installation = replace(self.point.installation, **changes)
        self.settle(tell=True)

    def spend(self, seconds: float, energy_mwh: int = 0) -> None:
        """Let time pass, and energy flow through the meter."""
        self.clock.advance_s(seconds)
        self.register_mwh += energy_mwh
        self.point.measure(meter_reading(self.clock.now_ns, self.register_mwh))
        if not self.silent:
            self.hear()
            return
        self.point.tick()
        self.settle(tell=True)

    # What outlives the process.

    def restarted(self, *, commissioned: bool = True, outage_s: int | None = None) -> PlayedBox:
        """Return the box of the next process, after a power cut of `outage_s` or none, on a disk that took everything.

        It has not heard of the safety process yet, which lives on or begins as well.
        """
        recorder, settings = self.point.event_recorder, self.writer.settings
        session, last = recorder.session, recorder.last_session
        number = max((each.number for each in (session, last) if each is not None), default=0)
        saved = None
        if session is not None:
            saved = SavedSession(session, self.clock.kernel_boot_id, self.clock.now_ns, recorder.register_mwh)
        safety = self.safety
        if outage_s is not None:
            self.clock.boot(outage_s)
            shown = {**safety.shown, "close_ordered": False, "offered_current_ma": Milliamps(0)}
            safety = FakeSafety(self.clock, safety.safety_run_id + 1)
            safety.shown = shown
        memory = StartupState(
            owner=self.point.owner,
            cursor=recorder.cursor,
            session=saved,
            next_session=number + 1,
            settings=settings_of(settings[SETTINGS]) if SETTINGS in settings else NOTHING_SET,
            commissioned=commissioned,
            plan=plan_of(settings[PLAN]) if PLAN in settings else None,
        )
        return PlayedBox(
            self.clock,
            memory,
            writer=HandWriter(self.writer.rows),
            safety=safety,
            draw=self.draw,
            register_mwh=self.register_mwh,
            installation=self.point.installation,
        )
