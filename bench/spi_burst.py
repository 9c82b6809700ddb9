"""Time 32 conversions in one kernel call against 32 calls of one, and the pilot's whole window.

Usage: python bench/spi_burst.py [--rounds N] [--json]
Without /dev/spidev0.0 it starts the emulated box, whose transfers take their time on the bus (24 µs a conversion at
1 MHz and 10 µs between two), but whose calls cost a message to another process where a kernel costs a system call.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from boards.loader import load_board
from hal.mcp3xxx import MAX_BURST, Mcp3xxx
from hal.pilot_adc import SpiPilotAdc

QUANTILES = (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0))


def timed(action, rounds):
    """Return sorted durations in µs and the share of one core that they cost this process."""
    durations_us = []
    cpu_s, begun_s = time.process_time(), time.perf_counter()
    for _ in range(rounds):
        start_ns = time.perf_counter_ns()
        action()
        durations_us.append((time.perf_counter_ns() - start_ns) / 1_000)
    busy_percent = 100 * (time.process_time() - cpu_s) / (time.perf_counter() - begun_s)
    return sorted(durations_us), busy_percent


def measure(rounds):
    spec = load_board("simulated").pilot_adc
    adc = Mcp3xxx(spec.bus, spec.device, spec.chip, spec.speed_hz)
    burst = adc.prepare([spec.channel] * MAX_BURST, [0] * MAX_BURST)
    window = SpiPilotAdc(adc, spec.channel, time.monotonic_ns, Random(1))
    cases = {
        "32 in one call": lambda: adc.run(burst),
        "32 calls of one": lambda: [adc.read(spec.channel) for _ in range(MAX_BURST)],
        "window of 96": window.read_window,
    }
    rows = []
    for name, action in cases.items():
        action()
        durations_us, busy_percent = timed(action, rounds)
        row = {label: round(durations_us[min(rounds - 1, int(rounds * share))]) for label, share in QUANTILES}
        rows.append({"case": name, "unit": "µs", **row, "cpu_percent": round(busy_percent, 1)})
    adc.close()
    return {"machine": f"{platform.node()} {platform.machine()} {os.cpu_count()} cores", "rounds": rounds, "rows": rows}


def show(result):
    print(f"{result['machine']}, {result['rounds']} rounds, µs")
    print(f"{'':18}{'p50':>8}{'p99':>8}{'p99.9':>8}{'max':>8}{'CPU %':>8}")
    for row in result["rows"]:
        print(f"{row['case']:18}" + "".join(f"{row[label]:8}" for label, _ in QUANTILES) + f"{row['cpu_percent']:8}")


def emulated(arguments):
    from evse_pi.sim.board_wiring import simulator_settings
    from evse_pi.sim.process import SimulatorProcess

    cache = Path(__file__).parents[1] / "build" / "sim"
    settings = simulator_settings(load_board("simulated"))
    with (
        tempfile.TemporaryDirectory(prefix="spi-burst-") as folder,
        SimulatorProcess(Path(folder), cache, settings, os.environ) as simulator,
    ):
        command = [sys.executable, __file__, *arguments, "--here"]
        return subprocess.run(command, env=simulator.environment, check=False).returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--here", action="store_true", help="use /dev/spidev0.0 of this environment")
    options = parser.parse_args()
    if not options.here and not Path("/dev/spidev0.0").exists():
        return emulated(sys.argv[1:])
    result = measure(options.rounds)
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
