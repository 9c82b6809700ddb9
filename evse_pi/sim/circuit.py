"""The control pilot and proximity circuits as electricity: sources, resistors, diode, cable capacitance.

Floating point volts, ohms and farads: this is the physical world, not the product's arithmetic.
Source: IEC 61851-1 Annex A; tolerances of the source and the six corner resistors are docs of public bring-up guides.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from evse_pi.sim.rails import Rail

FULL_PPM = 1_000_000
KEEP_NS = 200_000_000  # waveforms older than this are forgotten; a sampling burst asks for the last few milliseconds
MAX_SEGMENTS = 512
NOISE_TABLE = 4093  # prime, so that bursts of equal length do not meet the same noise again
SETTLED_TAUS = 10  # e^-10 of 24 V is 1 mV


@dataclass(frozen=True, slots=True)
class Generator:
    """The EVSE's pilot source: two rails behind one resistor.

    `positive_ohm` and `negative_ohm` are bad joints ahead of a rail's capacitor: the rail sags by the mean load.
    """

    positive_v: float = 12.0
    negative_v: float = -12.0
    source_ohm: float = 1000.0
    positive_ohm: float = 0.0
    negative_ohm: float = 0.0
    edge_s: float = 0.9e-6  # time constant of the driver stage itself: 2 µs from 10 to 90 %
    clock_ppm: int = 80  # how much faster its oscillator runs than the computer's clock, so that no phase stays


@dataclass(frozen=True, slots=True)
class PilotLoad:
    """Everything that hangs on the pilot wire: cable, car and faults; None is an open circuit."""

    ohm: float | None = None
    diode_v: float | None = 0.7  # None: the diode is missing, the resistor conducts both ways
    short_before_diode_ohm: float | None = None
    short_behind_diode_ohm: float | None = None
    farad: float = 0.3e-9
    clamp_v: float | None = None  # where a worn suppressor at the box begins to conduct


@dataclass(frozen=True, slots=True)
class CarResistors:
    """The car's three resistors: `b_ohm` is always there, the others come in parallel to it."""

    b_ohm: float = 2740.0
    c_ohm: float = 1300.0
    d_ohm: float = 270.0

    def in_b(self) -> float:
        """Return the resistance of a connected car."""
        return self.b_ohm

    def in_c(self) -> float:
        """Return the resistance with S2 closed."""
        return parallel(self.b_ohm, self.c_ohm)

    def in_d(self) -> float:
        """Return the resistance with S2 closed and ventilation asked for."""
        return parallel(self.b_ohm, self.d_ohm)


NOMINAL_CAR = CarResistors()
CORNERS = {
    "b_low": CarResistors(b_ohm=1870.0),
    "b_nominal": NOMINAL_CAR,
    "b_high": CarResistors(b_ohm=4610.0),
    "c_low": CarResistors(b_ohm=1870.0, c_ohm=909.0),
    "c_nominal": NOMINAL_CAR,
    "c_high": CarResistors(b_ohm=4610.0, c_ohm=1723.0),
}
"""The resistors that put the pilot on the edges of the bands of B (8 and 10 V) and C (5 and 7 V)."""

PROXIMITY_OHM = {13_000: 1500.0, 20_000: 680.0, 32_000: 220.0, 63_000: 100.0}
"""Nominal coding resistor by cable rating in mA. Source: IEC 61851-1 Annex B."""


def parallel(*ohms: float | None) -> float:
    """Return the resistance of resistors in parallel; None is an open one, and only open ones are infinite."""
    siemens = sum(1 / ohm for ohm in ohms if ohm is not None)
    return 1 / siemens if siemens else math.inf


def proximity_v(cable_ohm: float | None, supply_v: float, pull_up_ohm: float) -> float:
    """Return the voltage of the proximity contact behind its pull-up."""
    return supply_v if cable_ohm is None else supply_v * cable_ohm / (cable_ohm + pull_up_ohm)


@dataclass(frozen=True, slots=True)
class Branch:
    """The circuit with the diode in one condition: where the wire tends to, and how fast."""

    target_v: float
    tau_ns: float


