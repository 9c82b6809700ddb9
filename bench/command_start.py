"""How long a person waits for a command: the start of every --help, and real answers of a running simulated box."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from evse_pi.api.client import BoxError, call
from evse_pi.cli.main import COMMANDS
from evse_pi.paths import resolve_paths

if TYPE_CHECKING:
    from collections.abc import Iterator

GOAL_MS = 300
READY_WITHIN_S = 60
ANSWERS = (
    "status", "why", "faults", "log", "sessions", "counters", "timing", "scope", "capacity", "calibrate show",
    "set none", "permit", "commission", "version", "car",
)  # fmt: skip
PROPOSALS = ("evse-pi sta", "evse-pi setup --board ", "evse-pi capacity set ", "evse-pi car ")
EVSE_PI = Path(sys.executable).with_name("evse-pi")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.command_start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    print(f"{machine}, load {os.getloadavg()[0]:.1f}")
    print(
        f"{rounds} rounds each, goal {GOAL_MS} ms; processor time tells more than the clock on a machine that is busy"
    )
    print(f"{'command':<34} {'p50':>8} {'p95':>8} {'max':>8} {'CPU p50':>8}")
    worst = 0.0
    with tempfile.TemporaryDirectory(prefix="evse-pi-") as folder, box_in(Path(folder)) as environment:
        for words in ("", *(f"{name} --help" for name in COMMANDS), *ANSWERS):
            worst = max(worst, told(words, timed(words.split(), environment, rounds)))
        for typed in PROPOSALS:
            asked = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" ")), "_EVSE_PI_COMPLETE": "bash_complete"}
            worst = max(worst, told(f"TAB after: {typed}", timed([], environment | asked, rounds)))
    print(f"\nslowest p95 {worst:.0f} ms: {'within' if worst <= GOAL_MS else 'BEYOND'} {GOAL_MS} ms")
    return int(worst > GOAL_MS)


@contextlib.contextmanager
def box_in(folder: Path) -> Iterator[dict[str, str]]:
    """Run a simulated box, and yield the environment in which commands mean it."""
    environment = {**os.environ, "EVSE_PI_STATE_DIR": str(folder)}
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen([EVSE_PI, "run", "--interface", "lo"], env=environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + READY_WITHIN_S
            while not ready(folder):
                if time.monotonic() > deadline:
                    raise TimeoutError((folder / "log").read_text())
                time.sleep(0.2)
            yield environment
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait()


def ready(folder: Path) -> bool:
    address = resolve_paths(folder).control_socket
    with contextlib.suppress(BoxError):
        started = call(address, "commission", action="SHOW")["running"]
        return bool(started and call(address, "status")["reason"])
    return False


def timed(words: list[str], environment: dict[str, str], rounds: int) -> list[tuple[float, float]]:
    """Return time and processor time of so many runs, in ms, the first one left out: it fills the disk's cache."""
    took = []
    for _ in range(rounds + 1):
        before, began = processor_ms(), time.perf_counter()
        subprocess.run([EVSE_PI, *words], env=environment, capture_output=True, check=True)
        took.append(((time.perf_counter() - began) * 1000, processor_ms() - before))
    return took[1:]


def processor_ms() -> float:
    used = os.times()
    return (used.children_user + used.children_system) * 1000


def told(name: str, took: list[tuple[float, float]]) -> float:
    """Print one row, and return its 95th percentile."""
    times, processor = zip(*took, strict=True)
    p95 = statistics.quantiles(times, n=20, method="inclusive")[-1]
    figures = "".join(f"{each:>5.0f} ms " for each in (statistics.median(times), p95, max(times)))
    print(f"{name or '(no command)':<34} {figures}{statistics.median(processor):>5.0f} ms", flush=True)
    return p95


if __name__ == "__main__":
    sys.exit(main())
