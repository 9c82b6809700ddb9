"""A contactor's coil between its gate and its return switch, in ticks, with everything that can be wrong with it.

Values of the circuit and of the gate: docs/boards/reference.md, section "Contactor".
"""

from __future__ import annotations

from dataclasses import dataclass

from evse_pi.sim.coil_circuit import CoilState
from evse_pi.sim.contactor_model import Coil

MS = 1_000_000
HOLD_NS = 50 * MS  # a retriggerable one-shot of 50 ms
SUPPLY_MV = 24_000


@dataclass
class GatedCoil:
    """What both switches were told and what they do; `gate` and `returned` are a switch that is stuck, None for none.

    `hold_ns` is for how long the gate holds after a pulse, `latch_cuts` whether the residual current device's latch
    takes the return, `switched_ns` when the coil last got or lost its current.
    """

    supply_mv: int = SUPPLY_MV
    hold_ns: int = HOLD_NS
    gate: bool | None = None
    returned: bool | None = None
    whole: bool = True
    latch_cuts: bool = True
    fed_ns: int = -HOLD_NS
    told_return: bool = False
    latched: bool = False
    stopped: bool = False
    carries: bool = False
    switched_ns: int = -(10**18)

    def told(self, now_ns: int, *, fed: bool, returned: bool, latched: bool, stopped: bool) -> None:
        """Take what a tick orders: a pulse for the gate or none, and the return switch."""
        self.follow(now_ns)
        if fed:
            self.fed_ns = now_ns
        self.told_return, self.latched, self.stopped = returned, latched, stopped
        self._switch(now_ns, now_ns)

    def follow(self, now_ns: int) -> None:
        """Let time pass: the gate lets go between two ticks."""
        ends_ns = self.fed_ns + self.hold_ns
        if self.carries and ends_ns < now_ns:
            self._switch(now_ns, ends_ns)

    def mend(self) -> None:
        """Let every part be as it should."""
        self.supply_mv, self.hold_ns = SUPPLY_MV, HOLD_NS
        self.gate = self.returned = None
        self.whole = self.latch_cuts = True

    def shift(self, by_ns: int) -> None:
        """Count time from another instant."""
        self.fed_ns += by_ns
        self.switched_ns += by_ns

    def node_mv(self, now_ns: int) -> int:
        """Return what stands between coil and return switch."""
        return round(1_000 * self._state(now_ns).node_v)

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong that a look at the node can show."""
        in_window = 20_400 <= self.supply_mv <= 28_800  # 24 V, 15 % less and 20 % more
        return self.gate is self.returned is None and self.whole and in_window

    def _state(self, now_ns: int) -> CoilState:
        held = now_ns < self.fed_ns + self.hold_ns
        drawn = self.told_return and not (self.latched and self.latch_cuts)
        return CoilState(
            0.0 if self.stopped else self.supply_mv / 1_000,
            gate=held if self.gate is None else self.gate,
            returned=drawn if self.returned is None else self.returned,
            whole=self.whole,
        )

    def _switch(self, now_ns: int, at_ns: int) -> None:
        carries = self._state(now_ns).strength is not Coil.OFF
        if carries is not self.carries:
            self.carries, self.switched_ns = carries, at_ns