def branch(source_v: float, generator: Generator, load: PilotLoad, *, conducting: bool) -> Branch:
    """Return final voltage and time constant of the wire while the diode conducts, or blocks."""
    car_ohm = parallel(load.ohm, load.short_behind_diode_ohm) if conducting else math.inf
    siemens = 1 / generator.source_ohm + 1 / car_ohm
    if load.short_before_diode_ohm is not None:
        siemens += 1 / load.short_before_diode_ohm
    amps = source_v / generator.source_ohm + (load.diode_v or 0.0) / car_ohm
    target_v = amps / siemens if load.clamp_v is None else min(amps / siemens, load.clamp_v)
    return Branch(target_v, 1e9 * math.hypot(load.farad / siemens, generator.edge_s))


def plateau_v(source_v: float, generator: Generator, load: PilotLoad) -> float:
    """Return the settled voltage of the pilot wire at the EVSE for one level of the source."""
    conducting = branch(source_v, generator, load, conducting=True).target_v
    if load.diode_v is None or conducting > load.diode_v:
        return conducting
    return branch(source_v, generator, load, conducting=False).target_v


def sagged(generator: Generator, load: PilotLoad, duty_ppm: int) -> Generator:
    """Return the generator with its rails as the mean current of the pilot leaves them."""
    if not generator.positive_ohm and not generator.negative_ohm:
        return generator
    high = duty_ppm / FULL_PPM
    return replace(
        generator,
        positive_v=_sagged_v(generator.positive_v, generator.positive_ohm * high, generator, load),
        negative_v=_sagged_v(generator.negative_v, generator.negative_ohm * (1 - high), generator, load),
    )


def _sagged_v(supply_v: float, ohm: float, generator: Generator, load: PilotLoad) -> float:
    """Return where a rail behind `ohm` settles: the current through both resistors is the same."""
    nearer, farther = 0.0, 1.0  # shares of the supply
    for _ in range(40):
        share = (nearer + farther) / 2
        rail_v = share * supply_v
        drop_v = ohm * (rail_v - plateau_v(rail_v, generator, load)) / generator.source_ohm
        if (supply_v - rail_v - drop_v) * supply_v > 0:
            nearer = share
        else:
            farther = share
    return farther * supply_v


@dataclass(frozen=True, slots=True)
class Edge:
    """A transition of the wire: one exponential until the diode changes its mind, another one after that."""

    start_v: float
    first: Branch
    turn_ns: float
    turn_v: float
    second: Branch
    settled_ns: float
    filter_ns: float = 0.0

    def at(self, since_ns: float) -> float:
        """Return the voltage `since_ns` after the source switched, behind the input filter if there is one."""
        if self.filter_ns:
            return self._filtered_at(since_ns)
        if since_ns < self.turn_ns:
            return self.first.target_v + (self.start_v - self.first.target_v) * math.exp(-since_ns / self.first.tau_ns)
        fall = math.exp((self.turn_ns - since_ns) / self.second.tau_ns)
        return self.second.target_v + (self.turn_v - self.second.target_v) * fall

    def _filtered_at(self, since_ns: float) -> float:
        if since_ns < self.turn_ns:
            return _low_pass(self.start_v, self.start_v, self.first, self.filter_ns, since_ns)
        turned_v = _low_pass(self.start_v, self.start_v, self.first, self.filter_ns, self.turn_ns)
        return _low_pass(turned_v, self.turn_v, self.second, self.filter_ns, since_ns - self.turn_ns)


def _low_pass(out_v: float, in_v: float, way: Branch, filter_ns: float, since_ns: float) -> float:
    """Return where a first order filter that stood at `out_v` is while its input goes the way from `in_v`."""
    tau_ns = way.tau_ns if abs(way.tau_ns - filter_ns) > 1e-3 * filter_ns else 1.01 * filter_ns
    driven_v = (in_v - way.target_v) * tau_ns / (tau_ns - filter_ns)
    own_v = out_v - way.target_v - driven_v
    return way.target_v + driven_v * math.exp(-since_ns / tau_ns) + own_v * math.exp(-since_ns / filter_ns)


