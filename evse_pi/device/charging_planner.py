"""Plans when to charge: makes limit requests of targets, mode and power adjustment, and shows controllers the plan."""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from evse_pi.api.texts import english as words
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
from evse_pi.core.states import MatterState, SupplyState
from evse_pi.device.charging_plan_memory import KEY, KeptPlan, encode, recalled
from evse_pi.device.planner import UNPLANNED, NextCharge
from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S
from hal.units import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from evse_pi.charging.demand_arbiter import LimitRequest
    from evse_pi.charging.modes import Adjustment
    from evse_pi.charging.random_delay import RandomDelay
    from evse_pi.device.charge_point_view import ChargePointInterface, ChargePointView
    from evse_pi.device.planner import PlanningContext
    from evse_pi.matter.environment import Entropy
    from evse_pi.matter.storage import KeyValueStore

log = logging.getLogger(__name__)

SAME_END_NS = 2 * SECOND  # the calendar is read to the second; less is no new end
_PLUGGED_IN = (
    MatterState.PLUGGED_IN_NO_DEMAND,
    MatterState.PLUGGED_IN_DEMAND,
    MatterState.PLUGGED_IN_CHARGING,
    MatterState.PLUGGED_IN_DISCHARGING,
)
_SUPPLYING = (SupplyState.CHARGING_ENABLED, SupplyState.ENABLED)
_SUSPENDED = (SupplyState.DISABLED_ERROR, SupplyState.DISABLED_DIAGNOSTICS)


