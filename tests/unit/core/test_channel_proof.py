"""The proof of the coil's two switches, stage by stage. Source: docs/boards/reference.md, "Before each close"."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evse_pi.core.board_ratings import CoilChannels
from evse_pi.core.channel_proof import ChannelProof, ProofStage, proof_ns
from evse_pi.core.coil_node import CoilNode, NodeLevel
from evse_pi.core.evidence import Check
from hal.units import MILLISECOND as MS
from hal.units import Millivolts
from tests.support.ideal_box import PLAIN_BOARD

pytestmark = pytest.mark.hazard("H-09")

SUPPLY_MV = (Millivolts(20_400), Millivolts(28_800))  # 24 V, 20 % less and 20 % more
CHANNELS = CoilChannels(42 * MS, 58 * MS, 10 * MS, SUPPLY_MV)  # a hold of 42 to 58 ms, as the reference board's
NODE = replace(PLAIN_BOARD, coil_channels=CHANNELS, contactor_pull_in_ns=30 * MS)
MIRROR = replace(NODE, coil_channels=replace(CHANNELS, supply_mv=None))
LONG = replace(NODE, coil_channels=replace(CHANNELS, hold_max_ns=4_000 * MS, supply_mv=None))
SHOWN = {  # what the node must show before a stage ends
    ProofStage.IDLE: NodeLevel.HALF,
    ProofStage.RETURN: NodeLevel.LOW,
    ProofStage.REST: NodeLevel.HALF,
    ProofStage.GATE: NodeLevel.HIGH,
}
NEVER_NS = -(10**12)
TICK_NS = 10 * MS


def looked(proof: ChannelProof, now_ns: int, level: NodeLevel | None) -> ChannelProof:
    return proof.advance(now_ns, CoilNode(level), False, NODE)


def test_each_switch_is_shown_alone_and_then_both_are_proven() -> None:
    proof, now_ns, stages = ChannelProof(), 0, [ProofStage.IDLE]
    while not proof.proven(NODE):
        proof = looked(proof, now_ns, SHOWN[proof.stage])
        assert not (proof.gate_fed and proof.returned)
        if proof.stage is not stages[-1]:
            stages.append(proof.stage)
        now_ns += TICK_NS
        assert now_ns < 10**9
    assert stages == [ProofStage.IDLE, ProofStage.RETURN, ProofStage.REST, ProofStage.GATE, ProofStage.PROVEN]
    assert proof.since_ns == proof_ns(NODE)


@pytest.mark.parametrize("stage", list(SHOWN))
@pytest.mark.parametrize("level", [None, NodeLevel.ODD])
def test_a_node_that_was_not_seen_as_wanted_proves_nothing(stage: ProofStage, level: NodeLevel | None) -> None:
    proof = ChannelProof(stage, 0)
    assert looked(proof, 10**9, level).stage is stage
    assert looked(proof, 10**9, SHOWN[stage]).stage is not stage


@pytest.mark.parametrize("level", [None, NodeLevel.HALF, NodeLevel.LOW, NodeLevel.ODD])
def test_a_gate_that_is_not_seen_to_conduct_any_more_is_not_proven(level: NodeLevel | None) -> None:
    proof = ChannelProof(ProofStage.PROVEN, 0)
    assert looked(proof, TICK_NS, NodeLevel.HIGH).proven(NODE)
    assert looked(proof, TICK_NS, level) == ChannelProof(ended_ns=TICK_NS)


def test_a_board_without_a_node_is_judged_by_time_and_mirror_contact() -> None:
    proof = ChannelProof(ProofStage.RETURN, 0)
    assert proof.advance(10**9, CoilNode(), False, MIRROR).stage is ProofStage.REST
    once = proof.advance(TICK_NS, CoilNode(), True, MIRROR)
    assert once.stage is ProofStage.RETURN
    found = once.judged_by_mirror(2 * TICK_NS, True, MIRROR)
    assert found is not None
    assert found.check is Check.GATE_ALONE
    assert once.advance(2 * TICK_NS, CoilNode(), True, MIRROR) == ChannelProof(ended_ns=2 * TICK_NS)


@pytest.mark.hazard("H-02")
@pytest.mark.parametrize(("board", "hold_max_ms"), [(NODE, 58), (MIRROR, 58), (LONG, 4_000)])
@pytest.mark.parametrize("stage", [ProofStage.GATE, ProofStage.PROVEN])
def test_the_gate_rests_no_sooner_than_its_longest_hold_after_the_last_pulse(
    stage: ProofStage, board: object, hold_max_ms: int
) -> None:
    assert isinstance(board, type(NODE))
    stopped = ChannelProof(stage, 0).stopped(500 * MS)
    for proof, opened_ns in ((stopped, NEVER_NS), (ChannelProof(), 500 * MS), (stopped, 400 * MS)):
        assert not proof.gate_rests((500 + hold_max_ms) * MS, opened_ns, board)
        assert proof.gate_rests((500 + hold_max_ms + 20) * MS, opened_ns, board)
    later = ChannelProof(ended_ns=0)
    assert not later.gate_rests((500 + hold_max_ms) * MS, 500 * MS, board)


def test_a_board_whose_coil_has_one_switch_has_nothing_to_prove() -> None:
    assert ChannelProof().proven(PLAIN_BOARD)
    assert ChannelProof().gate_rests(0, 0, PLAIN_BOARD)
    assert proof_ns(PLAIN_BOARD) == 0
    assert ChannelProof().advance(0, CoilNode(), True, PLAIN_BOARD) == ChannelProof()
