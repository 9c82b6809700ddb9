"""The small machines one by one, where a whole box would be too far away."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.core.cable_coding import Cable
from evse_pi.core.contactor_monitor import ContactorMonitor
from evse_pi.core.duty_monitor import DutyMonitor
from evse_pi.core.faults import Fault
from evse_pi.core.io_records import Inputs, PilotOutput
from evse_pi.core.lease import Lease
from evse_pi.core.limits import Limit, Offer, tightest
from evse_pi.core.load_monitor import LoadMonitor
from evse_pi.core.load_sense import LoadSense
from evse_pi.core.lock_control import LockControl
from evse_pi.core.machine_settings import DEFAULT_TEMPERATURE, MachineSettings, WakeUp
from evse_pi.core.overcurrent import Overcurrent
from evse_pi.core.pilot_monitor import CableMonitor, PilotMonitor
from evse_pi.core.rcd_monitor import RcdMonitor, RcdStage
from evse_pi.core.records import Demand, MeterSample, Request, TemperatureSample
from evse_pi.core.selftest import SelfTest, Stage
from evse_pi.core.states import LimitSource, PilotMode, PilotState
from evse_pi.core.supply import Supply
from evse_pi.core.temperature import Derating
from evse_pi.core.wakeup import Waking
from hal.units import CentiCelsius, DutyPpm, Milliamps, Millivolts, Ohms
from tests.support.ideal_box import FULL_BOARD, HOUSE, MS, PLAIN_BOARD, S, reading, settings_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


DEMAND = Demand(1, True, Milliamps(16_000), LimitSource.OWNER, 15 * S)
VOLTS = (Millivolts(230_000),) * 3
NO_AMPS = (Milliamps(0),) * 3


# --- lease ---


def test_a_lease_ends_at_the_instant_it_names() -> None:
    lease = Lease().advance(0, replace(DEMAND, valid_until_ns=5 * S))
    assert lease.valid(5 * S - 1)
    assert not lease.valid(5 * S)


def test_a_demand_that_is_repeated_is_not_renewed() -> None:
    lease = Lease().advance(0, replace(DEMAND, valid_until_ns=100 * S))
    again = lease.advance(10 * S, replace(DEMAND, valid_until_ns=100 * S))
    assert again is lease or again.received_ns == 0
    assert not again.valid(15 * S)


def test_no_demand_any_more_ends_the_lease_at_once() -> None:
    lease = Lease().advance(0, DEMAND).advance(1, None)
    assert not lease.valid(1)
    assert lease.advance(2, None) is lease


def test_orders_last_one_tick_and_the_first_number_is_only_remembered() -> None:
    lease = Lease().advance(0, replace(DEMAND, request=Request.CLEAR_INSTALLER, request_number=7))
    assert not lease.orders
    second = replace(DEMAND, number=2, request=Request.CLEAR_USER, request_number=8)
    lease = lease.advance(1, second)
    assert lease.orders is Request.CLEAR_USER
    lease = lease.advance(2, second)
    assert not lease.orders
    assert not lease.advance(3, replace(second, number=3)).orders


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize(
    ("at_ns", "fresh"), [(0, False), (1, True), (15 * S, True), (16 * S, True), (16 * S + 1, False)]
)
def test_a_sample_is_fresh_for_15_s_and_never_from_the_future(at_ns: int, fresh: bool) -> None:
    demand = replace(
        DEMAND, meter=MeterSample(at_ns, VOLTS, NO_AMPS), temperature=TemperatureSample(at_ns, CentiCelsius(0))
    )
    lease = Lease().advance(15 * S, demand)
    assert (lease.meter(15 * S) is not None) is fresh
    assert (lease.temperature(15 * S) is not None) is fresh


def test_without_a_demand_there_are_no_samples() -> None:
    assert Lease().meter(0) is None
    assert Lease().temperature(0) is None


# --- limits ---


def test_the_first_of_equal_limits_wins() -> None:
    limits = [
        Limit(LimitSource.BOARD, Milliamps(16_000)),
        Limit(LimitSource.OWNER, Milliamps(16_000)),
        Limit(LimitSource.CABLE, Milliamps(20_000)),
    ]
    assert tightest(limits).source is LimitSource.BOARD


@pytest.mark.parametrize(("current_ma", "chargeable"), [(5_999, False), (6_000, True)])
def test_less_than_6_a_cannot_be_signalled(current_ma: Milliamps, chargeable: bool) -> None:
    assert Limit(LimitSource.OWNER, current_ma).chargeable is chargeable


def test_the_reference_is_the_highest_offer_of_the_last_5_s() -> None:
    offer = Offer().advance(0, Milliamps(32_000))
    offer = offer.advance(10 * S, Milliamps(20_000))
    offer = offer.advance(12 * S, Milliamps(10_000))
    assert offer.reference_ma() == 32_000
    offer = offer.advance(15 * S, Milliamps(10_000))
    assert offer.reference_ma() == 20_000
    offer = offer.advance(17 * S, Milliamps(10_000))
    assert offer.reference_ma() == 10_000


def test_a_lower_promise_that_ends_sooner_is_forgotten() -> None:
    offer = Offer().advance(0, Milliamps(20_000)).advance(10 * S, Milliamps(10_000))
    offer = offer.advance(15 * S, Milliamps(30_000))
    offer = offer.advance(16 * S, Milliamps(6_000))
    assert [promise[1] for promise in offer.promises] == [30_000]


def test_many_small_steps_down_keep_the_highest_promise_and_stay_few() -> None:
    offer = Offer().advance(0, Milliamps(32_000))
    for step in range(1, 40):
        offer = offer.advance(100 * S + step * 10 * MS, Milliamps(32_000 - step * 500))
        assert offer.reference_ma() == 32_000
        assert len(offer.promises) <= 8


def test_after_the_end_of_an_offer_its_value_counts_until_the_contactor_has_opened() -> None:
    offer = Offer().advance(0, Milliamps(16_000)).advance(10 * S, Milliamps(0))
    assert offer.advance(17 * S, Milliamps(0)).reference_ma() == 16_000
    assert offer.advance(20 * S, Milliamps(0)).reference_ma() == 0


# --- overcurrent ---


def judge(samples: Sequence[tuple[int, int]], reference_ma: int = 16_000, bearable_ma: int = 32_000) -> Overcurrent:
    state = Overcurrent()
    for at_ns, drawn_ma in samples:
        state = watched(state, at_ns, (0, drawn_ma, 0), reference_ma, bearable_ma)
    return state


def watched(
    state: Overcurrent, at_ns: int, amps: tuple[int, int, int], reference_ma: int, bearable_ma: int
) -> Overcurrent:
    return state.advance(
        at_ns,
        MeterSample(at_ns, VOLTS, (Milliamps(amps[0]), Milliamps(amps[1]), Milliamps(amps[2]))),
        Milliamps(reference_ma),
        bearable_ma=Milliamps(bearable_ma),
        closed=True,
    )


@pytest.mark.hazard("H-04")
@pytest.mark.parametrize(
    ("offered_ma", "for_ever_ma"),
    [(6_000, 6_666), (16_000, 16_766), (32_000, 32_926), (51_000, 52_116), (63_000, 66_155), (80_000, 83_325)],
)
def test_one_point_of_duty_and_one_percent_of_the_meter_may_be_drawn_without_end(
    offered_ma: Milliamps, for_ever_ma: Milliamps
) -> None:
    """Points of Table A.8: 0.6 A up to 51 A, 2.5 A above. The table is in docs/SAFETY.md."""
    day = [(second * S, for_ever_ma) for second in range(0, 24 * 3600, 60)]
    assert not judge(day, offered_ma, 80_000).tripped
    assert judge([(at_ns, drawn_ma + 100) for at_ns, drawn_ma in day[:120]], offered_ma, 80_000).tripped


@pytest.mark.hazard("H-04")
@pytest.mark.parametrize("offered_ma", [6_000, 16_000, 32_000, 63_000])
def test_from_half_an_ampere_and_a_tenth_above_the_offer_it_takes_7_s_at_most(offered_ma: Milliamps) -> None:
    drawn_ma = (offered_ma + 500) * 110 // 100
    assert judge([(second * S, drawn_ma) for second in range(8)], offered_ma, 80_000).tripped
    assert not judge([(second * S, drawn_ma) for second in range(6)], offered_ma, 80_000).tripped


@pytest.mark.hazard("H-04")
def test_one_low_reading_takes_back_an_eighth_of_its_time_and_a_minute_of_them_what_was() -> None:
    high = [(second * S, 23_900) for second in range(7)]
    assert not judge(high).tripped
    assert judge([*high, (7 * S, 16_000), (8 * S, 23_900)]).tripped
    low = [(second * S, 16_000) for second in range(7, 67)]
    assert judge([*high, *low]).over_ns == 0


@pytest.mark.hazard("H-04")
@pytest.mark.parametrize(("drawn_ma", "trips"), [(24_000, False), (24_001, True), (-24_001, True)])
def test_half_as_much_again_as_the_circuit_bears_trips_with_the_second_reading(
    drawn_ma: Milliamps, trips: bool
) -> None:
    assert not judge([(0, drawn_ma)], bearable_ma=16_000).tripped
    assert judge([(0, drawn_ma), (S, drawn_ma)], bearable_ma=16_000).tripped is trips


def test_one_reading_counts_once_towards_the_fast_rule_however_often_it_is_looked_at() -> None:
    state = judge([(0, 60_000)])
    sample = MeterSample(0, VOLTS, (Milliamps(0), Milliamps(60_000), Milliamps(0)))
    assert not state.advance(S, sample, Milliamps(16_000), bearable_ma=Milliamps(16_000), closed=True).tripped


def test_what_the_vehicle_may_still_follow_is_not_far_above_a_circuit_that_was_lowered() -> None:
    assert not judge([(second * S, 32_000) for second in range(6)], 32_000, 16_000).tripped


def test_without_a_reading_the_clock_stands() -> None:
    state = judge([(second * S, 20_000) for second in range(6)])
    blind = state.advance(60 * S, None, Milliamps(16_000), bearable_ma=Milliamps(32_000), closed=True)
    assert not blind.tripped
    assert not watched(blind, 61 * S, (20_000, 0, 0), 16_000, 32_000).tripped


def test_an_open_contactor_ends_the_judgement() -> None:
    open_one = judge([(0, 60_000)]).advance(1, None, Milliamps(0), bearable_ma=Milliamps(32_000), closed=False)
    assert open_one == Overcurrent()


# --- supply ---


def supply(volts: Sequence[tuple[int, ...]], settings: MachineSettings | None = None) -> Supply:
    state = Supply()
    for second, voltages in enumerate(volts):
        state = state.advance(
            second * S,
            MeterSample(second * S, tuple(Millivolts(each) for each in voltages), NO_AMPS),
            settings or settings_for(FULL_BOARD),
        )
    return state


@pytest.mark.parametrize(
    ("volts", "bad"),
    [
        ([(264_500, 230_000, 230_000)] * 20, set()),
        ([(264_501, 230_000, 230_000)] * 2, set()),
        ([(264_501, 230_000, 230_000)] * 3, {Fault.OVERVOLTAGE}),
        ([(184_000, 230_000, 230_000)] * 20, set()),
        ([(183_999, 230_000, 230_000)] * 10, set()),
        ([(183_999, 230_000, 230_000)] * 11, {Fault.UNDERVOLTAGE}),
        ([(91_999, 230_000, 230_000)] * 11, {Fault.POWER_QUALITY}),
        ([(91_999, 91_999, 91_999)] * 11, {Fault.UNDERVOLTAGE}),
        ([(300_000, 100_000, 230_000)] * 11, {Fault.OVERVOLTAGE, Fault.UNDERVOLTAGE}),
    ],
)
def test_a_voltage_out_of_its_band_counts_after_its_delay(volts: list[tuple[int, ...]], bad: set[Fault]) -> None:
    assert supply(volts).bad == bad


@pytest.mark.parametrize(("volts", "inside", "outside"), [(270_000, 259_900, 260_000), (180_000, 188_600, 188_500)])
def test_a_voltage_must_come_back_by_2_percent(volts: int, inside: int, outside: int) -> None:
    bad = [(volts, 230_000, 230_000)] * 11
    assert supply([*bad, (outside, 230_000, 230_000)]).bad
    assert not supply([*bad, (inside, 230_000, 230_000)]).bad


def test_phases_that_the_house_does_not_have_are_not_judged() -> None:
    assert not supply([(230_000, 0, 0)] * 20, settings_for(FULL_BOARD, phases=1)).bad


def test_a_silent_meter_changes_nothing() -> None:
    state = supply([(270_000, 230_000, 230_000)] * 3)
    assert state.advance(99 * S, None, settings_for(FULL_BOARD)) is state


# --- temperature ---


def test_no_temperature_changes_no_derating() -> None:
    hot = Derating().advance(CentiCelsius(66_00), DEFAULT_TEMPERATURE)
    assert hot.advance(None, DEFAULT_TEMPERATURE) is hot


@pytest.mark.hazard("H-12")
@pytest.mark.parametrize(
    ("temperatures", "limit_ma"),
    [
        ((64_99,), 32_000),
        ((65_00,), 16_000),
        ((67_99,), 16_000),
        ((68_00,), 8_000),
        ((71_00,), 0),
        ((71_00, 62_01), 0),
        ((71_00, 62_00), 32_000),
        ((68_00, 65_01), 8_000),
        ((68_00, 65_00), 16_000),
        ((68_00, 62_00), 32_000),
        ((65_00, 62_01), 16_000),
        ((65_00, 62_00), 32_000),
    ],
)
def test_derating_rises_at_once_and_falls_with_hysteresis(temperatures: tuple[int, ...], limit_ma: Milliamps) -> None:
    state = Derating()
    for temperature in temperatures:
        state = state.advance(CentiCelsius(temperature), DEFAULT_TEMPERATURE)
    assert state.limit_ma(Milliamps(32_000)) == limit_ma


# --- contactor ---


def test_a_contactor_is_given_its_time_and_then_judged() -> None:
    opened = ContactorMonitor(closed=True).order(0, closed=False, loaded=False)
    assert not opened.watch(10 * MS, True, LoadSense(), PLAIN_BOARD).faults(10 * MS)
    late = opened.watch(20 * MS, True, LoadSense(), PLAIN_BOARD)
    assert not late.faults(49 * MS)
    assert late.faults(50 * MS) == {Fault.CONTACTOR_WELDED}
    assert not late.watch(40 * MS, False, LoadSense(), PLAIN_BOARD).faults(60 * MS)


def couplers(live: bool | None, ticks: int = 5) -> LoadSense:
    """Return a sense after some ticks in which couplers said so."""
    sense = LoadSense()
    for _ in range(ticks):
        sense = sense.advance_couplers(live)
    return sense


@pytest.mark.hazard("H-03")
def test_voltage_behind_an_open_mirror_contact_is_a_welded_contactor() -> None:
    """A second, then a quarter of one. Source: docs/boards/reference.md."""
    opened = ContactorMonitor()
    board = replace(FULL_BOARD, load_hold_ns=0)
    held = LoadMonitor().advance(990 * MS, couplers(live=True), opened, board, HOUSE)
    assert not held.faults(1_300 * MS), "a vehicle's capacitors have a second"
    late = held.advance(1_000 * MS, couplers(live=True), opened, board, HOUSE)
    assert not late.faults(1_249 * MS)
    assert late.faults(1_250 * MS) == {Fault.CONTACTOR_WELDED}
    assert not late.advance(1_100 * MS, couplers(live=False), opened, board, HOUSE).faults(1_250 * MS)
    slow = replace(board, load_hold_ns=40 * MS)
    assert not held.advance(1_030 * MS, couplers(live=True), opened, slow, HOUSE).faults(1_400 * MS)


@pytest.mark.hazard("H-13")
@pytest.mark.parametrize(
    ("mirror", "live", "dead"), [(False, False, True), (True, False, False), (False, True, False), (None, False, False)]
)
def test_dead_is_what_every_fitted_sensor_says(mirror: bool, live: bool, dead: bool) -> None:
    opened = ContactorMonitor(closed=True).order(0, closed=False, loaded=False)
    assert not opened.watch(10 * MS, mirror, couplers(live), FULL_BOARD).dead
    seen = opened.watch(20 * MS, mirror, couplers(live), FULL_BOARD)
    assert (seen.dead, seen.apart) == (dead, dead)


@pytest.mark.hazard("H-13")
def test_a_load_side_is_dead_after_five_quiet_ticks_or_five_seconds_of_an_open_mirror_contact() -> None:
    opened = ContactorMonitor(closed=True).order(0, closed=False, loaded=False)
    standing = couplers(live=False, ticks=4)
    assert opened.watch(4_990 * MS, False, standing, FULL_BOARD).apart
    assert not opened.watch(4_990 * MS, False, standing, FULL_BOARD).dead
    assert opened.watch(5_000 * MS, False, standing, FULL_BOARD).dead
    assert not opened.watch(60 * S, False, couplers(live=True), FULL_BOARD).dead


def test_the_same_order_again_changes_nothing() -> None:
    opened = ContactorMonitor()
    assert opened.order(5, closed=False, loaded=True) is opened


@pytest.mark.parametrize(("mirror", "fault"), [(True, Fault.SUPPLY_LOST), (False, Fault.CONTACTOR_FAILED_TO_CLOSE)])
def test_the_mirror_contact_tells_lost_mains_from_a_contactor_that_does_not_close(mirror: bool, fault: Fault) -> None:
    closed = ContactorMonitor().order(0, closed=True, loaded=False).watch(30 * MS, mirror, couplers(False), FULL_BOARD)
    behind = LoadMonitor().advance(30 * MS, couplers(live=False), closed, FULL_BOARD, HOUSE)
    assert closed.cycles == 1
    assert closed.faults(530 * MS) | behind.faults(530 * MS) == {fault}
    assert not closed.faults(59 * MS) | behind.faults(529 * MS) - {fault}


def test_without_a_mirror_contact_mains_that_was_there_is_lost_and_what_never_came_is_a_dry_contact() -> None:
    board = replace(FULL_BOARD, mirror_fitted=False)
    ordered = ContactorMonitor().order(0, closed=True, loaded=False)
    assert ordered.watch(30 * MS, None, couplers(live=False), board).faults(60 * MS) == {
        Fault.CONTACTOR_FAILED_TO_CLOSE
    }
    came = ordered.watch(20 * MS, None, couplers(live=True), board).watch(40 * MS, None, couplers(live=False), board)
    assert not came.faults(S)
    assert LoadMonitor().advance(40 * MS, couplers(live=False), came, board, HOUSE).faults(S) == {Fault.SUPPLY_LOST}


@pytest.mark.parametrize(("mirror", "live", "made"), [(True, True, True), (True, False, False), (None, True, False)])
def test_contacts_have_closed_once_every_fitted_sensor_has_said_so(mirror: bool | None, live: bool, made: bool) -> None:
    ordered = ContactorMonitor().order(0, closed=True, loaded=False)
    assert not ordered.made
    seen = ordered.watch(10 * MS, mirror, couplers(live), FULL_BOARD)
    assert seen.made is made
    assert seen.watch(20 * MS, False, couplers(live=False), FULL_BOARD).made is made, "contacts that bounce have closed"
    assert not seen.order(30 * MS, closed=False, loaded=False).made


def test_contacts_that_nothing_watches_have_closed_when_their_time_is_over() -> None:
    board = replace(PLAIN_BOARD, mirror_fitted=False, load_sense_fitted=False, contactor_pull_in_ns=30 * MS)
    ordered = ContactorMonitor().order(0, closed=True, loaded=False)
    assert not ordered.watch(20 * MS, None, LoadSense(), board).made
    assert ordered.watch(30 * MS, None, LoadSense(), board).made


# --- observation ---


def test_a_diode_that_cannot_be_judged_for_a_second_is_no_certainty() -> None:
    output = PilotOutput(PilotMode.PWM, DutyPpm(960_000))
    seen = PilotMonitor()
    for tick in range(110):
        seen = seen.advance(tick * 10 * MS, reading(6_000, None, 960_000), output)
    assert seen.state is PilotState.C
    assert seen.faults(1_100 * MS, closed=True) == {Fault.PILOT_UNCERTAIN}


def test_a_window_that_could_not_be_read_keeps_the_state_for_half_a_second() -> None:
    output = PilotOutput(PilotMode.HIGH, DutyPpm(0))
    seen = PilotMonitor()
    for tick in range(3):
        seen = seen.advance(tick * 10 * MS, reading(9_000, None, 1_000_000), output)
    assert seen.state is PilotState.B
    lost = seen.advance(400 * MS, None, output)
    assert lost.state is PilotState.B
    assert lost.advance(600 * MS, None, output).state is PilotState.INVALID


def test_a_window_that_stays_garbled_never_counts_as_seen() -> None:
    output = PilotOutput(PilotMode.HIGH, DutyPpm(0))
    seen = PilotMonitor()
    for tick in range(300):
        seen = seen.advance(tick * 10 * MS, None, output)
    assert seen.faults(3 * S, closed=False) == {Fault.PILOT_ADC_FAILED}


def test_a_cable_that_flickers_is_not_believed() -> None:
    seen = CableMonitor()
    for tick in range(100):
        seen = seen.advance(tick * 10 * MS, Ohms(220 if tick % 10 else 680), connected=False)
        assert seen.accepted is Cable.NONE
    for tick in range(100, 122):
        seen = seen.advance(tick * 10 * MS, Ohms(220), connected=False)
    assert seen.accepted is Cable.A32


def read_cable(seen: CableMonitor, begin_ms: int, ohms: int | None, *, connected: bool) -> CableMonitor:
    for ms in range(begin_ms, begin_ms + 300, 10):
        seen = seen.advance(ms * MS, None if ohms is None else Ohms(ohms), connected=connected)
    return seen


@pytest.mark.hazard("H-04")
def test_a_contact_that_opens_for_a_moment_makes_no_better_cable() -> None:
    seen = read_cable(CableMonitor(), 0, 680, connected=False)
    seen = read_cable(seen, 300, 680, connected=True)
    seen = read_cable(seen, 600, None, connected=True)
    assert seen.accepted is Cable.NONE
    seen = read_cable(seen, 900, 220, connected=True)
    assert seen.accepted is Cable.A20
    seen = read_cable(seen, 1_200, 1_500, connected=True)
    assert seen.accepted is Cable.A13
    seen = read_cable(seen, 1_500, 220, connected=True)
    assert seen.accepted is Cable.A13
    seen = read_cable(seen, 1_800, 220, connected=False)
    assert seen.accepted is Cable.A32, "the next vehicle brings its own"


# --- residual current device ---


def test_a_latch_that_its_supply_sets_is_reset_while_the_monitor_wakes_and_no_trip() -> None:
    rcd, pulses, tripped = RcdMonitor.switched_on(0), 0, True
    for now in range(0, 5_000 * MS, 10 * MS):
        was = rcd.pulsing
        rcd = rcd.advance(now, tripped=tripped, closed_ns=None)
        pulses += rcd.pulsing and not was
        tripped = tripped and not (rcd.pulsing and now >= 3 * S)  # it calibrates for 3 s and takes no reset until then
        assert not rcd.faults()
    assert not rcd.starting
    assert 2 <= pulses <= 4


@pytest.mark.hazard("H-05")
def test_a_monitor_that_says_tripped_for_10_s_after_it_was_switched_on_has_tripped() -> None:
    rcd = RcdMonitor.switched_on(0)
    for now in range(0, 12_000 * MS, 10 * MS):
        rcd = rcd.advance(now, tripped=True, closed_ns=None)
        assert bool(rcd.faults()) is (now >= 10 * S)


@pytest.mark.hazard("H-05")
def test_no_reset_flows_while_the_monitor_wakes_unless_the_contactor_is_proven_open() -> None:
    rcd = RcdMonitor.switched_on(0)
    for now in range(0, 9_000 * MS, 10 * MS):
        rcd = rcd.advance(now, tripped=True, closed_ns=None, dead=False)
        assert not rcd.pulsing


def test_a_reset_that_does_not_help_leaves_the_trip() -> None:
    rcd = RcdMonitor().advance(0, tripped=True, closed_ns=None).reset(1, by_user=True)
    for tick in range(200):
        rcd = rcd.advance(tick * 10 * MS, tripped=True, closed_ns=None)
    assert rcd.stage is RcdStage.IDLE
    assert rcd.faults() == {Fault.RCD_TRIPPED}


def test_a_person_who_resets_the_device_ends_the_lockout_and_gives_all_reclosures_back() -> None:
    early = RcdMonitor(reclosures=3).advance(1 * S, tripped=True, closed_ns=0)
    assert not early.reclosable(9_000 * S, 4)
    reset = early.reset(2 * S, by_user=True)
    assert (reset.locked_out, reset.reclosures) == (False, 0)
    assert early.unplugged().reclosures == 0
    again = early.reset(2 * S, by_user=False)
    assert (again.locked_out, again.reclosures) == (True, 4)


def test_an_output_that_trembles_after_the_reset_must_be_quiet_for_100_ms() -> None:
    rcd = RcdMonitor().test(0)
    now = 0
    for tripped in [False] * 12 + [False, False, True] * 10:
        now += 10 * MS
        rcd = rcd.advance(now, tripped=tripped, closed_ns=None)
    assert rcd.stage is RcdStage.CLEARED


# --- lock ---


def drive_lock(
    goal: bool, contact: Callable[..., Any], *, bolted: bool | None, ms: int = 20_000, releasable: bool = True
) -> tuple[LockControl, list[bool | None], bool | None]:
    """Drive a bolt that moves at the end of a pulse; `contact` makes of it what the feedback says."""
    lock, pulses, ran = LockControl(), [], 0
    for now in range(0, ms * MS, 10 * MS):
        lock = lock.advance(now, goal, contact(bolted), releasable=releasable)
        ran = ran + 1 if lock.motor is not None else 0
        if ran == 1:
            pulses.append(lock.motor)
        if ran == 25:
            bolted = lock.motor
    return lock, pulses, bolted


def test_a_bolt_that_says_locked_is_pulled_back_and_driven_out_before_it_is_believed() -> None:
    lock, pulses, bolted = drive_lock(True, lambda bolted: bolted, bolted=True)
    assert pulses == [False, True]
    assert lock.holding
    assert bolted
    assert drive_lock(True, lambda bolted: bolted, bolted=False)[1] == [True]
    assert drive_lock(False, lambda bolted: bolted, bolted=False)[1] == [False], "always a pulse"


@pytest.mark.hazard("H-13")
@pytest.mark.parametrize(("stuck", "goal"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("bolted", [True, False])
def test_a_feedback_contact_that_is_stuck_is_found_and_never_believed(stuck: bool, goal: bool, bolted: bool) -> None:
    lock, pulses, bolted = drive_lock(goal, lambda _: stuck, bolted=bolted)  # type: ignore[assignment]
    assert lock.failed
    assert not lock.holding
    assert len(pulses) == 5
    assert lock.advance(30 * S, goal, goal).failed, "what the contact says later changes nothing"


@pytest.mark.hazard("H-13")
def test_under_a_contactor_that_may_be_closed_no_bolt_is_pulled_back_to_prove_its_contact() -> None:
    lock, pulses, _ = drive_lock(True, lambda bolted: bolted, bolted=True, releasable=False)
    assert set(pulses) == {True}
    assert not lock.holding


def test_a_lock_that_gave_up_still_releases_the_plug_and_holds_none_until_it_is_acknowledged() -> None:
    lock = drive_lock(True, lambda _: True, bolted=True)[0]
    lock = lock.advance(30 * S, False, True)
    assert lock.motor is False
    lock = lock.advance(31 * S, True, False)
    assert lock.motor is None
    assert lock.failed
    assert lock.advance(32 * S, True, False, retry=True).motor is True


def test_a_lock_that_gave_up_waits_for_a_person() -> None:
    lock, now = LockControl(), 0
    while not lock.failed:
        lock, now = lock.advance(now, True, False), now + 10 * MS
    assert lock.advance(now + 60 * S, True, False) is lock
    assert lock.advance(now + 60 * S, True, False, retry=True).motor is True


# --- wake-up ---


def test_no_step_is_due_after_the_last() -> None:
    rules = WakeUp(calm_ns=0)
    waking, taken = Waking(), 0
    for second in range(1_000):
        if waking.due(second * S, rules):
            waking, taken = waking.begun(second * S, rules).offered(second * S), taken + 1
    assert taken == len(rules.steps) == 4


# --- self-test ---


def test_a_self_test_whose_device_is_never_tested_ends_by_itself() -> None:
    settings = settings_for(FULL_BOARD)
    tests = SelfTest(Stage.RCD, since_ns=0)
    idle = Inputs(now_ns=1 * S, pilot=None, demand=None)
    assert tests.advance(idle, PilotMonitor(), CableMonitor(), RcdMonitor(), settings) is tests
    late = replace(idle, now_ns=2 * S)
    assert tests.advance(late, PilotMonitor(), CableMonitor(), RcdMonitor(), settings).failed == {
        Fault.SELF_TEST_FAILED
    }


def test_a_request_during_a_run_does_not_begin_another() -> None:
    tests = SelfTest().begun(0)
    assert tests.again() is tests
    assert tests.forgiven() is tests


@pytest.mark.hazard("H-04")
def test_what_was_judged_of_the_generator_is_kept_when_the_vehicle_is_forgotten() -> None:
    judged = DutyMonitor(lowered=True, verdicts=1)
    assert PilotMonitor(duty=judged).forgotten(5).duty == judged