class ChargingPlanner:
    """The planner of the EVSE cluster.

    In manual and solar mode targets hold nothing back: the start that is shown is when charging could begin, null while
    there is no surplus to charge with. While the time is unknown nothing waits for a target either: a vehicle that is
    ready too early is better than one that is not.
    Source: Matter Application Cluster Specification 1.4.2, 9.3.8.11 to 9.3.8.15.
    """

    def __init__(
        self,
        charger: ChargePointInterface,
        zone: tzinfo,
        entropy: Entropy,
        store: KeyValueStore,
        kernel_boot_id: str,
        *,
        mode: Callable[[], ChargeMode],
        adjustment: Callable[[], Adjustment | None],
    ) -> None:
        """Make the planner; where the power has just returned, the random delay begins now.

        `kernel_boot_id` names the boot of the machine.
        """
        self._charger = charger
        self._zone = zone
        self._entropy = entropy
        self._store = store
        self._mode = mode
        self._adjustment = adjustment
        self._explicit = False
        self._at_once = False
        self._trouble = False
        self.plan: Plan = NO_PLAN
        self._stored = recalled(store)
        kept = self._stored or KeptPlan(kernel_boot_id)
        if kept.kernel_boot_id != kernel_boot_id:
            delay = draw_delay(DelayCause.POWER_RETURN, charger.view().now_ns, kept.window_s, entropy.below)
            kept = replace(kept, kernel_boot_id=kernel_boot_id, delay=delay)
        self._kept = kept
        if self.delay is not None:
            self._act(mode_requests(ChargeMode.MANUAL, NO_PLAN, self.delay, None, charger.view().now_ns, None))
        self._save()

    @property
    def delay(self) -> RandomDelay | None:
        """The random delay that holds charging up now."""
        delay = self._kept.delay
        return delay if delay is not None and delay.running(self._charger.view().now_ns) else None

    @property
    def notice(self) -> str | None:
        """That a target cannot be reached in time."""
        due = self.plan.due
        if self.plan.status is not PlanStatus.LATE or due is None:
            return None
        at = datetime.fromtimestamp(due.at_s, self._zone)
        return words.TARGET_TOO_SOON.format(at=f"{at:%Y-%m-%d %H:%M}")

    def start_now(self) -> None:
        """Skip the random delay, and have none for what begins with the next look at the box."""
        self._explicit = True
        self._keep(replace(self._kept, delay=None))

    def begin(self) -> None:
        """Skip the random delay, and with the next look at the box the planned start of what is not reached yet."""
        self._at_once = True
        self.start_now()

    def next_charge(self, context: PlanningContext) -> NextCharge:
        """Return what controllers see of the plan, and ask the box for what follows from it."""
        view, mode = context.view, self._mode()
        if mode is not self._kept.mode or self._at_once:
            self._charger.resume_at_once()
        if context.supply in _SUSPENDED or context.state is None:
            return UNPLANNED  # the requests stand, so that nothing starts before its time when the supply is back
        now_s = None if context.now_s is None else context.now_s + MATTER_EPOCH_UNIX_S
        present = context.state in _PLUGGED_IN and view.session is not None
        supplied = present and context.supply in _SUPPLYING
        kept = replace(self._kept.changed_to(mode), window_s=context.randomization_window_s)
        if not context.targets:
            self.plan = NO_PLAN
            kept = replace(kept, progress=None)
        elif now_s is None:
            self.plan = CLOCKLESS if supplied else NO_PLAN
        elif mode is ChargeMode.TIME_OF_USE:
            kept = self._planned(kept, context, now_s, supplied=supplied)
        elif supplied:
            progress, self.plan = assess_target(kept.progress, self._planning_input(context, now_s, mode))
            kept = replace(kept, progress=progress)
        else:
            self.plan = NO_PLAN
        if kept.delay is not None and not self._delays(kept.delay, view, present=present):
            kept = replace(kept, delay=None)
        self._explicit = self._at_once = False
        self._keep(replace(kept, holds=self.plan.holds))
        self._act(mode_requests(mode, self.plan, self.delay, self._adjustment(), view.now_ns, now_s))
        return self._shown(context, view.now_ns) if supplied else UNPLANNED

    def _planned(self, kept: KeptPlan, context: PlanningContext, now_s: int, *, supplied: bool) -> KeptPlan:
        """Plan, and draw the random delay of a charge that begins by plan."""
        view, before = context.view, kept.progress
        planning_input = self._planning_input(context, now_s, ChargeMode.TIME_OF_USE)
        if not supplied or view.session is None:
            self.plan = Plan(PlanStatus.WAITING) if planning_input.dues else NO_PLAN
            return kept
        progress, self.plan = plan_charging(before, planning_input)
        if self._at_once and progress is not None and self.plan.status is PlanStatus.WAITING:
            progress, self.plan = begun(progress, planning_input)
        begins = progress is not None and progress.goal_s is not None and (before is None or before.goal_s is None)
        delay = kept.delay
        if begins and not self._explicit and not view.contacts_closed and self.plan.delay_below_s:
            planned = draw_delay(DelayCause.PLANNED_START, view.now_ns, self.plan.delay_below_s, self._entropy.below)
            delay = delay or planned
        elif self.plan.holds and delay is not None and delay.cause is DelayCause.PLANNED_START:
            delay = None
        return replace(kept, progress=progress, delay=delay)

    def _planning_input(self, context: PlanningContext, now_s: int, mode: ChargeMode) -> PlanningInput:
        view, vehicle = context.view, context.view.vehicle
        no_surplus = mode is ChargeMode.SOLAR and not surplus(self._adjustment(), view.now_ns)
        current_ma = 0 if no_surplus else context.maximum_charge_ma
        session, energy_mwh = (0, 0) if view.session is None else (view.session.number, view.session.energy_mwh)
        return PlanningInput(
            now_s=now_s,
            dues=coming(context.targets, now_s, self._zone),
            session=session,
            energy_mwh=energy_mwh,
            power_mw=available_power_mw(current_ma, view.voltage_mv, view.phases),
            window_s=context.randomization_window_s,
            soc_percent=vehicle.state_of_charge_percent,
            capacity_mwh=vehicle.battery_capacity_mwh,
        )

    def _delays(self, delay: RandomDelay, view: ChargePointView, *, present: bool) -> bool:
        """Return whether a delay still has a start to hold up."""
        if not delay.running(view.now_ns):
            return False
        if delay.cause is DelayCause.PLANNED_START:
            return present and self._mode() is ChargeMode.TIME_OF_USE and self.plan.status is not PlanStatus.NOTHING
        return present or not view.safety_online

    def _shown(self, context: PlanningContext, now_ns: int) -> NextCharge:
        """Return the plan as attributes; the start is that of the charge, the random delay included."""
        plan = self.plan
        if plan.due is None or context.now_s is None:
            return UNPLANNED
        start_s, target = plan.start_s, plan.due.target
        if start_s is not None and self.delay is not None:
            delayed_s = context.now_s + MATTER_EPOCH_UNIX_S + (self.delay.until_ns - now_ns) // SECOND
            start_s = max(start_s, delayed_s)
        vehicle = context.view.vehicle
        known = vehicle.state_of_charge_percent is not None and vehicle.battery_capacity_mwh is not None
        by_soc = goes_by_soc(target, known=known)
        return NextCharge(
            start_time=None if start_s is None else start_s - MATTER_EPOCH_UNIX_S,
            target_time=plan.due.at_s - MATTER_EPOCH_UNIX_S,
            required_energy_mwh=None if by_soc else target.added_energy_mwh,
            target_soc_percent=target.soc_percent if by_soc else None,
        )

    def _act(self, wanted: dict[Any, LimitRequest]) -> None:
        """Ask for what is not asked for already, and for nothing else."""
        for source in MODE_SOURCES:
            present, request = self._charger.request_of(source), wanted.get(source)
            if request is None:
                if present is not None:
                    self._charger.withdraw(source)
            elif present is None or not _same(present, request):
                self._charger.request_limit(request)

    def _keep(self, kept: KeptPlan) -> None:
        self._kept = kept
        if kept != self._stored:
            self._save()

    def _save(self) -> None:
        """Store what a restart needs; a disk that takes nothing must not keep a vehicle from charging."""
        try:
            with self._store.transaction() as transaction:
                transaction.put(KEY, encode(self._kept))
            self._stored, self._trouble = self._kept, False
        except (sqlite3.Error, OSError) as error:
            if not self._trouble:
                log.warning("the charging plan cannot be stored: %s", error)
            self._trouble = True


def _same(present: LimitRequest, wanted: LimitRequest) -> bool:
    """Return whether two requests differ by no more than the rounding of the clock."""
    if present.until_ns is not None and wanted.until_ns is not None:
        if abs(present.until_ns - wanted.until_ns) >= SAME_END_NS:
            return False
        wanted = replace(wanted, until_ns=present.until_ns)
    return present == wanted
