"""Measures how fast the box lets go: the vehicle leaves C, the contactor's line opens, on emulated device nodes.

Usage: python -m bench.reaction [--count 10000] [--load idle|loaded|both] [--json FILE]
Runs the real safety process, the real node process and a simulator, each a process of its own. "loaded" adds two busy
processes per core and one that writes to the disk and syncs. Times are the simulator's own: from the change of the
car's switch to the write of the line, before the contactor's release time. Exit status 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

from boards.loader import load_board
from evse_pi.installation.files import SIMULATED_INSTALLATION, write_installation
from evse_pi.sim.board_wiring import simulator_settings
from evse_pi.sim.process import SimulatorError, SimulatorProcess

ROOT = Path(__file__).parents[1]
QUANTILES = (("p50", 500), ("p99", 990), ("p99.9", 999), ("max", 1000))
PATIENCE_MS = 240_000  # a box that found itself too slow is trusted again after one or two generations of 100 s
ASK_AGAIN_MS = 3_000
GOALS = {
    "reaction p99.9": ("ms", 35.0),
    "reaction max": ("ms", 50.0),
    "safety cpu": ("% of a core", 15.0),
    "safety memory": ("MB", 25.0),
    "start to pilot A": ("s", 1.5),
}
LAST_WORDS = re.compile(r"(lateness|window|reaction|collector) (\d+)/(\d+)/(\d+)/(\d+) us")
BURN = "while True: pass"
WRITE = """
import os, sys
block = os.urandom(1 << 20)
while True:
    with open(sys.argv[1], "wb") as stream:
        for _ in range(16):
            stream.write(block)
            os.fsync(stream.fileno())
