"""What the coil's node proves. Every voltage is of the table in docs/boards/reference.md, "The coil's node"."""

from __future__ import annotations

import pytest

from evse_pi.core.board_ratings import CoilChannels
from evse_pi.core.coil_node import CoilNode, CoilOrders, NodeLevel
from evse_pi.core.evidence import Check
from evse_pi.core.faults import Fault
from evse_pi.core.io_records import CoilReading
from hal.units import Millivolts

pytestmark = pytest.mark.hazard("H-09")

MS = 1_000_000
CHANNELS = CoilChannels(42 * MS, 58 * MS, 30 * MS, (Millivolts(20_400), Millivolts(28_800)))
RELEASE_NS = 25 * MS
SUPPLIES_MV = [20_400, 24_000, 28_800]
REST_MV = {20_400: 10_200, 24_000: 12_000, 28_800: 14_400}
GROUND_MV = 490  # "below 0.5 V"


class Coil:
    """A node that is read every 10 ms, and what its switches are told meanwhile."""

    def __init__(self, supply_mv: int = 24_000) -> None:
        self.supply_mv = supply_mv
        self.node = CoilNode()
        self.at_ns = self.fed_ns = 0
        self.at_ns = 1_000 * MS

    def read(
        self,
        node_mv: int,
        ticks: int = 1,
        *,
        fed: bool = False,
        returned: bool | None = False,
        mirror: bool | None = False,
        chain_open: bool = False,
    ) -> CoilNode:
        for _ in range(ticks):
            self.at_ns += 10 * MS
            orders = CoilOrders(fed, returned, chain_open, mirror, RELEASE_NS)
            coil = CoilReading(Millivolts(node_mv), self.at_ns, self.fed_ns)
            self.node = self.node.advance(coil, orders, CHANNELS)
            if fed:
                self.fed_ns = self.at_ns
        return self.node

    def rest(self, ticks: int = 5) -> CoilNode:
        return self.read(REST_MV[self.supply_mv], ticks)

    @property
    def found(self) -> Check | None:
        return None if self.node.found is None else self.node.found.check


def rested(supply_mv: int = 24_000) -> Coil:
    coil = Coil(supply_mv)
    coil.rest()
    return coil


@pytest.mark.parametrize("supply_mv", SUPPLIES_MV)
def test_the_four_orders_show_what_the_table_says_and_nothing_is_wrong(supply_mv: int) -> None:
    coil = rested(supply_mv)
    assert coil.node.level is NodeLevel.HALF
    assert coil.read(GROUND_MV, 2, returned=True).level is NodeLevel.LOW
    assert coil.rest(2).level is NodeLevel.HALF
    assert coil.read(supply_mv, 8, fed=True).level is NodeLevel.HIGH
    assert coil.read(GROUND_MV, 100, fed=True, returned=True, mirror=True).level is NodeLevel.LOW
    assert coil.read(supply_mv, 4).level is NodeLevel.HIGH
    assert coil.rest(10).level is NodeLevel.HALF
    assert (coil.node.faults, coil.node.doubt) == (frozenset(), None)


@pytest.mark.parametrize("supply_mv", SUPPLIES_MV)
def test_a_supply_switch_that_is_shorted_stands_at_the_supply_in_rest(supply_mv: int) -> None:
    coil = rested(supply_mv)
    coil.read(supply_mv)
    assert coil.found is None, "one look is none"
    coil.read(supply_mv)
    assert coil.found is Check.GATE_OPENS
    assert coil.rest().faults == {Fault.CONTACTOR_CHANNEL}, "until the installer clears it"
    assert coil.node.forgiven().faults == frozenset()


@pytest.mark.parametrize("supply_mv", SUPPLIES_MV)
def test_a_supply_switch_that_is_dead_stays_at_half_and_is_named_once_the_supply_is_seen_whole(supply_mv: int) -> None:
    coil = rested(supply_mv)
    coil.read(REST_MV[supply_mv], 8, fed=True)
    assert coil.found is None
    assert coil.node.doubt is not None, "no close may follow, and a supply that sags looks like that as well"
    coil.rest(10)
    assert coil.found is Check.GATE_CLOSES


def test_a_supply_that_sags_to_a_half_while_the_gate_conducts_is_not_called_a_dead_switch() -> None:
    coil = rested()
    coil.read(12_000, 8, fed=True)
    coil.read(6_000, 20)
    assert coil.found is None
    assert coil.node.faults == {Fault.SUPPLY_24V}


