"""Faults that end by themselves and come back, for hours: the box pauses longer each time, then stops and says why.

The disturbances are those of public reports: a meter that answers every 18 s (SmartEVSE-3.5 issue 235), noise on the
pilot (openevse_esp32 issue 667), a converter that is disturbed by the coil (SmartEVSE-3 issue 29).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from evse_pi.core.faults import Fault
from evse_pi.core.records import Request
from evse_pi.core.states import EvseState, Reason
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

FULL = settings_for(COUPLER_BOARD)
Disturbance = Callable[[IdealBox], None]


def slow_meter(box: IdealBox) -> None:
    box.meter_alive = box.now_ns // S % 18 < 2


def bursts(box: IdealBox) -> None:
    box.garbled = box.now_ns // MS % 20_000 < 60


def coil_disturbs(box: IdealBox) -> None:
    since_ns = box.now_ns - box.switched_ns
    box.failures = frozenset({Fault.PILOT_ADC_FAILED}) if box.closed and since_ns == 20 * MS else frozenset()


def disturbed(disturb: Disturbance, duration_ns: int, box: IdealBox | None = None) -> tuple[IdealBox, list[int]]:
    """Return the box after so long, and when its contactor opened."""
    if box is None:
        box = box_in(EvseState.B2, FULL)
        box.vehicle, box.drawn_ma = "C", (16_000,) * 3
    opened, end_ns = [], box.now_ns + duration_ns
    while box.now_ns < end_ns:
        was = box.closed
        if box.now_ns // MS % 20_000 > 100 and box.now_ns - box.switched_ns > 100 * MS:
            box.now_ns += 90 * MS  # nothing happens meanwhile
        disturb(box)
        box.tick()
        if was and not box.closed:
            opened.append(box.now_ns)
    return box, opened


@pytest.mark.hazard("H-15")
@pytest.mark.parametrize(
    ("disturb", "fault"),
    [
        (slow_meter, Fault.METER_STALE),
        (bursts, Fault.PILOT_UNCERTAIN),
        (coil_disturbs, Fault.PILOT_ADC_FAILED),
    ],
)
def test_a_fault_that_comes_back_ends_a_charge_eight_times_at_most_and_then_stays_by_its_name(
    disturb: Any, fault: Any
) -> None:
    box, opened = disturbed(disturb, 2_400 * S)
    assert 1 <= len(opened) <= 8
    pauses_ns = [later - earlier for earlier, later in itertools.pairwise(opened)]
    assert len(pauses_ns) < 4 or pauses_ns[-1] > 4 * pauses_ns[1]
    if len(opened) == 8:
        assert fault in box.faults
        assert (box.reason, box.state.status.reason_until_ns) == (Reason.KEPT_AFTER_REPEATS, 0)
        disturbed(lambda box: None, 10 * S, box)
        box.garbled, box.failures, box.meter_alive = False, frozenset(), True
        box.idle(7_200 * S)
        assert box.faults == {fault}
        assert box.reason is Reason.KEPT_AFTER_REPEATS


@pytest.mark.hazard("H-15")
def test_the_pause_says_until_when_and_a_person_or_another_vehicle_ends_it() -> None:
    for end in (
        lambda box: box.order(Request.CLEAR_USER),
        lambda box: (box.unplug(), box.run(2 * S), box.plug_in("C")),
    ):
        box, opened = disturbed(coil_disturbs, 200 * S)
        assert len(opened) >= 3
        coil_disturbs(box)
        box.run_until(lambda b: b.reason is Reason.TRYING_AGAIN, 60 * S)
        left_ns = box.state.status.reason_until_ns - box.now_ns
        assert 0 < left_ns <= 120 * S
        box.failures = frozenset()
        box.run(31 * S)
        end(box)
        box.run_until(lambda b: b.closed, 50 * S)


@pytest.mark.hazard("H-15")
def test_no_time_is_told_while_the_cause_lasts_and_the_one_that_is_told_is_kept() -> None:
    box, opened = disturbed(coil_disturbs, 100 * S)
    box.run_until(lambda b: b.closed, 200 * S)
    box.run(S)
    box.failures = frozenset({Fault.PILOT_ADC_FAILED})
    for _ in range(300):
        box.run(S)
        assert (box.reason, box.state.status.reason_until_ns) == (Reason.FAULT, 0)
    assert len(opened) >= 2
    box.failures = frozenset()
    box.run(S)
    assert box.reason is Reason.TRYING_AGAIN
    told_ns = box.state.status.reason_until_ns
    box.run_until(lambda b: not b.faults, 60 * S)
    assert box.now_ns - 2 * TICK_NS <= told_ns <= box.now_ns


@pytest.mark.hazard("H-15")
def test_the_time_that_is_told_while_a_fault_is_held_is_when_it_ends() -> None:
    box, _opened = disturbed(coil_disturbs, 260 * S)
    box.run_until(lambda b: b.reason is Reason.TRYING_AGAIN, 100 * S)
    box.failures = frozenset()
    told_ns = box.state.status.reason_until_ns
    box.run_until(lambda b: not b.faults, 2_000 * S)
    assert box.now_ns - 2 * TICK_NS <= told_ns <= box.now_ns


@pytest.mark.hazard("H-16")
def test_a_meter_that_answers_now_and_then_gets_no_new_offer() -> None:
    box, opened = disturbed(slow_meter, 600 * S)
    assert len(opened) == 1
    assert box.faults == {Fault.METER_STALE}
    box.meter_alive = False
    box.run(20 * S)
    box.meter_alive = True
    took_ns = box.run_until(lambda b: not b.faults, 30 * S)
    assert took_ns >= 4 * S  # three readings, one in each demand of 2 s


@pytest.mark.hazard("H-15")
def test_openings_under_load_are_counted_by_the_current_and_not_by_a_pilot_that_cannot_be_read() -> None:
    box = box_in(EvseState.C2, FULL)
    before = box.state.watch.contactor.openings_under_load
    for drawn_ma in (16_000, 0):
        box.drawn_ma = (drawn_ma,) * 3
        box.run(3 * S)
        box.garbled = True
        box.run_until(lambda b: not b.closed, S)
        box.garbled = False
        assert box.state.watch.contactor.openings_under_load == before + 1
        box.run_until(lambda b: b.closed, 60 * S)
    box.drawn_ma = (16_000,) * 3
    box.run(3 * S)
    box.vehicle = "B"
    box.run(4 * TICK_NS)
    assert not box.closed
    assert box.state.watch.contactor.openings_under_load == before + 1


@pytest.mark.hazard("H-15")
def test_a_meter_that_the_board_does_not_have_shows_no_load() -> None:
    box = box_in(EvseState.C2, settings_for(PLAIN_BOARD))
    before = box.state.watch.contactor.openings_under_load
    box.run(3 * S)
    assert box.demand is not None
    assert box.demand.meter is not None
    assert max(box.demand.meter.current_ma) == 0
    box.garbled = True
    box.run_until(lambda b: not b.closed, S)
    assert box.state.watch.contactor.openings_under_load == before + 1


@pytest.mark.hazard("H-15")
def test_an_outage_of_hours_is_tried_again_by_itself_on_a_board_without_a_meter() -> None:
    """Mains that are gone are no broken part of the box, and a close on them breaks no current."""
    box = box_in(EvseState.C2, settings_for(replace(FULL_BOARD, meter_fitted=False, load_phases=0)))
    box.mains = (False, False, False)
    end_ns = box.now_ns + 8 * 3_600 * S
    while box.now_ns < end_ns:
        box.run(1_500 * MS)
        assert box.reason is not Reason.KEPT_AFTER_REPEATS
        box.now_ns += 60 * S
        box.demand = None
    box.mains = (True, True, True)
    box.run_until(lambda b: b.closed and not b.faults, 3_600 * S)