"""


class Box:
    """The three processes of one box."""

    def __init__(self, folder, resources):
        self.folder = folder
        self.resources = resources
        self.board = load_board("simulated")
        settings = simulator_settings(self.board)
        self.simulator = SimulatorProcess(folder / "sim", ROOT / "build" / "sim", settings, os.environ)
        resources.callback(self.simulator.stop)
        prefer(self.simulator.process.pid)
        self.control = self.simulator.client()
        self.processes = {"simulator": self.simulator.process}
        write_installation(folder / "installation.toml", SIMULATED_INSTALLATION)
        shared = ["--board", "simulated", "--run-dir", str(folder), "--installation", str(folder / "installation.toml")]
        self.started_ns = time.monotonic_ns()
        self._start("safety", [str(ROOT / "bench" / "restless_safety.py"), *shared])
        self.start_s = (self.wait("duty_ppm", 1_000_000, 10_000) - self.started_ns) / 1e9
        self._start("node", ["-m", "evse_pi.node", *shared, "--state-dir", str(folder / "state")])

    def _start(self, name, arguments):
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments], env=self.simulator.environment, stderr=log, stdout=log, cwd=self.folder
            )
        self.processes[name] = process
        self.resources.callback(process.wait)
        self.resources.callback(process.kill)  # whatever happens to the measurement, nothing stays behind

    def changed(self, name, value, timeout_ms):
        """Return when a signal had a value, None when it had not in time."""
        return self.control.call("wait", signal=name, value=value, timeout_ms=timeout_ms)["changed_ns"]

    def wait(self, name, value, timeout_ms=5_000):
        """Return when a signal had a value. Raises: TimeoutError with what the processes said."""
        changed_ns = self.changed(name, value, timeout_ms)
        if changed_ns is None:
            logs = "\n".join(path.read_text()[-2_000:] for path in self.folder.glob("*.log"))
            raise TimeoutError(f"{name} was not {value} within {timeout_ms} ms; {self.control.state()}\n{logs}")
        return changed_ns

    def usage(self):
        """Return CPU seconds and resident MB of each process."""
        return {name: usage(process.pid) for name, process in self.processes.items()}

    def close(self):
        """End everything; the safety process says its figures last."""
        for name in ("node", "safety"):
            self.processes[name].send_signal(signal.SIGTERM)
        for name in ("node", "safety"):
            self.processes[name].wait(15)
        self.control.close()


def prefer(pid):
    """Let the simulator answer like the hardware that it stands for, which no load of the machine slows down."""
    try:
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(60))
    except PermissionError:
        print("the simulator gets no real-time priority: its delays count as the box's")


def usage(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    status = Path(f"/proc/{pid}/status").read_text()
    return seconds, int(status.split("VmRSS:")[1].split()[0]) / 1_000


@contextmanager
def load(folder, *, busy):
    """Keep the machine busy, when asked: two processes per core that compute and one that writes."""
    commands = [[sys.executable, "-c", BURN]] * (2 * (os.cpu_count() or 1)) if busy else []
    if busy:
        commands = [*commands, [sys.executable, "-c", WRITE, str(folder / "written")]]
    processes = [subprocess.Popen(command) for command in commands]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def measure(count, *, busy):
    rng = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="reaction-") as name, ExitStack() as resources:
        folder = Path(name)
        box = Box(folder, resources)
        box.control.verb("plug_in", cable_ma=32_000)
        box.wait("duty_ppm", 533_333, 30_000)
        resources.enter_context(load(folder, busy=busy))
        before, begun = box.usage(), time.monotonic()
        latencies_ms, opened_before = [], 0
        while len(latencies_ms) < count:
            latency_ms = reaction_ms(box, rng)
            if latency_ms is None:
                opened_before += 1
            else:
                latencies_ms.append(latency_ms)
        after, seconds = box.usage(), time.monotonic() - begun
        box.close()
        said = (folder / "safety.log").read_text()
    return {
        "events": count,
        "opened_by_itself": opened_before,
        "seconds": round(seconds),
        "reaction": {**quantiles(latencies_ms), "unit": "ms"},
        "loop": {
            what: {**dict(zip(dict(QUANTILES), map(int, figures), strict=True)), "unit": "us"}
            for what, *figures in LAST_WORDS.findall(said)
        },
        "processes": {
            name: {
                "cpu_percent": round(100 * (after[name][0] - before[name][0]) / seconds, 1),
                "memory_mb": round(after[name][1], 1),
            }
            for name in after
        },
        "start_to_pilot_a_s": round(box.start_s, 2),
    }


def reaction_ms(box, rng):
    """Let the vehicle ask, and leave at any phase of a tick once it is live; return the reaction.

    None when the box had opened by itself before, as it does after a tick later than 50 ms.
    """
    for _ in range(PATIENCE_MS // ASK_AGAIN_MS):
        box.control.verb("close_s2")
        if box.changed("mirror", 1, ASK_AGAIN_MS) is not None:
            break
    time.sleep(0.03 + rng.random() / 50)
    try:
        answer = box.control.call("measure", verb="open_s2", signal="contactor", value=0, timeout_ms=2_000)
    except SimulatorError:
        box.control.verb("open_s2")
        return None
    if answer["latency_ns"] is None:
        raise TimeoutError("the contactor's line stayed driven for 2 s after the vehicle had left C")
    box.wait("mirror", 0)
    return answer["latency_ns"] / 1e6


def quantiles(values):
    ordered = sorted(values)
    last = len(ordered) - 1
    return {label: round(ordered[min(last, len(ordered) * per_mille // 1000)], 2) for label, per_mille in QUANTILES}


def judge(result):
    """Return every goal with what was measured."""
    safety = result["processes"]["safety"]
    measured = {
        "reaction p99.9": result["reaction"]["p99.9"],
        "reaction max": result["reaction"]["max"],
        "safety cpu": safety["cpu_percent"],
        "safety memory": safety["memory_mb"],
        "start to pilot A": result["start_to_pilot_a_s"],
    }
    return [(name, measured[name], goal, unit) for name, (unit, goal) in GOALS.items()]


def machine():
    model = re.search(r"model name\s*: (.*)|^Model\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    named = next(filter(None, model.groups())) if model else platform.machine()
    return f"{named}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"


def show(name, result):
    print(f"\n{name}: {result['events']} times in {result['seconds']} s, opened by itself {result['opened_by_itself']}")
    print(f"  {'':22}" + "".join(f"{label:>10}" for label, _ in QUANTILES))
    rows = {"vehicle left -> line open": result["reaction"], **result["loop"]}
    for what, row in rows.items():
        print(f"  {what:26}" + "".join(f"{row[label]:>10}" for label, _ in QUANTILES) + f"  {row['unit']}")
    for process, row in result["processes"].items():
        print(f"  {process:26}{row['cpu_percent']:>10} % of a core{row['memory_mb']:>10} MB")
    for what, measured, goal, unit in judge(result):
        print(f"  {what:26}{measured:>10} {unit}, goal {goal}: {'met' if measured <= goal else 'MISSED'}")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--load", choices=("idle", "loaded", "both"), default="both")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the processes are ended as after any failure
    names = ("idle", "loaded") if options.load == "both" else (options.load,)
    results = {"machine": machine()}
    print(results["machine"])
    for name in names:
        results[name] = measure(options.count, busy=name == "loaded")
        show(name, results[name])
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    met = all(measured <= goal for name in names for _, measured, goal, _ in judge(results[name]))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
