"""The conductors between contactor and vehicle: who drives them, what a vehicle leaves on them, and who senses them.

Each phase and the neutral are a node. A closed pole drives its node; one that no pole drives floats with what the
vehicle's capacitors between the conductors tie it to, and is led to earth by the sense's resistors alone.
Source of circuits and figures: docs/boards/reference.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.sim.agenda import Agenda
    from evse_pi.sim.contactor_model import PowerContactor
    from evse_pi.sim.mains import Mains
    from evse_pi.sim.vehicle import Vehicle

SENSE_OHM = 2_000_000.0  # from phase to earth and from earth to neutral, 998 kΩ and 4 kΩ each
COUPLER_OHM = 136_000.0
COUPLER_V = 20.6
"""What still lights a coupler: with 2.2 µF and 470 kΩ the page's 0.64 s follow from it."""
SHARE = 0.5
"""The neutral's node has the same way to earth as a phase's, so what floats between them stands half on each."""
ROOT = math.sqrt(2)


class LoadSenseFault(StrEnum):
    """How one phase's sense can fail."""

    OPEN = "open"  # a resistor: the node reads 0 V whatever the phase has
    SHORTED = "shorted"  # one of the two resistors: twice the voltage, clipped
    LOW = "low"  # the input at ground
    HIGH = "high"  # the input at the reference
    HUM = "hum"  # mains couples in: live for ever


@dataclass(frozen=True, slots=True)
class Capacitors:
    """What a vehicle keeps between its conductors after an opening; no bleeder is None."""

    farad: float = 0.0
    bleeder_ohm: float | None = None

    def tau_ns(self, *others_ohm: float) -> float:
        """Return the time constant with what else discharges it."""
        siemens = sum(1 / ohm for ohm in others_ohm) + (0.0 if self.bleeder_ohm is None else 1 / self.bleeder_ohm)
        return 1e9 * self.farad / siemens


class LoadSide:
    """The load side's voltages at any instant up to the agenda's present one.

    `capacitors` and `feed_ns` are what the vehicle leaves after the next opening: direct voltage, and alternating
    voltage for so long. `hold_ns` is that of couplers, None on a board without them.
    """

    def __init__(
        self,
        mains: Mains,
        contactor: PowerContactor,
        vehicle: Vehicle,
        agenda: Agenda,
        changed: Callable[[], None],
        hold_ns: int | None,
    ) -> None:
        self.capacitors = Capacitors()
        self.feed_ns = 0
        self.broken: dict[int, LoadSenseFault] = {}
        self._mains, self._contactor, self._vehicle = mains, contactor, vehicle
        self._agenda, self._changed, self._hold_ns = agenda, changed, hold_ns
        self._left_v, self._opened_ns, self._left = 0.0, 0, Capacitors()
        self._fed_until_ns = 0
        self._was_closed = self._was_driven = False
        self._lit_until_ns = agenda.now_ns

    def repair(self) -> None:
        """Undo what is broken or left; what stands on the capacitors now stays."""
        self.capacitors, self.feed_ns = Capacitors(), 0
        self.broken.clear()

    def settle(self) -> None:
        """Follow the contacts: what they leave behind begins when the last of them opens."""
        now_ns, closed = self._agenda.now_ns, any(self._contactor.closed)
        if self._was_closed and not closed:
            self._opened_ns, self._left = now_ns, self.capacitors
            self._left_v = ROOT * self._mains.open_volts[0] if self.capacitors.farad else 0.0  # opened at the peak
            self._fed_until_ns = now_ns + self.feed_ns
            self._light(max(self._fed_until_ns, now_ns + self._lit_by_charge_ns()))
        elif closed:
            self._left_v, self._fed_until_ns = 0.0, 0
        self._was_closed = closed
        if self._was_driven and not self._driven:
            self._light(now_ns)
        self._was_driven = self._driven

    def volts(self, phase: int, at_ns: int) -> float:
        """Return the voltage of one phase against earth as its sense has it."""
        how = self.broken.get(phase)
        if how is LoadSenseFault.OPEN:
            return 0.0
        if how is LoadSenseFault.HUM:
            return self._mains.instant(phase, at_ns)
        if how in (LoadSenseFault.LOW, LoadSenseFault.HIGH):
            return -math.inf if how is LoadSenseFault.LOW else math.inf
        return self._node(phase, at_ns) * (2.0 if how is LoadSenseFault.SHORTED else 1.0)

    @property
    def lit(self) -> bool:
        """Whether couplers between the conductors show voltage: current needs a way there and back.

        One welded pole with all others open drives none, with a vehicle or without.
        """
        return self._driven or self._agenda.now_ns < self._lit_until_ns

    @property
    def _driven(self) -> bool:
        live = sum(map(self._drives, range(len(self._contactor.closed))))
        return live > 1 or (live > 0 and self._contactor.neutral_closed)

    def _drives(self, phase: int) -> bool:
        return self._contactor.closed[phase] and self._mains.present[phase]

    def _light(self, until_ns: int) -> None:
        self._lit_until_ns = max(self._lit_until_ns, until_ns + (self._hold_ns or 0))
        self._agenda.at("sense.hold", self._lit_until_ns, self._changed)

    def _lit_by_charge_ns(self) -> int:
        if self._left_v <= COUPLER_V or self._hold_ns is None:
            return 0
        return round(self._left.tau_ns(COUPLER_OHM) * math.log(self._left_v / COUPLER_V))

    def _node(self, phase: int, at_ns: int) -> float:
        if self._drives(phase):
            return self._mains.instant(phase, at_ns)
        neutral_v = self._mains.neutral(at_ns)
        if self._contactor.neutral_closed and self._vehicle.plugged:
            return neutral_v
        others = [self._mains.instant(other, at_ns) for other in self._mains.phases if self._drives(other)]
        if others and self._vehicle.plugged:
            return sum(others) / len(others)
        if at_ns < self._fed_until_ns:
            return SHARE * ROOT * self._mains.settings.voltage_mv / 1000 * self._mains.turn(phase, at_ns)
        if self._left_v and at_ns >= self._opened_ns:
            further = (SENSE_OHM,) if self._hold_ns is None else (SENSE_OHM, COUPLER_OHM)
            return SHARE * self._left_v * math.exp(-(at_ns - self._opened_ns) / self._left.tau_ns(*further))
        return 0.0
