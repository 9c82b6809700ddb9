"""Plans when to charge: makes limit requests of targets, mode, random delay and power adjustment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from evse_pi.api.texts import english as words
from evse_pi.charging.charging_plan_memory import PersistedPlan, held_back, plan_row
from evse_pi.charging.modes import MODE_SOURCES, ChargeMode, mode_requests, surplus
from evse_pi.charging.random_delay import DelayCause, draw_delay
from evse_pi.charging.schedule import (
    CLOCKLESS,
    Plan,
    PlanningInput,
    PlanStatus,
    assess_target,
    available_power_mw,
    begun,
    goes_by_soc,
    plan_charging,
)
from evse_pi.charging.schedule import UNPLANNED as NO_PLAN
from evse_pi.charging.targets import coming
from evse_pi.core.states import LimitSource, MatterState, SupplyState
from hal.units import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.charging.clock import Clock
    from evse_pi.charging.controller_permission import RowWriter
    from evse_pi.charging.demand_arbiter import DemandArbiter, LimitRequest
    from evse_pi.charging.evse_status import EvseStatus
    from evse_pi.charging.modes import Adjustment
    from evse_pi.charging.random_delay import RandomDelay
    from evse_pi.charging.session import Session
    from evse_pi.charging.targets import DaySchedule
    from evse_pi.charging.vehicle_data import VehicleData
    from hal.units import Milliamps, Millivolts

SAME_END_NS = 2 * SECOND  # the calendar is read to the second; less is no new end
_PLUGGED_IN = (
    MatterState.PLUGGED_IN_NO_DEMAND,
    MatterState.PLUGGED_IN_DEMAND,
    MatterState.PLUGGED_IN_CHARGING,
    MatterState.PLUGGED_IN_DISCHARGING,
)
_SUPPLYING = (SupplyState.CHARGING_ENABLED, SupplyState.ENABLED)
_SUSPENDED = (SupplyState.DISABLED_ERROR, SupplyState.DISABLED_DIAGNOSTICS)


@dataclass(frozen=True, slots=True)
class PlanningSituation:
    """What a plan is made from.

    `mode`, `targets` and `window_s`, that of the random delay, are those in force; `maximum_ma` is what all limits let
    the pilot offer. Units: `now_ns` of CLOCK_MONOTONIC, `unix_s` in s since 1970, None while the time is unknown.
    """

    now_ns: int
    unix_s: int | None
    status: EvseStatus
    safety_online: bool
    current_may_flow: bool
    session: Session | None
    vehicle: VehicleData
    mode: ChargeMode
    targets: tuple[DaySchedule, ...]
    window_s: int
    adjustment: Adjustment | None
    maximum_ma: Milliamps
    voltage_mv: Millivolts
    phases: int


@dataclass(frozen=True, slots=True)
class NextCharge:
    """The next planned charge; nothing is planned where all are None. Units: times in s since 1970."""

    start_s: int | None = None
    target_s: int | None = None
    required_energy_mwh: int | None = None
    target_soc_percent: int | None = None


UNPLANNED = NextCharge()


class ChargingPlanner:
    """The planner of the charge point, which has it look at each change and once a second.

    In manual and solar mode targets hold nothing back: the start that is shown is when charging could begin, null while
    there is no surplus to charge with. While the time is unknown nothing waits for a target either: a vehicle that is
    ready too early is better than one that is not.
    Source: Matter Application Cluster Specification 1.4.2, 9.3.8.11 to 9.3.8.15.
    """

    def __init__(
        self,
        clock: Clock,
        arbiter: DemandArbiter,
        writer: RowWriter,
        stored: PersistedPlan | None,
        draw: Callable[[int], int],
    ) -> None:
        """Make the planner of what is `stored`; where the power has just returned, the random delay begins now.

        `draw` returns a random number from 0 to one less than its argument.
        """
        self.next_charge = UNPLANNED
        """The plan as it is to be shown."""
        self.plan: Plan = NO_PLAN
        self._clock = clock
        self._arbiter = arbiter
        self._writer = writer
        self._draw = draw
        self._explicit = False
        self._at_once = False
        self._stored = stored
        kept = stored or PersistedPlan(clock.kernel_boot_id)
        if kept.kernel_boot_id != clock.kernel_boot_id:
            delay = draw_delay(DelayCause.POWER_RETURN, clock.monotonic_ns(), kept.window_s, draw)
            kept = replace(kept, kernel_boot_id=clock.kernel_boot_id, delay=delay)
        self._keep(kept)

    def hold(self, mode: ChargeMode) -> None:
        """Hold back at a start what `mode` and plan held back before it, until `advance` has seen the charge point."""
        for request in held_back(self._kept, mode, self._clock.monotonic_ns()):
            self._arbiter.put(request)

    @property
    def delay(self) -> RandomDelay | None:
        """The random delay that holds charging up now."""
        delay = self._kept.delay
        return delay if delay is not None and delay.running(self._clock.monotonic_ns()) else None

    @property
    def notice(self) -> str | None:
        """That a target cannot be reached in time."""
        due = self.plan.due
        if self.plan.status is not PlanStatus.LATE or due is None:
            return None
        at = datetime.fromtimestamp(due.at_s, self._clock.zone)
        return words.TARGET_TOO_SOON.format(at=f"{at:%Y-%m-%d %H:%M}")

    def start_now(self) -> None:
        """Skip the random delay, and have none for what begins with the next look at the charge point."""
        self._explicit = True
        self._keep(replace(self._kept, delay=None))

    def begin(self) -> None:
        """Skip the random delay, and with the next look the planned start of what is not reached yet."""
        self._at_once = True
        self.start_now()

    def advance(self, situation: PlanningSituation) -> bool:
        """Plan, and request what follows; return whether any request has changed."""
        mode, status = situation.mode, situation.status
        if mode is not self._kept.mode or self._at_once:
            self._arbiter.resume_at_once()
        if status.supply in _SUSPENDED or status.state is None:
            self.next_charge = UNPLANNED
            return False  # the requests stand, so that nothing starts before its time when the supply is back
        present = status.state in _PLUGGED_IN and situation.session is not None
        supplied = present and status.supply in _SUPPLYING
        kept = self._followed(situation, supplied=supplied)
        if kept.delay is not None and not self._delays(kept.delay, situation, present=present):
            kept = replace(kept, delay=None)
        self._explicit = self._at_once = False
        self._keep(replace(kept, holds=self.plan.holds))
        now_ns, unix_s = situation.now_ns, situation.unix_s
        changed = self._request(mode_requests(mode, self.plan, self.delay, situation.adjustment, now_ns, unix_s))
        self.next_charge = self._shown(situation) if supplied else UNPLANNED
        return changed

    def _followed(self, situation: PlanningSituation, *, supplied: bool) -> PersistedPlan:
        """Plan by mode and targets; return what is to be kept."""
        mode = situation.mode
        kept = replace(self._kept.changed_to(mode), window_s=situation.window_s)
        if not situation.targets:
            self.plan = NO_PLAN
            return replace(kept, progress=None)
        if situation.unix_s is None:
            self.plan = CLOCKLESS if supplied else NO_PLAN
        elif mode is ChargeMode.TIME_OF_USE:
            return self._planned(kept, situation, situation.unix_s, supplied=supplied)
        elif supplied:
            progress, self.plan = assess_target(kept.progress, self._planning_input(situation, situation.unix_s))
            return replace(kept, progress=progress)
        else:
            self.plan = NO_PLAN
        return kept

    def _planned(
        self, kept: PersistedPlan, situation: PlanningSituation, now_s: int, *, supplied: bool
    ) -> PersistedPlan:
        """Plan, and draw the random delay of a charge that begins by plan."""
        before, delay = kept.progress, kept.delay
        planning_input = self._planning_input(situation, now_s)
        if not supplied:
            self.plan = Plan(PlanStatus.WAITING) if planning_input.dues else NO_PLAN
            return kept
        progress, self.plan = plan_charging(before, planning_input)
        # A start at once is one of the plan: the target is followed to its end, and not planned again a second later.
        if self._at_once and progress is not None and self.plan.status is PlanStatus.WAITING:
            progress, self.plan = begun(progress, planning_input)
        begins = progress is not None and progress.goal_s is not None and (before is None or before.goal_s is None)
        # Only a start by plan is spread over time; one that a person ordered, or a charge that runs already, is not. A
        # delay that runs is kept, so that planning again lets no vehicle wait longer.
        if begins and not self._explicit and not situation.current_may_flow and self.plan.delay_below_s:
            planned = draw_delay(DelayCause.PLANNED_START, situation.now_ns, self.plan.delay_below_s, self._draw)
            delay = delay or planned
        elif self.plan.holds and delay is not None and delay.cause is DelayCause.PLANNED_START:
            delay = None
        return replace(kept, progress=progress, delay=delay)

    def _planning_input(self, situation: PlanningSituation, now_s: int) -> PlanningInput:
        session, vehicle = situation.session, situation.vehicle
        solar = situation.mode is ChargeMode.SOLAR
        current_ma = 0 if solar and not surplus(situation.adjustment, situation.now_ns) else situation.maximum_ma
        number, energy_mwh = (0, 0) if session is None else (session.number, session.energy_mwh)
        return PlanningInput(
            now_s=now_s,
            dues=coming(situation.targets, now_s, self._clock.zone),
            session=number,
            energy_mwh=energy_mwh,
            power_mw=available_power_mw(current_ma, situation.voltage_mv, situation.phases),
            window_s=situation.window_s,
            soc_percent=vehicle.state_of_charge_percent,
            capacity_mwh=vehicle.battery_capacity_mwh,
        )

    def _delays(self, delay: RandomDelay, situation: PlanningSituation, *, present: bool) -> bool:
        """Return whether a delay still has a start to hold up."""
        if not delay.running(situation.now_ns):
            return False
        if delay.cause is DelayCause.PLANNED_START:
            return present and situation.mode is ChargeMode.TIME_OF_USE and self.plan.status is not PlanStatus.NOTHING
        return present or not situation.safety_online

    def _shown(self, situation: PlanningSituation) -> NextCharge:
        """Return the plan as it is to be shown; the start is that of the charge, the random delay included."""
        plan = self.plan
        if plan.due is None or situation.unix_s is None:
            return UNPLANNED
        start_s, target = plan.start_s, plan.due.target
        if start_s is not None and self.delay is not None:
            start_s = max(start_s, situation.unix_s + (self.delay.until_ns - situation.now_ns) // SECOND)
        vehicle = situation.vehicle
        known = vehicle.state_of_charge_percent is not None and vehicle.battery_capacity_mwh is not None
        by_soc = goes_by_soc(target, known=known)
        return NextCharge(
            start_s=start_s,
            target_s=plan.due.at_s,
            required_energy_mwh=None if by_soc else target.added_energy_mwh,
            target_soc_percent=target.soc_percent if by_soc else None,
        )

    def _request(self, wanted: dict[LimitSource, LimitRequest]) -> bool:
        """Put what is not requested already, withdraw what is not wanted; return whether anything has changed."""
        changed = False
        for source in MODE_SOURCES:
            present, request = self._arbiter.request_of(source), wanted.get(source)
            if request is None and present is not None:
                self._arbiter.withdraw(source)
            elif request is not None and (present is None or not _same(present, request)):
                self._arbiter.put(request)
            else:
                continue
            changed = True
        return changed

    def _keep(self, kept: PersistedPlan) -> None:
        """Have what a restart needs stored; the disk is not waited for, and one that takes nothing stops no charge."""
        self._kept = kept
        if kept != self._stored:
            self._stored = kept
            self._writer.put([plan_row(kept)])


def _same(present: LimitRequest, wanted: LimitRequest) -> bool:
    """Return whether two requests differ by no more than the rounding of the clock."""
    if present.until_ns is not None and wanted.until_ns is not None:
        if abs(present.until_ns - wanted.until_ns) >= SAME_END_NS:
            return False
        wanted = replace(wanted, until_ns=present.until_ns)
    return present == wanted
