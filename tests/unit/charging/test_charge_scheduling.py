"""The three states of the charge point are decided once, with one memory, which outlasts silence and a restart.

What silence may not clear and what −12 V keeps is `evse_status`'s; here is told that the charge point goes by it.
"""

from __future__ import annotations

from evse_pi.charging.charge_point import SILENT_NS, ChargePoint
from evse_pi.charging.evse_status import EvseStatus
from evse_pi.charging.startup_state import StartupState
from evse_pi.core.faults import Fault
from evse_pi.core.states import FaultState, MatterState, PilotState, SupplyState
from evse_pi.installation.files import SIMULATED_INSTALLATION
from evse_pi.sim.harness.virtual_clock import VirtualClock
from tests.support.node_box import NOTHING, RATINGS, FakeSafety, HandWriter

TRIPPED = EvseStatus(MatterState.FAULT, SupplyState.DISABLED_ERROR, FaultState.GROUND_FAULT)
"""What Matter calls a residual current device that has tripped. Source: Matter 1.4.2, 9.3.7.3, 9.3.8.1, 9.3.8.2."""
UNKNOWN = EvseStatus(None, SupplyState.CHARGING_ENABLED, FaultState.NO_ERROR)


class Box:
    """A charge point, and the safety process that it hears or does not hear."""

    def __init__(self, told: FaultState = FaultState.NO_ERROR) -> None:
        self.clock = VirtualClock()
        self.safety = FakeSafety(self.clock)
        self.point = ChargePoint(self.clock, RATINGS, SIMULATED_INSTALLATION, StartupState(), HandWriter())
        if told is not FaultState.NO_ERROR:
            self.point.continue_fault(told)

    def show(self, pilot: PilotState, faults: frozenset[Fault] = NOTHING) -> EvseStatus:
        self.point.on_snapshot(self.safety.show(pilot_state=pilot, faults=faults))
        return self.point.status

    def wait_in_silence(self) -> EvseStatus:
        self.clock.advance(SILENT_NS)
        self.point.tick()
        return self.point.status


def test_a_fault_stays_while_the_safety_process_is_silent_and_goes_by_its_word() -> None:
    box = Box()
    assert box.show(PilotState.B, frozenset({Fault.RCD_TRIPPED})) == TRIPPED
    assert box.wait_in_silence() == TRIPPED
    assert box.wait_in_silence() == TRIPPED
    assert box.show(PilotState.B) == EvseStatus(MatterState.PLUGGED_IN_NO_DEMAND, SupplyState.CHARGING_ENABLED)


def test_a_fault_of_before_a_restart_stays_until_the_safety_process_speaks() -> None:
    box = Box(told=FaultState.GROUND_FAULT)
    assert box.point.status == TRIPPED
    assert box.wait_in_silence() == TRIPPED
    box.point.set_owner_permission(permitted=False, limit_ma=None)
    assert box.point.status == TRIPPED
    assert box.show(PilotState.A) == EvseStatus(MatterState.NOT_PLUGGED_IN, SupplyState.DISABLED)


def test_before_the_safety_process_speaks_the_supply_is_what_is_permitted() -> None:
    assert Box().point.status == UNKNOWN
    assert Box().wait_in_silence() == UNKNOWN


def test_at_minus_12_v_the_vehicle_is_what_it_was() -> None:
    """The box itself puts −12 V on the pilot, so the pilot tells nothing of the vehicle. Source: IEC 61851-1 A.4."""
    box = Box()
    box.show(PilotState.B)
    assert box.show(PilotState.F).state is MatterState.PLUGGED_IN_NO_DEMAND
    box.wait_in_silence()
    assert box.show(PilotState.F).state is None, "a vehicle may have left in the silence"


def test_a_wanted_self_test_holds_the_supply_up_at_once() -> None:
    """SupplyState is DisabledDiagnostics from then on. Source: Matter 1.4.2, Energy EVSE, StartDiagnostics."""
    box = Box()
    box.point.commission(commissioned=True)
    box.show(PilotState.A)
    box.point.want_self_test()
    assert box.point.status.supply is SupplyState.DISABLED_DIAGNOSTICS
