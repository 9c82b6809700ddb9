"""The box as the node sees it: what it was told, what it measured, what it demands. No I/O."""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from evse_pi.api.troubles import DoubtKind, PermissionDoubt
from evse_pi.charging.acting_limits import judged_limits
from evse_pi.charging.charge_scheduling import ChargeScheduling, InstalledSupply
from evse_pi.charging.charging_planner import ChargingPlanner
from evse_pi.charging.controller_permission import ControllerPermission
from evse_pi.charging.demand_arbiter import DemandArbiter, LimitRequest
from evse_pi.charging.event_recorder import EventRecorder
from evse_pi.charging.evse_status import NOTHING_HEARD, SafetyReport
from evse_pi.charging.history_rows import setting_row
from evse_pi.charging.meter_check import MeterCheck
from evse_pi.charging.metering import (
    EnergyCounter,
    EnergyEstimate,
    apparent_mva,
    consumed_mw,
    fresh,
    highest_current_ma,
    meter_sample,
    offered_power_mw,
)
from evse_pi.charging.one_shot_requests import OneShotRequests
from evse_pi.charging.self_test import SelfTestView
from evse_pi.charging.startup_state import owner_row
from evse_pi.charging.thermometer_check import ThermometerChecks, careful_ma
from evse_pi.charging.write_queue import PERIOD_NS
from evse_pi.core.country import USUAL_RANDOM_DELAY_S
from evse_pi.core.duty import MIN_OFFER_MA
from evse_pi.core.installation_limits import DEFAULT_VOLTAGE_MV
from evse_pi.core.records import Request
from evse_pi.core.states import EvseState, FaultState, LimitSource, Reason
from hal.units import SECOND, Milliwatts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evse_pi.charging.acting_limits import ActingLimit
    from evse_pi.charging.clock import Clock
    from evse_pi.charging.controller_permission import RowWriter
    from evse_pi.charging.evse_status import EvseStatus
    from evse_pi.charging.modes import PowerAdjustment
    from evse_pi.charging.settings import ChargingSettings
    from evse_pi.charging.startup_state import StartupState
    from evse_pi.charging.vehicle_data import VehicleData
    from evse_pi.clearance import Clearance
    from evse_pi.core.board_ratings import BoardRatings
    from evse_pi.core.installation_limits import Installation
    from evse_pi.core.records import Demand, Snapshot, TemperatureSample, Transition
    from hal.interfaces import MeterReading
    from hal.units import Milliamps

log = logging.getLogger(__name__)

SELF_TEST = "self_test"
HIGHEST_VOLTAGE_MV = 265_000
RESUME_NS = 2 * PERIOD_NS  # from the last save to the power cut, and from the machine's start to the meter's
WARMING_MA = MIN_OFFER_MA  # the least that is charged with
SILENT_NS = 3 * SECOND  # a snapshot comes every second


