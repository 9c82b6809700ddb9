"""State, SupplyState and FaultState, for every combination of what they depend on."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from evse_pi.charging.evse_status import NOTHING_DECIDED, EvseStatus, Permission, SafetyReport, decide_status
from evse_pi.core.faults import FAULTS, NO_FAULTS, Fault
from evse_pi.core.states import FaultState, MatterState, PilotState, SupplyState

PERMITTED = Permission(charging=True)
BEFORE = EvseStatus(MatterState.PLUGGED_IN_DEMAND, SupplyState.CHARGING_ENABLED, FaultState.NO_ERROR)
SWITCHES = list(product((False, True), repeat=4))


def decided(
    pilot: PilotState,
    faults: frozenset[Fault] = NO_FAULTS,
    *,
    before: EvseStatus = NOTHING_DECIDED,
    online: bool = True,
    charging: bool = False,
    permission: Permission = PERMITTED,
) -> EvseStatus:
    return decide_status(SafetyReport(pilot, faults, charging, online), permission, before)


@pytest.mark.parametrize("pilot", list(PilotState), ids=lambda pilot: pilot.name)
@pytest.mark.parametrize("faults", [NO_FAULTS, *[frozenset({fault}) for fault in Fault], frozenset(Fault)])
def test_the_three_states_agree_with_each_other_in_every_combination(pilot: PilotState, faults: frozenset[Any]) -> None:
    for permitted, discharging, charging, diagnosing in SWITCHES:
        permission = Permission(permitted, discharging, diagnosing)
        status = decided(pilot, faults, charging=charging, permission=permission)
        faulty = status.fault is not FaultState.NO_ERROR
        assert faulty is bool(faults)
        assert (status.supply is SupplyState.DISABLED_ERROR) is faulty
        assert (status.state is MatterState.FAULT) is faulty
        if not faulty:
            assert (status.supply is SupplyState.DISABLED_DIAGNOSTICS) is diagnosing


@pytest.mark.parametrize(
    ("permission", "supply"),
    [
        (Permission(charging=False), SupplyState.DISABLED),
        (Permission(charging=True), SupplyState.CHARGING_ENABLED),
        (Permission(charging=False, discharging=True), SupplyState.DISCHARGING_ENABLED),
        (Permission(charging=True, discharging=True), SupplyState.ENABLED),
        (Permission(charging=True, discharging=True, diagnosing=True), SupplyState.DISABLED_DIAGNOSTICS),
        (Permission(charging=True, commissioned=False), SupplyState.CHARGING_ENABLED),
    ],
)
def test_the_supply_is_what_is_permitted(permission: Permission, supply: SupplyState) -> None:
    assert decided(PilotState.C, permission=permission).supply is supply


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
def test_the_state_is_what_is_plugged_in_now(pilot: PilotState, charging: bool, state: MatterState) -> None:
    assert decided(pilot, charging=charging).state is state


@pytest.mark.parametrize(
    ("before", "state"),
    [
        (MatterState.NOT_PLUGGED_IN, MatterState.NOT_PLUGGED_IN),
        (MatterState.PLUGGED_IN_NO_DEMAND, MatterState.PLUGGED_IN_NO_DEMAND),
        (MatterState.PLUGGED_IN_DEMAND, MatterState.PLUGGED_IN_DEMAND),
        (MatterState.PLUGGED_IN_CHARGING, None),
        (MatterState.FAULT, None),
        (None, None),
    ],
)
def test_at_minus_12_v_a_vehicle_that_drew_no_current_is_what_it_was(before: MatterState, state: MatterState) -> None:
    """The box itself puts −12 V on the pilot, so the pilot tells nothing of the vehicle. Source: IEC 61851-1 A.4."""
    assert decided(PilotState.F, before=EvseStatus(before)).state is state


def test_a_silent_safety_process_clears_no_fault_and_tells_no_state() -> None:
    assert decided(PilotState.C, before=BEFORE, online=False, charging=True) == EvseStatus(
        None, SupplyState.CHARGING_ENABLED, FaultState.NO_ERROR
    )
    faulty = EvseStatus(MatterState.FAULT, SupplyState.DISABLED_ERROR, FaultState.OVER_VOLTAGE)
    assert decided(PilotState.C, before=faulty, online=False) == faulty
    assert decided(PilotState.C, frozenset({Fault.OVERCURRENT}), before=BEFORE, online=False).fault is (
        FaultState.NO_ERROR
    ), "what was said before the silence was told already"


def test_of_several_faults_the_worst_is_told() -> None:
    faults = frozenset({Fault.METER_STALE, Fault.CONTACTOR_WELDED, Fault.OVERCURRENT})
    assert decided(PilotState.C, faults).fault is FaultState.CONTACT_WET_FAILURE


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
def test_the_number_of_a_fault_is_that_of_the_specification(fault: Fault, value: int) -> None:
    assert FAULTS[fault].fault_state == value
