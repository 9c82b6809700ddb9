"""Energy: counted by a meter whose register may jump, or estimated from what was offered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.core.records import MeterSample
from hal.units import SECOND, Milliamps, MilliwattHours, Milliwatts

if TYPE_CHECKING:
    from hal.interfaces import MeterReading
    from hal.units import Millivolts

STALE_NS = 15 * SECOND
HOUR_NS = 3600 * SECOND
REGISTER_STEP_MWH = 20_000  # the coarsest register counts 10 Wh, and a 32-bit float of kWh rounds as coarsely
BACKWARDS_MW = 500_000
"""A meter that is wired backwards shows its power negative, and does not count it; this much no vehicle gives back."""
PHASES = 3
NO_ENERGY = MilliwattHours(0)
NO_POWER = Milliwatts(0)


def fresh(at_ns: int, now_ns: int) -> bool:
    """Return whether a value taken at `at_ns` may still be used."""
    return now_ns - at_ns < STALE_NS


def meter_sample(reading: MeterReading) -> MeterSample:
    """Return what the safety process judges of `reading`: the phases that the meter measures, and no others."""
    return MeterSample(reading.read_ns, reading.voltage_mv[:PHASES], reading.current_ma[:PHASES])


def backward_phases(reading: MeterReading) -> tuple[int, ...]:
    """Return the phases, from 0, whose power flows the wrong way round, in all as much as no vehicle gives back."""
    phases = reading.power_mw or (reading.total_power_mw,)
    back = tuple(at for at, power_mw in enumerate(phases) if power_mw <= -BACKWARDS_MW // len(phases))
    return back if -sum(phases[at] for at in back) >= BACKWARDS_MW else ()


def consumed_mw(reading: MeterReading) -> int:
    """Return the power that the vehicle takes, whichever way round each phase goes through the meter."""
    if not backward_phases(reading):
        return max(reading.total_power_mw, 0)
    return sum(map(abs, reading.power_mw)) or abs(reading.total_power_mw)


def highest_current_ma(reading: MeterReading) -> Milliamps | None:
    """Return the current of the phase that carries most, None where the meter tells none."""
    return max((Milliamps(abs(each)) for each in reading.current_ma), default=None)


def apparent_mva(reading: MeterReading) -> int:
    """Return volts times amps over the phases that the meter measures, 0 where it tells neither."""
    pairs = zip(reading.voltage_mv, reading.current_ma, strict=False)
    return sum(abs(voltage_mv * current_ma) // 1000 for voltage_mv, current_ma in pairs)


def energy_of(power_mw: int, duration_ns: int) -> tuple[int, int]:
    """Return the whole mWh of a constant power, and the rest in mW·ns."""
    return divmod(power_mw * max(duration_ns, 0), HOUR_NS)


@dataclass(frozen=True, slots=True)
class EnergyCounter:
    """What a meter's register counted since the first reading, whatever becomes of the register.

    `replaced` counts the readings that fit no register that merely grew: a new meter, a reset one, a wrong unit.
    """

    register_mwh: MilliwattHours | None = None
    total_mwh: MilliwattHours = NO_ENERGY
    power_mw: Milliwatts = NO_POWER
    at_ns: int = 0
    replaced: int = 0
    backwards: bool = False

    def accept(self, reading: MeterReading, max_power_mw: Milliwatts) -> EnergyCounter:
        """Return the counter after one more reading of a circuit that cannot carry more than `max_power_mw`.

        A register that falls by less than its own step has only been rounded. One that falls further or grows faster
        than the circuit allows is another register: the gap is then filled from the power of both readings, if they
        are close enough in time. While a phase goes through the meter backwards the register is another one's, and all
        is filled in from what the phases take.
        """
        if self.register_mwh is None:
            return self._next(reading, reading.energy_mwh, 0, replaced=False)
        grown = reading.energy_mwh - self.register_mwh
        possible, _ = energy_of(max_power_mw * 5 // 4, reading.read_ns - self.at_ns)
        elapsed_ns = reading.read_ns - self.at_ns
        near = elapsed_ns <= STALE_NS
        between_mw = min((self.power_mw + consumed_mw(reading)) // 2, max_power_mw)
        if self.backwards and backward_phases(reading):
            return self._next(reading, reading.energy_mwh, energy_of(between_mw, elapsed_ns)[0] * near, replaced=False)
        if -REGISTER_STEP_MWH <= grown <= 0:
            return self._next(reading, self.register_mwh, 0, replaced=False)
        if 0 < grown <= possible + REGISTER_STEP_MWH:
            return self._next(reading, reading.energy_mwh, grown, replaced=False)
        return self._next(reading, reading.energy_mwh, energy_of(between_mw, elapsed_ns)[0] * near, replaced=True)

    def _next(self, reading: MeterReading, register_mwh: int, grown_mwh: int, *, replaced: bool) -> EnergyCounter:
        return EnergyCounter(
            MilliwattHours(register_mwh),
            MilliwattHours(self.total_mwh + grown_mwh),
            Milliwatts(consumed_mw(reading)),
            reading.read_ns,
            self.replaced + replaced,
            bool(backward_phases(reading)),
        )


@dataclass(frozen=True, slots=True)
class EnergyEstimate:
    """The energy of a constant power since `at_ns`, with nothing lost to rounding. Units: `rest` in mW·ns."""

    power_mw: Milliwatts = NO_POWER
    at_ns: int = 0
    total_mwh: MilliwattHours = NO_ENERGY
    rest: int = 0

    def advance(self, now_ns: int, power_mw: Milliwatts) -> EnergyEstimate:
        """Return the estimate at `now_ns`, from when on the power is `power_mw`."""
        whole, rest = divmod(self.power_mw * max(now_ns - self.at_ns, 0) + self.rest, HOUR_NS)
        return EnergyEstimate(power_mw, now_ns, MilliwattHours(self.total_mwh + whole), rest)


def offered_power_mw(offered_ma: Milliamps, voltage_mv: Millivolts, phases: int) -> Milliwatts:
    """Return the most that a vehicle may draw from an offer: the estimate where no meter tells."""
    return Milliwatts(offered_ma * voltage_mv * phases // 1000)
