"""What the planner plans with: the states of the charge point, its supply, what is set and asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.charging.acting_limits import maximum_charge_ma
from evse_pi.charging.charging_planner import ChargingPlanner, PlanningSituation
from evse_pi.charging.evse_status import NOTHING_DECIDED, NOTHING_HEARD, EvseStatus, decide_status
from evse_pi.charging.modes import MODE_SOURCES, ChargeMode
from evse_pi.charging.vehicle_data import NO_VEHICLE_DATA

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.charging.acting_limits import ActingLimit
    from evse_pi.charging.clock import Clock
    from evse_pi.charging.controller_permission import ControllerPermission
    from evse_pi.charging.demand_arbiter import DemandArbiter
    from evse_pi.charging.evse_status import SafetyReport
    from evse_pi.charging.modes import PowerAdjustment
    from evse_pi.charging.session import Session
    from evse_pi.core.states import FaultState, LimitSource
    from hal.units import Millivolts


@dataclass(frozen=True, slots=True)
class InstalledSupply:
    """What the installer entered of the supply, the usual where nothing is; `random_delay_s` is the delay's window."""

    phases: int
    voltage_mv: Millivolts
    random_delay_s: int


class ChargeScheduling:
    """Decides the three states of the charge point, and has the planner look at it.

    `status` is the one memory of them: views and clusters show it, and the next decision follows from it.
    `vehicle` and `adjustment`, the power that an energy manager wants, are taken in by assignment. Where no energy
    manager can ask, `energy_manager_expected` is false and solar mode holds nothing back.
    """

    def __init__(
        self, clock: Clock, arbiter: DemandArbiter, permission: ControllerPermission, planner: ChargingPlanner
    ) -> None:
        """Hold back what waited before the start."""
        self.planner = planner
        self.status = NOTHING_DECIDED
        self.vehicle = NO_VEHICLE_DATA
        self.adjustment: PowerAdjustment | None = None
        self.energy_manager_expected = True
        self._clock = clock
        self._arbiter = arbiter
        self._permission = permission
        planner.hold(permission.settings.mode)

    def continue_fault(self, fault: FaultState) -> None:
        """Decide before the safety process has spoken, after `fault` of before the start: silence clears none."""
        self.status = decide_status(NOTHING_HEARD, self._permission.now, EvseStatus(fault=fault))

    def advance(
        self,
        report: SafetyReport,
        session: Session | None,
        supply: InstalledSupply,
        limits: Callable[[], tuple[ActingLimit, ...]],
    ) -> bool:
        """Plan by what the safety process reports; return whether any request has changed."""
        self.status = decide_status(report, self._permission.now, self.status)
        changed = False
        for _ in range(2):  # what the planner requests changes the limits that it plans with
            if not self.planner.advance(self._situation(report, session, supply, limits())):
                break
            changed = True
        return changed

    def begin(self) -> None:
        """Skip pause, random delay and planned start of what is not reached yet."""
        self._arbiter.resume_at_once()
        self.planner.begin()

    @property
    def held_up_by(self) -> frozenset[LimitSource]:
        """Whose requests let a permitted charge wait for its time."""
        now_ns = self._clock.monotonic_ns()
        requests = (self._arbiter.request_of(source) for source in MODE_SOURCES)
        return frozenset(each.source for each in requests if each is not None and not each.permits(now_ns))

    def _situation(
        self, report: SafetyReport, session: Session | None, supply: InstalledSupply, limits: tuple[ActingLimit, ...]
    ) -> PlanningSituation:
        settings, adjustment = self._permission.in_force, self.adjustment
        follows = settings.mode is not ChargeMode.SOLAR or self.energy_manager_expected
        return PlanningSituation(
            now_ns=self._clock.monotonic_ns(),
            unix_s=self._clock.unix_s(),
            status=self.status,
            safety_online=report.online,
            current_may_flow=report.current_may_flow,
            session=session,
            vehicle=self.vehicle,
            mode=settings.mode if follows else ChargeMode.MANUAL,
            targets=settings.targets,
            window_s=supply.random_delay_s if settings.window_s is None else settings.window_s,
            adjustment=None if adjustment is None else adjustment.as_current(supply.voltage_mv, supply.phases),
            maximum_ma=maximum_charge_ma(limits, permitted=self._permission.now.charging),
            voltage_mv=supply.voltage_mv,
            phases=supply.phases,
        )