def edge(start_v: float, source_v: float, generator: Generator, load: PilotLoad) -> Edge:
    """Return the transition from `start_v` after the source switched to `source_v`."""
    on = branch(source_v, generator, load, conducting=True)
    off = branch(source_v, generator, load, conducting=False)
    threshold = load.diode_v
    if threshold is None:
        return Edge(start_v, on, 0.0, start_v, on, SETTLED_TAUS * on.tau_ns)
    first, second = (on, off) if start_v > threshold else (off, on)
    crosses = (first.target_v - threshold) * (start_v - threshold) < 0
    if not crosses:
        return Edge(start_v, first, 0.0, start_v, first, SETTLED_TAUS * first.tau_ns)
    turn_ns = first.tau_ns * math.log((start_v - first.target_v) / (threshold - first.target_v))
    return Edge(start_v, first, turn_ns, threshold, second, turn_ns + SETTLED_TAUS * second.tau_ns)


@dataclass(frozen=True, slots=True)
class Waveform:
    """One period of the pilot at the EVSE, as it repeats while the rails of `generator` stand still."""

    generator: Generator
    load: PilotLoad
    high_v: float
    low_v: float
    period_ns: int
    on_ns: int
    rise: Edge
    fall: Edge

    def at(self, phase_ns: int) -> float:
        """Return the voltage `phase_ns` into the period; the period begins with the rising edge."""
        if self.on_ns >= self.period_ns:
            return self.high_v
        if self.on_ns <= 0:
            return self.low_v
        if phase_ns < self.on_ns:
            return self.high_v if phase_ns >= self.rise.settled_ns else self.rise.at(phase_ns)
        since_ns = phase_ns - self.on_ns
        return self.low_v if since_ns >= self.fall.settled_ns else self.fall.at(since_ns)

    def moved(self, volts: float, positive_v: float, negative_v: float) -> float:
        """Return what becomes of `volts` of this form when the rails, slower than any edge, are off by so much."""
        generator, load = self.generator, self.load
        high_v = plateau_v(generator.positive_v + positive_v, generator, load)
        low_v = plateau_v(generator.negative_v + negative_v, generator, load)
        if self.high_v == self.low_v:
            return high_v
        return low_v + (volts - self.low_v) / (self.high_v - self.low_v) * (high_v - low_v)


def waveform(
    generator: Generator, load: PilotLoad, duty_ppm: int, period_ns: int = 1_000_000, filter_s: float = 0.0
) -> Waveform:
    """Return the pilot's period for a duty cycle; 0 ppm is the negative rail for ever and 1,000,000 the positive.

    With `filter_s` it is what a converter sees behind an input filter of that time constant.
    """
    high = plateau_v(generator.positive_v, generator, load)
    low = plateau_v(generator.negative_v, generator, load)
    on_ns = period_ns * duty_ppm // FULL_PPM
    rise = _filtered(edge(low, generator.positive_v, generator, load), filter_s)
    top = high if on_ns >= rise.settled_ns else rise.at(on_ns)
    fall = _filtered(edge(top, generator.negative_v, generator, load), filter_s)
    return Waveform(generator, load, high, low, period_ns, on_ns, rise, fall)


