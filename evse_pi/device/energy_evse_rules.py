"""The rules of the Energy EVSE cluster as functions: what is allowed, what follows from what, what has happened.

Nothing here acts. `advance` compares what the peers were shown and told with the charge point as it is now, and returns
what they are to be shown, and the events that lead there, in their order.
Source: Matter Application Cluster Specification 1.4.2, Energy EVSE.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evse_pi.charging.acting_limits import maximum_charge_ma
from evse_pi.charging.evse_status import NOTHING_DECIDED, EvseStatus
from evse_pi.charging.targets import MAX_TARGETS_PER_DAY, DaySchedule, Target
from evse_pi.core.duty import MAX_OFFER_MA
from evse_pi.core.states import FaultState, MatterState, PilotState, SupplyState
from evse_pi.device.matter_time import unix_until_s
from evse_pi.device.reported_state import ReportedState, SessionTotals, Transfer
from evse_pi.matter.wire.chip_objects import EnergyEvse
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode
from hal.units import SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evse_pi.charging.session import Session
    from evse_pi.charging.settings import ChargingSettings
    from evse_pi.device.charge_point_view import ChargePointView

RESUME_WITHIN_NS = 60 * SECOND
"""After a fault the box tests itself, the contactor rests and the vehicle takes its time: half a minute in all."""

Reason = EnergyEvse.Enums.EnergyTransferStoppedReasonEnum

FULL_PERCENT = 100


def maximum_discharge_ma(view: ChargePointView) -> int:
    """Return MaximumDischargeCurrent; 0 while discharging is disabled, and where the board cannot take any."""
    if not view.permission.discharging:
        return 0
    wanted = (view.rated_discharge_ma, view.circuit_capacity_ma, view.cable_ma, view.settings.discharge_maximum_ma)
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
    """What `advance` answers: what is published from now on, and which events lead there.

    `boundary` says that a session or a transfer begins or ends here.
    """

    shown: PublishedState
    reported: ReportedState
    maximum_ma: int
    maximum_discharge_ma: int
    events: tuple[EvseEvent, ...]
    boundary: bool


def session_id(number: int) -> int:
    """Return SessionID of the box's session `number`, which counts from 1."""
    return (number - 1) & 0xFFFF_FFFF


def latest_session_id(reported: ReportedState) -> int | None:
    """Return SessionID: that of the latest session that peers were told of, None while there was none."""
    return session_id(reported.latest) if reported.latest else None


def advance(shown: PublishedState, reported: ReportedState, view: ChargePointView) -> Projection:
    """Return what the peers are to be shown and told, now that the charge point is as `view` says."""
    status = view.status
    state, maximum_ma = status.state, maximum_charge_ma(view.limits, permitted=view.permission.charging)
    events = [] if status.fault is shown.status.fault else [_fault(shown, status.fault)]
    current, seen = reported.session, _seen(reported, view)
    transfer = reported.transfer
    if transfer is not None and current is not None:
        transfer, reason = _goes_on(transfer, state, view, present=seen == current)
        if transfer is None:
            events.append(_stopped(shown, reported, reason, _session(view, current)))
    if current is not None and seen != current:
        events.append(_not_detected(shown, current, _session(view, current), view.now_ns))
    if seen is not None and seen != current:
        events.append(EvseEvent("ev_connected", {"sessionID": session_id(seen)}))
    if transfer is None and state is MatterState.PLUGGED_IN_CHARGING and view.session is not None:
        transfer = Transfer(view.session.energy_mwh)
        events.append(_started(view.session.number, maximum_ma))
    boundary = any(each.event != "fault" for each in events)
    after = reported.after(seen, transfer, status.fault)
    return Projection(
        PublishedState(
            status,
            latest_session_id(after),
            shown.known if state is None else state,
        ),
        replace(after, figures=figures_of(view)) if boundary else after,
        maximum_ma,
        maximum_discharge_ma(view),
        tuple(events),
        boundary,
    )


