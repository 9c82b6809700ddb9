"""The contactor's coil between its two switches, as electricity: its supply, its current, the node that can be read.

    24 V ── chain ──┬── supply switch ──┬── coil ──┬── return switch ── ground
                    └────── 47 kΩ ──────┘          └── 42.2 kΩ ── tap ── 4.75 kΩ ── ground

Source: docs/boards/reference.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from evse_pi.sim.contactor_model import Coil

NOMINAL_MV = 24_000
BRIDGE_OHM, DIVIDER_OHM, COIL_OHM = 47_000.0, 42_200.0 + 4_750.0, 115.0
SATURATED_V = 0.05  # across a return switch that conducts
PULL_IN_SHARE, DROP_OUT_SHARE = 0.85, 0.75
"""From where a direct current coil must pull in, and where it may let go. Source: IEC 60947-4-1, as sheets quote it."""
KICK_V = 33.0  # of the suppressor, above the supply
KICK_NS = 8_000_000
"""How long a coil of 15 ms takes to give its current to a suppressor of 33 V: 15 ms · ln(1 + 24/33)."""


class SwitchFault(StrEnum):
    """How one of the coil's two switches is broken."""

    SHORTED = "shorted"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class CoilState:
    """What the coil stands between: the supply behind its chain, both switches as they are, and its winding."""

    supply_v: float = 0.0
    gate: bool = False
    returned: bool = False
    whole: bool = True

    @property
    def conducts(self) -> bool:
        """Whether the coil has its current."""
        return self.gate and self.returned and self.whole

    @property
    def strength(self) -> Coil:
        """How strongly the coil is fed."""
        share = self.supply_v * 1000 / NOMINAL_MV
        if not self.conducts or share < DROP_OUT_SHARE:
            return Coil.OFF
        return Coil.FULL if share >= PULL_IN_SHARE else Coil.HOLD

    @property
    def node_v(self) -> float:
        """The settled voltage between coil and return switch."""
        if not self.whole:
            return 0.0
        if self.returned:
            return SATURATED_V if self.gate and self.supply_v else 0.0
        above_ohm = COIL_OHM + (0.0 if self.gate else BRIDGE_OHM)
        return self.supply_v * DIVIDER_OHM / (above_ohm + DIVIDER_OHM)


class CoilCircuit:
    """The circuit over time: a coil that loses its return kicks for a moment."""

    def __init__(self) -> None:
        self.state = CoilState()
        self._kicked_ns: int | None = None

    def set(self, now_ns: int, state: CoilState) -> None:
        """Let the circuit stand as `state` says from now on."""
        if self.state.conducts and state.whole and not state.returned:
            self._kicked_ns = now_ns
        self.state = state

    def node_v(self, now_ns: int) -> float:
        """Return the voltage between coil and return switch."""
        state, kicked_ns = self.state, self._kicked_ns
        if kicked_ns is not None and now_ns - kicked_ns < KICK_NS and state.whole and not state.returned:
            return state.supply_v + KICK_V
        return state.node_v
