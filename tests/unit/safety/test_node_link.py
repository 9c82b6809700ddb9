"""Which demands the safety process takes: those of the newest run of the node, each once and in order."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import pytest

from evse_pi.core.records import Demand, RecordDecodeError, decode_demand, encode_demand
from evse_pi.core.states import LimitSource
from evse_pi.link import LinkEnd
from evse_pi.node_run import NodeRun, stamped
from evse_pi.paths import NODE_SOCKET, SAFETY_SOCKET
from evse_pi.safety.node_link import DemandOrder, NodeLink, StaleDemandError
from hal.units import Milliamps
from tests.support.node_box import IDLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORD = encode_demand(Demand(1, True, Milliamps(16_000), LimitSource.OWNER, 1))
LAST = (1 << 64) - 1


class Ear:
    """A safety process's ear and the snapshots that it sends."""

    def __init__(self) -> None:
        self.drawn: Iterator[int] = count(0xA0)
        self.order = DemandOrder(decode_demand, lambda: next(self.drawn))

    def tell(self, run: NodeRun) -> bool:
        return run.on_snapshot(replace(IDLE, node_run=self.order.run, invitation=self.order.invitation))

    def takes(self, datagram: bytes) -> bool:
        try:
            self.order.decode(datagram)
        except StaleDemandError:
            return False
        return True


def begun(ear: Ear) -> NodeRun:
    run = NodeRun()
    assert ear.tell(run)
    assert ear.takes(run.stamp(RECORD))
    assert not ear.tell(run)
    return run


@pytest.mark.hazard("H-10")
def test_old_demands_are_refused_in_whatever_order_they_are_repeated() -> None:
    ear = Ear()
    run = begun(ear)
    old = [run.stamp(RECORD) for _ in range(3)]
    assert all(map(ear.takes, old))
    assert not any(map(ear.takes, old * 2 + old[::-1]))
    assert ear.order.refused == 9
    assert ear.takes(run.stamp(RECORD))


@pytest.mark.hazard("H-10")
def test_a_demand_that_was_lost_or_overtaken_hinders_no_newer_one() -> None:
    ear = Ear()
    run = begun(ear)
    lost, late, newest = (run.stamp(RECORD) for _ in range(3))
    assert ear.takes(newest)
    assert not ear.takes(late)
    assert lost
    assert ear.takes(run.stamp(RECORD))


@pytest.mark.hazard("H-10")
def test_a_node_that_was_replaced_is_not_heard_though_it_goes_on_counting() -> None:
    ear = Ear()
    former = begun(ear)
    newer = begun(ear)
    for _ in range(5):
        assert not ear.takes(former.stamp(RECORD))
        assert ear.takes(newer.stamp(RECORD))


@pytest.mark.hazard("H-10")
def test_an_invitation_is_good_once_and_nothing_counts_before_it() -> None:
    ear = Ear()
    uninvited = NodeRun()
    assert not ear.takes(uninvited.stamp(RECORD))
    first = ear.order.invitation
    run = begun(ear)
    assert run.run == first != ear.order.invitation
    begun(ear)
    assert not ear.takes(stamped(first, 100, RECORD))
    assert not ear.takes(stamped(0, 100, RECORD))


@pytest.mark.hazard("H-10")
def test_a_safety_process_that_restarted_takes_no_demand_from_before() -> None:
    ear = Ear()
    run = begun(ear)
    later = Ear()
    next(later.drawn)
    later.order = DemandOrder(decode_demand, lambda: next(later.drawn) + 0x1000)
    assert not later.takes(run.stamp(RECORD))
    assert later.tell(run)
    assert later.takes(run.stamp(RECORD))


def test_a_snapshot_that_crossed_the_first_demand_begins_no_other_run() -> None:
    ear = Ear()
    run = NodeRun()
    ear.tell(run)
    crossing = replace(IDLE, node_run=ear.order.run, invitation=ear.order.invitation)
    assert ear.takes(run.stamp(RECORD))
    assert not run.on_snapshot(crossing)
    assert ear.takes(run.stamp(RECORD))


def test_the_last_number_ends_a_run_and_the_next_begins_again() -> None:
    ear = Ear()
    run = begun(ear)
    assert ear.takes(stamped(run.run, LAST, RECORD))
    assert not ear.takes(stamped(run.run, LAST, RECORD))
    assert not ear.takes(run.stamp(RECORD))
    begun(ear)


def test_a_record_that_cannot_be_read_uses_up_neither_number_nor_invitation() -> None:
    ear = Ear()
    run = NodeRun()
    ear.tell(run)
    with pytest.raises(RecordDecodeError):
        ear.order.decode(stamped(run.run, 5, RECORD[:-1]))
    with pytest.raises(RecordDecodeError, match="3 bytes"):
        ear.order.decode(b"abc")
    assert ear.takes(run.stamp(RECORD))


def test_an_old_demand_that_comes_behind_a_new_one_does_not_hide_it(tmp_path: Path) -> None:
    with (
        closing(NodeLink(tmp_path / SAFETY_SOCKET, tmp_path / NODE_SOCKET, decode_demand)) as link,
        closing(LinkEnd(tmp_path / NODE_SOCKET, tmp_path / SAFETY_SOCKET, bytes)) as node,
    ):
        assert link.node_run == 0
        first = link.invitation
        for number, current_ma in ((1, 6_000), (2, 10_000), (1, 32_000)):
            demand = replace(decode_demand(RECORD), offered_current_ma=Milliamps(current_ma))
            node.send(stamped(first, number, encode_demand(demand)))
        taken = link.receive()
        assert taken is not None
        assert taken.offered_current_ma == 10_000
        assert link.node_run == first != link.invitation
