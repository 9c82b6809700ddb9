"""Each of the coil's two switches shown by itself before every close, with the coil dead.

It runs within the time for which a vehicle must show C anyway, so it costs a close nothing. Where the node behind the
coil can be read, that judges; elsewhere the mirror contact, which must not move. Source: docs/boards/reference.md.
Hazard: H-09.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from evse_pi.core.coil_node import NodeLevel
from evse_pi.core.evidence import Check, Evidence
from evse_pi.core.gate_hold import SETTLES_NS
from hal.units import MILLISECOND

if TYPE_CHECKING:
    from evse_pi.core.board_ratings import BoardRatings
    from evse_pi.core.coil_node import CoilNode

LOOK_NS = 20 * MILLISECOND
"""How long a switch is left alone at least: two looks."""
FOLLOWS_NS = 30 * MILLISECOND
"""How much later than the contactor's rated time the mirror contact is waited for."""
SPARE_NS = 20 * MILLISECOND
"""How much earlier than it must the proof begins, for ticks that come late."""
WRONG_TICKS = 2


class ProofStage(Enum):
    """What is being shown."""

    IDLE = "nothing"
    RETURN = "the return switch alone: the node falls to ground, nothing moves"
    REST = "both off: the node is back at half the supply"
    GATE = "the gate alone: the node rises to the supply, nothing moves"
    PROVEN = "both were shown, and the gate conducts"


def proof_ns(board: BoardRatings) -> int:
    """Return how long the proof takes on `board`, 0 where there is nothing to prove."""
    channels = board.coil_channels
    if channels is None:
        return 0
    alone_ns = LOOK_NS if channels.supply_mv else board.contactor_pull_in_ns + FOLLOWS_NS
    return alone_ns + LOOK_NS + channels.arm_ns + board.contactor_pull_in_ns + FOLLOWS_NS


@dataclass(frozen=True, slots=True)
class ChannelProof:
    """Where the proof is, since when, and for how many ticks the mirror contact has contradicted it.

    `ended_ns` is when a switch was last driven alone.
    """

    stage: ProofStage = ProofStage.IDLE
    since_ns: int = 0
    wrong: int = 0
    ended_ns: int | None = None

    @property
    def gate_fed(self) -> bool:
        """The gate shall get pulses."""
        return self.stage in (ProofStage.GATE, ProofStage.PROVEN)

    @property
    def returned(self) -> bool:
        """The return switch shall conduct."""
        return self.stage is ProofStage.RETURN

    def proven(self, board: BoardRatings) -> bool:
        """Return whether nothing is left to show before a close."""
        return board.coil_channels is None or self.stage is ProofStage.PROVEN

    def gate_rests(self, now_ns: int, opened_ns: int, board: BoardRatings) -> bool:
        """Return whether the gate has let go of its last pulse, so that the return switch may be driven alone.

        `opened_ns` is when the contactor was last told to open, or the box started; pulses may have come until then.
        Nothing but the time says so on a board whose coil's node is not read. Hazard: H-02.
        """
        channels = board.coil_channels
        if channels is None:
            return True
        fed_ns = opened_ns if self.ended_ns is None else max(opened_ns, self.ended_ns)
        return now_ns - fed_ns > channels.hold_max_ns + SETTLES_NS

    def advance(self, now_ns: int, coil: CoilNode, mirror: bool | None, board: BoardRatings) -> ChannelProof:
        """Return the proof after one more look, in which a close is wanted soon."""
        if board.coil_channels is None:
            return self
        wrong = min(self.wrong + 1, WRONG_TICKS) if mirror is True else 0
        if wrong or coil.doubt:
            stopped = coil.doubt is not None or wrong >= WRONG_TICKS
            return self.stopped(now_ns) if stopped else replace(self, wrong=wrong)
        least_ns, level, following = self._step(board)
        as_wanted = coil.level is level or board.coil_channels.supply_mv is None  # one that was not read shows nothing
        if self.stage is ProofStage.PROVEN and not as_wanted:
            return self.stopped(now_ns)
        due = now_ns - self.since_ns >= least_ns and as_wanted
        if due and following is not self.stage:
            return ChannelProof(following, now_ns, 0, now_ns)
        return self if self.wrong == 0 else replace(self, wrong=0)

    def stopped(self, now_ns: int) -> ChannelProof:
        """Return the proof when no close is wanted any more, or one has been ordered."""
        if self.stage is ProofStage.IDLE:
            return self
        return ChannelProof(ended_ns=now_ns)

    def judged_by_mirror(self, now_ns: int, mirror: bool | None, board: BoardRatings) -> Evidence | None:
        """Return the switch that must be shorted, because the other one alone has closed the contactor."""
        if self.wrong + 1 < WRONG_TICKS or mirror is not True or board.coil_channels is None:
            return None
        if self.stage is ProofStage.RETURN:
            return Evidence(Check.GATE_ALONE, now_ns, 1, 0, 0)
        return Evidence(Check.RETURN_ALONE, now_ns, 1, 0, 0) if self.gate_fed else None

    def excuses(self, now_ns: int, board: BoardRatings) -> bool:
        """Return whether contacts that are closed without an order may be so by a switch that was driven alone."""
        channels = board.coil_channels
        if channels is None or self.ended_ns is None:
            return False
        longest_ns = channels.hold_max_ns + board.contactor_release_ns + FOLLOWS_NS
        return self.stage is not ProofStage.IDLE or now_ns - self.ended_ns < longest_ns

    def _step(self, board: BoardRatings) -> tuple[int, NodeLevel, ProofStage]:
        """Return how long the stage lasts, what must be seen at its end, and what follows."""
        channels = board.coil_channels
        moves_ns = board.contactor_pull_in_ns + FOLLOWS_NS
        if self.stage is ProofStage.IDLE:
            return 0, NodeLevel.HALF, ProofStage.RETURN
        if self.stage is ProofStage.RETURN:
            alone_ns = LOOK_NS if channels is not None and channels.supply_mv else moves_ns
            return alone_ns, NodeLevel.LOW, ProofStage.REST
        if self.stage is ProofStage.REST:
            return LOOK_NS, NodeLevel.HALF, ProofStage.GATE
        armed_ns = 0 if channels is None else channels.arm_ns
        return armed_ns + moves_ns, NodeLevel.HIGH, ProofStage.PROVEN
