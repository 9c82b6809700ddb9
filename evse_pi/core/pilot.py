"""From a window of codes to what the vehicle shows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from evse_pi.core.faults import Fault
from evse_pi.core.io_records import PilotReading
from evse_pi.core.states import PilotMode, PilotState
from hal.units import MILLISECOND, Millivolts

if TYPE_CHECKING:
    from evse_pi.core.io_records import PilotOutput, PilotSupply
    from hal.interfaces import PilotPeaks, PilotWindow
    from hal.linear_scale import LinearScale

DUTY_SPAN_NS = 3 * MILLISECOND
SPLIT_MV = -3_000  # between both plateaus: no state of Table A.4 lies from -10 to -2 V
MIN_HIGH_SAMPLES = 3
MIN_LOW_SAMPLES = 8  # at 96 % duty a third of the low samples are edges; that few may be all edges
LOW_SAMPLES_KEPT = 3

EDGE_SAMPLES = 8
"""Two conversions are 24 µs apart or more and an edge is shorter, so three periods and a begun one spoil eight."""
MAX_SPREAD_MV = 500
MAX_SHARE_ERROR_PPM = 150_000  # 84 samples of 3.5 periods at 50 % duty are up to 7 points off
RAIL_LIMIT_MV = 13_000
SHORT_LIMIT_MV = 2_000
F_LIMIT_MV = -10_000
DIODE_LIMIT_MV = -10_900  # with diode at least -11.4 V; 4610 ohms without one reach -10.4 V
DIODE_DROP_MV = 600
"""What may lack of the measured rail: leakage below 18 kilohm without a diode is refused at every rail.

Above that, the least B behind the greatest source leaves 0.647 of the rail, which is no C. Source:
docs/boards/reference.md.
"""

# Two neighbours of Table A.4 are 1 V apart, and the corner resistors with the supply at its limit reach 0.5 V into that
# gap (C 7.32 V, B 7.67 V and 10.48 V). So a state reaches to an edge inside the gap, and on the edge it is undecided.
A_FROM_MV = 11_000
B_BELOW_MV, B_FROM_MV = 10_800, 7_570
C_BELOW_MV, C_FROM_MV = 7_430, 4_200
D_BELOW_MV = 4_000

MAX_ENERGISED_PERMILLE = 628
"""The most of its rail that C or D leaves of the high plateau: C 0.407 to 0.591, B from 0.665, an empty line 0.995.

Rail and line share reference and converter, so the gap is five times the error that is left, and no sag of the rail
makes C of an empty line. Source: docs/boards/reference.md.
"""

ENTER_WINDOWS = 5
LEAVE_WINDOWS = 2
DISSENT = 5
"""What a window against an energised state counts, and one for it takes back one.

