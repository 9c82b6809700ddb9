"""What Matter's three views say of the box, from what is the case now and nothing remembered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.core.faults import FAULTS, worst
from evse_pi.core.states import FaultState, MatterState, PilotState, SupplyState

if TYPE_CHECKING:
    from evse_pi.core.faults import Fault

_PLUGGED_IN = {
    PilotState.A: MatterState.NOT_PLUGGED_IN,
    PilotState.B: MatterState.PLUGGED_IN_NO_DEMAND,
    PilotState.C: MatterState.PLUGGED_IN_DEMAND,
    PilotState.D: MatterState.PLUGGED_IN_DEMAND,
}


@dataclass(frozen=True, slots=True)
class MatterView:
    """State, SupplyState and FaultState; State is None where it cannot be determined.

    Source: Matter Application Cluster Specification, Energy EVSE, State, SupplyState and FaultState attributes.
    """

    state: MatterState | None
    supply_state: SupplyState
    fault_state: FaultState


def matter_view(
    pilot: PilotState, faults: frozenset[Fault], *, permitted: bool, charging: bool, diagnosing: bool
) -> MatterView:
    """Return the three views of a box that sees `pilot` and has `faults`.

    `permitted` says that charging is enabled, `charging` that the contactor is closed, `diagnosing` that a self-test
    runs. SupplyState is DISABLED_ERROR, and State is FAULT, exactly when FaultState is not NO_ERROR.
    """
    fault = worst(faults)
    if fault is not None:
        return MatterView(MatterState.FAULT, SupplyState.DISABLED_ERROR, FAULTS[fault].fault_state)
    state = _PLUGGED_IN.get(pilot)
    if state is MatterState.PLUGGED_IN_DEMAND and charging:
        state = MatterState.PLUGGED_IN_CHARGING
    if diagnosing:
        supply = SupplyState.DISABLED_DIAGNOSTICS
    else:
        supply = SupplyState.CHARGING_ENABLED if permitted else SupplyState.DISABLED
    return MatterView(state, supply, FaultState.NO_ERROR)
