"""How many windows of the pilot cannot be believed, and how often three in a row would open under load.

Usage: python bench/pilot_windows.py [--windows N] [--duty PPM] [--seed N]
Windows are taken from the simulated circuit as hal.pilot_adc takes them: its delays, 0 to 10 or 20 µs of the kernel's
in each transfer, 20 to 60 µs a message, the PWM locked to the sampling clock, the 2 µs input filter. Of each row: the
share that is not believed with its 95 % bound, how many follow right behind such a one (the same share where neighbours
do not depend on each other), and runs of three with what the bounds allow in 1,000 h, as seen and if independent.
"""

from __future__ import annotations

import argparse
import math
import random
from array import array
from dataclasses import replace

from boards.loader import load_board
from evse_pi.core.io_records import PilotOutput
from evse_pi.core.pilot import doubt, measure
from evse_pi.core.states import PilotMode
from evse_pi.sim.circuit import CORNERS, Disturbance, Generator, PilotLoad, PilotWire, waveform
from evse_pi.sim.harness.simulated_drivers import sampling
from hal.interfaces import PilotWindow

SCALE = load_board("reference").pilot_adc.scale
WINDOWS_A_KILOHOUR = 360_000_000
PATTERNS = 400
ROWS = (
    ("nominal, 3.1 nF, 20 mV", "c_nominal", 3.1, 0.02, 10),
    ("nominal, 5.5 nF, 20 mV", "c_nominal", 5.5, 0.02, 10),
    ("upper corner, 5.5 nF, 50 mV", "c_high", 5.5, 0.05, 10),
    ("lower corner, 5.5 nF, 50 mV", "c_low", 5.5, 0.05, 10),
    ("nominal, 5.5 nF, 20 mV, kernel 0..20 us", "c_nominal", 5.5, 0.02, 20),
    ("nominal, 5.5 nF, 100 mV", "c_nominal", 5.5, 0.1, 10),
)


def windows(corner: str, nanofarad: float, noise_v: float, gap_us: int, duty_ppm: int, count: int, seed: int):
    """Yield windows of a vehicle in C; the phase of the PWM stays for 1,000 windows and then is another."""
    rng = random.Random(seed)
    load = PilotLoad(ohm=CORNERS[corner].in_c(), farad=nanofarad * 1e-9)
    form = waveform(Generator(), load, duty_ppm, filter_s=2e-6)
    wire = PilotWire(rng, replace(Disturbance(), noise_v=noise_v))
    wire.set(0, form)
    patterns = [sampling(rng, gap_us) for _ in range(PATTERNS)]
    per_volt, zero_v = 1e6 / SCALE.gain_uv_per_code, SCALE.offset_mv / 1000
    start_ns = 0
    for number in range(count):
        if number % 1_000 == 0:
            start_ns = 10_000_000 * number + rng.randrange(1_000_000)
        begun_ns = start_ns + 10_000_000 * (number % 1_000) + rng.randrange(15_000)
        volts = wire.sample([begun_ns + at_ns for at_ns in rng.choice(patterns)])
        yield PilotWindow(array("H", [int((volt - zero_v) * per_volt) for volt in volts]), 0, 0)


def upper(events: int, trials: int) -> float:
    """Return the 95 % upper bound of a share: the mean at which so few events are seen once in twenty (Poisson)."""
    low, high = float(events), events + 5 * math.sqrt(events + 1) + 5
    for _ in range(60):
        mean = (low + high) / 2
        few = sum(math.exp(n * math.log(mean) - mean - math.lgamma(n + 1)) for n in range(events + 1))
        low, high = (mean, high) if few > 0.05 else (low, mean)
    return min(1.0, high / trials) if trials else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--windows", type=int, default=20_000)
    parser.add_argument("--duty", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    output = PilotOutput(PilotMode.PWM, options.duty)
    for name, *row in ROWS:
        bad = after = triples = run = 0
        for window in windows(*row, options.duty, options.windows, options.seed):
            doubted = doubt(measure(window, SCALE), output) is not None
            bad += doubted
            after += doubted and run > 0
            run = run + 1 if doubted else 0
            triples += run == 3
        share = upper(bad, options.windows)
        print(
            f"{name:42} not believed {bad / options.windows:.1e} (< {share:.1e}); after one {after} of {bad}; "
            f"three in a row {triples} (< {upper(triples, options.windows) * WINDOWS_A_KILOHOUR:.0f} in 1,000 h seen, "
            f"< {share**3 * WINDOWS_A_KILOHOUR:.1e} if independent)"
        )


if __name__ == "__main__":
    main()