Two in a row leave it, and so do three within seven, 95 ms with a release of 25 ms: without a memory a line that shows B
in every second window keeps the contactor closed for ever.
"""
CLEARLY_ABOVE_MV = 10_500
CLEARLY_BELOW_MV = 1_500

DIODE_WINDOWS = 3
DIODE_PATIENCE_WINDOWS = 10

_ENERGISED = (PilotState.C, PilotState.D)


def measure(window: PilotWindow, scale: LinearScale) -> PilotReading:
    """Return the median of each plateau without the third of its samples that is nearest to the other one.

    That third holds whatever was taken on an edge: where the sampling locks to the pilot, up to half of a plateau's
    samples at 10 % duty, and one in three at 96 %. The spread goes to the 90th percentile from above the edges: one
    sample an edge and two edges a period make at most EDGE_SAMPLES, so at a short duty it is that of the upper half.
    """
    codes = sorted(window.codes)
    total = len(codes)
    split = scale.code(SPLIT_MV)
    if scale.gain_uv_per_code > 0:
        low_count = bisect_left(codes, split)
    else:  # an inverting input stage
        low_count = total - bisect_right(codes, split)
        codes.reverse()
    high_count = total - low_count
    millivolts = scale.millivolts
    high: Millivolts | None = None
    low: Millivolts | None = None
    spread = Millivolts(0)
    lowest: tuple[Millivolts, ...] = ()
    if high_count >= MIN_HIGH_SAMPLES:
        high = millivolts(codes[low_count + high_count * 2 // 3])
        above_edges = max(high_count // 4, min(high_count // 2, EDGE_SAMPLES))
        top, bottom = codes[low_count + high_count * 9 // 10], codes[low_count + above_edges]
        spread = Millivolts(millivolts(top) - millivolts(bottom))
    if low_count >= MIN_LOW_SAMPLES:
        low = millivolts(codes[low_count // 3])
    elif low_count:
        lowest = tuple([millivolts(code) for code in codes[: min(low_count, LOW_SAMPLES_KEPT)]])
    share = high_count * 1_000_000 // total if total else None
    return PilotReading(high, low, spread, high_count, low_count, share, lowest, duty_ppm=_duty_ppm(window, scale))


def _duty_ppm(window: PilotWindow, scale: LinearScale) -> int | None:
    """Return how much of exactly three periods the line was high, each sample standing for half the way to the next.

    A share of samples would be wrong by up to five points wherever sampling and pilot keep their phase.
    """
    instants_ns, rising = window.sampled_ns, scale.gain_uv_per_code > 0
    if not instants_ns:
        return None
    split = scale.code(SPLIT_MV)
    begun_ns, end_ns = instants_ns[0], instants_ns[0] + DUTY_SPAN_NS
    before_ns, was_high, doubled_ns = begun_ns, False, 0
    for at_ns, code in zip(instants_ns, window.codes, strict=True):
        high = code >= split if rising else code <= split
        if at_ns >= end_ns:
            nearer_ns = min((before_ns + at_ns) // 2, end_ns)
            doubled_ns += 2 * (was_high * (nearer_ns - before_ns) + high * (end_ns - nearer_ns))
            return doubled_ns * 500_000 // DUTY_SPAN_NS
        doubled_ns += (was_high + high) * (at_ns - before_ns)
        before_ns, was_high = at_ns, high
    return None  # too short to hold three periods


def measure_peaks(peaks: PilotPeaks) -> PilotReading:
    """Return the reading of analogue peak detectors, each of which stands for a whole plateau or for none.

    A line that does not oscillate holds both detectors at one level.
    """
    high = peaks.high_mv if peaks.high_mv >= SPLIT_MV else None
    low = peaks.low_mv if peaks.low_mv < SPLIT_MV else None
    high_count = 0 if high is None else MIN_HIGH_SAMPLES
    low_count = 0 if low is None else MIN_LOW_SAMPLES
    return PilotReading(high, low, Millivolts(0), high_count, low_count, None)


def doubt(reading: PilotReading, output: PilotOutput) -> Fault | None:
    """Return what the machine shall call it when readings like this one last, None when the reading is to be believed.

    Hazard: H-02 a line that is none of the states of Table A.4 must never be taken for one.
    """
    high, low = reading.high_mv, reading.low_mv
    if high is not None and not -SHORT_LIMIT_MV <= high <= RAIL_LIMIT_MV:
        return Fault.PILOT_OUT_OF_BAND
    if low is not None and low < -RAIL_LIMIT_MV:
        return Fault.PILOT_OUT_OF_BAND
    if reading.spread_mv > MAX_SPREAD_MV:
        return Fault.PILOT_UNCERTAIN
    if high is not None and high < SHORT_LIMIT_MV:
        return None  # a short makes its own share of highs
    if not _follows(reading, output):
        return Fault.PILOT_GENERATOR
    if output.mode is PilotMode.LOW:
        return Fault.PILOT_OUT_OF_BAND if low is None or low > F_LIMIT_MV else None
    return Fault.PILOT_UNCERTAIN if high is None else None


def _follows(reading: PilotReading, output: PilotOutput) -> bool:
    """Return whether the line is high for as much of the time as the generator is told to be."""
    if reading.high_ppm is None:
        wants_high, wants_low = output.mode is not PilotMode.LOW, output.mode is not PilotMode.HIGH
        return (reading.high_mv is not None) == wants_high and (reading.low_mv is not None) == wants_low
    expected = {PilotMode.HIGH: 1_000_000, PilotMode.LOW: 0}.get(output.mode, output.duty_ppm)
    return abs(reading.high_ppm - expected) <= MAX_SHARE_ERROR_PPM


def classify(reading: PilotReading, output: PilotOutput, previous: PilotState) -> PilotState:
    """Return the state that the line shows while the generator does `output`, or INVALID.

    `previous` is the state accepted so far: E and F are kept 1 V further than they are entered, A to D never depend
    on it, so that a vehicle that left a state is not held in it.
    Source: IEC 61851-1 Table A.4; E is also a short behind the vehicle's diode.
    Hazard: H-01 and H-02, a wrong state keeps or makes the plug live.
    """
    if doubt(reading, output) is not None:
        return PilotState.INVALID
    high = reading.high_mv
    if high is None:
        steady = reading.low_mv is not None and reading.low_mv <= -11_000
        return PilotState.F if steady or previous is PilotState.F else PilotState.INVALID
    if high >= A_FROM_MV:
        return PilotState.A
    if B_FROM_MV <= high < B_BELOW_MV:
        return PilotState.B
    if C_FROM_MV <= high < C_BELOW_MV:
        return PilotState.C if _loaded(high, reading.supply) else PilotState.INVALID
    if SHORT_LIMIT_MV <= high < D_BELOW_MV:
        return PilotState.D if _loaded(high, reading.supply) else PilotState.INVALID
    short = high < SHORT_LIMIT_MV and (high >= -1_000 or previous is PilotState.E)
    return PilotState.E if short else PilotState.INVALID


def _loaded(high_mv: Millivolts, supply: PilotSupply | None) -> bool:
    """Return whether a vehicle's resistors pull the line down, as far as the lower reading of its rail can tell."""
    if supply is None:
        return True
    rail_mv = min(supply.positive_mv, supply.positive_after_mv)
    return 1000 * high_mv <= MAX_ENERGISED_PERMILLE * rail_mv


