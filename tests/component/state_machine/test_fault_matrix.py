"""Every fault in every state: it opens within its limit, is named, and clears only by its rule."""

from __future__ import annotations

from typing import Any

import pytest

from evse_pi.api.texts.english_faults import FAULT_HINTS
from evse_pi.core.faults import FAULTS, Clear, Fault, Severity
from evse_pi.core.records import Request
from evse_pi.core.states import EvseState, PilotMode
from tests.support.ideal_box import FULL_BOARD, MS, TICK_NS, IdealBox, S, box_in, settings_for

SETTINGS = settings_for(FULL_BOARD, ventilated=True)
EVERY_FAULT = pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name)
WAYS = {
    Clear.WHEN_GONE: lambda box: box.idle(70 * S),
    Clear.ON_UNPLUG: lambda box: (box.unplug(), box.run(1_100 * MS)),
    Clear.BY_USER: lambda box: (box.order(Request.CLEAR_USER), box.run(2 * TICK_NS)),
    Clear.BY_INSTALLER: lambda box: (box.order(Request.CLEAR_INSTALLER), box.run(2 * TICK_NS)),
}


def inject(box: IdealBox, fault: Fault) -> None:
    """Let the drivers, or the loop, report the fault."""
    if fault.name.endswith("_FAILED") and "TEST" not in fault.name:
        box.failures |= {fault}
    else:
        box.alarms |= {fault}


@EVERY_FAULT
@pytest.mark.parametrize("state", list(EvseState), ids=lambda state: state.name)
def test_a_fault_is_named_and_opens_within_its_limit_in_every_state(state: Any, fault: Any) -> None:
    box = box_in(state, SETTINGS)
    was_closed = box.closed
    inject(box, fault)
    box.tick()
    assert fault in box.faults
    if FAULTS[fault].severity is Severity.OPEN:
        assert not box.closed
        if was_closed:
            assert box.mode is PilotMode.LOW
        box.run(TICK_NS * 2)
    else:
        assert box.mode is not PilotMode.PWM
        assert box.closed is was_closed
        box.run(6 * S)
    assert not box.closed
    box.idle(30 * S)
    assert fault in box.faults
    assert box.mode is not PilotMode.PWM, "nothing is offered while a fault is active"


@EVERY_FAULT
def test_no_way_clears_a_fault_whose_condition_lasts(fault: Any) -> None:
    box = box_in(EvseState.B1, SETTINGS)
    inject(box, fault)
    box.run(2 * TICK_NS)
    for clear in WAYS.values():
        clear(box)
        assert fault in box.faults


@EVERY_FAULT
@pytest.mark.parametrize("way", list(WAYS), ids=lambda way: way.name)
def test_a_fault_clears_by_its_rule_and_by_no_other(way: Any, fault: Any) -> None:
    box = box_in(EvseState.B1, SETTINGS)
    inject(box, fault)
    box.run(2 * TICK_NS)
    box.alarms = box.failures = frozenset()
    if Clear.WHEN_GONE in FAULTS[fault].clear and way is not Clear.WHEN_GONE:
        return  # it is on its way out by itself
    box.run(2 * TICK_NS)
    WAYS[way](box)
    assert (fault not in box.faults) is bool(FAULTS[fault].clear & way)


@EVERY_FAULT
def test_a_fault_that_passes_by_itself_keeps_its_delay(fault: Any) -> None:
    row = FAULTS[fault]
    if Clear.WHEN_GONE not in row.clear or row.clear_delay_ns == 0:
        return
    box = box_in(EvseState.B1, SETTINGS)
    inject(box, fault)
    box.tick()
    box.alarms = box.failures = frozenset()
    box.run_until(lambda b: fault not in b.faults, 61 * S) if row.clear_delay_ns < 5 * S else box.idle(
        row.clear_delay_ns - 2 * S
    )
    if row.clear_delay_ns >= 5 * S:
        assert fault in box.faults
        box.run(3 * S)
        assert fault not in box.faults


@EVERY_FAULT
def test_every_fault_has_a_row_with_a_remedy(fault: Any) -> None:
    row = FAULTS[fault]
    assert FAULT_HINTS[fault].endswith(".")
    assert len(FAULT_HINTS[fault]) > 30
    assert row.mrec is None or row.mrec.startswith("CX0")


def _weld(box: Any) -> None:
    box.stuck_closed, box.vehicle = True, "B"


def _lose_lock(box: Any) -> None:
    box.locked, box.lock_jammed = False, True


