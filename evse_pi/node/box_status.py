"""The box as the records of the contract."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Final, NamedTuple

from evse_pi.api.codec import from_plain
from evse_pi.api.history import FaultEvent, TransitionEvent
from evse_pi.api.matter_status import MatterDeviceStatus
from evse_pi.api.readings import Readings
from evse_pi.api.session_summary import SessionSummary
from evse_pi.api.status import (
    ActiveFault,
    Board,
    ContactorStatus,
    DeviceStatus,
    LimitStatus,
    MeterStatus,
    Notice,
    Order,
    Owner,
    Pilot,
    Safety,
    SelfTestEvidence,
    SelfTestStatus,
    Status,
    Wait,
    WebPage,
)
from evse_pi.api.texts import english as words
from evse_pi.api.texts.trouble_texts import meter_trouble, thermometer_troubles
from evse_pi.charging.acting_limits import ActingLimit
from evse_pi.charging.metering import fresh
from evse_pi.core.faults import FAULTS, worst
from evse_pi.core.recurrence import ways_out
from evse_pi.node.field_devices import METER
from hal.units import MILLISECOND, SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evse_pi.charging.charge_point import ChargePoint
    from evse_pi.charging.history_rows import FaultRecord, TransitionRecord
    from evse_pi.charging.session import Session
    from evse_pi.core.faults import Fault
    from evse_pi.core.records import Snapshot
    from evse_pi.core.states import Reason
    from hal.units import CentiCelsius

PRODUCT_VERSION: Final = version("evse-pi")
"""Read once: it stands in a file on the card, and status is asked of the event loop."""


class NodeStatus(NamedTuple):
    """What the status shows beside the box itself."""

    board: Board
    version: str
    owner_permits: bool
    matter: MatterDeviceStatus | None = None
    matter_absence: str | None = None
    web: WebPage | None = None
    devices: tuple[DeviceStatus, ...] = ()
    notices: tuple[Notice, ...] = ()
    safety_refusal: str | None = None


def status(box: ChargePoint, node: NodeStatus) -> Status:
    """Return what there is to know of the box now."""
    now_ns = box.clock.monotonic_ns()
    # An old snapshot says nothing of now: null is better than a contactor that was closed a minute ago.
    snapshot = box.snapshot if box.safety_online() else None
    session = box.event_recorder.session
    shown = limits(box)
    return Status(
        unix_s=box.clock.unix_s(),
        safety=_safety(box, now_ns),
        pilot=_pilot(snapshot) if snapshot else None,
        contactor=_contactor(snapshot) if snapshot else None,
        offered_current_ma=snapshot.offered_current_ma if snapshot else None,
        permitted=snapshot.permitted if snapshot else None,
        cable_ma=(snapshot.cable_ma or None) if snapshot else None,
        locked=snapshot.locked if snapshot else None,
        reason=_wait(snapshot, now_ns) if snapshot else None,
        limit=_limit(ActingLimit(snapshot.limit_source, snapshot.limit_ma), snapshot, now_ns) if snapshot else None,
        limits=shown,
        faults=tuple(_active(fault, box, snapshot.reason if snapshot else None) for fault in _ranked(box)),
        meter=_meter(box, now_ns),
        session=session_summary(session, now_ns) if session else None,
        temperature_centi_celsius=_temperature(box, now_ns),
        owner=Owner(node.owner_permits, box.owner.limit_ma),
        orders_outstanding=tuple(order for order in Order if order.name in _outstanding(box)),
        board=node.board,
        version=node.version,
        matter=node.matter,
        matter_absence=node.matter_absence,
        web=node.web,
        devices=node.devices,
        notices=node.notices,
        safety_refusal=node.safety_refusal,
    )


def device_doubts(box: ChargePoint) -> dict[str, str]:
    """Return what speaks against devices that answer, by their names."""
    trouble, thermometers = box.meter_check.trouble, box.thermometers
    doubts = thermometer_troubles(thermometers.still, thermometers.jumping)
    return doubts if trouble is None else doubts | {METER: meter_trouble(trouble)}


def limits(box: ChargePoint) -> tuple[LimitStatus, ...]:
    """Return every limit with its owner and its end, those that the safety process judges first."""
    snapshot = box.snapshot if box.safety_online() else None
    now_ns = box.clock.monotonic_ns()
    return tuple(_limit(each, snapshot, now_ns) for each in box.limits())


def _limit(acting: ActingLimit, snapshot: Snapshot | None, now_ns: int) -> LimitStatus:
    return LimitStatus(
        source=acting.source,
        limit_ma=acting.limit_ma,
        text=words.LIMITS[acting.source],
        judged=acting.judged,
        permitted=acting.permitted,
        wins=snapshot is not None and snapshot.limit_source is acting.source,
        in_s=None if acting.until_ns is None else max(acting.until_ns - now_ns, 0) // SECOND,
        counts=acting.counts,
    )


def session_summary(session: Session, now_ns: int) -> SessionSummary:
    """Return one session, running or ended."""
    return SessionSummary(
        number=session.number,
        started_unix_s=session.started_unix_s,
        ended_unix_s=session.ended_unix_s,
        ended=session.ended_ns is not None,
        duration_s=session.duration_ns(now_ns) // SECOND,
        charging_s=session.closed_ns(now_ns) // SECOND,
        energy_mwh=session.energy_mwh,
        estimated=session.estimated,
    )


def fault_event(record: FaultRecord) -> FaultEvent:
    """Return one fault of the history, with what to do about it."""
    return FaultEvent(
        number=record.number,
        fault=record.fault,
        title=words.FAULT_TITLES[record.fault],
        set_unix_s=record.set_unix_s,
        cleared_unix_s=record.cleared_unix_s,
        active=record.cleared_ns is None,
        state=record.evse_state,
        close_ordered=record.close_ordered,
        hint=words.FAULT_HINTS[record.fault],
        readings=_readings(record),
    )


def transition_event(record: TransitionRecord) -> TransitionEvent:
    """Return one change of the history."""
    return TransitionEvent(
        number=record.number,
        unix_s=record.unix_s,
        at_ns=record.at_ns,
        state=record.evse_state,
        close_ordered=record.close_ordered,
        offered_current_ma=record.offered_ma,
        faults=record.faults,
        reason=record.reason,
    )


def _safety(box: ChargePoint, now_ns: int) -> Safety:
    snapshot = box.snapshot
    if snapshot is None:
        return Safety(connected=False, age_ms=None)
    tested = SelfTestStatus.PASSED if snapshot.self_test_passed else SelfTestStatus.NOT_PASSED
    return Safety(
        connected=box.safety_online(),
        age_ms=(now_ns - snapshot.at_ns) // MILLISECOND,
        safety_run_id=snapshot.safety_run_id,
        self_test=SelfTestStatus.RUNNING if snapshot.self_test_running else tested,
        ticks=snapshot.ticks,
        lateness_p999_ns=snapshot.lateness_p999_ns,
        lateness_max_ns=snapshot.lateness_max_ns,
        reaction_p999_ns=snapshot.reaction_p999_ns,
        evidence=tuple(
            SelfTestEvidence(each.check, each.at_ns, each.measured, each.lowest, each.highest, each.passed)
            for each in snapshot.evidence
        ),
        transitions_lost=box.event_recorder.cursor.lost,
    )


def _pilot(snapshot: Snapshot) -> Pilot:
    return Pilot(
        state=snapshot.pilot_state,
        evse_state=snapshot.evse_state,
        high_mv=snapshot.high_mv,
        low_mv=snapshot.low_mv,
        mode=snapshot.pilot_mode,
        duty_ppm=snapshot.duty_ppm,
        gain_uv_per_code=snapshot.gain_uv_per_code,
        offset_mv=snapshot.offset_mv,
        positive_mv=snapshot.positive_mv or None,
        negative_mv=snapshot.negative_mv or None,
    )


def _contactor(snapshot: Snapshot) -> ContactorStatus:
    return ContactorStatus(
        close_ordered=snapshot.close_ordered,
        mirror_closed=snapshot.mirror_closed,
        load_live=snapshot.load_live,
        cycles=snapshot.contactor_cycles,
        openings_under_load=snapshot.openings_under_load,
    )


def _wait(snapshot: Snapshot, now_ns: int) -> Wait:
    until_ns = snapshot.reason_until_ns
    in_s = -(-max(until_ns - now_ns, 0) // SECOND) if until_ns else None
    return Wait(snapshot.reason, words.REASONS[snapshot.reason], in_s)


def _outstanding(box: ChargePoint) -> frozenset[str | None]:
    return frozenset(each.name for each in box.requests.outstanding)


def _ranked(box: ChargePoint) -> list[Fault]:
    """Return the active faults, the worst first."""
    left = {record.fault for record in box.event_recorder.faults}
    ranked = []
    while (fault := worst(left)) is not None:
        ranked.append(fault)
        left.discard(fault)
    return ranked


def _active(fault: Fault, box: ChargePoint, reason: Reason | None) -> ActiveFault:
    row = FAULTS[fault]
    record = next(record for record in box.event_recorder.faults if record.fault is fault)
    return ActiveFault(
        fault=fault,
        title=words.FAULT_TITLES[fault],
        severity=row.severity,
        hint=words.FAULT_HINTS[fault],
        clears=ways_out(fault, reason),
        since_unix_s=record.set_unix_s,
        number=record.number,
        readings=_readings(record),
    )


def _readings(record: FaultRecord) -> Readings:
    """Return what was read when a fault was set; the snapshot's own where the black box has not been read yet."""
    if record.readings is not None:
        return stored_readings(record.readings)
    current_ma = None if record.current_ma is None else (record.current_ma,)
    return Readings(high_mv=record.high_mv, low_mv=record.low_mv, current_ma=current_ma)


