"""Whether a meter can be believed: its registers against each other, its currents against the contactor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evse_pi.api.troubles import MeterTrouble, MeterTroubleKind
from evse_pi.charging.metering import (
    REGISTER_STEP_MWH,
    STALE_NS,
    apparent_mva,
    backward_phases,
    consumed_mw,
    energy_of,
)
from hal.units import SECOND

if TYPE_CHECKING:
    from hal.interfaces import MeterReading

OPEN_MA = 1_000  # with open contacts flows what the box itself needs
PATIENCE_NS = 10 * SECOND  # contactor and meter settle, and a reading is up to 2 s old
UNCOUNTED_MWH = 3 * REGISTER_STEP_MWH
"""What the power must amount to before a register that has not moved is called frozen: a minute at 3.7 kW."""
UNSHOWN_MWH = 5 * REGISTER_STEP_MWH
"""What the register must count beyond the power shown, one step of it at either end and what changed in between."""
UNSHOWN_PERCENT = 110
COUNTED_MW = 50_000
"""Less than this need not move a register: a class B meter may count nothing below its starting current, 0.4 % of the
reference current, 14 W on three phases of 5 A. Source: EN 50470-3, IEC 62053-21."""
IDLE_NS = 60 * SECOND  # so long without power after a verdict, and the next charge is judged again
FROZEN_NS = 300 * SECOND
"""So long no register moves. Frequency and voltage of a grid never stand still for so long: within five minutes the
frequency wanders by tens of millihertz, and these meters show ten. Source: Regulation (EU) 2017/1485, annex III."""
WEAK_MA, WEAK_PERCENT = 5_000, 10
"""A charger that draws as much has a power factor far above a tenth; a meter that shows kW has a thousandth of it.
Source: IEC 61000-3-12 for what a vehicle may draw beside its active current."""


@dataclass(frozen=True, slots=True)
class MeterCheck:
    """What speaks against the meter, over its readings. Hazard: H-16 a frozen meter is taken for a good one.

    `power_mw` flowed last through closed contacts, at `at_ns`; `uncounted_mwh` is what it amounted to since the
    register last moved from `energy_mwh`, and `frozen_mw` what flowed when that was too much, told until the register
    moves; `unshown_mwh` is what the register counted beyond the power. `newest` is shown unchanged since `same_ns`.
    Since `idle_ns` no power flows, since `backwards_ns` it flows backwards through `backward_phases`, since `weak_ns`
    it is too little for its currents, since `open_ns` a current flows though contacts are open.
    """

    at_ns: int | None = None
    power_mw: int = 0
    energy_mwh: int = 0
    uncounted_mwh: int = 0
    frozen_mw: int = 0
    unshown_mwh: int = 0
    newest: MeterReading | None = None
    same_ns: int = 0
    idle_ns: int | None = None
    backwards_ns: int | None = None
    backward_phases: tuple[int, ...] = ()
    weak_ns: int | None = None
    open_ns: int | None = None
    trouble: MeterTrouble | None = None
    backwards: bool = False
    believed: bool = True
    """Whether its currents may be used; one that was wired backwards shows them right but for their sign."""

    def accept(self, reading: MeterReading, highest_mw: int, *, contacts_closed: bool | None) -> MeterCheck:
        """Return the check after one more reading of a circuit that carries `highest_mw` at most.

        `contacts_closed` is None while nothing is known of them.
        """
        now_ns, shown_mw = reading.read_ns, consumed_mw(reading)
        current_ma = max((abs(each) for each in reading.current_ma), default=0)
        # Far less power than volts times amps: another unit, or a wrong register. The product stands in for it.
        weak = current_ma >= WEAK_MA and shown_mw * 100 < apparent_mva(reading) * WEAK_PERCENT
        power_mw = apparent_mva(reading) if weak else shown_mw
        counts = contacts_closed is True and COUNTED_MW <= power_mw <= highest_mw
        idle_ns = _since(self.idle_ns, now_ns, held=power_mw < COUNTED_MW)
        back = backward_phases(reading)
        seen = replace(
            self._count(reading, power_mw if counts else 0, idle_ns),
            unshown_mwh=self._unshown(reading, power_mw, highest_mw, closed=contacts_closed is True),
            newest=reading,
            same_ns=self.same_ns if self._same(reading) else now_ns,
            idle_ns=idle_ns,
            backwards_ns=_since(self.backwards_ns, now_ns, held=bool(back)),
            backward_phases=back,
            weak_ns=_since(self.weak_ns, now_ns, held=weak),
            open_ns=_since(self.open_ns, now_ns, held=contacts_closed is False and current_ma >= OPEN_MA),
        )
        return seen.judged(reading.total_power_mw if back else shown_mw, current_ma, highest_mw)

    def _same(self, reading: MeterReading) -> bool:
        """Return whether not one register moved; a meter that shows neither voltage nor frequency may stand still."""
        before = self.newest
        if before is None or not (reading.voltage_mv or reading.frequency_mhz):
            return False
        silent = reading.read_ns - before.read_ns > STALE_NS
        return not silent and replace(reading, read_ns=before.read_ns) == before

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

    def _unshown(self, reading: MeterReading, power_mw: int, highest_mw: int, *, closed: bool) -> int:
        """Return what the register counted beyond the power that was shown; a register that jumps is another rule's."""
        before, elapsed_ns = self.newest, reading.read_ns - (self.at_ns or 0)
        if before is None or not closed or elapsed_ns > STALE_NS:
            return 0
        grown_mwh = reading.energy_mwh - before.energy_mwh
        possible_mwh = energy_of(highest_mw * 5 // 4, elapsed_ns)[0] + REGISTER_STEP_MWH
        if not -REGISTER_STEP_MWH <= grown_mwh <= possible_mwh:
            return self.unshown_mwh
        shown_mwh = energy_of(max(power_mw, consumed_mw(before)), elapsed_ns)[0] * UNSHOWN_PERCENT // 100
        return min(max(self.unshown_mwh + grown_mwh - shown_mwh, 0), 2 * UNSHOWN_MWH)

    def judged(self, power_mw: int, current_ma: int, highest_mw: int) -> MeterCheck:
        """Return the check with what it comes to, the worst first."""
        through_open, backwards, weak = map(self._lasts, (self.open_ns, self.backwards_ns, self.weak_ns))
        whole = len(self.backward_phases) != 1 or not self.newest or len(self.newest.power_mw) <= 1
        frozen = self.newest is not None and self.newest.read_ns - self.same_ns >= FROZEN_NS
        shown = {
            MeterTroubleKind.CURRENT_THOUGH_OPEN: through_open,
            MeterTroubleKind.FROZEN: frozen,
            MeterTroubleKind.BACKWARDS: backwards and whole,
            MeterTroubleKind.PHASE_BACKWARDS: backwards,
            MeterTroubleKind.ENERGY_STANDS_STILL: bool(self.frozen_mw),
            MeterTroubleKind.MORE_THAN_SHOWN: self.unshown_mwh >= UNSHOWN_MWH,
            MeterTroubleKind.POWER_TOO_SMALL: weak,
            MeterTroubleKind.BEYOND_CIRCUIT: power_mw > highest_mw,
        }
        kind = next((kind for kind, holds in shown.items() if holds), None)
        if kind is MeterTroubleKind.ENERGY_STANDS_STILL:
            power_mw = self.frozen_mw
        phase = self.backward_phases[0] + 1 if self.backward_phases else 0
        trouble = None if kind is None else MeterTrouble(kind, current_ma, power_mw, phase)
        counted = backwards or (self.uncounted_mwh < UNCOUNTED_MWH and self.unshown_mwh < UNSHOWN_MWH)
        believed = not through_open and not frozen and counted
        return replace(self, trouble=trouble, backwards=backwards and self.open_ns is None, believed=believed)

    @property
    def weak(self) -> bool:
        """Whether the power is not what voltage and current make of it, and those are to be used."""
        return self._lasts(self.weak_ns)

    def _lasts(self, begun_ns: int | None) -> bool:
        return begun_ns is not None and (self.at_ns or 0) - begun_ns >= PATIENCE_NS


def _since(begun_ns: int | None, now_ns: int, *, held: bool) -> int | None:
    if not held:
        return None
    return now_ns if begun_ns is None else begun_ns
