"""Self-test, residual current device, lock, wake-up, temperature and limits, as stories over the whole machine."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby, pairwise
from typing import Any

import pytest

from evse_pi.core.evidence import Check
from evse_pi.core.faults import Fault
from evse_pi.core.machine_settings import WakeUp, WakeUpStep
from evse_pi.core.records import Request
from evse_pi.core.states import EvseState, LimitSource, PilotMode, PilotState, Reason
from hal.units import Milliamps, Millivolts
from tests.support.ideal_box import (
    COUPLER_BOARD,
    FULL_BOARD,
    MS,
    PLAIN_BOARD,
    TICK_NS,
    IdealBox,
    S,
    box_in,
    settings_for,
)

PLAIN, FULL = settings_for(PLAIN_BOARD), settings_for(FULL_BOARD)


# --- self-test ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vehicle", ["A", "B", "C", "D"])
def test_the_self_test_leaves_evidence_with_margins_whatever_is_plugged_in(vehicle: str) -> None:
    box = IdealBox(FULL, vehicle=vehicle, ohms=220)
    box.run_until(lambda b: b.state.watch.tests.passed, 5 * S)
    evidence = {item.check: item for item in box.state.watch.tests.evidence}
    assert set(evidence) == {check for check in Check if check <= Check.PILOT_NEGATIVE_SUPPLY}  # the others: coil
    assert all(item.passed for item in evidence.values())
    assert (evidence[Check.PILOT_LOW_RAIL].measured, evidence[Check.PILOT_LOW_RAIL].margin) == (-12_000, 1_000)
    assert evidence[Check.PILOT_HIGH_RAIL].measured == {"A": 12_000, "B": 9_000, "C": 6_000, "D": 3_000}[vehicle]
    assert evidence[Check.PROXIMITY].measured == 32_000
    assert 0 <= evidence[Check.RCD_TRIPS].measured <= 1_000


def test_the_self_test_shows_f_for_300_ms_first() -> None:
    box = IdealBox(PLAIN)
    took_ns = box.run_until(lambda b: b.mode is PilotMode.HIGH, S)
    assert 300 * MS <= took_ns <= 400 * MS


def test_a_plain_board_is_asked_for_nothing_that_it_lacks() -> None:
    box = IdealBox(settings_for(replace(PLAIN_BOARD, mirror_fitted=False)))
    box.run_until(lambda b: b.state.watch.tests.passed, 2 * S)
    assert {item.check for item in box.state.watch.tests.evidence} == {Check.PILOT_LOW_RAIL, Check.PILOT_HIGH_RAIL}
    box.charging()
    assert box.closed


class StuckHigh(IdealBox):
    def window(self) -> Any:
        mode = self.outputs.pilot.mode
        self.outputs = replace(self.outputs, pilot=replace(self.outputs.pilot, mode=PilotMode.HIGH))
        seen = super().window()
        self.outputs = replace(self.outputs, pilot=replace(self.outputs.pilot, mode=mode))
        return seen


class WeakRail(IdealBox):
    def window(self) -> Any:
        seen = super().window()
        assert seen is not None
        return replace(seen, high_mv=Millivolts(10_900)) if seen.high_mv == 12_000 else seen


@pytest.mark.parametrize("kind", [StuckHigh, WeakRail])
def test_a_generator_that_does_not_reach_its_rails_fails_the_self_test_and_is_tried_again_every_minute(
    kind: Any,
) -> None:
    box = kind(PLAIN)
    box.run(4 * S)
    assert Fault.PILOT_GENERATOR in box.faults
    assert not box.state.watch.tests.passed
    failed_ns = box.state.watch.tests.since_ns
    runs = []
    for _ in range(7_000):
        was = box.state.watch.tests.running
        box.tick()
        if box.state.watch.tests.running and not was:
            runs.append(box.now_ns - failed_ns)
    assert runs == [60 * S]
    assert Fault.PILOT_GENERATOR in box.faults, "kept until a run passes"


def test_a_pilot_that_cannot_be_read_at_the_start_is_tested_again_by_itself() -> None:
    box = IdealBox(PLAIN, failures=frozenset({Fault.PILOT_ADC_FAILED}))
    box.run(5 * S)
    assert box.faults == {Fault.PILOT_ADC_FAILED, Fault.SELF_TEST_FAILED}
    box.failures = frozenset()
    box.run(70 * S)
    assert not box.faults
    assert box.state.watch.tests.passed


def test_the_self_test_waits_for_a_short_to_go_and_calls_it_a_short() -> None:
    box = IdealBox(PLAIN, vehicle="E")
    box.run(30 * S)
    assert box.faults == {Fault.PILOT_SHORT}
    assert not box.state.watch.tests.passed
    assert box.mode is PilotMode.HIGH
    box.unplug()
    box.run(2 * S)
    assert box.state.watch.tests.passed
    assert not box.faults


def test_a_self_test_is_run_on_request_and_only_with_an_open_contactor() -> None:
    box = box_in(EvseState.C2, FULL)
    box.order(Request.SELF_TEST)
    box.run(S)
    assert box.reason is Reason.CHARGING
    assert not box.state.watch.tests.running
    box.permitted = False
    box.run(7 * S)
    before_ns = box.state.watch.tests.evidence[0].at_ns
    box.order(Request.SELF_TEST)
    box.run(100 * MS)
    assert box.reason is Reason.SELF_TEST
    assert box.state.status.evse_state is EvseState.F
    box.run(3 * S)
    assert box.state.watch.tests.passed
    assert box.state.watch.tests.evidence[0].at_ns > before_ns


def test_a_self_test_on_request_ends_an_offer_and_the_offer_returns() -> None:
    box = box_in(EvseState.B2, FULL)
    box.order(Request.SELF_TEST)
    box.run(100 * MS)
    assert box.mode is PilotMode.LOW
    box.run(10 * S)
    assert box.state.status.evse_state is EvseState.B2


def test_an_order_is_carried_out_once_and_not_again_after_a_restart_of_the_process() -> None:
    box = box_in(EvseState.B1, FULL)
    box.order(Request.SELF_TEST)
    box.run(3 * S)
    assert box.state.watch.tests.passed
    evidence = box.state.watch.tests.evidence
    box.run(10 * S)
    assert box.state.watch.tests.evidence == evidence
    box.restart()
    restarted_ns = box.now_ns
    box.run(10 * S)
    assert box.state.watch.tests.evidence[0].at_ns <= restarted_ns + 400 * MS


# --- residual current device --------------------------------------------------------------------------------------


@pytest.mark.hazard("H-05")
def test_the_device_is_tested_after_every_plug_in_before_anything_is_offered() -> None:
    box = box_in(EvseState.A, FULL)
    for _ in range(3):
        box.trace.clear()
        box.plug_in()
        box.run(6 * S)
        tested = [at for at, outputs in box.trace if outputs.rcd_test]
        offered = [at for at, outputs in box.trace if outputs.pilot.mode is PilotMode.PWM]
        assert tested[0] < offered[0]
        box.unplug()
        box.run(6 * S)


@pytest.mark.hazard("H-05")
def test_the_device_is_tested_again_after_24_h() -> None:
    box = box_in(EvseState.B2, settings_for(FULL_BOARD, wake_up=WakeUp(steps=())))
    box.trace.clear()
    box.now_ns += 86_300 * S
    box.idle(10 * S)
    assert not any(outputs.rcd_test for _, outputs in box.trace)
    box.idle(200 * S)
    assert any(outputs.rcd_test for _, outputs in box.trace)
    box.run(10 * S)
    assert box.state.status.evse_state is EvseState.B2


@pytest.mark.hazard("H-05")
def test_a_device_that_does_not_trip_forbids_charging_until_the_installer_and_a_passed_test() -> None:
    box = box_in(EvseState.A, FULL)
    box.rcd_works = False
    box.plug_in("C")
    box.run(20 * S)
    assert box.faults == {Fault.RCD_TEST_FAILED}
    box.rcd_works = True
    box.order(Request.CLEAR_USER)
    box.run(S)
    assert box.faults == {Fault.RCD_TEST_FAILED}
    box.order(Request.CLEAR_INSTALLER)
    box.run(20 * S)
    assert not box.faults
    assert box.closed


@pytest.mark.hazard("H-05")
def test_a_device_that_fails_at_the_start_is_named_and_does_not_hold_f() -> None:
    box = IdealBox(FULL, rcd_works=False)
    box.run(10 * S)
    assert box.faults == {Fault.RCD_TEST_FAILED}
    assert not box.state.watch.tests.passed
    assert box.mode is PilotMode.HIGH
    box.order(Request.CLEAR_INSTALLER)
    box.run(10 * S)
    assert box.faults == {Fault.RCD_TEST_FAILED}, "an acknowledgement alone repairs nothing"


@pytest.mark.hazard("H-05")
def test_a_device_that_does_not_trip_within_a_second_fails_its_test() -> None:
    """IEC 62955 lets 6 mA flow for 10 s; the test current trips a monitor within 1 s: docs/SAFETY.md, H-05."""
    box = IdealBox(FULL, rcd_works=False)
    box.run_until(lambda b: b.outputs.rcd_test, 10 * S)
    took_ns = box.run_until(lambda b: Fault.RCD_TEST_FAILED in b.faults, 2 * S)
    assert S <= took_ns <= S + 2 * TICK_NS


class WeakNegativeRail(IdealBox):
    negative_mv = Millivolts(-10_900)

    def window(self) -> Any:
        seen = super().window()
        weak = seen is not None and seen.low_mv is not None
        return replace(seen, low_mv=self.negative_mv, supply=None) if weak and seen else seen


@pytest.mark.hazard("H-02")
def test_a_box_that_starts_on_a_weak_negative_rail_does_not_pass_its_self_test() -> None:
    """-12 V and 5 % end at -11.4 V; Table A.4 has state F from -11 V down (chargebyte's bands)."""
    box = WeakNegativeRail(PLAIN)
    box.run(10 * S)
    assert not box.state.watch.tests.passed
    assert box.faults
    better = WeakNegativeRail(PLAIN)
    better.negative_mv = Millivolts(-11_100)
    better.run_until(lambda b: b.state.watch.tests.passed, 30 * S)


class LitThoughOpen(IdealBox):
    @property
    def _any_live(self) -> bool:
        return True


@pytest.mark.hazard("H-03")
def test_a_mirror_contact_that_says_open_does_not_outweigh_a_load_side_that_is_live_at_the_start() -> None:
    box = LitThoughOpen(settings_for(COUPLER_BOARD))
    box.run(10 * S)
    assert not box.state.watch.tests.passed
    assert box.faults == {Fault.CONTACTOR_WELDED}


class NeverResets(IdealBox):
    def _actuate(self, outputs: Any) -> None:
        super()._actuate(replace(outputs, rcd_reset=False))


def test_a_device_that_does_not_reset_fails_its_test() -> None:
    box = NeverResets(FULL)
    box.run(10 * S)
    assert box.faults == {Fault.RCD_TEST_FAILED, Fault.RCD_TRIPPED}


@pytest.mark.hazard("H-05")
def test_a_trip_opens_in_the_same_tick_and_a_person_must_reset_it() -> None:
    box = box_in(EvseState.C2, FULL)
    box.run(20 * S)
    box.rcd_latched = True
    box.tick()
    assert not box.closed
    assert box.faults == {Fault.RCD_TRIPPED}
    box.unplug()
    box.run(60 * S)
    box.plug_in("C")
    box.run(60 * S)
    assert box.faults == {Fault.RCD_TRIPPED}
    assert box.rcd_latched, "the box has not touched it"
    box.trace.clear()
    box.order(Request.CLEAR_USER)
    box.run(S)
    assert not box.faults
    box.run(20 * S)
    assert box.closed
    assert any(outputs.rcd_test for _, outputs in box.trace), "tested again after the trip"


class LeakingVehicle(IdealBox):
    leaking = False

    def _actuate(self, outputs: Any) -> None:
        super()._actuate(outputs)
        if self.leaking and self.contacts_closed:
            self.rcd_latched = True


@pytest.mark.hazard("H-14")
def test_where_it_is_allowed_the_box_recloses_as_often_as_it_may_and_no_more() -> None:
    box = LeakingVehicle(settings_for(FULL_BOARD, country="US", rcd_reclosures=2)).charging()
    box.run(12 * S)
    closes = []
    for _ in range(4):
        box.rcd_latched = True
        box.tick()
        box.idle(905 * S)
        box.run(20 * S)
        closes.append(box.closed)
        if not box.closed:
            break
    assert closes == [True, True, False]
    assert box.reason is Reason.FAULT


@pytest.mark.hazard("H-14")
def test_a_trip_within_10_s_of_closing_locks_out_also_where_reclosing_is_allowed() -> None:
    box = LeakingVehicle(settings_for(FULL_BOARD, country="US", rcd_reclosures=4))
    box.leaking = True
    box.run_until(lambda b: b.reason is Reason.NO_VEHICLE, 10 * S)
    box.plug_in("C")
    box.run_until(lambda b: b.closed, 15 * S)
    box.run(200 * MS)
    assert box.reason is Reason.FAULT
    box.idle(4_000 * S)
    assert box.faults == {Fault.RCD_TRIPPED}
    assert box.state.watch.contactor.cycles == 1


@pytest.mark.hazard("H-14")
@pytest.mark.parametrize("country", ["CH", "DK", "FR", "GB", "DE"])
def test_by_default_nothing_recloses(country: Any) -> None:
    box = box_in(EvseState.C2, settings_for(FULL_BOARD, country=country))
    box.run(12 * S)
    box.rcd_latched = True
    box.tick()
    box.idle(4_000 * S)
    assert box.rcd_latched
    assert box.faults == {Fault.RCD_TRIPPED}


@pytest.mark.hazard("H-05")
def test_neither_test_current_nor_reset_flows_under_a_closed_contactor() -> None:
    box = IdealBox(FULL)
    for turn in range(12):
        box.plug_in("ABC"[turn % 3])
        box.order(Request.SELF_TEST | Request.CLEAR_USER | Request.CLEAR_INSTALLER)
        box.run(12 * S)
    assert any(outputs.close_ordered for _, outputs in box.trace)
    assert not any(o.close_ordered and (o.rcd_test or o.rcd_reset) for _, o in box.trace)


def test_a_trip_that_was_never_latched_by_the_device_still_waits_for_a_person() -> None:
    box = box_in(EvseState.C2, FULL)
    box.rcd_latched = True
    box.tick()
    box.rcd_latched = False
    box.run(60 * S)
    assert box.faults == {Fault.RCD_TRIPPED}
    box.trace.clear()
    box.order(Request.CLEAR_USER)
    box.run(20 * S)
    assert box.closed
    assert any(outputs.rcd_test for _, outputs in box.trace), "tested again though the vehicle never left"


# --- lock ----------------------------------------------------------------------------------------------------------


@pytest.mark.hazard("H-13")
def test_the_plug_is_locked_before_the_offer_and_let_go_after_the_vehicle_left() -> None:
    box = box_in(EvseState.B2, FULL)
    assert box.locked
    box.unplug()
    box.run(S)
    assert not box.locked
    assert box.outputs.lock is None


def test_the_motor_gets_pulses_of_300_ms_and_five_tries_with_a_break_of_1_s() -> None:
    box = box_in(EvseState.A, FULL)
    box.lock_jammed = True
    box.trace.clear()
    box.plug_in()
    box.run(20 * S)
    runs = [next(group) for _, group in groupby([(at, o.lock) for at, o in box.trace], key=lambda edge: edge[1])]
    pulses = [(start, end) for (start, lock), (end, _) in pairwise(runs) if lock is True]
    assert len(pulses) == 5
    assert all(end - start == 300 * MS for start, end in pulses)
    assert all(b[0] - a[1] == 1 * S for a, b in pairwise(pulses))
    assert box.faults == {Fault.LOCK_FAILED}
    assert box.mode is PilotMode.HIGH
    box.lock_jammed = False
    box.order(Request.CLEAR_USER)
    box.run(10 * S)
    assert not box.faults
    assert box.state.status.evse_state is EvseState.B2


@pytest.mark.hazard("H-13")
def test_a_short_or_a_garbled_line_unlocks_only_after_5_s_and_only_from_a_dead_contactor() -> None:
    for cause in ("short", "garbled"):
        box = box_in(EvseState.C2, FULL)
        box.vehicle, box.garbled = ("E", False) if cause == "short" else ("C", True)
        box.run(4_500 * MS)
        assert box.locked
        box.run(2_500 * MS)
        assert not box.locked
        welded = box_in(EvseState.C2, FULL)
        welded.stuck_closed = True
        welded.vehicle, welded.garbled = box.vehicle, box.garbled
        welded.run(60 * S)
        assert welded.locked


@pytest.mark.hazard("H-13")
def test_without_any_proof_of_a_dead_contactor_only_an_unplugged_vehicle_unlocks() -> None:
    board = replace(FULL_BOARD, mirror_fitted=False, load_sense_fitted=False)
    box = box_in(EvseState.C2, settings_for(board))
    box.vehicle = "E"
    box.run(60 * S)
    assert box.locked
    box.unplug()
    box.run(S)
    assert not box.locked


def test_a_lock_that_is_lost_under_load_ends_the_offer_and_is_driven_again() -> None:
    box = box_in(EvseState.C2, FULL)
    box.locked = False
    box.run(300 * MS)
    assert box.mode is PilotMode.PWM, "a trembling contact is not a plug that leaves"
    box.run(300 * MS)
    assert box.mode is PilotMode.HIGH
    assert box.locked


def test_a_trembling_feedback_contact_changes_nothing() -> None:
    box = box_in(EvseState.C2, FULL)
    for _ in range(20):
        box.locked = False
        box.run(100 * MS)
        box.locked = True
        box.run(100 * MS)
    assert box.closed
    assert box.outputs.lock is None


# --- wake-up -------------------------------------------------------------------------------------------------------


def test_a_sleeping_vehicle_is_woken_by_a_finite_ladder() -> None:
    ladder = WakeUp(
        patience_ns=90 * S,
        calm_ns=0,
        steps=(
            WakeUpStep(PilotMode.HIGH, 5 * S, 30 * S),
            WakeUpStep(PilotMode.LOW, 4 * S, 30 * S),
        ),
    )
    box = box_in(EvseState.B2, settings_for(PLAIN_BOARD, wake_up=ladder))
    offered_ns = box.state.since_ns
    box.run(140 * S)
    box.idle(460 * S)
    told = [(round((at - offered_ns) / S), outputs.pilot.mode) for at, outputs in box.trace]
    assert told == [
        (90, PilotMode.HIGH),
        (95, PilotMode.PWM),
        (125, PilotMode.LOW),
        (129, PilotMode.HIGH),
        (130, PilotMode.PWM),
    ]
    box.trace.clear()
    box.order(Request.RESTART_WAKE_UP)
    box.run(2 * S)
    assert box.reason is Reason.WAKING_VEHICLE
    assert box.state.status.evse_state is EvseState.B1


def sleep_on(box: Any) -> None:
    """Let a vehicle sleep through its offer until the first step of the ladder."""
    box.idle(50 * S)
    box.run_until(lambda b: b.reason is Reason.WAKING_VEHICLE, 20 * S)


def test_a_vehicle_that_wakes_is_charged_and_the_ladder_begins_again() -> None:
    box = box_in(EvseState.B2, PLAIN)
    sleep_on(box)
    box.vehicle = "C"
    box.run(100 * MS)
    assert box.reason is Reason.PWM_SETTLING
    box.run_until(lambda b: b.closed, 10 * S)
    box.vehicle = "B"
    box.run(80 * S)
    assert box.mode is PilotMode.PWM
    box.run_until(lambda b: b.reason is Reason.WAKING_VEHICLE, 20 * S)


@pytest.mark.parametrize("end", ["unplug", "refuse", "fault", "test"])
def test_waking_ends_when_it_makes_no_sense_any_more(end: Any) -> None:
    box = box_in(EvseState.B2, PLAIN)
    sleep_on(box)
    if end == "unplug":
        box.unplug()
    elif end == "refuse":
        box.permitted = False
    elif end == "fault":
        box.alarms = frozenset({Fault.INTERNAL})
    else:
        box.order(Request.SELF_TEST)
    box.run(100 * MS)
    assert box.reason is not Reason.WAKING_VEHICLE
    assert box.state.waking.step == 0 or end == "test"


def test_a_restart_of_the_ladder_does_not_cut_a_step_short() -> None:
    box = box_in(EvseState.B2, PLAIN)
    sleep_on(box)
    box.order(Request.RESTART_WAKE_UP)
    box.run(4 * S)
    assert box.reason is Reason.WAKING_VEHICLE


# --- temperature and limits ------------------------------------------------------------------------------------------


@pytest.mark.hazard("H-12")
def test_a_hot_box_offers_half_then_a_quarter_and_comes_back_with_hysteresis() -> None:
    box = box_in(EvseState.C2, FULL)
    box.asked_ma = 32_000
    box.run(6 * S)
    offers = []
    for temperature in (64_90, 65_00, 67_00, 62_10, 61_90, 68_00, 65_10, 64_90, 61_00):
        box.temperature = temperature
        box.run(8 * S)
        offers.append((box.state.status.limit.source.name, box.state.status.limit.current_ma))
    full, half, quarter = ("BOARD", 32_000), ("TEMPERATURE", 16_000), ("TEMPERATURE", 8_000)
    assert offers == [full, half, half, half, full, quarter, quarter, half, full]
    assert box.closed


@pytest.mark.hazard("H-12")
def test_a_box_that_is_too_hot_stops_and_waits_for_62_degrees_and_a_minute() -> None:
    box = box_in(EvseState.C2, FULL)
    box.temperature = 71_00
    box.run_until(lambda b: b.mode is PilotMode.HIGH, 3 * S)
    assert box.faults == {Fault.OVER_TEMPERATURE}
    box.vehicle = "B"
    box.temperature = 62_10
    box.run(90 * S)
    assert box.faults == {Fault.OVER_TEMPERATURE}
    box.temperature = 62_00
    box.run(55 * S)
    assert box.faults == {Fault.OVER_TEMPERATURE}
    box.run(10 * S)
    assert not box.faults


@pytest.mark.hazard("H-11")
@pytest.mark.parametrize(
    ("change", "source", "limit_ma"),
    [
        ({"board": replace(FULL_BOARD, rated_current_ma=Milliamps(10_000))}, LimitSource.BOARD, 10_000),
        ({"circuit_capacity_ma": 10_000}, LimitSource.CIRCUIT_CAPACITY, 10_000),
        ({}, LimitSource.OWNER, 20_000),
    ],
)
def test_the_least_limit_wins_and_says_whose_it_is(change: Any, source: Any, limit_ma: Any) -> None:
    board = change.pop("board", FULL_BOARD)
    box = IdealBox(settings_for(board, **change), asked_ma=20_000)
    box.plug_in()
    box.run(10 * S)
    assert box.state.status.limit.source is source
    assert box.state.status.limit.current_ma == limit_ma
    assert box.state.offer.offered_ma <= limit_ma


def test_a_limit_below_6_a_ends_the_offer_and_says_so() -> None:
    box = box_in(EvseState.C2, FULL)
    box.asked_ma = 5_999
    box.run(2 * TICK_NS)
    assert box.mode is PilotMode.HIGH
    box.vehicle = "B"
    box.run(100 * MS)
    assert box.reason is Reason.LIMIT_BELOW_MINIMUM
    box.asked_ma = 6_000
    box.run(6 * S)
    assert box.outputs.pilot.duty_ppm == 100_000


def test_a_cable_that_was_never_seen_offers_nothing_and_is_missed_after_a_second() -> None:
    box = box_in(EvseState.A, FULL)
    box.vehicle = "B"
    box.run(800 * MS)
    assert box.reason is Reason.READING_CABLE
    assert not box.faults
    box.run(400 * MS)
    assert box.faults == {Fault.CABLE_REMOVED}


def test_faults_that_outlived_a_restart_still_need_their_rule() -> None:
    box = IdealBox(FULL, former=frozenset({Fault.RCD_TRIPPED, Fault.OVERCURRENT}))
    box.run_until(lambda b: b.state.watch.pilot.state is PilotState.A, 10 * S)
    box.plug_in("C")
    box.run(30 * S)
    assert box.faults == {Fault.RCD_TRIPPED, Fault.OVERCURRENT}
    box.order(Request.CLEAR_USER)
    box.run(20 * S)
    assert box.closed


def test_a_charge_of_more_than_24_h_is_not_interrupted_for_a_test_of_the_device() -> None:
    box = box_in(EvseState.C2, FULL)
    box.drawn_ma = (16_000, 16_000, 16_000)
    box.run(5 * S)
    box.trace.clear()
    box.now_ns += 86_395 * S
    box.idle(20 * S)
    assert not box.trace


def test_a_plug_that_bounces_clears_nothing() -> None:
    box = box_in(EvseState.C2, PLAIN)
    box.diode = False
    box.run(100 * MS)
    box.vehicle, box.diode = "A", True
    box.run(900 * MS)
    box.vehicle = "B"
    box.run(S)
    assert box.faults == {Fault.PILOT_DIODE}


@pytest.mark.hazard("H-05")
def test_a_tripped_device_is_not_reset_under_a_welded_contactor_or_before_its_contacts_have_parted() -> None:
    for welded in (False, True):
        box = box_in(EvseState.C2, FULL)
        box.stuck_closed, box.rcd_latched = welded, True
        box.tick()
        box.order(Request.CLEAR_USER)
        box.run(500 * MS)
        assert box.rcd_latched
        box.order(Request.CLEAR_USER)
        box.run(500 * MS)
        assert box.rcd_latched is welded


def test_one_good_window_of_a_rail_proves_nothing() -> None:
    box = IdealBox(PLAIN)
    for _ in range(90):
        box.garbled = not box.garbled
        box.tick()
    assert box.mode is PilotMode.LOW
    assert not box.state.watch.tests.evidence


UNDER_F = WakeUp(patience_ns=5 * S, calm_ns=0, steps=(WakeUpStep(PilotMode.LOW, 4 * S, 30 * S),))


@pytest.mark.hazard("H-05")
@pytest.mark.parametrize("asked_ma", [6_000, 32_000])
def test_a_vehicle_that_may_have_come_under_a_wake_up_step_gets_its_test(asked_ma: Any) -> None:
    """Under -12 V nothing of a vehicle is seen, so the one that is there afterwards may be another."""
    box = IdealBox(replace(FULL, wake_up=UNDER_F), asked_ma=asked_ma)
    box.run_until(lambda b: b.reason is Reason.NO_VEHICLE, 10 * S)
    box.plug_in()
    box.run_until(lambda b: b.reason is Reason.WAKING_VEHICLE, 60 * S)
    box.trace.clear()
    box.vehicle = "C"  # another one, whose owner has set it to charge at once
    seen = set()

    def closed(b: Any) -> Any:
        seen.add(b.state.watch.pilot.state)
        return b.closed

    box.run_until(lambda b: closed(b) or b.reason is Reason.STATE_B_NOT_SEEN, 60 * S)
    assert not box.closed, "which of a suppressor and a vehicle it is cannot be told"
    box.vehicle = "B"
    box.run(S)
    box.vehicle = "C"
    box.run_until(closed, 60 * S)
    tested = next(at for at, outputs in box.trace if outputs.rcd_test)
    offered = next(at for at, outputs in box.trace if outputs.pilot.mode is PilotMode.PWM)
    assert tested < offered
    assert PilotState.INVALID in seen
    assert not box.faults


def test_a_vehicle_that_sleeps_on_is_not_woken_again_for_having_been_forgotten() -> None:
    box = IdealBox(replace(FULL, wake_up=UNDER_F))
    box.run_until(lambda b: b.reason is Reason.NO_VEHICLE, 10 * S)
    box.trace.clear()
    box.plug_in()
    box.run(300 * S)
    waking = [outputs for _, outputs in box.trace if outputs.pilot.mode is PilotMode.LOW]
    assert len(waking) == 1
