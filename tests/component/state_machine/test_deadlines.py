"""One story for each deadline of the machine, beside Table A.6; every number is literal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.core.faults import Fault
from evse_pi.core.states import EvseState, LimitSource, PilotMode, PilotState, Reason
from tests.support.ideal_box import FULL_BOARD, MS, PLAIN_BOARD, TICK_NS, IdealBox, S, box_in, settings_for

if TYPE_CHECKING:
    from evse_pi.core.io_records import Inputs, PilotReading
    from evse_pi.core.machine_settings import MachineSettings
    from hal.units import Milliamps

PLAIN, FULL = settings_for(PLAIN_BOARD), settings_for(FULL_BOARD)


@pytest.mark.hazard("H-10")
def test_a_lease_without_renewal_ends_the_offer_within_15_s_and_opens_6_s_later() -> None:
    box = box_in(EvseState.C2, FULL)
    box.node_alive = False
    took_ns = box.run_until(lambda b: b.mode is PilotMode.HIGH, 16 * S)
    assert 12 * S <= took_ns <= 15 * S + 2 * TICK_NS
    assert box.closed
    took_ns = box.run_until(lambda b: not b.closed, 7 * S)
    assert 6 * S <= took_ns <= 6 * S + 100 * MS
    assert box.reason is Reason.NO_LEASE
    assert (box.state.status.limit.source, box.state.status.limit.current_ma) == (LimitSource.LEASE, 0)
    assert not box.faults, "a node that died is no fault of the sensors"


@pytest.mark.hazard("H-10")
def test_a_lease_dated_a_year_ahead_still_ends_15_s_after_it_came() -> None:
    box = box_in(EvseState.C2, PLAIN)
    box.node_alive = False
    assert box.demand is not None
    box.demand = replace(box.demand, number=99, valid_until_ns=box.now_ns + 365 * 86_400 * S)
    took_ns = box.run_until(lambda b: b.mode is PilotMode.HIGH, 16 * S)
    assert took_ns <= 15 * S + 2 * TICK_NS


@pytest.mark.hazard("H-10")
@pytest.mark.parametrize("current_ma", [-1, 80_001, 1 << 31])
def test_a_demand_for_a_current_that_does_not_exist_permits_nothing(current_ma: Milliamps) -> None:
    box = box_in(EvseState.B2, PLAIN)
    box.asked_ma = current_ma
    box.run(100 * MS)
    assert (box.mode, box.reason) == (PilotMode.HIGH, Reason.NO_LEASE)


@pytest.mark.hazard("H-15")
@pytest.mark.parametrize("asked_ma", [6_000, 32_000])
@pytest.mark.parametrize(("charged_ns", "leaving"), [(S, "B"), (20 * S, "E")])
def test_the_contactor_stays_open_for_10_s_though_the_vehicle_asks_again(
    charged_ns: int, leaving: str, asked_ma: Milliamps
) -> None:
    """After a short charge, or an opening that may have broken a current."""
    box = IdealBox(PLAIN, asked_ma=asked_ma).charging()
    box.run(charged_ns)
    box.vehicle = leaving
    box.run_until(lambda b: not b.closed, 100 * MS)
    opened_ns = box.now_ns
    if leaving == "E":
        box.run(S)
        box.vehicle = "A"
        box.run(1_100 * MS)
    box.plug_in("C")
    box.run(S)
    if leaving == "B":
        assert (box.reason, box.state.status.reason_until_ns) == (Reason.MINIMUM_OFF_TIME, opened_ns + 10 * S)
    box.run_until(lambda b: b.closed, 20 * S)
    assert box.now_ns - opened_ns >= 10 * S
    if leaving == "B":
        assert box.now_ns - opened_ns <= 10 * S + 2 * TICK_NS


@pytest.mark.parametrize("settings", [PLAIN, FULL], ids=["plain", "full"])
@pytest.mark.parametrize("asked_ma", [6_000, 32_000])
@pytest.mark.parametrize("pause_ns", [100 * MS, S, 3 * S, 9 * S])
def test_a_vehicle_that_asks_again_after_a_stop_of_its_own_has_power_within_3_s(
    settings: MachineSettings, asked_ma: Milliamps, pause_ns: int
) -> None:
    """Source: IEC 61851-1 Table A.6 sequence 4."""
    box = IdealBox(settings, asked_ma=asked_ma).charging()
    box.run(20 * S)
    box.vehicle = "B"
    box.run(pause_ns)
    assert not box.closed
    assert box.mode is PilotMode.PWM
    box.vehicle = "C"
    took_ns = box.run_until(lambda b: b.contacts_closed, 3 * S)
    assert took_ns <= 3 * S


@pytest.mark.hazard("H-15")
def test_a_vehicle_that_flaps_closes_the_contactor_no_more_often_than_every_10_s() -> None:
    box = IdealBox(PLAIN).charging()
    closings, begun_ns = box.state.watch.contactor.cycles, box.now_ns
    while box.now_ns - begun_ns < 300 * S:
        box.vehicle = "B" if box.closed else "C"
        box.run(200 * MS)
    assert box.state.watch.contactor.cycles - closings <= 30


@pytest.mark.hazard("H-15")
def test_the_minimum_off_time_is_kept_through_a_restart() -> None:
    box = box_in(EvseState.C2, PLAIN)
    box.restart()
    assert not box.closed
    restarted_ns = box.now_ns
    box.vehicle = "B"  # without an oscillating pilot it opens S2
    box.run(7 * S)
    box.vehicle = "C"
    box.run_until(lambda b: b.closed, 15 * S)
    assert box.now_ns - restarted_ns >= 10 * S


@pytest.mark.hazard("H-18")
def test_a_box_that_starts_with_a_vehicle_in_c_tests_itself_and_charges_once_it_has_shown_b() -> None:
    """A vehicle opens S2 when it is offered nothing: source IEC 61851-1 Table A.6 sequence 9.2, within 3 s."""
    box = IdealBox(FULL)
    box.plug_in("C")
    seen: list[Any] = []
    while not box.closed:
        box.tick()
        state = box.state.status.evse_state
        if not seen or seen[-1] is not state:
            seen.append(state)
        if box.reason is Reason.STATE_B_NOT_SEEN:
            box.vehicle = "B"
        if box.mode is PilotMode.PWM:
            box.vehicle = "C"
        assert box.now_ns - box.started_ns < 15 * S
    assert seen == [EvseState.F, EvseState.C1, EvseState.B1, EvseState.B2, EvseState.C2]
    assert box.state.watch.tests.passed


def test_state_f_after_a_fault_lasts_300_ms_and_ends() -> None:
    box = box_in(EvseState.C2, FULL)
    box.emergency_stop = True
    box.tick()
    assert (box.closed, box.mode) == (False, PilotMode.LOW)
    took_ns = box.run_until(lambda b: b.mode is PilotMode.HIGH, S)
    assert 300 * MS <= took_ns <= 400 * MS
    box.run(60 * S)
    assert box.state.status.evse_state is EvseState.C1


def test_a_higher_offer_waits_5_s_after_the_last_change() -> None:
    box = box_in(EvseState.C2, PLAIN)
    box.asked_ma = 10_000
    box.run(2 * TICK_NS)
    assert box.state.offer.offered_ma == 10_000
    changed_ns = box.now_ns
    box.asked_ma = 20_000
    box.run_until(lambda b: b.state.offer.offered_ma > 10_000, 6 * S)
    assert box.now_ns - changed_ns >= 5 * S - 2 * TICK_NS


@pytest.mark.hazard("H-04")
def test_a_lower_offer_does_not_wait() -> None:
    box = box_in(EvseState.C2, PLAIN)
    for asked_ma in (15_000, 12_000, 9_000):
        box.asked_ma = asked_ma
        box.run(2 * TICK_NS)
        assert box.state.offer.offered_ma <= asked_ma


def test_a_new_offer_waits_5_s_after_the_last_one_ended() -> None:
    box = box_in(EvseState.B2, PLAIN)
    box.permitted = False
    box.run_until(lambda b: b.mode is PilotMode.HIGH, S)
    ended_ns = box.now_ns
    box.permitted = True
    box.run(S)
    assert (box.reason, box.state.status.reason_until_ns) == (Reason.PWM_SETTLING, ended_ns + 5 * S)
    box.run_until(lambda b: b.mode is PilotMode.PWM, 5 * S)
    assert box.now_ns - ended_ns >= 5 * S


@pytest.mark.hazard("H-12")
@pytest.mark.hazard("H-16")
@pytest.mark.parametrize(
    ("sensor", "fault"), [("meter_alive", Fault.METER_STALE), ("thermometer_alive", Fault.TEMPERATURE_STALE)]
)
def test_a_sensor_that_is_silent_for_15_s_ends_the_offer_and_comes_back_by_itself(sensor: str, fault: Fault) -> None:
    box = box_in(EvseState.C2, FULL)
    setattr(box, sensor, False)
    took_ns = box.run_until(lambda b: b.mode is PilotMode.HIGH, 18 * S)
    assert 12 * S <= took_ns <= 17 * S
    assert box.faults == {fault}
    assert box.closed
    box.vehicle = "B"
    box.run(S)
    assert not box.closed
    setattr(box, sensor, True)
    box.run(8 * S)
    assert not box.faults
    assert box.mode is PilotMode.PWM


def test_a_sensor_that_was_never_heard_limits_to_nothing_and_is_a_fault_after_15_s_of_demands() -> None:
    box = IdealBox(FULL, meter_alive=False)
    box.plug_in()
    box.run(10 * S)
    assert not box.faults
    assert box.reason is Reason.LIMIT_BELOW_MINIMUM
    assert box.state.status.limit.source is LimitSource.STALE_SENSOR
    box.run(6 * S)
    assert box.faults == {Fault.METER_STALE}


def test_a_garbled_pilot_opens_within_100_ms_and_closes_again_after_it_is_clear() -> None:
    box = box_in(EvseState.C2, PLAIN)
    box.garbled = True
    took_ns = box.run_until(lambda b: not b.closed, 100 * MS)
    assert took_ns + 20 * MS <= 100 * MS
    assert box.faults == {Fault.PILOT_UNCERTAIN}
    box.run(2 * S)
    assert box.state.watch.pilot.state is PilotState.INVALID
    box.garbled = False
    box.run(20 * S)
    assert box.closed


@pytest.mark.hazard("H-01")
def test_three_windows_without_c_open_though_no_two_of_them_agree() -> None:
    box = box_in(EvseState.C2, PLAIN)
    ticks = 0
    for vehicle, garbled in (("B", False), ("C", True), ("C", True), ("B", False), ("C", True), ("B", False)):
        box.vehicle, box.garbled = vehicle, garbled
        box.tick()
        ticks += 1
        if not box.closed:
            break
    assert ticks == 3


def test_one_garbled_window_does_not_open() -> None:
    box = box_in(EvseState.C2, PLAIN)
    for _ in range(20):
        box.garbled = True
        box.tick()
        box.garbled = False
        box.run(3 * TICK_NS)
    assert box.closed


def test_a_pilot_that_cannot_be_believed_for_half_a_second_is_no_vehicle_state_any_more() -> None:
    box = box_in(EvseState.B2, PLAIN)
    box.garbled = True
    box.run(400 * MS)
    assert not box.faults
    box.run(200 * MS)
    assert box.faults == {Fault.PILOT_UNCERTAIN}
    box.run(600 * MS)
    assert box.state.watch.pilot.state is PilotState.INVALID
    box.garbled = False
    box.run(10 * S)
    assert box.state.status.evse_state is EvseState.B2


def test_reason_names_a_vehicle_that_is_not_ready() -> None:
    box = box_in(EvseState.B2, PLAIN)
    assert box.reason is Reason.VEHICLE_NOT_READY
    box.vehicle = "C"
    box.run(200 * MS)
    assert box.reason is Reason.STARTING
    box.run(S)
    assert box.reason is Reason.CHARGING
    box.permitted = False
    box.run(100 * MS)
    assert box.reason is Reason.STOPPING
    box.vehicle = "A"
    box.run(100 * MS)
    assert box.reason is Reason.NO_VEHICLE


def test_an_unreadable_line_without_a_fault_yet_is_told_as_uncertain() -> None:
    box = box_in(EvseState.A, PLAIN)
    box.vehicle = "E"
    box.run(50 * MS)
    assert box.reason is Reason.PILOT_UNCERTAIN
    box.run(300 * MS)
    assert box.reason is Reason.FAULT


def test_a_permission_that_returns_within_the_grace_still_opens_first() -> None:
    box = box_in(EvseState.C2, PLAIN)
    box.permitted = False
    box.run(S)
    box.permitted = True
    box.run(3 * S)
    assert box.closed
    assert box.mode is PilotMode.HIGH
    box.vehicle = "B"
    box.run(100 * MS)
    assert not box.closed
    box.run(5 * S)
    assert box.mode is PilotMode.PWM


def test_late_ticks_lose_no_deadline() -> None:
    box = box_in(EvseState.C2, PLAIN)
    box.vehicle = "B"
    box.now_ns += 40 * MS
    box.tick()
    assert not box.closed


def test_state_f_is_shown_for_300_ms_though_the_fault_is_over_at_once() -> None:
    box = box_in(EvseState.C2, PLAIN)
    box.alarms = frozenset({Fault.INSTALLATION_INVALID})
    box.tick()
    box.alarms = frozenset()
    begun_ns = box.now_ns
    box.run(2 * TICK_NS)
    assert not box.faults
    assert (box.reason, box.state.status.reason_until_ns) == (Reason.STATE_F_HOLD, begun_ns + 300 * MS)
    box.run(200 * MS)
    assert box.mode is PilotMode.LOW


def test_a_loop_that_passes_no_demand_any_more_is_let_go_softly() -> None:
    box = box_in(EvseState.C2, PLAIN)
    box.node_alive, box.demand = False, None
    box.tick()
    assert (box.mode, box.closed) == (PilotMode.HIGH, True)
    box.vehicle = "B"
    box.run(100 * MS)
    assert not box.closed
    assert box.reason is Reason.NO_LEASE


def test_a_fault_while_stopping_does_not_wait_for_the_grace() -> None:
    box = box_in(EvseState.C2, FULL)
    box.permitted = False
    box.run(S)
    assert box.reason is Reason.STOPPING
    box.emergency_stop = True
    box.tick()
    assert (box.closed, box.mode) == (False, PilotMode.LOW)


class BlindToTheNegativeHalf(IdealBox):
    def window(self) -> PilotReading:
        seen = super().window()
        assert seen is not None
        return replace(seen, low_mv=None) if self.mode is PilotMode.PWM else seen


@pytest.mark.hazard("H-06")
def test_a_diode_that_was_not_seen_is_no_diode() -> None:
    box = BlindToTheNegativeHalf(PLAIN)
    box.plug_in("C")
    box.run(20 * S)
    assert box.state.watch.contactor.cycles == 0


class MirrorThatFallsSilent(IdealBox):
    silent = False

    def inputs(self) -> Inputs:
        return replace(super().inputs(), mirror_closed=None) if self.silent else super().inputs()


@pytest.mark.hazard("H-03")
def test_contacts_that_nothing_proves_open_are_not_closed_again() -> None:
    box = MirrorThatFallsSilent(PLAIN)
    box.run(12 * S)
    box.silent = True
    box.plug_in("C")
    box.run(20 * S)
    assert box.state.watch.contactor.cycles == 0


def test_nothing_is_offered_without_a_vehicle() -> None:
    box = box_in(EvseState.A, PLAIN)
    box.trace.clear()
    box.run(30 * S)
    assert not box.trace
