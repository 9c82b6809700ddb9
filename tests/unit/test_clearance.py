"""The proof of an installer's clear: who can make one, for how long it holds, and where none is asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_pi.clearance import VALID_NS, Clearance, ProvenDemands, make_clearance, with_clearance
from evse_pi.core.lease import Lease
from evse_pi.core.records import Demand, RecordDecodeError, Request, encode_demand
from evse_pi.core.states import LimitSource
from evse_pi.sim.harness.virtual_clock import VirtualClock
from hal.units import SECOND, Milliamps

KEY, BOOT, START_NS = bytes(range(32)), "0f0e", 1_000 * SECOND
BOTH = Request.CLEAR_USER | Request.CLEAR_INSTALLER
DEMAND = Demand(1, True, Milliamps(16_000), LimitSource.OWNER, 1, request=BOTH)
RECORD = encode_demand(DEMAND)


class SafetyEar:
    """A safety process's ear, under virtual time."""

    def __init__(self, *, one_user: bool = False) -> None:
        self.clock = VirtualClock(START_NS)
        self.demands = ProvenDemands(BOOT, self.clock, one_user=one_user)
        self.demands.use(KEY, set_up=True)

    def heard(self, clearance: Clearance | None, after_ns: int = 2 * SECOND) -> Request:
        self.clock.now_ns = START_NS + after_ns
        return self.demands.decode(with_clearance(RECORD, clearance)).request


def proof(after_ns: int = SECOND, key: bytes = KEY, boot: str = BOOT) -> Clearance:
    return make_clearance(key, boot, START_NS + after_ns)


@pytest.mark.hazard("H-14")
def test_an_order_with_its_proof_is_taken_whole_and_may_be_repeated_for_10_s() -> None:
    box = SafetyEar()
    assert box.heard(proof()) == BOTH
    assert box.heard(proof(), SECOND + VALID_NS - 1) == BOTH
    assert box.heard(proof(), SECOND + VALID_NS) == Request.CLEAR_USER


@pytest.mark.hazard("H-14")
@pytest.mark.parametrize(
    "clearance",
    [
        None,
        proof(key=bytes(32)),
        proof(boot="another boot of the machine"),
        proof(0),  # made before this run of the process
        proof(-SECOND),
        proof(3 * SECOND),  # not yet
        replace(proof(), digest=proof().digest ^ 1),
        replace(proof(), at_ns=proof().at_ns + 1),
        Clearance(0, 0),
    ],
)
def test_what_proves_nothing_costs_the_order_its_installer_and_nothing_else(clearance: Clearance | None) -> None:
    assert SafetyEar().heard(clearance) == Request.CLEAR_USER


@pytest.mark.hazard("H-03")
@pytest.mark.hazard("H-14")
def test_a_proof_is_good_for_one_order_alone() -> None:
    box = SafetyEar()
    again = encode_demand(replace(DEMAND, request_number=1))
    assert box.heard(proof()) == BOTH
    assert box.demands.decode(with_clearance(again, proof())).request == Request.CLEAR_USER
    assert box.heard(proof(2 * SECOND), 3 * SECOND) == BOTH
    assert box.demands.decode(with_clearance(RECORD, proof())).request == Request.CLEAR_USER  # an older one
    assert box.demands.decode(with_clearance(RECORD, proof(2 * SECOND))).request == BOTH  # the same, repeated


@pytest.mark.hazard("H-03")
@pytest.mark.hazard("H-14")
@pytest.mark.parametrize("between", [Request.NONE, Request.CLEAR_USER, BOTH])
@pytest.mark.parametrize("with_proof", [False, True])
def test_a_node_that_alternates_the_number_of_its_order_clears_once(between: Request, *, with_proof: bool) -> None:
    box, lease, carried_out = SafetyEar(), Lease(), 0
    for at in range(400):
        box.clock.now_ns = START_NS + 2 * SECOND + at * SECOND // 50
        order, clearance = (2, proof()) if at % 2 else (3, proof() if with_proof else None)
        request = Request.NONE if not at else BOTH if at % 2 else between
        sent = replace(DEMAND, number=at, request=request, request_number=order)
        lease = lease.advance(box.clock.now_ns, box.demands.decode(with_clearance(encode_demand(sent), clearance)))
        carried_out += Request.CLEAR_INSTALLER in lease.orders
    assert carried_out == 1


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.booleans()), min_size=20, max_size=60))
def test_no_order_of_demands_carries_out_more_clears_than_there_were_proofs(
    sent: list[tuple[int, int, bool]],
) -> None:
    box, lease, carried_out = SafetyEar(), Lease(), 0
    box.clock.now_ns = START_NS + 5 * SECOND
    for at, (order, made, asks) in enumerate(sent):
        demand = replace(DEMAND, number=at, request=BOTH if asks else Request.NONE, request_number=order)
        datagram = with_clearance(encode_demand(demand), proof((made + 1) * SECOND))
        lease = lease.advance(box.clock.now_ns, box.demands.decode(datagram))
        carried_out += Request.CLEAR_INSTALLER in lease.orders
    assert carried_out <= len({made for _, made, asks in sent if asks})


@pytest.mark.hazard("H-14")
def test_only_a_user_who_is_both_processes_needs_no_proof_and_only_before_a_setup() -> None:
    for one_user in (False, True):
        for key, set_up in ((KEY, True), (None, True), (None, False)):
            box = SafetyEar(one_user=one_user)
            box.demands.use(key, set_up=set_up)
            assert (box.heard(None) == BOTH) is (one_user and key is None and not set_up)


def test_all_else_of_a_demand_is_as_it_was_sent() -> None:
    box = SafetyEar()
    assert box.demands.decode(with_clearance(RECORD, proof(3))) == replace(DEMAND, request=Request.CLEAR_USER)
    plain = encode_demand(replace(DEMAND, request=Request.SELF_TEST))
    assert box.demands.decode(plain) == replace(DEMAND, request=Request.SELF_TEST)


@given(st.binary(max_size=40))
def test_anything_else_behind_a_record_is_refused(tail: bytes) -> None:
    if len(tail) not in (0, 16) or (len(tail) == 16 and tail[7] & 0x80):
        with pytest.raises(RecordDecodeError):
            SafetyEar().demands.decode(RECORD + tail)
    else:
        assert SafetyEar().demands.decode(RECORD + tail).request == Request.CLEAR_USER


@given(st.binary(max_size=80))
def test_random_bytes_are_refused_as_by_the_record_itself(datagram: bytes) -> None:
    with pytest.raises(RecordDecodeError):
        SafetyEar().demands.decode(datagram)


@pytest.mark.parametrize(
    ("at_ns", "digest", "name"), [(-1, 0, "at_ns -1"), (0, 1 << 64, "digest 1844"), (1 << 63, 0, "at_ns")]
)
def test_a_proof_that_cannot_be_sent_is_named(at_ns: int, digest: int, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Clearance(at_ns, digest)
