"""Cuts the power of a box of real processes again and again and checks what it promised.

Usage: python -m bench.power_cuts [--rounds 1000] [--seed 1] [--parallel 2] [--json FILE]
A round is one life: both processes start, owner, installer and a Matter controller order things, cars come and go,
and SIGKILL takes both at a random moment; one round in five starts on a card whose last pages were spoilt. The
simulated plant outlives all rounds, so that every offer and every closing is judged, in all runs. Orders and
moments follow from the seed, not what the machine makes of them. Exit status 1 on any violation.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.support.charging_day.day import ChargingDay

PORT = 5800
ROUNDS_A_DAY = 25  # then the next box, with an empty card


def run_day(number, seed, rounds):
    """Return the figures of one box and what it broke, with the round that it happened in."""
    with tempfile.TemporaryDirectory(prefix="power-cuts-") as name:
        return asyncio.run(_day(Path(name), number, seed, rounds))


async def _day(folder, number, seed, rounds):
    broken, done = [], 0
    day = ChargingDay(folder, PORT + number % 1000, seed)
    try:
        async with day:
            while done < rounds:
                done += 1
                await day.round()
    except Exception as error:  # noqa: BLE001 (a violation, or a box that does not come up: either ends this day)
        words = "" if isinstance(error, AssertionError) else traceback.format_exc()
        broken.append(f"seed {seed}, round {done} of its day: {type(error).__name__}: {error}\n{words}{_logs(folder)}")
    figures = {name: dict(value) if isinstance(value, dict) else value for name, value in vars(day.figures).items()}
    return {"rounds_done": done, "broken": broken, **figures}


def _logs(folder):
    return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-2500:]}" for path in folder.glob("*.log"))


def total(days):
    """Return the sum of the figures of all days."""
    sums = {"rounds_done": 0, "broken": []}
    for day in days:
        for name, value in day.items():
            if isinstance(value, dict):
                known = sums.setdefault(name, {})
                for key, count in value.items():
                    known[key] = known.get(key, 0) + count
            elif name == "slowest_ms":
                sums[name] = max(sums.get(name, 0), value)
            else:
                sums[name] = sums.get(name, type(value)()) + value
    return sums


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.power_cuts", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rng, started = random.Random(options.seed), time.monotonic()
    left, work = options.rounds, []
    while left > 0:
        work.append((len(work), rng.randrange(1 << 32), min(left, ROUNDS_A_DAY)))
        left -= ROUNDS_A_DAY
    with multiprocessing.get_context("spawn").Pool(options.parallel, maxtasksperchild=1) as pool:
        days = [pool.apply_async(run_day, job) for job in work]
        results = []
        for day in days:
            results.append(day.get())
            sums = total(results)
            cuts, acknowledged = (sum(sums[name].values()) for name in ("cuts", "acknowledged"))
            print(
                f"{time.monotonic() - started:6.0f} s  {sums['rounds_done']:5} rounds  {cuts:5} cuts"
                f"  {acknowledged:6} acknowledged  {sums['closings']:4} closings  {len(sums['broken'])} violations",
                flush=True,
            )
            for words in results[-1]["broken"]:
                print(words, flush=True)
    sums = {"seed": options.seed, "seconds": round(time.monotonic() - started), **total(results)}
    print(json.dumps({**sums, "broken": len(sums["broken"])}, indent=2))
    if options.json:
        options.json.write_text(json.dumps(sums, indent=2) + "\n")
    return 1 if sums["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