def stored_readings(plain: Mapping[str, object]) -> Readings:
    """Return readings as the history holds them; those of version 0.1.0 call two fields otherwise.

    What it cannot read is not known any more: history never keeps the box from telling what it does.
    """
    modes = {mode.value: mode.name for mode in words.PILOT_MODES}
    driven = plain.get("driven")
    known = {
        **{("close_ordered" if name == "contactor_closed" else name): value for name, value in plain.items()},
        "driven": modes.get(driven, driven) if isinstance(driven, str) else None,
    }
    try:
        read: Readings = from_plain(Readings, known, "ignore")
    except ValueError:
        return Readings()
    return read


def _meter(box: ChargePoint, now_ns: int) -> MeterStatus:
    power_mw, estimated = box.power_mw()
    reading = box.reading
    shown = MeterStatus(fitted=box.ratings.meter_fitted, power_mw=power_mw, estimated=estimated)
    if reading is None:
        return shown
    return shown._replace(
        age_ms=(now_ns - reading.read_ns) // MILLISECOND,
        stale=not fresh(reading.read_ns, now_ns),
        voltage_mv=reading.voltage_mv,
        current_ma=reading.current_ma,
        phase_power_mw=reading.power_mw,
        energy_mwh=reading.energy_mwh,
        frequency_mhz=reading.frequency_mhz,
        registers_replaced=box.counter.replaced,
    )


def _temperature(box: ChargePoint, now_ns: int) -> CentiCelsius | None:
    sample = box.temperature
    return sample.centi_celsius if sample is not None and fresh(sample.at_ns, now_ns) else None