@pytest.mark.parametrize("supply_mv", SUPPLIES_MV)
def test_a_return_switch_that_is_dead_stays_at_half(supply_mv: int) -> None:
    coil = rested(supply_mv)
    coil.read(REST_MV[supply_mv], 2, returned=True)
    assert coil.found is Check.RETURN_CLOSES


@pytest.mark.parametrize("node_mv", [2_100, 10_200, 24_000])
def test_a_return_switch_that_does_not_conduct_while_both_are_on_is_found(node_mv: int) -> None:
    coil = rested()
    coil.read(24_000, 8, fed=True)
    coil.read(node_mv, 2, fed=True, returned=True, mirror=True)
    assert coil.found is Check.RETURN_CLOSES


def test_a_return_switch_that_is_shorted_holds_the_mirror_contact_beyond_the_release_time() -> None:
    coil = rested()
    coil.read(24_000, 8, fed=True)
    coil.read(GROUND_MV, 10, fed=True, returned=True, mirror=True)
    coil.read(GROUND_MV, 2, mirror=True)
    assert coil.found is None, "it may still fall: 25 ms of release"
    coil.read(GROUND_MV, 3, mirror=True)
    assert coil.found is Check.RETURN_OPENS


def test_at_rest_a_shorted_return_switch_is_called_a_lost_supply_after_100_ms() -> None:
    coil = rested()
    coil.read(GROUND_MV, 9)
    assert coil.node.faults == frozenset()
    coil.read(GROUND_MV)
    assert coil.node.faults == {Fault.SUPPLY_24V}
    coil.rest(1)
    assert coil.node.faults == frozenset(), "which clears itself"


@pytest.mark.parametrize(("node_mv", "right"), [(10_100, False), (10_200, True), (14_400, True), (14_500, False)])
def test_a_rest_outside_its_band_is_the_supply(node_mv: int, right: bool) -> None:
    coil = Coil()
    coil.read(node_mv, 10)
    assert (coil.node.faults == frozenset()) is right
    assert (coil.node.level is NodeLevel.HALF) is right


@pytest.mark.parametrize(("node_mv", "level"), [(1_400, NodeLevel.LOW), (1_500, NodeLevel.ODD), (1_600, NodeLevel.ODD)])
def test_ground_is_below_1_5_v(node_mv: int, level: NodeLevel) -> None:
    coil = rested()
    assert coil.read(node_mv).level is level


@pytest.mark.parametrize("supply_mv", SUPPLIES_MV)
def test_the_supply_is_above_0_85_of_twice_the_last_rest(supply_mv: int) -> None:
    coil = rested(supply_mv)
    assert coil.read(round(0.86 * supply_mv)).level is NodeLevel.HIGH
    coil = rested(supply_mv)
    assert coil.read(round(0.84 * supply_mv)).level is not NodeLevel.HIGH


def test_an_emergency_stop_takes_the_supply_and_is_no_fault_of_it() -> None:
    coil = rested()
    coil.read(0, 100, chain_open=True)
    coil.read(0, 100, chain_open=True, returned=True)
    assert coil.node.faults == frozenset()


def test_while_the_latch_decides_of_the_return_nothing_is_said_of_it() -> None:
    coil = rested()
    coil.read(12_000, 5, returned=None)
    coil.read(GROUND_MV, 5, returned=None)
    assert coil.node.faults == frozenset()


def test_what_could_not_be_read_proves_nothing() -> None:
    coil = rested()
    assert coil.node.unread().level is None


@pytest.mark.parametrize(
    ("hold_ticks", "check"), [(2, Check.GATE_HOLD_SHORTEST), (7, Check.GATE_HOLD_LONGEST), (8, Check.GATE_OPENS)]
)
def test_a_hold_outside_its_limits_is_seen_at_an_opening(hold_ticks: int, check: Check) -> None:
    coil = rested()
    coil.read(24_000, 8, fed=True)
    coil.read(GROUND_MV, 10, fed=True, returned=True, mirror=True)
    coil.read(24_000, hold_ticks, mirror=False)
    coil.rest(20)
    assert coil.found is check
    assert coil.node.faults == {Fault.CONTACTOR_CHANNEL}
