"""Clocks and counters near their ends: a machine that has run for years, numbers of 32 bits that begin again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from boards.loader import load_board
from evse_pi.charging.demand_arbiter import DemandArbiter
from evse_pi.charging.one_shot_requests import OneShotRequests
from evse_pi.core.faults import Fault
from evse_pi.core.records import Request, decode_demand, decode_snapshot, encode_demand
from evse_pi.installation.files import ratings
from evse_pi.recorder.frame import FrameWriter, frame_of, values_of
from evse_pi.recorder.ring import RING_BYTES, contents_of
from evse_pi.safety.loop_timing import LoopTiming
from evse_pi.safety.publisher import Publisher
from evse_pi.safety.recorder import BlackBoxWriter
from evse_pi.sim.harness.virtual_clock import VirtualClock
from hal.linear_scale import LinearScale
from hal.units import Millivolts
from tests.support.ideal_box import FULL_BOARD, IdealBox, S, settings_for
from tests.support.node_box import FakeSafety

YEAR_NS = 366 * 24 * 3600 * S
LAST = (1 << 32) - 1
SCALE = LinearScale(7_312, Millivolts(-14_925))


@pytest.mark.parametrize("years", [0, 1, 10, 68, 69, 136, 292])
def test_a_box_charges_and_stops_in_whatever_year_of_its_machine(years: int) -> None:
    """2^31 s are 68 years, 2^32 s 136, and 2^63 ns 292: a clock of 64 bits ends there, and records still hold it."""
    box = IdealBox(settings_for(FULL_BOARD), now_ns=min(years * YEAR_NS, (1 << 63) - 7_200 * S)).charging()
    assert box.demand is not None
    assert decode_demand(encode_demand(box.demand)) == box.demand
    record = FrameWriter().encode(LAST, 0xFFFF, (0, 0), box.inputs(), box.state)
    values = values_of(record)
    assert values is not None
    assert frame_of(values).inputs.now_ns == box.now_ns
    box.drawn_ma = (20_000, 0, 0)
    box.run_until(lambda b: not b.closed, 10 * S)
    box.drawn_ma = (0, 0, 0)
    assert box.faults == {Fault.OVERCURRENT}
    box.run_until(lambda b: b.closed, 90 * S)
    box.node_alive = False
    assert box.run_until(lambda b: not b.closed, 30 * S) <= 22 * S


class Link:
    """Takes snapshots."""

    node_run = invitation = (1 << 64) - 1

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, datagram: bytes) -> bool:
        self.sent.append(datagram)
        return True


def test_snapshots_are_numbered_on_beyond_32_bits() -> None:
    link: Any = Link()
    publisher = Publisher(link, LAST, LoopTiming(ratings(load_board("simulated"))))
    box = IdealBox(settings_for(FULL_BOARD))
    for number in (1, LAST - 1, LAST, 0, 1):
        box.run(2 * S)
        publisher.publish(box.state, box.inputs(), box.settings.board, SCALE)
        told = decode_snapshot(link.sent[-1])
        if number == 1 and len(link.sent) == 1:
            publisher._last = replace(told, number=LAST - 2)
        else:
            assert told.number == number


def test_demands_are_numbered_on_beyond_32_bits() -> None:
    book = DemandArbiter()
    book._number = LAST - 1
    numbers = [decode_demand(encode_demand(book.compose(at_s * S))).number for at_s in range(3)]
    assert numbers == [LAST, 0, 1]


def test_orders_are_numbered_on_beyond_32_bits() -> None:
    clock = VirtualClock()
    safety, orders = FakeSafety(clock), OneShotRequests()
    orders.on_snapshot(safety.snapshot())
    orders.number = LAST
    for expected in (0, 1):
        safety.request_number = orders.number
        orders.on_snapshot(safety.snapshot())
        orders.ask(Request.SELF_TEST)
        assert (orders.number, orders.request) == (expected, Request.SELF_TEST)


def test_the_black_box_goes_on_after_497_days_of_ticks() -> None:
    """A hundred frames a second have used up 32 bits by then; each tick was lost from there on."""
    ring = bytearray(RING_BYTES)

    def write(at: int, content: bytes) -> None:
        ring[at : at + len(content)] = content

    writer = BlackBoxWriter(
        bytes(ring), write, safety_run_id=1, scale=SCALE, board=settings_for(FULL_BOARD).board, started_ns=0
    )
    writer._number = LAST - 3
    box = IdealBox(settings_for(FULL_BOARD))
    for _ in range(40):
        before = box.state
        box.run(10_000_000)
        writer.note(before, box.inputs(), box.state, box.settings, (0, 0), None)
    assert writer.lost == 0
    numbers = [values[0] for values in contents_of(bytes(ring)).frames]
    assert numbers == list(range(1, 38))