@dataclass(frozen=True, slots=True)
class Debounce:
    """The accepted state and what speaks against it.

    C and D are entered after 5 windows that agree, left after 2 in a row that do not show the accepted one or 3 within
    7, and after 1 that is clearly something else; while they last, `count` is in parts of a window. INVALID is counted
    in `invalid` and never becomes the accepted state.
    Source: open within 100 ms of leaving C, IEC 61851-1 Table A.6 sequence 8.1.
    """

    state: PilotState = PilotState.INVALID
    candidate: PilotState = PilotState.INVALID
    count: int = 0
    invalid: int = 0

    def accept(self, seen: PilotState, high_mv: Millivolts | None = None) -> Debounce:
        """Return the debounce after one more window, whose high plateau was `high_mv`."""
        leaving = self.state in _ENERGISED
        if seen is PilotState.INVALID:
            kept = (self.candidate, self.count) if leaving else (PilotState.INVALID, 0)
            return Debounce(self.state, *kept, invalid=self.invalid + 1)
        if seen is self.state:
            if self.count == self.invalid == 0:
                return self
            return Debounce(seen, self.candidate, self.count - 1) if leaving and self.count > 1 else Debounce(seen)
        if leaving:
            count, needed = self.count + DISSENT, LEAVE_WINDOWS * DISSENT
        else:
            count = self.count + 1 if seen is self.candidate else 1
            needed = ENTER_WINDOWS if seen in _ENERGISED else LEAVE_WINDOWS
        if count >= needed or (leaving and _clearly_left(seen, high_mv)):
            return Debounce(seen)
        return Debounce(self.state, seen, count)


def _clearly_left(seen: PilotState, high_mv: Millivolts | None) -> bool:
    if high_mv is None:
        return seen is PilotState.F
    return high_mv > CLEARLY_ABOVE_MV or high_mv < CLEARLY_BELOW_MV


class DiodeVerdict(Enum):
    """Whether a diode stands in the vehicle's pilot circuit."""

    OK = "ok"
    MISSING = "missing"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True, slots=True)
class DiodeCheck:
    """The verdict on the vehicle's diode, renewed by every window of an oscillating pilot in B, C and D.

    At a high duty the low plateau is a few samples per window, so they are collected over up to 10 windows; a verdict
    is never older than that. MISSING takes 3 judgements in a row. `undecided` counts the windows since the last one.
    Hazard: H-06 something without a diode is no vehicle.
    """

    verdict: DiodeVerdict = DiodeVerdict.UNKNOWN
    missing: int = 0
    undecided: int = 0
    samples_mv: tuple[Millivolts, ...] = ()

    def accept(self, reading: PilotReading, output: PilotOutput, seen: PilotState) -> DiodeCheck:
        """Return the check after one more window that showed `seen`."""
        if output.mode is not PilotMode.PWM or seen not in (PilotState.B, *_ENERGISED, PilotState.INVALID):
            return _NO_DIODE_CHECK
        if seen is PilotState.INVALID:
            return self._wait(self.samples_mv)
        samples = (*self.samples_mv, *reading.low_samples_mv)
        low_mv = reading.low_mv if reading.low_mv is not None else _plateau(samples)
        limit_mv = DIODE_LIMIT_MV if reading.supply is None else reading.supply.negative_mv + DIODE_DROP_MV
        return self._wait(samples) if low_mv is None else self._judge(low_mv, Millivolts(limit_mv))

    def _wait(self, samples: tuple[Millivolts, ...]) -> DiodeCheck:
        undecided = self.undecided + 1
        if undecided % DIODE_PATIENCE_WINDOWS == 0:
            return DiodeCheck(DiodeVerdict.UNKNOWN, undecided=undecided)
        return replace(self, undecided=undecided, samples_mv=samples)

    def _judge(self, low_mv: Millivolts, limit_mv: Millivolts) -> DiodeCheck:
        if low_mv <= limit_mv:
            return _DIODE_OK
        missing = self.missing + 1
        return DiodeCheck(DiodeVerdict.MISSING if missing >= DIODE_WINDOWS else self.verdict, missing)


_NO_DIODE_CHECK = DiodeCheck()
_DIODE_OK = DiodeCheck(DiodeVerdict.OK)


def _plateau(samples_mv: tuple[Millivolts, ...]) -> Millivolts | None:
    """Return the plateau that the lowest samples agree on; samples on an edge agree with nothing."""
    if len(samples_mv) < LOW_SAMPLES_KEPT:
        return None
    lowest, middle, third = sorted(samples_mv)[:LOW_SAMPLES_KEPT]
    return middle if third - lowest <= MAX_SPREAD_MV else None
