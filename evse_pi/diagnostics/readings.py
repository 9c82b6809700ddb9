"""What the box read at one tick, by name and unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evse_pi.core.blackbox import Frame
    from evse_pi.core.faults import Fault


def readings(frame: Frame) -> dict[str, Any]:
    """Return the readings of a tick; None is what is not fitted, not seen or not known."""
    inputs, outcome = frame.inputs, frame.outcome
    pilot, demand = inputs.pilot, inputs.demand
    meter = demand.meter if demand else None
    heat = demand.temperature if demand else None
    return {
        "at_ns": inputs.now_ns,
        "high_mv": pilot.high_mv if pilot else None,
        "low_mv": pilot.low_mv if pilot else None,
        "spread_mv": pilot.spread_mv if pilot else None,
        "high_ppm": pilot.high_ppm if pilot else None,
        "duty_ppm": outcome.duty_ppm,
        "pilot_state": outcome.pilot_state.name,
        "contactor_closed": outcome.contactor_closed,
        "mirror_closed": inputs.contactor_closed,
        "load_live": inputs.load_live,
        "rcd_tripped": inputs.rcd_tripped,
        "emergency_stop": inputs.emergency_stop,
        "locked": inputs.locked,
        "proximity_ohms": inputs.proximity_ohms,
        "voltage_mv": list(meter.voltage_mv) if meter else None,
        "current_ma": list(meter.current_ma) if meter else None,
        "meter_age_ms": (inputs.now_ns - meter.at_ns) // 1_000_000 if meter else None,
        "centi_celsius": heat.centi_celsius if heat else None,
        "temperature_age_ms": (inputs.now_ns - heat.at_ns) // 1_000_000 if heat else None,
        "offered_ma": outcome.offered_ma,
        "limit_ma": outcome.limit_ma,
        "limit_source": outcome.limit_source.name,
        "late_us": frame.late_us,
        "took_us": frame.took_us,
    }


def at_fault(frames: list[Frame], fault: Fault, at_ns: int) -> Frame | None:
    """Return the tick that set `fault` at `at_ns`, of a tick later when that one is not known; None of neither.

    The offer and the contactor that led to it are those of the tick before, so the frame of before is what shows them.
    """
    for frame in frames:
        if frame.inputs.now_ns >= at_ns and fault in frame.outcome.faults:
            return frame
    return None
