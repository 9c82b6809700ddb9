"""The three views of Matter, for every combination of what they depend on."""

from __future__ import annotations

from itertools import product

import pytest

from evse_pi.core.faults import FAULTS, NO_FAULTS, Fault
from evse_pi.core.matter_view import matter_view
from evse_pi.core.states import FaultState, MatterState, PilotState, SupplyState

SWITCHES = list(product((False, True), repeat=3))


@pytest.mark.parametrize("pilot", list(PilotState), ids=lambda pilot: pilot.name)
@pytest.mark.parametrize("faults", [NO_FAULTS, *[frozenset({fault}) for fault in Fault], frozenset(Fault)])
def test_the_views_agree_with_each_other_in_every_combination(pilot, faults):
    for permitted, charging, diagnosing in SWITCHES:
        view = matter_view(pilot, faults, permitted=permitted, charging=charging, diagnosing=diagnosing)
        faulty = view.fault_state is not FaultState.NO_ERROR
        assert faulty is bool(faults)
        assert (view.supply_state is SupplyState.DISABLED_ERROR) is faulty
        assert (view.state is MatterState.FAULT) is faulty
        if not faulty:
            assert (view.supply_state is SupplyState.DISABLED_DIAGNOSTICS) is diagnosing
            assert (view.supply_state is SupplyState.CHARGING_ENABLED) is (permitted and not diagnosing)


@pytest.mark.parametrize(
    ("pilot", "charging", "state"),
    [
        (PilotState.A, False, MatterState.NOT_PLUGGED_IN),
        (PilotState.A, True, MatterState.NOT_PLUGGED_IN),
        (PilotState.B, False, MatterState.PLUGGED_IN_NO_DEMAND),
        (PilotState.B, True, MatterState.PLUGGED_IN_NO_DEMAND),
        (PilotState.C, False, MatterState.PLUGGED_IN_DEMAND),
        (PilotState.C, True, MatterState.PLUGGED_IN_CHARGING),
        (PilotState.D, False, MatterState.PLUGGED_IN_DEMAND),
        (PilotState.D, True, MatterState.PLUGGED_IN_CHARGING),
        (PilotState.E, False, None),
        (PilotState.F, False, None),
        (PilotState.INVALID, False, None),
    ],
)
def test_the_state_is_what_is_plugged_in_now(pilot, charging, state):
    assert matter_view(pilot, NO_FAULTS, permitted=True, charging=charging, diagnosing=False).state is state


def test_of_several_faults_the_worst_is_told():
    faults = frozenset({Fault.METER_STALE, Fault.CONTACTOR_WELDED, Fault.OVERCURRENT})
    view = matter_view(PilotState.C, faults, permitted=True, charging=False, diagnosing=False)
    assert view.fault_state is FaultState.CONTACT_WET_FAILURE


@pytest.mark.parametrize(
    ("fault", "value"),
    [
        (Fault.METER_STALE, 0x01),
        (Fault.OVERVOLTAGE, 0x02),
        (Fault.UNDERVOLTAGE, 0x03),
        (Fault.OVERCURRENT, 0x04),
        (Fault.CONTACTOR_WELDED, 0x05),
        (Fault.CONTACTOR_FAILED_TO_CLOSE, 0x06),
        (Fault.RCD_TRIPPED, 0x07),
        (Fault.RCD_TEST_FAILED, 0x07),
        (Fault.POWER_QUALITY, 0x09),
        (Fault.PILOT_SHORT, 0x0A),
        (Fault.PILOT_DIODE, 0x0A),
        (Fault.EMERGENCY_STOP, 0x0B),
        (Fault.CABLE_REMOVED, 0x0C),
        (Fault.LIVE_NEUTRAL_SWAP, 0x0E),
        (Fault.OVER_TEMPERATURE, 0x0F),
        (Fault.VENTILATION_REQUIRED, 0xFF),
        (Fault.SELF_TEST_FAILED, 0xFF),
        (Fault.TIMING_BUDGET, 0xFF),
        (Fault.INTERNAL, 0xFF),
    ],
)
def test_the_number_of_a_fault_is_that_of_the_specification(fault, value):
    assert FAULTS[fault].fault_state == value
