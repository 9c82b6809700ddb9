"""Every benchmark in turn: `python -m bench [--quick]`; tables on the terminal, JSON below bench/results/.

A benchmark that misses one of its goals ends with status 1; the others run all the same, and so does this.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def benches(quick: bool) -> list[list[str]]:
    machine = platform.machine()
    return [
        ["reaction", "--count", "200" if quick else "10000", "--json", str(RESULTS / f"reaction-{machine}.json")],
        ["spi_burst"],
        ["pilot_corners", "--windows", "2000" if quick else "100000"],
        ["sd_bytes"],
        ["command_start", "--rounds", "5" if quick else "20"],
        ["black_box"],
        [
            *("report_latency", "--cycles", "5" if quick else "60", "--charges", "3" if quick else "12"),
            *("--json", str(RESULTS / f"report-{machine}.json")),
        ],
        ["power_cuts", "--rounds", "20" if quick else "1000", "--json", str(RESULTS / f"power-cuts-{machine}.json")],
        ["matter_bench", "--rounds", "1" if quick else "5", "--json", str(RESULTS / f"matter-{machine}.json")],
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few minutes instead of an hour")
    status = 0
    for name, *arguments in benches(parser.parse_args().quick):
        print(f"\n== {name} {' '.join(arguments)}", flush=True)
        status |= subprocess.run([sys.executable, "-m", f"bench.{name}", *arguments], check=False).returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
