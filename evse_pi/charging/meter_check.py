"""Whether a meter can be believed: its registers against each other, its currents against the contactor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evse_pi.api.troubles import MeterTrouble, MeterTroubleKind
from evse_pi.charging.metering import BACKWARDS_MW, REGISTER_STEP_MWH, STALE_NS, energy_of
from hal.units import SECOND

if TYPE_CHECKING:
    from hal.interfaces import MeterReading

OPEN_MA = 1_000  # with open contacts flows what the box itself needs
PATIENCE_NS = 10 * SECOND  # contactor and meter settle, and a reading is up to 2 s old
UNCOUNTED_MWH = 3 * REGISTER_STEP_MWH
"""What the power must amount to before a register that has not moved is called frozen: a minute at 3.7 kW."""
COUNTED_MW = 50_000
"""Less than this need not move a register: a class B meter may count nothing below its starting current, 0.4 % of the
reference current, 14 W on three phases of 5 A. Source: EN 50470-3, IEC 62053-21."""
IDLE_NS = 60 * SECOND  # so long without power after a verdict, and the next charge is judged again


@dataclass(frozen=True, slots=True)
class MeterCheck:
    """What speaks against the meter, over its readings. Hazard: H-16 a frozen meter is taken for a good one.

    `power_mw` flowed last through closed contacts, at `at_ns`; `uncounted_mwh` is what it amounted to since the
    register last moved from `energy_mwh`, and `frozen_mw` what flowed when that was too much, told until the register
    moves. Since `idle_ns` no power flows, since `backwards_ns` it flows backwards, since `open_ns` a current flows
    though contacts are open.
    """

    at_ns: int | None = None
    power_mw: int = 0
    energy_mwh: int = 0
    uncounted_mwh: int = 0
    frozen_mw: int = 0
    idle_ns: int | None = None
    backwards_ns: int | None = None
    open_ns: int | None = None
    trouble: MeterTrouble | None = None
    backwards: bool = False
    believed: bool = True
    """Whether its currents may be used; one that was wired backwards shows them right but for their sign."""

    def accept(self, reading: MeterReading, highest_mw: int, *, contacts_closed: bool | None) -> MeterCheck:
        """Return the check after one more reading of a circuit that carries `highest_mw` at most.

        `contacts_closed` is None while nothing is known of them.
        """
        now_ns, shown_mw = reading.read_ns, reading.total_power_mw
        current_ma = max((abs(each) for each in reading.current_ma), default=0)
        counts = contacts_closed is True and COUNTED_MW <= shown_mw <= highest_mw
        idle_ns = _since(self.idle_ns, now_ns, held=abs(shown_mw) < COUNTED_MW)
        seen = replace(
            self._count(reading, shown_mw if counts else 0, idle_ns),
            idle_ns=idle_ns,
            backwards_ns=_since(self.backwards_ns, now_ns, held=-shown_mw >= BACKWARDS_MW),
            open_ns=_since(self.open_ns, now_ns, held=contacts_closed is False and current_ma >= OPEN_MA),
        )
        return seen.judged(shown_mw, current_ma, highest_mw)

    def _count(self, reading: MeterReading, power_mw: int, idle_ns: int | None) -> MeterCheck:
        """Return the check with what flowed since the reading before, or without it where the register moved."""
        now_ns, former_ns = reading.read_ns, self.at_ns
        moved = former_ns is not None and reading.energy_mwh != self.energy_mwh
        silent = former_ns is None or now_ns - former_ns > STALE_NS
        grown_mwh = energy_of((self.power_mw + power_mw) // 2, now_ns - (former_ns or 0))[0]
        uncounted_mwh = 0 if moved or silent else self.uncounted_mwh + grown_mwh
        frozen_mw = 0 if moved else self.frozen_mw
        if uncounted_mwh >= UNCOUNTED_MWH:
            frozen_mw = frozen_mw or max(self.power_mw, power_mw)
            if idle_ns is not None and now_ns - idle_ns >= IDLE_NS:
                uncounted_mwh = 0
        return replace(
            self,
            at_ns=now_ns,
            power_mw=power_mw,
            energy_mwh=reading.energy_mwh,
            uncounted_mwh=uncounted_mwh,
            frozen_mw=frozen_mw,
        )

    def judged(self, power_mw: int, current_ma: int, highest_mw: int) -> MeterCheck:
        """Return the check with what it comes to, the worst first."""
        now_ns, kind = self.at_ns or 0, None
        through_open = self.open_ns is not None and now_ns - self.open_ns >= PATIENCE_NS
        backwards = self.backwards_ns is not None and now_ns - self.backwards_ns >= PATIENCE_NS
        if through_open:
            kind = MeterTroubleKind.CURRENT_THOUGH_OPEN
        elif backwards:
            kind = MeterTroubleKind.BACKWARDS
        elif self.frozen_mw:
            kind, power_mw = MeterTroubleKind.ENERGY_STANDS_STILL, self.frozen_mw
        elif power_mw > highest_mw:
            kind = MeterTroubleKind.BEYOND_CIRCUIT
        trouble = None if kind is None else MeterTrouble(kind, current_ma, power_mw)
        believed = not through_open and (backwards or self.uncounted_mwh < UNCOUNTED_MWH)
        return replace(self, trouble=trouble, backwards=backwards and self.open_ns is None, believed=believed)


def _since(begun_ns: int | None, now_ns: int, *, held: bool) -> int | None:
    if not held:
        return None
    return now_ns if begun_ns is None else begun_ns
