"""The rules of the Energy EVSE cluster as functions: what is allowed, what follows from what, what has happened.

Nothing here acts. `advance` is told what the clusters showed, what they keep and how the box is now, and says what they
shall show and keep, and which events happened on the way, in their order.
Source: Matter Application Cluster Specification 1.4.2, Energy EVSE.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evse_pi.charging.evse_status import NOTHING_DECIDED, EvseStatus, Permission, SafetyReport, decide_status
from evse_pi.charging.limits import lowest_ceiling_ma, offerable_ma
from evse_pi.charging.targets import MAX_TARGETS_PER_DAY, DaySchedule, Target
from evse_pi.core.duty import MAX_OFFER_MA
from evse_pi.core.states import FaultState, LimitSource, MatterState, PilotState, SupplyState
from evse_pi.device.energy_evse_memory import ChargingSettings, ReportedState, Transfer
from evse_pi.matter.wire.chip_objects import EnergyEvse
from evse_pi.matter.wire.status_code import MatterStatus, Status
from hal.units import SECOND, Milliamps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evse_pi.charging.session import Session
    from evse_pi.device.charge_point_view import ChargePointView

RESUME_WITHIN_NS = 60 * SECOND
"""After a fault the box tests itself, the contactor rests and the vehicle takes its time: half a minute in all."""

Reason = EnergyEvse.Enums.EnergyTransferStoppedReasonEnum

FULL_PERCENT = 100

_OWN = (LimitSource.ENABLE_CHARGING, LimitSource.USER_MAXIMUM)


def maximum_charge_ma(view: ChargePointView, grant: ChargingSettings, permission: Permission) -> int:
    """Return MaximumChargeCurrent: the least of all limits, as the pilot can offer it; 0 while charging is disabled."""
    if not permission.charging:
        return 0
    others = lowest_ceiling_ma(each for each in view.limits if each.source not in _OWN)
    limits = [] if others is None else [others]
    if permission.commissioned:
        limits += [Milliamps(grant.maximum_ma), Milliamps(grant.user_limit_ma(view.circuit_capacity_ma))]
    return offerable_ma(min(limits, default=None))


def maximum_discharge_ma(view: ChargePointView, grant: ChargingSettings, permission: Permission) -> int:
    """Return MaximumDischargeCurrent; 0 while discharging is disabled, and where the board cannot take any."""
    if not permission.discharging:
        return 0
    wanted = (view.rated_discharge_ma, view.circuit_capacity_ma, view.cable_ma, grant.discharge_maximum_ma)
    return min(limit for limit in wanted if limit is not None)


@dataclass(frozen=True, slots=True)
class PublishedState:
    """The three states and SessionID as they are published; `known` is the last State that was not null."""

    status: EvseStatus = NOTHING_DECIDED
    session_id: int | None = None
    known: MatterState = MatterState.NOT_PLUGGED_IN

    @property
    def prior(self) -> MatterState:
        """The State to name in an event about what was before."""
        return self.known if self.status.state is None else self.status.state


@dataclass(frozen=True, slots=True)
class EvseEvent:
    """One event: its Python name and its fields."""

    event: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Projection:
    """What `advance` answers: what is published from now on, and which events lead there."""

    shown: PublishedState
    told: ReportedState
    maximum_ma: int
    maximum_discharge_ma: int
    happenings: tuple[EvseEvent, ...]


def session_id(number: int) -> int:
    """Return SessionID of the box's session `number`, which counts from 1."""
    return (number - 1) & 0xFFFF_FFFF


