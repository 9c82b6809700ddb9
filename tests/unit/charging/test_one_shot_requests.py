from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from evse_pi.charging.demand_arbiter import DemandArbiter
from evse_pi.charging.one_shot_requests import OneShotRequests
from evse_pi.core.lease import Lease
from evse_pi.core.records import Request
from tests.support.node_box import IDLE

if TYPE_CHECKING:
    from evse_pi.core.records import Snapshot


class Heard:
    """A safety process that keeps its lease by the product's own rule, and what it carried out."""

    def __init__(self, orders: OneShotRequests) -> None:
        self.requests = orders
        self.arbiter = DemandArbiter()
        self.safety_run_id = 0
        self.carried_out: list[Request] = []
        self.restart()

    def restart(self) -> None:
        self.safety_run_id += 1
        self.lease = Lease()

    def send(self, *, arrives: bool = True) -> None:
        demand = replace(self.arbiter.compose(0), request=self.requests.request, request_number=self.requests.number)
        if arrives:
            self.lease = self.lease.advance(0, demand)
            if self.lease.orders:
                self.carried_out.append(self.lease.orders)

    def answer(self, *, arrives: bool = True) -> Snapshot:
        snapshot = replace(IDLE, safety_run_id=self.safety_run_id, request_number=self.lease.order_number or 0)
        if arrives:
            self.requests.on_snapshot(snapshot)
        return snapshot


def talk(box: Heard, times: int = 4) -> None:
    for _ in range(times):
        box.send()
        box.answer()


def test_an_order_is_carried_out_once() -> None:
    box = Heard(OneShotRequests())
    talk(box)
    box.requests.ask(Request.SELF_TEST)
    assert box.requests.outstanding == Request.SELF_TEST
    talk(box)
    assert box.carried_out == [Request.SELF_TEST]
    assert not box.requests.outstanding


def test_an_order_before_the_first_word_waits_for_it() -> None:
    box = Heard(OneShotRequests())
    box.requests.ask(Request.CLEAR_USER)
    talk(box)
    assert box.carried_out == [Request.CLEAR_USER]


def test_a_node_that_restarts_repeats_no_order_from_before() -> None:
    box = Heard(OneShotRequests())
    talk(box)
    box.requests.ask(Request.SELF_TEST)
    talk(box)
    box.requests = OneShotRequests()
    talk(box)
    assert box.carried_out == [Request.SELF_TEST]
    box.requests.ask(Request.SELF_TEST)
    talk(box)
    assert box.carried_out == [Request.SELF_TEST] * 2


def test_an_order_that_a_restart_of_the_safety_process_swallowed_is_given_again() -> None:
    box = Heard(OneShotRequests())
    talk(box)
    box.requests.ask(Request.CLEAR_INSTALLER)
    box.send(arrives=False)
    box.restart()
    talk(box)
    assert box.carried_out == [Request.CLEAR_INSTALLER]


def test_orders_asked_one_after_the_other_are_both_carried_out() -> None:
    box = Heard(OneShotRequests())
    talk(box)
    box.requests.ask(Request.CLEAR_USER)
    box.requests.ask(Request.SELF_TEST)
    talk(box)
    assert box.carried_out == [Request.CLEAR_USER, Request.SELF_TEST]


def test_a_withdrawn_order_is_not_given() -> None:
    box = Heard(OneShotRequests())
    talk(box)
    box.requests.ask(Request.SELF_TEST)
    box.requests.withdraw()
    talk(box)
    assert box.carried_out == []


@given(st.lists(st.sampled_from(["ask", "send", "lose", "answer", "deaf", "restart"]), max_size=40))
def test_an_order_is_never_lost_and_carried_out_twice_only_over_a_restart(made: list[str]) -> None:
    box = Heard(OneShotRequests())
    asked = restarts = 0
    for step in made:
        if step == "ask" and not box.requests.outstanding:
            box.requests.ask(Request.SELF_TEST)
            asked += 1
        elif step in ("send", "lose"):
            box.send(arrives=step == "send")
        elif step in ("answer", "deaf"):
            box.answer(arrives=step == "answer")
        elif step == "restart":
            box.restart()
            restarts += 1
    talk(box, 6)
    assert asked <= len(box.carried_out) <= asked + restarts