CAUSES = {
    Fault.PILOT_SHORT: lambda box: setattr(box, "vehicle", "E"),
    Fault.PILOT_DIODE: lambda box: setattr(box, "diode", False),
    Fault.PILOT_UNCERTAIN: lambda box: setattr(box, "garbled", True),
    Fault.CONTACTOR_WELDED: _weld,
    Fault.CONTACTOR_FAILED_TO_CLOSE: lambda box: setattr(box, "stuck_open", True),
    Fault.RCD_TRIPPED: lambda box: setattr(box, "rcd_latched", True),
    Fault.EMERGENCY_STOP: lambda box: setattr(box, "emergency_stop", True),
    Fault.PROXIMITY_INVALID: lambda box: setattr(box, "ohms", 10),
    Fault.CABLE_REMOVED: lambda box: setattr(box, "ohms", None),
    Fault.LOCK_FAILED: _lose_lock,
    Fault.OVERCURRENT: lambda box: setattr(box, "drawn_ma", (40_000, 0, 0)),
    Fault.OVERVOLTAGE: lambda box: setattr(box, "voltage_mv", (270_000, 230_000, 230_000)),
    Fault.UNDERVOLTAGE: lambda box: setattr(box, "voltage_mv", (180_000, 230_000, 230_000)),
    Fault.POWER_QUALITY: lambda box: setattr(box, "voltage_mv", (230_000, 0, 230_000)),
    Fault.PHASE_LOST: lambda box: setattr(box, "mains", (True, True, False)),
    Fault.SUPPLY_LOST: lambda box: setattr(box, "mains", (False, False, False)),
    Fault.OVER_TEMPERATURE: lambda box: setattr(box, "temperature", 72_00),
    Fault.METER_STALE: lambda box: setattr(box, "meter_alive", False),
    Fault.TEMPERATURE_STALE: lambda box: setattr(box, "thermometer_alive", False),
    Fault.PILOT_ADC_FAILED: lambda box: setattr(box, "failures", frozenset({Fault.PILOT_ADC_FAILED})),
}
LIMITS_NS = {  # from the cause to an open contactor, where it is more than a few ticks
    Fault.OVERCURRENT: (2 + 6.5) * S,
    Fault.OVERVOLTAGE: (2 + 2 + 6.2) * S,
    Fault.UNDERVOLTAGE: (10 + 2 + 6.2) * S,
    Fault.POWER_QUALITY: (10 + 2 + 6.2) * S,
    Fault.PHASE_LOST: (0.5 + 6.2) * S,
    Fault.SUPPLY_LOST: (0.5 + 6.2) * S,
    Fault.OVER_TEMPERATURE: (2 + 6.2) * S,
    Fault.METER_STALE: (17 + 6.2) * S,
    Fault.TEMPERATURE_STALE: (17 + 6.2) * S,
    Fault.LOCK_FAILED: 7 * S,
    Fault.PROXIMITY_INVALID: 250 * MS,
    Fault.CABLE_REMOVED: 250 * MS,
}


@pytest.mark.parametrize("fault", CAUSES, ids=lambda fault: fault.name)
def test_a_cause_in_the_world_opens_the_contactor_and_gets_its_name(fault: Any) -> None:
    box = box_in(EvseState.C2, settings_for(FULL_BOARD))
    box.drawn_ma = (15_000, 15_000, 15_000)
    box.run(4 * S)
    CAUSES[fault](box)
    box.run_until(lambda b: not b.closed, int(LIMITS_NS.get(fault, 100 * MS)))
    box.run(20 * S)
    assert box.faults == {fault}


@pytest.mark.hazard("H-07")
def test_a_vehicle_that_asks_for_ventilation_gets_nothing_where_there_is_none() -> None:
    box = box_in(EvseState.C2, settings_for(FULL_BOARD))
    box.vehicle = "D"
    box.run_until(lambda b: not b.closed, 100 * MS)
    box.run(30 * S)
    assert box.faults == {Fault.VENTILATION_REQUIRED}
    box.vehicle = "C"
    box.run(9 * S)
    assert box.faults == {Fault.VENTILATION_REQUIRED}
    box.run(20 * S)
    assert box.closed


@pytest.mark.hazard("H-07")
def test_a_vehicle_that_asks_for_ventilation_charges_where_there_is_some() -> None:
    box = box_in(EvseState.D2, SETTINGS)
    assert box.closed
    box.vehicle = "C"
    box.run(S)
    assert box.closed
