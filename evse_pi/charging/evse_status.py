"""State, SupplyState and FaultState of the charge point, decided here alone; clusters and status only show them.

Source: Matter Application Cluster Specification 1.4.2, Energy EVSE, 9.3.8.1 State, 9.3.8.2 SupplyState, 9.3.8.3
FaultState.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.core.faults import FAULTS, NO_FAULTS, worst
from evse_pi.core.states import FaultState, MatterState, PilotState, SupplyState

if TYPE_CHECKING:
    from evse_pi.core.faults import Fault

_BY_PILOT = {
    PilotState.A: MatterState.NOT_PLUGGED_IN,
    PilotState.B: MatterState.PLUGGED_IN_NO_DEMAND,
    PilotState.C: MatterState.PLUGGED_IN_DEMAND,
    PilotState.D: MatterState.PLUGGED_IN_DEMAND,
}
_NO_CURRENT = (MatterState.NOT_PLUGGED_IN, MatterState.PLUGGED_IN_NO_DEMAND, MatterState.PLUGGED_IN_DEMAND)


@dataclass(frozen=True, slots=True)
class Permission:
    """What is permitted now, whether a self-test holds it up, and whether a controller decides it or the owner."""

    charging: bool
    discharging: bool = False
    diagnosing: bool = False
    commissioned: bool = True


@dataclass(frozen=True, slots=True)
class EvseStatus:
    """The three states of the charge point; `state` is None where it cannot be determined."""

    state: MatterState | None = None
    supply: SupplyState = SupplyState.DISABLED
    fault: FaultState = FaultState.NO_ERROR


NOTHING_DECIDED = EvseStatus()


@dataclass(frozen=True, slots=True)
class SafetyReport:
    """What the safety process says: `current_may_flow` that current can flow, `online` false that it is silent."""

    pilot: PilotState
    faults: frozenset[Fault]
    current_may_flow: bool
    online: bool = True


NOTHING_HEARD = SafetyReport(PilotState.INVALID, NO_FAULTS, current_may_flow=False, online=False)


def decide_status(report: SafetyReport, permission: Permission, before: EvseStatus) -> EvseStatus:
    """Return the three states that follow from `report`, after those of `before`.

    Silence of the safety process clears no fault, and tells nothing of the vehicle. State is FAULT, and SupplyState is
    DISABLED_ERROR, exactly while FaultState is not NO_ERROR.
    """
    fault = _fault(report.faults) if report.online else before.fault
    if fault is not FaultState.NO_ERROR:
        return EvseStatus(MatterState.FAULT, SupplyState.DISABLED_ERROR, fault)
    state = _state(report, before.state) if report.online else None
    return EvseStatus(state, _supply(permission), FaultState.NO_ERROR)


def _fault(faults: frozenset[Fault]) -> FaultState:
    fault = worst(faults)
    return FaultState.NO_ERROR if fault is None else FAULTS[fault].fault_state


def _state(report: SafetyReport, before: MatterState | None) -> MatterState | None:
    """Return what the pilot shows. At the −12 V that the box itself puts out, the vehicle is still what it was."""
    if report.pilot is PilotState.F and before in _NO_CURRENT:
        return before
    state = _BY_PILOT.get(report.pilot)
    return (
        MatterState.PLUGGED_IN_CHARGING if state is MatterState.PLUGGED_IN_DEMAND and report.current_may_flow else state
    )


def _supply(permission: Permission) -> SupplyState:
    if permission.diagnosing:
        return SupplyState.DISABLED_DIAGNOSTICS
    if permission.discharging:
        return SupplyState.ENABLED if permission.charging else SupplyState.DISCHARGING_ENABLED
    return SupplyState.CHARGING_ENABLED if permission.charging else SupplyState.DISABLED