def _filtered(way: Edge, filter_s: float) -> Edge:
    filter_ns = 1e9 * filter_s
    return replace(way, filter_ns=filter_ns, settled_ns=way.settled_ns + SETTLED_TAUS * filter_ns) if filter_s else way


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What a real wire adds to the ideal voltage at the moment of sampling."""

    noise_v: float = 0.02  # standard deviation
    offset_v: float = 0.0
    ripple_v: float = 0.0  # peak to peak, at `ripple_hz`
    ripple_hz: float = 100.0
    spike_v: float = 0.0
    spike_share: float = 0.0  # share of the samples that meet a spike of either sign


class PilotWire:
    """The pilot voltage over time, remembered for the last 200 ms so that a burst is sampled after its end."""

    def __init__(
        self, rng: random.Random, disturbance: Disturbance, clock_ppm: int = 0, rails: tuple[Rail, Rail] | None = None
    ) -> None:
        self._rng = rng
        self._rails = rails
        self._clock_ppm = clock_ppm
        self._begin_ns = rng.randrange(1_000_000)
        self._noise: list[float] = []
        self._index = 0
        self._segments: deque[tuple[int, Waveform]] = deque(maxlen=MAX_SEGMENTS)
        self.disturbance = disturbance
        self.disturb()

    def disturb(self, **changes: float) -> None:
        """Change the disturbance from now on; the names are those of `Disturbance`."""
        self.disturbance = replace(self.disturbance, **changes)
        gauss, sigma, offset = self._rng.gauss, self.disturbance.noise_v, self.disturbance.offset_v
        self._noise = [gauss(offset, sigma) for _ in range(NOISE_TABLE)]

    def set(self, now_ns: int, form: Waveform) -> None:
        """Let the wire follow `form` from `now_ns` on; the phase of the period runs through."""
        segments = self._segments
        if segments and segments[-1][1] == form:
            return
        segments.append((now_ns, form))
        while len(segments) > 1 and segments[1][0] < now_ns - KEEP_NS:
            segments.popleft()

    @property
    def present(self) -> Waveform:
        """Return the waveform that runs now."""
        return self._segments[-1][1]

    def sample(self, instants_ns: Sequence[int]) -> list[float]:
        """Return the disturbed voltage at each instant, none of which may be later than the plant's own time."""
        segments = self._segments
        since_ns, form = segments[-1]
        at, period, on_ns = form.at, form.period_ns, form.on_ns
        high_from, low_from = form.rise.settled_ns, on_ns + form.fall.settled_ns
        steady = not 0 < on_ns < period
        begin_ns, ppm = self._begin_ns, self._clock_ppm
        volts: list[float] = []
        for instant in instants_ns:
            oscillated_ns = begin_ns + instant + instant * ppm // 1_000_000
            if instant < since_ns:
                past = self._form_at(instant)
                volts.append(past.at(oscillated_ns % past.period_ns))
                continue
            phase = oscillated_ns % period
            if steady:
                volts.append(at(phase))
            elif high_from <= phase < on_ns:
                volts.append(form.high_v)
            elif phase >= low_from:
                volts.append(form.low_v)
            else:
                volts.append(at(phase))
        if self._rails and not (self._rails[0].still and self._rails[1].still):
            volts = self._moved(volts, instants_ns, *self._rails)
        return self._disturbed(volts, instants_ns)

    def _moved(self, volts: list[float], instants_ns: Sequence[int], positive: Rail, negative: Rail) -> list[float]:
        return [
            self._form_at(at).moved(volt, positive.moved(at), negative.moved(at))
            for volt, at in zip(volts, instants_ns, strict=True)
        ]

    def _form_at(self, instant_ns: int) -> Waveform:
        for since_ns, form in reversed(self._segments):
            if since_ns <= instant_ns:
                return form
        return self._segments[0][1]

    def _disturbed(self, volts: list[float], instants_ns: Sequence[int]) -> list[float]:
        index, noise, disturbance = self._index, self._noise, self.disturbance
        end = index + len(volts)
        if end < NOISE_TABLE:
            volts = list(map(float.__add__, volts, noise[index:end]))
        else:
            volts = [volt + noise[(index + i) % NOISE_TABLE] for i, volt in enumerate(volts)]
        self._index = end % NOISE_TABLE
        if disturbance.ripple_v:
            turn = 2e-9 * math.pi * disturbance.ripple_hz
            half = disturbance.ripple_v / 2
            volts = [volt + half * math.sin(turn * at) for volt, at in zip(volts, instants_ns, strict=True)]
        if disturbance.spike_share:
            draw = self._rng.random
            volts = [
                volt + (disturbance.spike_v if draw() < 0.5 else -disturbance.spike_v)
                if draw() < disturbance.spike_share
                else volt
                for volt in volts
            ]
        return volts
