"""What the technician asks of the hardware: the pilot's waveform, wear, timing."""

from enum import Enum
from typing import NamedTuple

from evse_pi.api.protocol import Command, Nothing
from evse_pi.api.readings import Readings
from evse_pi.core.fault_kinds import Fault
from evse_pi.core.states import EvseState, PilotMode, PilotState
from hal.units import DutyPpm, Millivolts


class Band(NamedTuple):
    """Where the positive half of the pilot lies in a state. Source: IEC 61851-1 Table A.4."""

    state: PilotState
    from_mv: Millivolts
    to_mv: Millivolts


class Diode(Enum):
    """What one window says of the vehicle's diode."""

    PRESENT = "present"
    MISSING = "missing"
    NO_OSCILLATION = "not to be seen: it takes an oscillating pilot and a vehicle"
    TOO_FEW_SAMPLES = "not to be seen: too few samples of the negative half"


class Scope(NamedTuple):
    """The newest window of the pilot's converter, its samples in their order, and what was made of it.

    `band` is the state in whose band the positive half lies, None between two; `state` is the accepted one. The rails
    `positive_mv` and `negative_mv` of the generator are None on a board that does not see them.
    """

    at_ns: int
    span_us: int
    samples_mv: tuple[Millivolts, ...]
    spacing_us: int
    high_mv: Millivolts | None
    low_mv: Millivolts | None
    spread_mv: Millivolts | None
    high_ppm: int | None
    driven: PilotMode
    driven_ppm: DutyPpm | None
    state: PilotState
    evse_state: EvseState
    band: PilotState | None
    bands: tuple[Band, ...]
    diode: Diode
    faults: frozenset[Fault]
    positive_mv: Millivolts | None = None
    negative_mv: Millivolts | None = None


class ReleaseTrend(NamedTuple):
    """The contactor's release time: medians of the first and the last openings, and what the board file promises."""

    measured: int
    first_us: int
    last_us: int
    longest_us: int
    resolution_us: int
    promised_us: int | None


class WearCounters(NamedTuple):
    """What wears out, and how often the processes had to start; `safety_unclean_ends` were kills, hangs and errors."""

    contactor_cycles: int
    openings_under_load: int
    release: ReleaseTrend | None
    safety_starts: int
    safety_unclean_ends: int
    node_starts: int
    machine_starts: int


class Bin(NamedTuple):
    """How many values were below an edge and not below the one before."""

    below_us: int
    number: int


class HistogramFigures(NamedTuple):
    """A histogram with its quantiles."""

    number: int
    p50_us: int
    p99_us: int
    p999_us: int
    max_us: int
    bins: tuple[Bin, ...]


class ReactionTiming(NamedTuple):
    """How fast this very box is, and what the standard leaves it.

    `budget_us` is what is left for reacting of the 100 ms of IEC 61851-1 Table A.6 sequence 8.1 once the contactor's
    release time is taken off; 99.9 % of the reactions must be within it.
    """

    within_us: int
    release_us: int
    budget_us: int
    fits: bool
    beyond_budget: int
    ticks: int
    lateness: HistogramFigures
    window: HistogramFigures
    reaction: HistogramFigures


SCOPE: Command[Nothing, Scope] = Command("scope", Nothing, Scope, "The newest window of the pilot.")
COUNTERS: Command[Nothing, WearCounters] = Command("counters", Nothing, WearCounters, "What wears out.")
TIMING: Command[Nothing, ReactionTiming] = Command(
    "timing", Nothing, ReactionTiming, "Histograms of lateness, window and reaction."
)
RECORDINGS: Command[Nothing, tuple[str, ...]] = Command(
    "recordings", Nothing, tuple[str, ...], "The names of the recordings of faults, the oldest first."
)
READINGS: Command[Nothing, Readings | None] = Command(
    "readings", Nothing, Readings | None, "What the box read in its last tick; null before the first."
)
