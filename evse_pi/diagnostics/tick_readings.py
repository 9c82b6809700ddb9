"""What the box read at one tick, by name and unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.readings import Readings
from evse_pi.core.load_sense import LoadSense

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evse_pi.core.faults import Fault
    from evse_pi.recorder.frame import Frame
    from hal.units import Millivolts


def readings(frame: Frame, before: Frame | None = None) -> Readings:
    """Return the readings of a tick; None is what is not fitted, not seen or not known.

    What was driven and offered while it was read was decided in the tick `before`.
    """
    inputs, outcome = frame.inputs, frame.outcome
    pilot, demand = inputs.pilot, inputs.demand
    meter = demand.meter if demand else None
    heat = demand.temperature if demand else None
    return Readings(
        at_ns=inputs.now_ns,
        high_mv=pilot.high_mv if pilot else None,
        low_mv=pilot.low_mv if pilot else None,
        positive_mv=pilot.supply.positive_after_mv if pilot and pilot.supply else None,
        negative_mv=pilot.supply.negative_mv if pilot and pilot.supply else None,
        spread_mv=pilot.spread_mv if pilot else None,
        high_ppm=pilot.high_ppm if pilot else None,
        driven=before.outcome.pilot_mode if before else None,
        driven_ppm=before.outcome.duty_ppm if before else None,
        driven_ma=before.outcome.offered_ma if before else None,
        pilot_state=outcome.pilot_state,
        close_ordered=outcome.close_ordered,
        mirror_closed=inputs.mirror_closed,
        load_live=_live(frame, before),
        load_mv=_load_mv(frame),
        rcd_tripped=inputs.rcd_tripped,
        emergency_stop=inputs.emergency_stop,
        locked=inputs.locked,
        proximity_ohms=inputs.proximity_ohms,
        voltage_mv=meter.voltage_mv if meter else None,
        current_ma=meter.current_ma if meter else None,
        meter_age_ms=(inputs.now_ns - meter.at_ns) // 1_000_000 if meter else None,
        centi_celsius=heat.centi_celsius if heat else None,
        temperature_age_ms=(inputs.now_ns - heat.at_ns) // 1_000_000 if heat else None,
        limit_ma=outcome.limit_ma,
        limit_source=outcome.limit_source,
        late_us=frame.late_us,
        took_us=frame.took_us,
    )


def _live(frame: Frame, before: Frame | None) -> bool | None:
    """Return whether the load side is live: what couplers say, or what this tick and the one before show together."""
    if frame.inputs.load is None or before is None:
        return frame.inputs.load_live
    looked = LoadSense().advance(before.inputs.now_ns, before.inputs.load)
    return looked.advance(frame.inputs.now_ns, frame.inputs.load).live


def _load_mv(frame: Frame) -> tuple[Millivolts, ...] | None:
    """Return of each phase the voltage that was further from 0 V of the two that the tick saw."""
    load = frame.inputs.load
    if load is None:
        return None
    return tuple(max(both, key=abs) for both in zip(load.before_mv, load.after_mv, strict=True))


def at_fault(frames: Sequence[Frame], fault: Fault, at_ns: int) -> Readings | None:
    """Return the readings of the tick that set `fault` at `at_ns`, None where no tick shows it."""
    for place, frame in enumerate(frames):
        if frame.inputs.now_ns >= at_ns and fault in frame.outcome.faults:
            return readings(frame, frames[place - 1] if place else None)
    return None