def figures_of(view: ChargePointView) -> SessionTotals | None:
    """Return the figures of the present session, else of the last one, None where none is known."""
    session = view.session or view.last_session
    return None if session is None else SessionTotals(session.duration_ns(view.now_ns) // SECOND, session.energy_mwh)


def _seen(reported: ReportedState, view: ChargePointView) -> int | None:
    """Return the number of the present session; while the safety process is silent, nothing has begun or ended."""
    if not view.safety_online:
        return reported.session
    return None if view.session is None else view.session.number


def _goes_on(
    transfer: Transfer, state: MatterState | None, view: ChargePointView, *, present: bool
) -> tuple[Transfer | None, Any]:
    """Return the transfer as it is now, or None and the reason why it stopped."""
    if not present:
        return None, Reason.kOther
    if state is MatterState.PLUGGED_IN_CHARGING:
        return (replace(transfer, suspended=False, lapses_ns=None) if transfer.suspended else transfer), None
    if not view.current_may_flow and not view.permission.charging:
        return None, Reason.kEVSEStopped
    if state is MatterState.FAULT:
        return Transfer(transfer.energy_mwh, suspended=True), None
    if not view.safety_online:
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


def _stopped(shown: PublishedState, reported: ReportedState, reason: Any, session: Session | None) -> EvseEvent:
    """Return the end of the reported transfer."""
    assert reported.session is not None  # noqa: S101 (a transfer is one of a session)
    before_mwh = 0 if reported.transfer is None else reported.transfer.energy_mwh
    energy_mwh = 0 if session is None else session.energy_mwh - before_mwh
    fields = {
        "sessionID": session_id(reported.session),
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
        raise MatterStatus(StatusCode.FAILURE, f"a fault is present: {status.fault.name}")
    if status.supply is SupplyState.DISABLED_DIAGNOSTICS:
        raise MatterStatus(StatusCode.FAILURE, "the self-test runs")


def check_diagnostics(status: EvseStatus) -> None:
    """Let the self-test be started from Disabled alone.

    Raises: MatterStatus FAILURE.
    """
    if status.supply is not SupplyState.DISABLED:
        raise MatterStatus(StatusCode.FAILURE, f"SupplyState is {status.supply.name}, not DISABLED")


def charging_enabled(
    settings: ChargingSettings, until: int | None, minimum_ma: int, maximum_ma: int
) -> ChargingSettings:
    """Return the settings after EnableCharging. Raises: MatterStatus CONSTRAINT_ERROR."""
    if minimum_ma > maximum_ma:
        reason = f"MinimumChargeCurrent {minimum_ma} above MaximumChargeCurrent {maximum_ma}"
        raise MatterStatus(StatusCode.CONSTRAINT_ERROR, reason)
    if until == 0:
        minimum_ma = maximum_ma = 0
    if until is None and maximum_ma == 0:
        maximum_ma = MAX_OFFER_MA  # permission alone, as a switch sends it: docs/adr/0009
    until_s = unix_until_s(until)
    return replace(settings, charging_until_s=until_s, minimum_ma=minimum_ma, maximum_ma=maximum_ma)


def discharging_enabled(settings: ChargingSettings, until: int | None, maximum_ma: int) -> ChargingSettings:
    """Return the settings after EnableDischarging."""
    maximum_ma = 0 if until == 0 else maximum_ma
    return replace(settings, discharging_until_s=unix_until_s(until), discharge_maximum_ma=maximum_ma)


def schedules_of(request: Any, *, soc: bool) -> tuple[DaySchedule, ...]:
    """Return the schedules of a SetTargets request; `soc` says that the state of charge can be known.

    Raises: MatterStatus INVALID_COMMAND, CONSTRAINT_ERROR, RESOURCE_EXHAUSTED or FAILURE, with what is wrong.
    """
    schedules, seen = [], 0
    for schedule in request.chargingTargetSchedules:
        days, targets = schedule.dayOfWeekForSequence, schedule.chargingTargets
        if days & seen:
            raise MatterStatus(StatusCode.CONSTRAINT_ERROR, f"days 0x{days & seen:02X} stand in two schedules")
        if len(targets) > MAX_TARGETS_PER_DAY:
            raise MatterStatus(
                StatusCode.RESOURCE_EXHAUSTED, f"{len(targets)} targets: at most {MAX_TARGETS_PER_DAY} a day"
            )
        seen |= days
        schedules.append(DaySchedule(days, tuple(_target(target, soc=soc) for target in targets)))
    return tuple(schedules)


def _target(target: Any, *, soc: bool) -> Target:
    if not soc and target.targetSoC not in (None, FULL_PERCENT):
        reason = f"TargetSoC {target.targetSoC}: without the vehicle's state of charge only {FULL_PERCENT} is allowed"
        raise MatterStatus(StatusCode.CONSTRAINT_ERROR, reason)
    if target.targetSoC is None and soc:  # the field is mandatory then
        raise MatterStatus(StatusCode.INVALID_COMMAND, "a target needs a TargetSoC")
    if target.targetSoC is None and target.addedEnergy is None:
        raise MatterStatus(StatusCode.FAILURE, "a target needs a TargetSoC or an AddedEnergy")
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
