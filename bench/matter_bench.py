"""Our lamp beside a matter.js light: same machine, same run, same clients, one after the other in turn.

`sudo python -m bench.matter_bench [--rounds 5] [--json FILE]` needs what tests/interop/README.md lists. Two clients
measure both devices: the CHIP SDK's controller and, for what that one hides behind its 200 ms of address resolution,
the project's own initiator.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tests.interop.controllers import MATTERJS, ROOT, ChipController, JsonProgram
from tests.interop.lamp import PASSCODE, Lamp
from tests.interop.namespaces import CONTROLLER_IPV4, DEVICE_IPV6, make_namespaces, remove_namespaces

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.interop.namespaces import Namespaces

ON_OFF = "OnOff.Attributes.OnOff"
CHIP_READS, CHIP_WILDCARDS, CHIP_REPORTS = 200, 10, 20
MAX_START_S, MAX_READ_S, MAX_RESIDENT_BYTES = 1.0, 0.003, 70_000_000
# Ahead of matter.js everywhere, at half in these; a command here answers when its change is on the disk, there before.
AIMS = {"read by CHIP": 0.5, "read": 0.5, "CPU of read": 0.5, "resident memory": 0.5, "command": None}
Device = Lamp | JsonProgram


@dataclass
class Results:
    """The samples of one device by what was measured."""

    samples: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, *values: float) -> None:
        self.samples.setdefault(name, []).extend(values)

    def quantile(self, name: str, percent: int) -> float:
        """Return the nearest-rank quantile."""
        values = sorted(self.samples[name])
        return values[(len(values) - 1) * percent // 100]

    def summary(self) -> dict[str, dict[str, float]]:
        return {
            name: {"p50": self.quantile(name, 50), "p99": self.quantile(name, 99), "count": len(values)}
            for name, values in self.samples.items()
        }


class Announcements:
    """Hears the multicast announcements in the controller's namespace, to tell when a device can be found."""

    def __init__(self, namespaces: Namespaces) -> None:
        program = (sys.executable, "-m", "bench.matter_bench", "--listen")
        self._process = subprocess.Popen(
            namespaces.inside(namespaces.controller, *program), cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self._lines = self._process.stdout
        self._lines.readline()

    def wait(self, discriminator: int) -> float:
        """Return when a device with `discriminator` was announced, in seconds since 1970."""
        for line in self._lines:
            at, text = line.split(" ", 1)
            if f"_L{discriminator}" in text:
                return float(at)
        raise RuntimeError("the listener is gone")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._lines.close()


def listen() -> None:
    """Print the time and the long discriminator of each announcement that is heard."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        heard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        heard.bind(("", 5353))
        group = struct.pack("4s4s", socket.inet_aton("224.0.0.251"), socket.inet_aton(CONTROLLER_IPV4))
        heard.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        print("0 listening", flush=True)
        while True:
            message = heard.recv(9000)
            is_response = message[2] & 0x80
            at = message.find(b"_L")
            if is_response and at >= 0:
                print(time.time(), message[at : at + 6].split(b"\x04")[0].decode(errors="replace"), flush=True)


def measure(namespaces: Namespaces, folder: Path, chip: ChipController, kind: str, number: int) -> Results:
    """Start a fresh device and return all its samples."""
    results = Results()
    discriminator = 1000 + number
    heard = Announcements(namespaces)
    started = time.time()
    if kind == "evse-pi":
        device: Device = Lamp(namespaces, folder, discriminator)
        device.options.clear()
        device.start()
        port, resident = device.port, device.resident_bytes
    else:
        port = 5540
        program = ["node", str(MATTERJS / "device.mjs"), str(folder / "storage"), str(PASSCODE), str(discriminator)]
        device = JsonProgram(namespaces.inside(namespaces.device, *program, str(port)), folder)
        resident = resident_of(device.pid)
    results.add("start to announced", heard.wait(discriminator) - started)
    heard.close()
    results.add("CPU of start", cpu_seconds(device.pid))
    try:
        by_chip(chip, results, device.pid, 5000 + number, discriminator)
        results.add("resident memory", resident())
        own = subprocess.run(
            namespaces.inside(
                namespaces.controller,
                *(sys.executable, "-m", "bench.matter_client", DEVICE_IPV6, str(port)),
                str(window(chip, 5000 + number)),
            ),
            cwd=ROOT,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, values in json.loads(own.stdout).items():
            results.add(name.replace("_", " "), *values)
        chip.call("unpair", 5000 + number)
    finally:
        device.stop() if isinstance(device, Lamp) else device.close()
    return results


def window(chip: ChipController, node_id: int) -> int:
    """Open a commissioning window and return its passcode."""
    return int(chip.call("open_window", node_id, 77)["passcode"])


def cpu_seconds(pid: int) -> float:
    """Return the processor time that all threads of a process have used, which other load does not change."""
    used = (task.joinpath("schedstat").read_text().split()[0] for task in Path(f"/proc/{pid}/task").iterdir())
    return sum(map(int, used)) / 1e9


def resident_of(pid: int) -> Callable[[], int]:
    """Return what tells how many bytes the process has in memory."""
    return lambda: int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def by_chip(chip: ChipController, results: Results, pid: int, node_id: int, discriminator: int) -> None:
    """Let the CHIP SDK's controller commission and use the device."""

    def with_cpu(name: str, count: int, *order: object) -> None:
        before = cpu_seconds(pid)
        answer = chip.call(*order)
        results.add(f"CPU of {name}", (cpu_seconds(pid) - before) / count)
        results.add(f"{name} by CHIP", *(answer if isinstance(answer, list) else [answer]))

    with_cpu("commissioning", 1, "commission", node_id, PASSCODE, discriminator)
    with_cpu("read", CHIP_READS, "time_reads", node_id, 1, ON_OFF, CHIP_READS)
    with_cpu("wildcard read", CHIP_WILDCARDS, "time_wildcard_reads", node_id, CHIP_WILDCARDS)
    results.add("CASE full by CHIP", *chip.call("time_sessions", node_id, 5, False))
    results.add("CASE resumed by CHIP", *chip.call("time_sessions", node_id, 5, True))
    chip.call("subscribe", node_id, 0, 60)
    chip.call("forget_updates")
    for _ in range(CHIP_REPORTS):
        started = time.time()
        chip.call("invoke", node_id, 1, "OnOff.Commands.Toggle")
        results.add("report by CHIP", chip.call("updates_until", "attribute", 10.0, (1, 6, 0))[-1][0] - started)
    chip.call("unsubscribe")


def show(ours: Results, theirs: Results) -> None:
    """Print the table."""
    table = Table("what", "evse-pi p50", "p99", "matter.js p50", "p99", "ratio p50", "aim")
    for name in ours.samples:
        if name == "attributes":
            continue
        unit, scale = ("MB", 1e-6) if name == "resident memory" else ("ms", 1e3)
        cells = [f"{one.quantile(name, p) * scale:.1f} {unit}" for one in (ours, theirs) for p in (50, 99)]
        ratio = statistics.median(ours.samples[name]) / statistics.median(theirs.samples[name])
        aim = AIMS.get(name, 1.0)
        verdict = "" if aim is None else f"<= {aim} {'met' if ratio <= aim else 'MISSED'}"
        table.add_row(name, *cells, f"{ratio:.2f}", verdict)
    console = Console(width=140)
    console.print(table)
    counts = [int(one.samples["attributes"][0]) for one in (ours, theirs)]
    console.print(f"attributes in a wildcard read: {counts[0]} and {counts[1]}")
    for name, limit in (
        ("start to announced", MAX_START_S),
        ("read by CHIP", MAX_READ_S),
        ("resident memory", MAX_RESIDENT_BYTES),
    ):
        value = statistics.median(ours.samples[name])
        console.print(f"{name}: {value:.4g}, limit {limit:.4g}, {'met' if value <= limit else 'MISSED'}")


def run(rounds: int) -> dict[str, Results]:
    """Measure both devices in turn."""
    everything = {"evse-pi": Results(), "matter.js": Results()}
    namespaces = make_namespaces()
    try:
        with tempfile.TemporaryDirectory() as name, ChipController(namespaces, Path(name) / "chip") as chip:
            for number in range(2 * rounds):
                kind = "evse-pi" if number % 2 == 0 else "matter.js"
                measured = measure(namespaces, Path(name) / f"{number}", chip, kind, number)
                for what, values in measured.samples.items():
                    everything[kind].add(what, *values)
    finally:
        remove_namespaces(namespaces)
    return everything


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="fresh starts of each device")
    parser.add_argument("--json", type=Path, help="where to keep the figures, in seconds and bytes")
    parser.add_argument("--listen", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.listen:
        listen()
        return
    everything = run(options.rounds)
    show(everything["evse-pi"], everything["matter.js"])
    if options.json:
        machine = {"machine": platform.machine(), "python": platform.python_version(), "cpus": os.cpu_count()}
        summaries = {kind: results.summary() for kind, results in everything.items()}
        options.json.write_text(json.dumps({**machine, **summaries}, indent=1) + "\n")


if __name__ == "__main__":
    main()