class ChargePoint:
    """Puts together what safety process, meter, owner and controllers say. Hazard: H-10, H-16."""

    def __init__(
        self,
        clock: Clock,
        ratings: BoardRatings,
        installation: Installation | None,
        memory: StartupState,
        writer: RowWriter,
        *,
        draw: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        """Go on from `memory`; `draw` returns a random number from 0 to one less than its argument."""
        self.clock = clock
        self.ratings = ratings
        self.arbiter = DemandArbiter()
        self.permission = ControllerPermission(
            clock, self.arbiter, writer, memory.settings, commissioned=memory.commissioned
        )
        self.permission.begin_no_earlier(memory.latest_unix_s)
        self.permission.on_request = self._requested
        self.on_request: Callable[[], None] | None = None
        """Told whenever a request of controllers, users or planner was put or withdrawn."""
        self._owner, self._doubt = memory.owner, memory.doubt
        self.planner = ChargingPlanner(clock, self.arbiter, writer, memory.plan, draw)
        self._scheduling = ChargeScheduling(clock, self.arbiter, self.permission, self.planner)
        self._installation = installation
        self.requests = OneShotRequests()
        self.event_recorder = EventRecorder(clock, memory)
        self.event_recorder.on_transition.append(self._on_transition)
        self.snapshot: Snapshot | None = None
        self.reading: MeterReading | None = None
        self.temperature: TemperatureSample | None = None
        self.identifying = False
        self._self_test_ordered = False
        self.counter = EnergyCounter()
        self.meter_check = MeterCheck()
        self.thermometers = ThermometerChecks()
        self._estimate = EnergyEstimate(at_ns=clock.monotonic_ns())
        saved = memory.session
        if saved is not None and saved.register_mwh is not None:
            same_life = saved.kernel_boot_id == clock.kernel_boot_id
            at_ns = saved.saved_ns if same_life else clock.monotonic_ns() - RESUME_NS
            self.counter = EnergyCounter(register_mwh=saved.register_mwh, at_ns=at_ns)
        self._request_for_owner()
        self._take_capacity()
        self.continue_fault(FaultState.NO_ERROR)

    def continue_fault(self, fault: FaultState) -> None:
        """Go on with `fault`, which peers were told of before the start, until the safety process speaks."""
        self._scheduling.continue_fault(fault)

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """Take in what the safety process says of itself."""
        self.requests.on_snapshot(snapshot)
        if not self.ratings.meter_fitted:
            self._estimated(snapshot.at_ns, self._offered_mw(snapshot))
        if self.reading is not None and not fresh(self.reading.read_ns, snapshot.at_ns):
            self.event_recorder.current_ma = None
        if snapshot.evse_state is EvseState.A:
            self.arbiter.resume_at_once()
        self.snapshot = snapshot
        self.event_recorder.on_snapshot(snapshot)
        self._follow_self_test()
        self.plan()

    def measure(self, reading: MeterReading) -> None:
        """Take in a reading of the meter; the same one again changes nothing."""
        if self.reading is not None and reading.read_ns <= self.reading.read_ns:
            return
        before = self.counter
        self.reading = reading
        told = self.snapshot
        closed = None if told is None else bool(told.close_ordered or told.mirror_closed or told.load_live)
        self.meter_check = self.meter_check.accept(reading, self._highest_mw(), contacts_closed=closed)
        self.counter = before.accept(reading, self._highest_mw())
        self.event_recorder.register_mwh = self.counter.register_mwh
        self.event_recorder.current_ma = highest_current_ma(reading)
        grown_mwh = self.counter.total_mwh - before.total_mwh
        self.event_recorder.add_energy(grown_mwh, since_ns=before.at_ns, estimated=self.counter.backwards)

    def feel(self, temperatures: Mapping[str, TemperatureSample]) -> None:
        """Take in the newest reading of each thermometer by its name, nothing while one has never been read.

        One that jumps is not used, which the safety process takes for a silent one; while one stands still under load
        half the current is offered. Hazard: H-12, H-16.
        """
        self.thermometers = self.thermometers.accept(temperatures, loaded=self._loaded())
        self.temperature = self.thermometers.hottest
        if not self.thermometers.still:
            self.arbiter.withdraw(LimitSource.SENSOR_DOUBT)
            return
        full_ma = self.ratings.rated_current_ma
        if self.installation is not None:
            full_ma = min(full_ma, self.installation.circuit_capacity_ma)
        self.arbiter.put(LimitRequest(LimitSource.SENSOR_DOUBT, limit_ma=careful_ma(full_ma)))

    def _loaded(self) -> bool:
        """Return whether the vehicle warms the box: by the meter, by the offer where there is none."""
        snapshot = self.snapshot
        if snapshot is None or not current_may_flow(snapshot):
            return False
        drawn_ma = self.event_recorder.current_ma if self.ratings.meter_fitted else snapshot.offered_current_ma
        return drawn_ma is not None and drawn_ma >= WARMING_MA

    def tick(self) -> None:
        """Let time pass. A safety process that is silent for longer than the lease has opened the contactor."""
        now_ns = self.clock.monotonic_ns()
        if self.snapshot is not None and not self.ratings.meter_fitted and not fresh(self.snapshot.at_ns, now_ns):
            self._estimated(self.snapshot.at_ns, Milliwatts(0))
        self.event_recorder.tick()
        self.permission.advance()
        self._follow_self_test()
        self.plan()

    @property
    def installation(self) -> Installation | None:
        """The installer's limits, None until they can be read."""
        return self._installation

    @installation.setter
    def installation(self, installation: Installation | None) -> None:
        self._installation = installation
        self._take_capacity()
        self.plan()

    @property
    def supply(self) -> InstalledSupply:
        """The supply as the installer entered it."""
        house = self._installation
        if house is None:
            return InstalledSupply(self.ratings.phases, DEFAULT_VOLTAGE_MV, USUAL_RANDOM_DELAY_S)
        return InstalledSupply(house.phases, house.nominal_voltage_mv, house.random_delay_s)

    @property
    def status(self) -> EvseStatus:
        """State, SupplyState and FaultState as `plan` decided them last; nothing else decides them."""
        return self._scheduling.status

    @property
    def vehicle(self) -> VehicleData:
        """What the vehicle told of itself."""
        return self._scheduling.vehicle

    @vehicle.setter
    def vehicle(self, vehicle: VehicleData) -> None:
        self._scheduling.vehicle = vehicle
        self.plan()

    def demand(self) -> Demand:
        """Return the demand to send now."""
        return replace(
            self.arbiter.compose(self.clock.monotonic_ns()),
            meter=meter_sample(self.reading) if self.reading and self.meter_check.believed else None,
            temperature=self.temperature,
            request=self.requests.request,
            request_number=self.requests.number,
            identify=self.identifying,
        )

    def limits(self) -> tuple[ActingLimit, ...]:
        """Return every limit that acts now with its owner, those that the safety process judges first."""
        judged = judged_limits(self.ratings, self.installation, self.snapshot)
        return (*judged, *self.arbiter.limits(self.clock.monotonic_ns()))

    @property
    def owner(self) -> LimitRequest:
        """What the owner has said last; where a controller is commissioned, its settings decide who may charge."""
        return self._owner

    @property
    def doubt(self) -> PermissionDoubt | None:
        """Why charging is forbidden until a person permits it, None where that is known or charging is permitted."""
        return None if self.permission.now.charging else self._doubt

    def set_owner(self, *, permitted: bool, limit_ma: Milliamps | None) -> bool:
        """Set what the owner permits and store it; return whether it changed. Raises: ValueError for a bad limit."""
        if permitted:
            self.arbiter.resume_at_once()
        wanted, before = LimitRequest(LimitSource.OWNER, permitted, limit_ma), self._owner
        if wanted == before:
            return False
        self._owner = wanted
        try:
            self._request_for_owner()
        except ValueError:
            self._owner = before
            raise
        if permitted:
            self._doubt = None
        self.event_recorder.write_queue.note(owner_row(wanted, self._doubt), said=True)
        return True

    def set_owner_permission(self, *, permitted: bool | None, limit_ma: Milliamps | None) -> None:
        """Carry out what the owner says, None of what stays: what owner and controller both decide is the settings.

        A stop counts whatever is in force: what still waits for the disk is refused by it, and it is stored twice, so
        that it stays when the last controller goes, and under the next one. Raises: ValueError for a bad limit.
        """
        self.set_owner(permitted=self._owner.permitted if permitted is None else permitted, limit_ma=limit_ma)
        settings = self.permission.settings
        if permitted is False:
            self.permission.apply(settings.disabled())
        elif permitted and self.permission.commissioned and not self.permission.now.charging:
            self.permission.apply(settings.enabled())
        if permitted:
            self.planner.start_now()
        self.plan()

    # What controllers and users ask.

    def apply(self, settings: ChargingSettings) -> None:
        """Put `settings` in force at once, and have them stored."""
        self.permission.apply(settings)
        self.plan()

    async def apply_stored(
        self, change: Callable[[ChargingSettings], ChargingSettings], *, starts: bool = False
    ) -> None:
        """Put what `change` makes of the settings in force once it is stored; `starts` has no random delay hold it up.

        Raises: NotStored where nothing has changed. Whatever `change` raises.
        """
        await self.permission.apply_stored(change)
        if starts:
            self.planner.start_now()
        self.plan()

    def adjust_power(self, adjustment: PowerAdjustment | None) -> None:
        """Charge with the power that an energy manager wants, as far as the mode follows it; None ends that."""
        self._scheduling.adjustment = adjustment
        self.plan()

    def expect_energy_manager(self, *, expected: bool) -> None:
        """Say whether an energy manager can ask for power; where none can, solar mode holds nothing back."""
        self._scheduling.energy_manager_expected = expected
        if not expected:
            self.arbiter.withdraw(LimitSource.POWER_ADJUSTMENT)
        self.plan()

    def begin_charging(self) -> None:
        """Begin what pause, random delay or plan hold up."""
        self._scheduling.begin()
        self.plan()

    @property
    def held_up_by(self) -> frozenset[LimitSource]:
        """Whose requests let a permitted charge wait for its time."""
        return self._scheduling.held_up_by

    def plan(self) -> None:
        """Decide the three states, and plan by them."""
        self._plan_by(self.snapshot)

    def commission(self, *, commissioned: bool) -> None:
        """Let a controller decide from now on, or the owner; what was forbidden stays forbidden.

        A new controller finds the owner's stop in its settings. When the last one goes, the owner's permission counts
        again only where the settings permit: what they forbid may be a stop.
        """
        permission = self.permission
        comes, goes = commissioned and not permission.commissioned, permission.commissioned and not commissioned
        if comes and not self._owner.permitted:
            permission.apply(permission.settings.disabled())
        forbids = goes and self._owner.permitted and not permission.now.charging
        permission.commission(commissioned=commissioned)
        if forbids:
            self.doubt_permission(PermissionDoubt(DoubtKind.NO_CONTROLLER))
        self._request_for_owner()
        self.plan()

    def run_without_controllers(self) -> None:
        """Let the owner alone decide, of a box that is started as no Matter device; what is set is planned with."""
        self.commission(commissioned=False)
        self.expect_energy_manager(expected=False)

    def want_self_test(self) -> None:
        """Have the safety process test the box once its contactor is open; what it finds is kept."""
        self.permission.want_self_test()
        self._follow_self_test()
        self.plan()

    def self_test(self) -> SelfTestView:
        """Return where the self-test is."""
        ordered, snapshot = bool(self.requests.outstanding & Request.SELF_TEST), self.snapshot
        if snapshot is None:
            return SelfTestView(ordered, running=False, passed=False)
        return SelfTestView(ordered, snapshot.self_test_running, snapshot.self_test_passed, snapshot.evidence)

    def doubt_permission(self, reason: PermissionDoubt) -> None:
        """Forbid charging until a person permits it; `reason` says why it is not known whether it was permitted."""
        self._doubt = reason
        self.set_owner_permission(permitted=False, limit_ma=self._owner.limit_ma)
        self.event_recorder.write_queue.note(owner_row(self._owner, reason), said=True)

    def order(self, request: Request, clearance: Clearance | None = None) -> None:
        """Have the safety process carry out `request` once; `clearance` proves what only the installer may order."""
        self.requests.ask(request, clearance)

    def safety_online(self) -> bool:
        """Return whether the safety process speaks."""
        return self.snapshot is not None and self.clock.monotonic_ns() - self.snapshot.at_ns < SILENT_NS

    def power_mw(self) -> tuple[Milliwatts | None, bool]:
        """Return the power that flows now, None when it is unknown, and whether it is an estimate."""
        if self.ratings.meter_fitted:
            reading = self.reading
            known = reading is not None and fresh(reading.read_ns, self.clock.monotonic_ns())
            # The power behind a silent meter is unknown: what is offered is no measurement to fall back on.
            if reading is None or not known:
                return None, False
            check = self.meter_check
            told_mw = apparent_mva(reading) if check.weak else consumed_mw(reading)
            return Milliwatts(told_mw), check.weak or check.backwards
        if self.snapshot is None or not self.safety_online():
            return None, True
        return self._offered_mw(self.snapshot), True

    def _request_for_owner(self) -> None:
        """Put the owner's request: under a controller the settings permit or forbid in the owner's place."""
        permitted = self._owner.permitted or self.permission.commissioned
        self.arbiter.put(replace(self._owner, permitted=permitted))

    def _take_capacity(self) -> None:
        self.permission.capacity_ma = 0 if self._installation is None else self._installation.circuit_capacity_ma
        self.permission.advance()

    def _requested(self) -> None:
        if self.on_request is not None:
            self.on_request()

    def _on_transition(self, change: Transition) -> None:
        """Plan at each transition, of which a snapshot may bring several."""
        if self.event_recorder.reconciled:
            self._plan_by(change)

    def _plan_by(self, told: Snapshot | Transition | None) -> None:
        report = NOTHING_HEARD
        if told is not None:
            report = SafetyReport(told.pilot_state, told.faults, current_may_flow(told), self.safety_online())
        if self._scheduling.advance(report, self.event_recorder.session, self.supply, self.limits):
            self._requested()

    def _follow_self_test(self) -> None:
        """Order the wanted self-test when it is due, and keep its evidence once it is over."""
        test, snapshot = self.self_test(), self.snapshot
        faulty = snapshot is not None and bool(snapshot.faults)
        flows = snapshot is not None and current_may_flow(snapshot)
        if self.permission.follow_self_test(test, current_may_flow=flows, faulty=faulty):
            self._self_test_ordered = True
            self.order(Request.SELF_TEST)
        # Once, and of a test that was ordered here: over is one that has passed or that found its fault.
        elif self._self_test_ordered and not test.ordered and not test.running and (test.passed or faulty):
            self._self_test_ordered = False
            evidence = [[each.check.name, each.measured, each.lowest, each.highest] for each in test.evidence]
            kept = {"unix_s": self.clock.unix_s(), "passed": test.passed, "evidence": evidence}
            self.event_recorder.write_queue.note(setting_row(SELF_TEST, kept), urgent=True)
            log.info("self-test over passed=%s checks=%d", test.passed, len(evidence))

    def _estimated(self, now_ns: int, power_mw: Milliwatts) -> None:
        before = self._estimate
        self._estimate = before.advance(max(now_ns, before.at_ns), power_mw)
        grown_mwh = self._estimate.total_mwh - before.total_mwh
        self.event_recorder.add_energy(grown_mwh, since_ns=before.at_ns, estimated=True)

    def _offered_mw(self, snapshot: Snapshot) -> Milliwatts:
        if not snapshot.close_ordered:
            return Milliwatts(0)
        voltage_mv, phases = DEFAULT_VOLTAGE_MV, self.ratings.phases
        if self.installation is not None:
            voltage_mv, phases = self.installation.phase_voltage_mv, self.installation.phases
        return offered_power_mw(snapshot.offered_current_ma, voltage_mv, phases)

    def _highest_mw(self) -> Milliwatts:
        return Milliwatts(self.ratings.rated_current_ma * HIGHEST_VOLTAGE_MV * self.ratings.phases // 1000)


def current_may_flow(told: Snapshot | Transition) -> bool:
    """Return whether current can flow: the contacts take some 20 ms to follow the order."""
    return told.close_ordered and told.reason is not Reason.STARTING
