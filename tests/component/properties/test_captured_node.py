"""The node process as an adversary: any demand at any time, any lie about the sensors, against a plant that is honest.

It lies in phases: a node that says something else in each demand is never believed for long enough to charge. What must
hold is said by literal numbers and by the fault table. The plant's vehicle asks all the time; what trips the residual
current device is the world's doing and not the node's.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from random import Random

import pytest

from evse_pi.core.faults import FAULTS, Clear, Fault, Severity
from evse_pi.core.records import Demand, MeterSample, Request, TemperatureSample
from evse_pi.core.states import LimitSource
from hal.units import CentiCelsius, Milliamps, Millivolts
from tests.support.ideal_box import COUPLER_BOARD, MS, IdealBox, S, settings_for

FULL = settings_for(COUPLER_BOARD)
HOUR = 3600 * S
NODES_OWN = [Request.NONE, Request.SELF_TEST, Request.CLEAR_USER, Request.CLEAR_USER | Request.SELF_TEST,
             Request.RESTART_WAKE_UP, Request.RELOAD_INSTALLATION]  # fmt: skip
"""All that a node can order: an installer's clear without a proof never reaches the machine."""
HEAT_C, CURRENT_MA = 25_00, 10_000


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a node says in one phase, by default the truth: how often, of what age, and which lie."""

    every_ns: int = 2 * S
    permitted: bool = True
    offered_ma: int = 16_000
    valid_ns: int = 15 * S
    meter: bool = True
    meter_age_ns: int = 0
    current_ma: int = CURRENT_MA
    heat: bool = True
    heat_age_ns: int = 0
    heat_c: int = HEAT_C
    orders: int = 0  # how many of a hundred demands order something


HONEST = Behaviour()
LIES = [
    Behaviour(permitted=False),
    Behaviour(offered_ma=5_999),
    Behaviour(offered_ma=80_000),
    Behaviour(valid_ns=0),
    Behaviour(valid_ns=3_600 * S),
    Behaviour(meter=False),
    Behaviour(meter_age_ns=20 * S),
    Behaviour(current_ma=0),
    Behaviour(current_ma=64_000),
    Behaviour(heat=False),
    Behaviour(heat_age_ns=20 * S),
    Behaviour(heat_c=95_00),
    Behaviour(every_ns=100 * MS, orders=100),
    Behaviour(orders=50),
    Behaviour(every_ns=20 * S),
]
"""Each kind of lie by itself; the last one is silence for longer than a demand may hold."""
TRUTH_NS, LIE_NS = (15 * S, 60 * S, 300 * S), (5 * S, 30 * S)
"""The longest phase of each kind; a node keeps to one length of either."""
TRIP_SHARES = (0.0002, 0.005)
"""In how many ticks with closed contacts a ground fault begins: in one world seldom, in another all the time."""


class CapturedNode(IdealBox):
    """An ideal box in ticks of 100 ms whose node, once it charges, does what a random number says."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.captured = False
        self.behaviour, self.phase_ends_ns, self.sent_ns = HONEST, 0, 0
        self.truth_ns, self.lie_ns = self.random.choice(TRUTH_NS), self.random.choice(LIE_NS)
        self.trip_share = self.random.choice(TRIP_SHARES)
        self.closed_in_all = 0
        self.closings: deque[int] = deque()
        self.injections: deque[int] = deque()
        self.trips_cleared: deque[int] = deque()
        super().__init__(FULL)
        self.charging()
        self.captured = True

    def tick(self) -> None:
        self.now_ns += 90 * MS
        before, closed, testing = self.faults, self.closed, self.outputs.rcd_test
        number = self.state.watch.lease.order_number
        super().tick()
        if self.captured:
            self._let_residual_current_flow()
        closed_now = self.closed and not closed
        self.closed_in_all += closed_now
        heard = number is not None and number != self.state.watch.lease.order_number
        self._check(before, self.demand.request if heard and self.demand else Request.NONE)
        for times, happened, within_ns in (
            (self.closings, closed_now, HOUR),
            (self.injections, self.outputs.rcd_test and not testing, HOUR),
            (self.trips_cleared, Fault.RCD_TRIPPED in before - self.faults, 24 * HOUR),
        ):
            if happened:
                times.append(self.now_ns)
            while times and times[0] < self.now_ns - within_ns:
                times.popleft()

    def _let_residual_current_flow(self) -> None:
        """Begin a ground fault at times while contacts are closed, and end it when they have opened."""
        if not self.closed:
            self.rcd_latched = self.rcd_latched and self.random.random() > 0.1
        elif self.random.random() < self.trip_share:
            self.rcd_latched = True

    def _renew(self) -> None:
        """Send something, or nothing, at any time."""
        if not self.captured:
            super()._renew()
            return
        if self.now_ns >= self.phase_ends_ns:
            self._change_phase()
        kind, draw, now_ns = self.behaviour, self.random, self.now_ns
        if now_ns < self.sent_ns + kind.every_ns:
            return
        self.sent_ns = now_ns
        drawn_ma = Milliamps(kind.current_ma if self.closed or kind.current_ma != CURRENT_MA else 0)
        l1, l2, l3 = map(Millivolts, self.voltage_mv)
        ordering = draw.random() * 100 < kind.orders
        self.demand = Demand(
            number=draw.randrange(1 << 32),
            permitted=kind.permitted,
            offered_current_ma=Milliamps(kind.offered_ma),
            limit_source=LimitSource.OWNER,
            valid_until_ns=now_ns + kind.valid_ns,
            meter=MeterSample(now_ns - kind.meter_age_ns, (l1, l2, l3), (drawn_ma,) * 3) if kind.meter else None,
            temperature=TemperatureSample(now_ns - kind.heat_age_ns, CentiCelsius(kind.heat_c)) if kind.heat else None,
            request=draw.choice(NODES_OWN) if ordering else self.request,
            request_number=draw.randrange(4) if ordering else self.request_number,
        )

    def _change_phase(self) -> None:
        """Begin to lie after the truth, and to tell the truth after a lie, often with a clear of what it brought."""
        draw, honest = self.random, self.behaviour is not HONEST
        self.behaviour = HONEST if honest else draw.choice(LIES)
        self.phase_ends_ns = self.now_ns + draw.randrange(S, self.lie_ns if honest else self.truth_ns)
        self.request = Request.CLEAR_USER if honest and draw.random() < 0.5 else Request.NONE
        self.request_number += 1

    def _check(self, before: frozenset[Fault], ordered: Request) -> None:
        if self.closed:
            assert all(FAULTS[fault].severity is Severity.STOP for fault in self.faults)
        for fault in before - self.faults:
            rule = FAULTS[fault].clear
            by_user = Clear.BY_USER in rule and (Request.CLEAR_USER in ordered or fault is Fault.RCD_TRIPPED)
            assert Clear.WHEN_GONE in rule or by_user, f"{fault.name} cleared by {ordered!r}"
        assert len(self.trips_cleared) <= 3
        assert len(self.injections) <= 30
        assert len(self.closings) <= 25


def attack(seed: int, ticks: int) -> tuple[int, int]:
    """Let a node lie for so long, an installer come where one is named; return how often it closed, and he came."""
    box, closings, visits = CapturedNode(seed), 0, 0
    for _ in range(ticks):
        box.tick()
        if Fault.RCD_TRIPS_REPEATED in box.faults and box.random.random() < 0.001:
            closings, visits = closings + box.closed_in_all, visits + 1
            box = CapturedNode(seed + visits)
    return closings + box.closed_in_all, visits


@pytest.mark.hazard("H-14")
@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_a_captured_node_demands_the_budgets_hold(seed: int) -> None:
    closings, _visits = attack(seed, 16_000)
    assert closings >= 10, "an adversary under whom nothing closes finds nothing"


@pytest.mark.nightly
def test_whatever_a_captured_node_demands_in_ten_million_ticks() -> None:
    closings, visits = map(sum, zip(*(attack(1_000 * seed, 100_000) for seed in range(100)), strict=True))
    assert closings > 1_000
    assert visits > 10
