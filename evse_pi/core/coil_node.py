"""What the node between coil and return switch tells of the contactor's two switches and of their supply.

With both switches off the node stands at half the supply, with the gate alone at the supply, with the return switch on
at ground; the coil carries 0.26 mA in all but the last. So each switch is seen by itself while the contactor is dead.
Source: docs/boards/reference.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from evse_pi.core.evidence import Check, Evidence
from evse_pi.core.faults import NO_FAULTS, Fault
from evse_pi.core.gate_hold import GateHold
from hal.units import MILLISECOND, Millivolts

if TYPE_CHECKING:
    from evse_pi.core.board_ratings import CoilChannels
    from evse_pi.core.io_records import CoilReading

LOW_MV = 1_500
HIGH_PERMILLE = 850
"""Of the supply: from there on the node counts as standing at it."""
WRONG_TICKS = 2
WEAK_TICKS = 10
FOLLOWS_NS = 4 * MILLISECOND
"""What the order may be later than the reading of its tick, and the mirror contact earlier than that of the next."""
TOP_MV = 40_000
_UNSEEN = Millivolts(0)
_BANDS = {
    Check.GATE_OPENS: (LOW_MV, 15_000),
    Check.GATE_CLOSES: (17_340, TOP_MV),
    Check.RETURN_OPENS: (LOW_MV, TOP_MV),
    Check.RETURN_CLOSES: (0, LOW_MV),
}
"""What the node should have read, in mV, at 24 V ± 20 %."""


class NodeLevel(Enum):
    """Where the node stands."""

    LOW = "at ground"
    HALF = "at half the supply"
    HIGH = "at the supply"
    ODD = "at none of these"


@dataclass(frozen=True, slots=True)
class CoilOrders:
    """What the two switches were last told, and what else may hold the coil dead.

    `returned` is None where the residual current device decides. `chain_open` says that the coil's supply is taken away
    by a part that says so itself. `mirror` is the mirror contact, `release_ns` how long the contactor takes to open.
    """

    gate_fed: bool
    returned: bool | None
    chain_open: bool
    mirror: bool | None
    release_ns: int


@dataclass(frozen=True, slots=True)
class CoilNode:
    """The node over time.

    `level` is what the last tick read at `read_ns`; `rest_mv` the node when both switches were last seen off.
    `returned` is the order of the return switch, and `unreturned_ns` when it was last told to open. `suspect` is what
    `wrong` ticks in a row have shown, `weak` ticks in a row saw no supply, `doubt` waits for the gate to let go,
    `found` was proven and stays until the installer clears it.
    """

    level: NodeLevel | None = None
    read_ns: int = 0
    rest_mv: Millivolts = _UNSEEN
    returned: bool | None = False
    unreturned_ns: int = 0
    suspect: Check | None = None
    wrong: int = 0
    weak: int = 0
    doubt: Evidence | None = None
    found: Evidence | None = None
    gate: GateHold = field(default_factory=GateHold)

    def advance(self, coil: CoilReading, orders: CoilOrders, channels: CoilChannels) -> CoilNode:
        """Return what is known after one more reading; `orders` are those that were in force when it was made."""
        if channels.supply_mv is None:
            return self
        gate = self.gate.pulsed(coil.fed_ns, channels)
        conducts = gate.conducts(coil.at_ns, channels)
        level = self._classify(coil.node_mv, channels.supply_mv)
        freed = self.returned is not False and orders.returned is False
        unreturned_ns = self.read_ns if freed else self.unreturned_ns
        suspect = _contradicted(level, conducts, orders, coil.at_ns - unreturned_ns)
        wrong = 0 if suspect is None else min(self.wrong + 1, WRONG_TICKS) if suspect is self.suspect else 1
        gate = _timed(gate, level, coil.at_ns, orders, channels)
        resting = level is NodeLevel.HALF and conducts is False and orders.returned is False
        doubt, found = self._proven(suspect if wrong >= WRONG_TICKS else None, coil, resting=resting)
        return CoilNode(
            level,
            coil.at_ns,
            coil.node_mv if resting else self.rest_mv,
            orders.returned,
            unreturned_ns,
            suspect,
            wrong,
            min(self.weak + 1, WEAK_TICKS) if _weak(level, conducts, orders) else 0,
            doubt if resting or conducts is not False else None,
            found or gate.wrong,
            gate,
        )

    def unread(self) -> CoilNode:
        """Return the node after a tick that could not read it: nothing is proven by what was seen before."""
        return self if self.level is None else replace(self, level=None)

    def blamed(self, found: Evidence) -> CoilNode:
        """Return the node after something else has proven a switch wrong."""
        return self if self.found else replace(self, found=found)

    def forgiven(self) -> CoilNode:
        """Return the node after the installer acknowledged what was found; the next proof must pass."""
        if self.found is None and self.gate.wrong is None:
            return self
        return replace(self, found=None, wrong=0, gate=replace(self.gate, wrong=None))

    @property
    def faults(self) -> frozenset[Fault]:
        """What is wrong with a switch, and with the supply."""
        if self.found:  # a switch that does as it likes looks like a lost supply as well
            return frozenset((Fault.CONTACTOR_CHANNEL,))
        return frozenset((Fault.SUPPLY_24V,)) if self.weak >= WEAK_TICKS else NO_FAULTS

    def _classify(self, node_mv: int, supply_mv: tuple[Millivolts, Millivolts]) -> NodeLevel:
        if node_mv < LOW_MV:
            return NodeLevel.LOW
        if supply_mv[0] <= 2 * node_mv <= supply_mv[1]:
            return NodeLevel.HALF
        supposed_mv = 2 * self.rest_mv or supply_mv[0]
        return NodeLevel.HIGH if node_mv * 1_000 > HIGH_PERMILLE * supposed_mv else NodeLevel.ODD

    def _proven(
        self, suspect: Check | None, coil: CoilReading, *, resting: bool
    ) -> tuple[Evidence | None, Evidence | None]:
        """Return what is in doubt and what is proven: a gate that stays off once the supply is seen to be whole."""
        doubt, found = self.doubt, self.found
        if suspect is None:
            return (None, found or doubt) if resting else (doubt, found)
        evidence = Evidence(suspect, coil.at_ns, coil.node_mv, *_BANDS[suspect])
        return (evidence, found) if suspect is Check.GATE_CLOSES else (doubt, found or evidence)


def _contradicted(level: NodeLevel, conducts: bool | None, orders: CoilOrders, since_ns: int) -> Check | None:
    """Return the switch that does otherwise than it was told, None while that is not certain."""
    if orders.returned is None or orders.chain_open:
        return None
    if orders.returned:
        return None if level is NodeLevel.LOW else Check.RETURN_CLOSES
    if level is NodeLevel.LOW:  # the supply may be gone instead, but then the armature has fallen
        fallen = orders.mirror is not True or since_ns < orders.release_ns + FOLLOWS_NS
        return None if fallen else Check.RETURN_OPENS
    if level is NodeLevel.HIGH and conducts is False:
        return Check.GATE_OPENS
    return Check.GATE_CLOSES if level is NodeLevel.HALF and conducts and orders.gate_fed else None


def _weak(level: NodeLevel, conducts: bool | None, orders: CoilOrders) -> bool:
    """Return whether the supply is missing or outside its window, as far as an open return switch lets it be seen."""
    if orders.returned is not False or orders.chain_open:
        return False
    return level is NodeLevel.LOW or (level is NodeLevel.ODD and conducts is False)


def _timed(gate: GateHold, level: NodeLevel, at_ns: int, orders: CoilOrders, channels: CoilChannels) -> GateHold:
    """Return the gate after a reading: its hold can be seen while the return switch is off."""
    if orders.gate_fed:
        return gate.begun(channels)
    if orders.returned is not False or orders.chain_open or level in (NodeLevel.LOW, NodeLevel.ODD):
        return gate.given_up()
    return gate.high(at_ns, channels) if level is NodeLevel.HIGH else gate.rested(at_ns, channels)