def advance(
    shown: PublishedState, told: ReportedState, view: ChargePointView, grant: ChargingSettings, permission: Permission
) -> Projection:
    """Return what the peers shall be shown and told, now that the box is as `view` says."""
    report = SafetyReport(view.pilot, view.faults, view.contacts_closed, view.heard)
    status = decide_status(report, permission, shown.status)
    state = status.state
    maximum_ma = maximum_charge_ma(view, grant, permission)
    happenings = [] if status.fault is shown.status.fault else [_fault(shown, status.fault)]
    current, seen = told.session, _seen(told, view)
    transfer = told.transfer
    if transfer is not None and current is not None:
        transfer, reason = _goes_on(transfer, state, view, permission, present=seen == current)
        if told.transfer is not None and transfer is None:
            happenings.append(_stopped(shown, current, told.transfer, reason, _session(view, current)))
    if current is not None and seen != current:
        happenings.append(_not_detected(shown, current, _session(view, current), view.now_ns))
    if seen is not None and seen != current:
        happenings.append(EvseEvent("ev_connected", {"sessionID": session_id(seen)}))
    if transfer is None and state is MatterState.PLUGGED_IN_CHARGING and view.session is not None:
        transfer = Transfer(view.session.energy_mwh)
        happenings.append(_started(view.session.number, maximum_ma))
    published_id = shown.session_id if seen is None else session_id(seen)
    return Projection(
        PublishedState(status, published_id, shown.known if state is None else state),
        told.after(seen, transfer, status.fault),
        maximum_ma,
        maximum_discharge_ma(view, grant, permission),
        tuple(happenings),
    )


def _seen(told: ReportedState, view: ChargePointView) -> int | None:
    """Return the number of the present session; while the safety process is silent, nothing has begun or ended."""
    if not view.heard:
        return told.session
    return None if view.session is None else view.session.number


def _goes_on(
    transfer: Transfer, state: MatterState | None, view: ChargePointView, permission: Permission, *, present: bool
) -> tuple[Transfer | None, Any]:
    """Return the transfer as it is now, or None and the reason why it stopped."""
    if not present:
        return None, Reason.kOther
    if state is MatterState.PLUGGED_IN_CHARGING:
        return (replace(transfer, suspended=False, lapses_ns=None) if transfer.suspended else transfer), None
    if not view.contacts_closed and not permission.charging:
        return None, Reason.kEVSEStopped
    if state is MatterState.FAULT:
        return Transfer(transfer.energy_mwh, suspended=True), None
    if not view.heard:
        return transfer, None
    if transfer.suspended:
        lapses_ns = view.now_ns + RESUME_WITHIN_NS if transfer.lapses_ns is None else transfer.lapses_ns
        if view.now_ns < lapses_ns:
            return replace(transfer, lapses_ns=lapses_ns), None
    return None, _stop_reason(view)


def _stop_reason(view: ChargePointView) -> Any:
    """Return who ended it: a vehicle lets go of an offer that stands, else the box had taken the offer away."""
    if view.pilot is PilotState.B and view.offered_current_ma:
        return Reason.kEVStopped
    return Reason.kEVSEStopped if view.pilot in (PilotState.B, PilotState.C, PilotState.D) else Reason.kOther


def _session(view: ChargePointView, number: int) -> Session | None:
    return next((one for one in (view.session, view.last_session) if one is not None and one.number == number), None)


def _fault(shown: PublishedState, fault: FaultState) -> EvseEvent:
    return EvseEvent(
        "fault",
        {
            "sessionID": shown.session_id,
            "state": shown.prior,
            "faultStatePreviousState": shown.status.fault,
            "faultStateCurrentState": fault,
        },
    )


def _started(number: int, maximum_ma: int) -> EvseEvent:
    fields = {
        "sessionID": session_id(number),
        "state": MatterState.PLUGGED_IN_CHARGING,
        "maximumCurrent": maximum_ma,
    }
    return EvseEvent("energy_transfer_started", fields)


def _stopped(shown: PublishedState, number: int, transfer: Transfer, reason: Any, session: Session | None) -> EvseEvent:
    energy_mwh = 0 if session is None else session.energy_mwh - transfer.energy_mwh
    fields = {
        "sessionID": session_id(number),
        "state": shown.prior,
        "reason": reason,
        "energyTransferred": max(energy_mwh, 0),
    }
    return EvseEvent("energy_transfer_stopped", fields)


def _not_detected(shown: PublishedState, number: int, session: Session | None, now_ns: int) -> EvseEvent:
    fields = {
        "sessionID": session_id(number),
        "state": shown.prior,
        "sessionDuration": 0 if session is None else session.duration_ns(now_ns) // SECOND,
        "sessionEnergyCharged": 0 if session is None else session.energy_mwh,
    }
    return EvseEvent("ev_not_detected", fields)


