"""The box as one dictionary that a terminal, a web page or a script can show.

Units stand in the names; `in_s` and `age_ms` are from now; enumerations by their names, with a `text` for people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evse_pi.api.texts.reason_texts import LIMITS, REASONS
from evse_pi.charging.metering import fresh
from evse_pi.core.faults import FAULTS, Clear, worst
from evse_pi.core.states import LimitSource
from hal.units import MILLISECOND, SECOND

if TYPE_CHECKING:
    from evse_pi.charging.charge_point import ChargePoint
    from evse_pi.charging.history_rows import FaultRecord
    from evse_pi.charging.session import Session
    from evse_pi.core.faults import Fault
    from evse_pi.core.records import Snapshot


def status(box: ChargePoint) -> dict[str, Any]:
    """Return what there is to know of the box now; what only the safety process knows is None while it is silent."""
    now_ns = box.clock.monotonic_ns()
    snapshot = box.snapshot if box.safety_online() else None
    session = box.event_recorder.session
    return {
        "unix_s": box.clock.unix_s(),
        "safety": _safety(box, now_ns),
        "pilot": _pilot(snapshot) if snapshot else None,
        "contactor": _contactor(snapshot) if snapshot else None,
        "offered_current_ma": snapshot.offered_current_ma if snapshot else None,
        "permitted": snapshot.permitted if snapshot else None,
        "cable_ma": (snapshot.cable_ma or None) if snapshot else None,
        "locked": snapshot.locked if snapshot else None,
        "reason": _reason(snapshot, now_ns) if snapshot else None,
        "limit": _limit(snapshot.limit_source, snapshot.limit_ma) if snapshot else None,
        "limits": limits(box),
        "faults": [_fault(fault, box) for fault in _ranked(box)],
        "meter": _meter(box, now_ns),
        "session": session_view(session, now_ns) if session else None,
        "temperature_centi_celsius": _temperature(box, now_ns),
        "owner": {"permitted": box.owner.permitted, "limit_ma": box.owner.limit_ma},
        "orders_outstanding": box.requests.outstanding.name if box.requests.outstanding else None,
    }


def limits(box: ChargePoint) -> list[dict[str, Any]]:
    """Return every limit with its owner and its end; those that the safety process judges say so by `judged`.

    `wins` marks the one that the box follows now, which only the safety process knows.
    """
    now_ns = box.clock.monotonic_ns()
    snapshot = box.snapshot if box.safety_online() else None
    fixed = {LimitSource.BOARD: box.ratings.rated_current_ma}
    if box.installation is not None:
        fixed[LimitSource.CIRCUIT_CAPACITY] = box.installation.circuit_capacity_ma
    if snapshot is not None and snapshot.cable_ma:
        fixed[LimitSource.CABLE] = snapshot.cable_ma
    if snapshot is not None and snapshot.limit_source < LimitSource.OWNER:
        fixed[snapshot.limit_source] = snapshot.limit_ma
    judged = [{**_limit(source, limit_ma), "judged": True, "permitted": True} for source, limit_ma in fixed.items()]
    asked = [
        {
            **_limit(ask.source, ask.limit_ma),
            "judged": False,
            "permitted": ask.permitted,
            "in_s": None if ask.until_ns is None else max(ask.until_ns - now_ns, 0) // SECOND,
            "counts": ask.counts,
        }
        for ask in box.arbiter.limits(now_ns)
    ]
    winner = snapshot.limit_source.name if snapshot else None
    return [{**limit, "wins": limit["source"] == winner} for limit in (*judged, *asked)]


def session_view(session: Session, now_ns: int) -> dict[str, Any]:
    """Return one session, running or ended."""
    return {
        "number": session.number,
        "started_unix_s": session.started_unix_s,
        "ended_unix_s": session.ended_unix_s,
        "ended": session.ended_ns is not None,
        "duration_s": session.duration_ns(now_ns) // SECOND,
        "charging_s": session.closed_ns(now_ns) // SECOND,
        "energy_mwh": session.energy_mwh,
        "estimated": session.estimated,
    }


def fault_view(record: FaultRecord) -> dict[str, Any]:
    """Return one fault of the history, with what to do about it."""
    return {
        "number": record.number,
        "fault": record.fault.name,
        "set_unix_s": record.set_unix_s,
        "cleared_unix_s": record.cleared_unix_s,
        "active": record.cleared_ns is None,
        "state": record.evse_state.name,
        "contactor_closed": record.contactor_closed,
        "high_mv": record.high_mv,
        "low_mv": record.low_mv,
        "current_ma": record.current_ma,
        "hint": FAULTS[record.fault].hint,
        "readings": record.readings,
    }


def _safety(box: ChargePoint, now_ns: int) -> dict[str, Any]:
    snapshot = box.snapshot
    if snapshot is None:
        return {"connected": False, "age_ms": None}
    return {
        "connected": box.safety_online(),
        "age_ms": (now_ns - snapshot.at_ns) // MILLISECOND,
        "boot_id": snapshot.boot_id,
        "self_test": "running"
        if snapshot.self_test_running
        else "passed"
        if snapshot.self_test_passed
        else "not passed",
        "ticks": snapshot.ticks,
        "lateness_p999_ns": snapshot.lateness_p999_ns,
        "lateness_max_ns": snapshot.lateness_max_ns,
        "reaction_p999_ns": snapshot.reaction_p999_ns,
        "evidence": [
            {
                "check": evidence.check.name,
                "at_ns": evidence.at_ns,
                "measured": evidence.measured,
                "lowest": evidence.lowest,
                "highest": evidence.highest,
                "passed": evidence.passed,
            }
            for evidence in snapshot.evidence
        ],
        "transitions_lost": box.event_recorder.cursor.lost,
    }


def _pilot(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "state": snapshot.pilot_state.name,
        "evse_state": snapshot.evse_state.name,
        "high_mv": snapshot.high_mv,
        "low_mv": snapshot.low_mv,
        "mode": snapshot.pilot_mode.value,
        "duty_ppm": snapshot.duty_ppm,
        "gain_uv_per_code": snapshot.gain_uv_per_code,
        "offset_mv": snapshot.offset_mv,
    }


def _contactor(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "closed": snapshot.contactor_closed,
        "mirror_closed": snapshot.mirror_closed,
        "load_live": snapshot.load_live,
        "cycles": snapshot.contactor_cycles,
        "openings_under_load": snapshot.openings_under_load,
    }


def _reason(snapshot: Snapshot, now_ns: int) -> dict[str, Any]:
    until_ns = snapshot.reason_until_ns
    in_s = -(-max(until_ns - now_ns, 0) // SECOND) if until_ns else None
    return {"reason": snapshot.reason.name, "text": REASONS[snapshot.reason], "in_s": in_s}


def _limit(source: LimitSource, limit_ma: int | None) -> dict[str, Any]:
    return {"source": source.name, "limit_ma": limit_ma, "text": LIMITS[source]}


def _ranked(box: ChargePoint) -> list[Fault]:
    """Return the active faults, the worst first."""
    left = {record.fault for record in box.event_recorder.faults}
    ranked = []
    while (fault := worst(left)) is not None:
        ranked.append(fault)
        left.discard(fault)
    return ranked


def _fault(fault: Fault, box: ChargePoint) -> dict[str, Any]:
    row = FAULTS[fault]
    record = next(record for record in box.event_recorder.faults if record.fault is fault)
    return {
        "fault": fault.name,
        "severity": row.severity.name,
        "hint": row.hint,
        "clears": [rule.name for rule in Clear if rule in row.clear],
        "since_unix_s": record.set_unix_s,
        "number": record.number,
        "readings": record.readings or _first_readings(record),
    }


def _first_readings(record: FaultRecord) -> dict[str, Any]:
    """Return the readings that the snapshot told, where the black box has not been read yet."""
    current_ma = None if record.current_ma is None else [record.current_ma]
    return {"high_mv": record.high_mv, "low_mv": record.low_mv, "current_ma": current_ma}


def _meter(box: ChargePoint, now_ns: int) -> dict[str, Any]:
    power_mw, estimated = box.power_mw()
    reading = box.reading
    view: dict[str, Any] = {"fitted": box.ratings.meter_fitted, "power_mw": power_mw, "estimated": estimated}
    if reading is not None:
        view |= {
            "age_ms": (now_ns - reading.read_ns) // MILLISECOND,
            "stale": not fresh(reading.read_ns, now_ns),
            "voltage_mv": list(reading.voltage_mv),
            "current_ma": list(reading.current_ma),
            "phase_power_mw": list(reading.power_mw),
            "energy_mwh": reading.energy_mwh,
            "frequency_mhz": reading.frequency_mhz,
            "registers_replaced": box.counter.replaced,
        }
    return view


def _temperature(box: ChargePoint, now_ns: int) -> int | None:
    sample = box.temperature
    return sample.centi_celsius if sample is not None and fresh(sample.at_ns, now_ns) else None
