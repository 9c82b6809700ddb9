"""The node process as an adversary: any demand at any time, any lie about the sensors, against a plant that is honest.

What must hold is said by literal numbers and by the fault table. The plant's vehicle asks all the time; what trips the
residual current device is the world's doing and not the node's.
"""

from __future__ import annotations

from collections import deque
from random import Random

import pytest

from evse_pi.core.faults import FAULTS, Clear, Fault, Severity
from evse_pi.core.records import Demand, MeterSample, Request, TemperatureSample
from evse_pi.core.states import LimitSource
from tests.support.ideal_box import FULL_BOARD, MS, IdealBox, S, settings_for

FULL = settings_for(FULL_BOARD)
HOUR = 3600 * S
NODES_OWN = [Request.NONE, Request.SELF_TEST, Request.CLEAR_USER, Request.CLEAR_USER | Request.SELF_TEST,
             Request.RESTART_WAKE_UP, Request.RELOAD_INSTALLATION]  # fmt: skip
"""All that a node can order: an installer's clear without a proof never reaches the machine."""


class CapturedNode(IdealBox):
    """An ideal box in ticks of 100 ms whose node, once it charges, does what a random number says."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.captured = False
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
        heard = number is not None and number != self.state.watch.lease.order_number
        self._check(before, self.demand.request if heard and self.demand else Request.NONE)
        for times, happened, within_ns in (
            (self.closings, self.closed and not closed, HOUR),
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
        elif self.random.random() < 0.005:
            self.rcd_latched = True

    def _renew(self) -> None:
        """Send something, or nothing, at any time."""
        if not self.captured:
            super()._renew()
            return
        draw, now_ns = self.random, self.now_ns
        if draw.random() < 0.8:
            return
        currents = draw.choice(((0, 0, 0), (16_000, 16_000, 16_000), (64_000, 64_000, 64_000)))
        meter = MeterSample(now_ns - draw.choice((0, 5 * S, 20 * S)), self.voltage_mv, currents)
        heat = TemperatureSample(now_ns - draw.choice((0, 0, 20 * S)), draw.choice((25_00, 25_00, 95_00)))
        self.demand = Demand(
            number=draw.randrange(1 << 32),
            permitted=draw.random() < 0.7,
            offered_current_ma=draw.choice((0, 5_999, 6_000, 16_000, 80_000)),
            limit_source=draw.choice(list(LimitSource)),
            valid_until_ns=draw.choice((0, now_ns, now_ns + 15 * S, (1 << 63) - 1)),
            meter=draw.choice((None, meter, meter)),
            temperature=draw.choice((None, heat, heat)),
            request=draw.choice(NODES_OWN),
            request_number=draw.randrange(4),
        )

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


def attack(seed: int, ticks: int) -> int:
    """Let a node do what it likes for so long, an installer come where one is named; return how often he came."""
    box, latches = CapturedNode(seed), 0
    for _ in range(ticks):
        box.tick()
        if Fault.RCD_TRIPS_REPEATED in box.faults and box.random.random() < 0.001:
            latches += 1
            box = CapturedNode(seed + latches)
    return latches


@pytest.mark.hazard("H-14")
@pytest.mark.parametrize("seed", range(2))
def test_whatever_a_captured_node_demands_the_budgets_hold(seed: int) -> None:
    attack(seed, 4_000)


@pytest.mark.nightly
def test_whatever_a_captured_node_demands_in_ten_million_ticks() -> None:
    assert sum(attack(1_000 * seed, 100_000) for seed in range(100)) > 10
