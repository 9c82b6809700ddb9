"""What a node that is captured can have the box do, over hours: numbers are those of docs/SAFETY.md, literal."""

from __future__ import annotations

import pytest

from evse_pi.core.faults import Fault
from evse_pi.core.records import Request
from evse_pi.core.states import Reason
from tests.support.ideal_box import COUPLER_BOARD, MS, PLAIN_BOARD, IdealBox, S, settings_for

PLAIN, FULL = settings_for(PLAIN_BOARD), settings_for(COUPLER_BOARD)
BOTH = Request.CLEAR_USER | Request.CLEAR_INSTALLER
HOUR = 3600 * S


class Coarse(IdealBox):
    """Ticks of 100 ms, so that hours pass; counts what the contactor and the residual current device go through."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.closings: list[int] = []
        self.tests = 0

    def tick(self) -> None:
        self.now_ns += 90 * MS
        closed, testing = self.closed, self.outputs.rcd_test
        super().tick()
        if self.closed and not closed:
            self.closings.append(self.now_ns)
        self.tests += self.outputs.rcd_test and not testing

    def closings_in(self, since_ns: int) -> int:
        return sum(at_ns >= since_ns for at_ns in self.closings)


def toggle(box: Coarse, duration_ns: int) -> None:
    """Stop whenever it charges, permit whenever it is open, as fast as the box follows."""
    end_ns = box.now_ns + duration_ns
    while box.now_ns < end_ns:
        box.permitted = not box.closed
        if box.reason is Reason.TOO_MANY_STOPS:
            box.now_ns += 900 * MS  # nothing happens while it rests
        box.tick()


@pytest.mark.hazard("H-15")
def test_toggling_wears_the_contactor_no_faster_than_its_budget() -> None:
    box = Coarse(PLAIN).charging()
    begun_ns = box.now_ns
    toggle(box, HOUR)
    assert 15 <= box.closings_in(begun_ns) <= 20
    toggle(box, HOUR)
    later_ns = box.now_ns
    toggle(box, 2 * HOUR)
    assert box.closings_in(later_ns) <= 2 * 7
    assert not box.faults


@pytest.mark.hazard("H-15")
def test_the_pause_says_why_and_until_when_and_ends_by_itself() -> None:
    box = Coarse(PLAIN).charging()
    toggle(box, 600 * S)
    box.permitted = True
    box.run_until(lambda b: b.reason is Reason.TOO_MANY_STOPS, 60 * S)
    until_ns = box.state.status.reason_until_ns
    assert box.now_ns < until_ns <= box.now_ns + 1800 * S
    box.run_until(lambda b: b.closed, until_ns - box.now_ns + 10 * S)
    assert box.now_ns >= until_ns


def test_ten_stops_in_a_row_cost_a_person_no_more_than_the_contacts_rest() -> None:
    box = Coarse(PLAIN).charging()
    for _ in range(9):
        box.permitted = False
        box.run_until(lambda b: not b.closed, 10 * S)
        box.permitted = True
        box.run_until(lambda b: b.closed, 12 * S)
        box.run(2 * S)


def test_a_vehicle_that_lets_go_by_itself_spends_nothing() -> None:
    box = Coarse(PLAIN).charging()
    for _ in range(30):
        box.vehicle = "B"
        box.run_until(lambda b: not b.closed, S)
        box.vehicle = "C"
        box.run_until(lambda b: b.closed, 12 * S)


@pytest.mark.hazard("H-05")
def test_ordered_self_tests_do_not_wear_out_the_residual_current_device() -> None:
    box = Coarse(FULL)
    box.run_until(lambda b: b.reason is Reason.NO_VEHICLE, 10 * S)
    before = box.tests
    for _ in range(200):
        box.order(Request.SELF_TEST)
        box.run(4 * S)
    assert 10 <= box.tests - before <= 14
    before = box.tests
    for _ in range(120):
        box.order(Request.SELF_TEST | Request.CLEAR_USER)
        box.run(4 * S)
        box.idle(236 * S)
    assert box.tests - before <= 8 * 2
    box.order(BOTH)
    box.order(Request.SELF_TEST | BOTH)
    box.run(5 * S)
    assert box.state.watch.tests.passed


def trip(box: Coarse) -> None:
    box.rcd_latched = True
    box.run(300 * MS)


@pytest.mark.hazard("H-14")
def test_a_trip_that_comes_back_after_three_resets_waits_for_the_installer() -> None:
    box = Coarse(FULL).charging()
    for number in range(3):
        trip(box)
        assert box.faults == {Fault.RCD_TRIPPED}, number
        box.rcd_latched = False
        box.order(Request.CLEAR_USER)
        box.run_until(lambda b: not b.faults, 5 * S)
        box.run_until(lambda b: b.closed, 60 * S)
    trip(box)
    assert box.faults == {Fault.RCD_TRIPPED, Fault.RCD_TRIPS_REPEATED}
    box.rcd_latched = False
    for _ in range(100):
        box.order(Request.CLEAR_USER)
        box.run(S)
        assert {Fault.RCD_TRIPPED, Fault.RCD_TRIPS_REPEATED} == box.faults
    box.unplug()
    box.run(20 * S)
    assert Fault.RCD_TRIPS_REPEATED in box.faults
    box.order(BOTH)
    box.run_until(lambda b: not b.faults, 5 * S)


@pytest.mark.hazard("H-14")
def test_resets_are_forgotten_after_a_day() -> None:
    box = Coarse(FULL).charging()
    for _ in range(6):
        trip(box)
        assert box.faults == {Fault.RCD_TRIPPED}
        box.rcd_latched = False
        box.order(Request.CLEAR_USER)
        box.run_until(lambda b: not b.faults, 5 * S)
        box.now_ns += 25 * HOUR
        box.run_until(lambda b: b.closed, 60 * S)
