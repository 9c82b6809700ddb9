"""Read the six corner resistors, and every nominal state, from 100,000 disturbed windows each.

Usage: python bench/pilot_corners.py [--windows N] [--seed N]
Prints one line per resistor: wrong states (must be 0) and the share of windows that were answered INVALID; then the
verdicts on the diode, where a wrong one counts as well.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import time
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.core.io_records import PilotOutput
from evse_pi.core.pilot import DiodeCheck, DiodeVerdict, classify, measure
from evse_pi.core.states import PilotMode, PilotState
from evse_pi.sim.circuit import CORNERS, NOMINAL_CAR, Generator, PilotLoad, waveform
from hal.interfaces import PilotWindow
from hal.linear_scale import LinearScale
from hal.units import DutyPpm, Millivolts

if TYPE_CHECKING:
    from collections.abc import Iterator

SCALE = LinearScale(gain_uv_per_code=6_600, offset_mv=Millivolts(-13_500))  # 12 bits over ±13.5 V
PREVIOUS = tuple(PilotState)
DUTIES = (100_000, 160_000, 266_666, 533_333, 850_000, 900_000, 960_000, None)  # None holds +12 V
SUPPLIES = (0.95, 1.0, 1.05)
OFFSETS_V = (-0.08, 0.0, 0.08)
NOISE_V = 0.05
RIPPLE_V = (-0.05, 0.0, 0.05)  # 100 mVpp at 100 Hz is nearly constant for one window of 4 ms
CAPACITANCES_F = (0.3e-9, 3.1e-9)
WINDOWS_PER_CASE = 16
PHASES = 1_000


@dataclass(frozen=True, slots=True)
class Corner:
    """One resistance behind the diode and the state that it stands for."""

    name: str
    state: PilotState
    ohm: float


CORNER_CASES = tuple(
    Corner(name, PilotState.B if name.startswith("b") else PilotState.C, car.in_b() if name[0] == "b" else car.in_c())
    for name, car in CORNERS.items()
)
D_CASES = tuple(Corner(f"d x {scale}", PilotState.D, NOMINAL_CAR.in_d() * scale) for scale in (0.97, 1.0, 1.03))
A_CASES = (Corner("a", PilotState.A, 1e9),)


def _spacings(rng: random.Random) -> list[list[int]]:
    """Return sampling instants in µs: dithered bursts of 32, then rates that lock to the 1 kHz of the pilot."""
    patterns = []
    for count in (84, 96, 128):
        for _ in range(40):
            now, instants = 0, []
            for index in range(count):
                now += rng.randint(36, 44) + (rng.randint(20, 120) if index and index % 32 == 0 else 0)
                instants.append(now % PHASES)
            patterns.append(instants)
        patterns += [[index * step % PHASES for index in range(count)] for step in (50, 50, 40)]  # 20 and 25 kSPS
    return patterns


def windows(
    corner: Corner, count: int, rng: random.Random, diode_v: float | None = 0.7
) -> Iterator[tuple[PilotWindow, PilotOutput]]:
    """Yield `count` windows of the pilot with supply, offset, ripple and noise drawn from their limits."""
    patterns = _spacings(rng)
    noise = [rng.gauss(0, NOISE_V) / 0.0066 for _ in range(8192)]
    conditions = list(itertools.product(DUTIES, SUPPLIES, SUPPLIES, OFFSETS_V, RIPPLE_V, CAPACITANCES_F))
    for index in range(-(-count // WINDOWS_PER_CASE)):
        duty, up, down, offset, ripple, farad = conditions[index] if index < len(conditions) else rng.choice(conditions)
        generator = Generator(12.0 * up, -12.0 * down)
        form = waveform(
            generator, PilotLoad(ohm=corner.ohm, diode_v=diode_v, farad=farad), 1_000_000 if duty is None else duty
        )
        table = [(form.at(phase * 1_000) + offset + ripple + 13.5) / 0.0066 for phase in range(PHASES)] * 2
        output = PilotOutput(PilotMode.HIGH if duty is None else PilotMode.PWM, DutyPpm(duty or 0))
        for _ in range(min(WINDOWS_PER_CASE, count - index * WINDOWS_PER_CASE)):
            phase, start, pattern = rng.randrange(PHASES), rng.randrange(8000), rng.choice(patterns)
            codes = [
                int(table[phase + at] + jitter) for at, jitter in zip(pattern, noise[start : start + 128], strict=False)
            ]
            yield PilotWindow(array("H", codes), 0, 0), output


@dataclass(slots=True)
class Tally:
    """What became of the windows of one corner."""

    windows: int = 0
    wrong: int = 0
    invalid: int = 0


def judge(corner: Corner, count: int, seed: int) -> Tally:
    """Classify `count` windows, each with an arbitrary state accepted before it."""
    rng = random.Random(f"{corner.name} {seed}")
    tally = Tally()
    for window, output in windows(corner, count, rng):
        seen = classify(measure(window, SCALE), output, rng.choice(PREVIOUS))
        tally.windows += 1
        tally.invalid += seen is PilotState.INVALID
        tally.wrong += seen not in (corner.state, PilotState.INVALID)
    return tally


def judge_diode(corner: Corner, count: int, seed: int, diode_v: float | None) -> dict[DiodeVerdict, int]:
    """Return how often each verdict stood after a window of B or C, with a diode or without one (None)."""
    rng = random.Random(f"diode {corner.name} {seed}")
    verdicts = dict.fromkeys(DiodeVerdict, 0)
    check = DiodeCheck()
    for window, output in windows(corner, count, rng, diode_v):
        reading = measure(window, SCALE)
        check = check.accept(reading, output, classify(reading, output, corner.state))
        verdicts[check.verdict] += 1
    return verdicts


def microseconds(rounds: int = 20_000) -> float:
    """Return what one measure and classify costs."""
    samples = list(windows(CORNER_CASES[1], 64, random.Random(1)))
    started = time.perf_counter()
    for window, output in itertools.islice(itertools.cycle(samples), rounds):
        classify(measure(window, SCALE), output, PilotState.B)
    return (time.perf_counter() - started) / rounds * 1e6


def main() -> int:
    """Run all cases and return 1 when any window was read as a wrong state."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    wrong = 0
    for corner in (*CORNER_CASES, *D_CASES, *A_CASES):
        tally = judge(corner, options.windows, options.seed)
        wrong += tally.wrong
        share = 100 * tally.invalid / tally.windows
        print(f"{corner.name:10} {corner.ohm:13.0f} ohm  wrong {tally.wrong:4}  INVALID {share:6.3f} %")
    for corner, diode_v in itertools.product(CORNER_CASES, (0.7, None)):
        verdicts = judge_diode(corner, options.windows, options.seed, diode_v)
        wrong += verdicts[DiodeVerdict.OK if diode_v is None else DiodeVerdict.MISSING]
        shares = ", ".join(
            f"{verdict.value} {100 * number / options.windows:.2f} %" for verdict, number in verdicts.items()
        )
        print(f"{corner.name:10} {'without diode' if diode_v is None else 'with diode':13}  {shares}")
    print(f"measure and classify: {microseconds():.1f} us per window")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