# Commands.


def check_supply(status: EvseStatus) -> None:
    """Refuse what needs a supply that is neither faulty nor testing itself.

    Raises: MatterStatus FAILURE.
    """
    if status.supply is SupplyState.DISABLED_ERROR:
        raise MatterStatus(Status.FAILURE, f"a fault is present: {status.fault.name}")
    if status.supply is SupplyState.DISABLED_DIAGNOSTICS:
        raise MatterStatus(Status.FAILURE, "the self-test runs")


def check_diagnostics(status: EvseStatus) -> None:
    """Let the self-test be started from Disabled alone.

    Raises: MatterStatus FAILURE.
    """
    if status.supply is not SupplyState.DISABLED:
        raise MatterStatus(Status.FAILURE, f"SupplyState is {status.supply.name}, not DISABLED")


def charging_granted(grant: ChargingSettings, until: int | None, minimum_ma: int, maximum_ma: int) -> ChargingSettings:
    """Return the grant after EnableCharging. Raises: MatterStatus CONSTRAINT_ERROR."""
    if minimum_ma > maximum_ma:
        reason = f"MinimumChargeCurrent {minimum_ma} above MaximumChargeCurrent {maximum_ma}"
        raise MatterStatus(Status.CONSTRAINT_ERROR, reason)
    if until == 0:
        minimum_ma = maximum_ma = 0
    if until is None and maximum_ma == 0:
        maximum_ma = MAX_OFFER_MA  # permission alone, as a switch sends it: docs/adr/0009
    return replace(grant, charging_until=until, minimum_ma=minimum_ma, maximum_ma=maximum_ma)


def discharging_granted(grant: ChargingSettings, until: int | None, maximum_ma: int) -> ChargingSettings:
    """Return the grant after EnableDischarging."""
    return replace(grant, discharging_until=until, discharge_maximum_ma=0 if until == 0 else maximum_ma)


def schedules_of(request: Any, *, soc: bool) -> tuple[DaySchedule, ...]:
    """Return the schedules of a SetTargets request; `soc` says that the state of charge can be known.

    Raises: MatterStatus CONSTRAINT_ERROR, RESOURCE_EXHAUSTED or FAILURE, with what is wrong.
    """
    schedules, seen = [], 0
    for schedule in request.chargingTargetSchedules:
        days, targets = schedule.dayOfWeekForSequence, schedule.chargingTargets
        if days & seen:
            raise MatterStatus(Status.CONSTRAINT_ERROR, f"days 0x{days & seen:02X} stand in two schedules")
        if len(targets) > MAX_TARGETS_PER_DAY:
            raise MatterStatus(
                Status.RESOURCE_EXHAUSTED, f"{len(targets)} targets: at most {MAX_TARGETS_PER_DAY} a day"
            )
        seen |= days
        schedules.append(DaySchedule(days, tuple(_target(target, soc=soc) for target in targets)))
    return tuple(schedules)


def _target(target: Any, *, soc: bool) -> Target:
    if not soc and target.targetSoC not in (None, FULL_PERCENT):
        reason = f"TargetSoC {target.targetSoC}: without the vehicle's state of charge only {FULL_PERCENT} is allowed"
        raise MatterStatus(Status.CONSTRAINT_ERROR, reason)
    if target.targetSoC is None and (soc or target.addedEnergy is None):
        raise MatterStatus(Status.FAILURE, "a target needs a TargetSoC" + ("" if soc else " or an AddedEnergy"))
    return Target(target.targetTimeMinutesPastMidnight, target.targetSoC, target.addedEnergy)


def targets_response(schedules: tuple[DaySchedule, ...]) -> Any:
    """Return the answer to GetTargets."""
    structs = EnergyEvse.Structs
    answered = [
        structs.ChargingTargetScheduleStruct(
            schedule.days,
            [
                structs.ChargingTargetStruct(target.minutes_past_midnight, target.soc_percent, target.added_energy_mwh)
                for target in schedule.targets
            ],
        )
        for schedule in schedules
    ]
    return EnergyEvse.Commands.GetTargetsResponse(chargingTargetSchedules=answered)
