"""Measure what the node writes to its card in a day: an idle box, and one that charges all day.

Usage: python bench/sd_bytes.py [--hours N] [--folder DIR]
The node's own Box, Journal and Store run through the hours as fast as they can, on a clock that jumps from second to
second. Reported per day: commits, bytes handed to the kernel (wchar) and bytes sent to the block device (write_bytes
of /proc/self/io; 0 where the folder is in memory). On ext4 each commit adds the file system's own journal.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from evse_pi.sim.harness.virtual_clock import VirtualClock

sys.path.insert(0, str(Path(__file__).parents[1]))

from evse_pi.charging.charge_point import ChargePoint
from evse_pi.charging.startup_state import StartupState
from evse_pi.storage.database import Store
from hal.units import Milliamps
from tests.support.node_box import RATINGS, FakeSafety, HandWriter, meter_reading


@dataclass(slots=True)
class Written:
    """What one run wrote."""

    commits: int = 0
    handed: int = 0
    device: int = 0


def io_counters() -> tuple[int, int]:
    """Return wchar and write_bytes of this process."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").split()
    values = dict(zip(lines[::2], lines[1::2], strict=True))
    return int(values["wchar:"]), int(values["write_bytes:"])


class Day:
    """A box whose hours pass in seconds."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.safety = FakeSafety(self.clock)
        self.box = ChargePoint(self.clock, RATINGS, None, StartupState(), HandWriter())
        self.store = Store(folder / "evse.db")
        self.written = Written()
        self.register = 0
        self.box.on_snapshot(self.safety.become("A"))

    def second(self, power_mw: int, limit_ma: int = 32_000) -> None:
        """Let one second pass as the daemon does: snapshot, meter, tick, journal."""
        self.clock.advance_s(1)
        self.register += power_mw // 3600
        self.box.on_snapshot(replace(self.safety.snapshot(), limit_ma=Milliamps(limit_ma)))
        self.box.measure(meter_reading(self.clock.now_ns, self.register, power_mw))
        self.box.tick()
        rows = self.box.event_recorder.write_queue.take(self.clock.now_ns)
        if rows:
            self.written.commits += 1
            self.store.write(rows)

    def idle(self, hours: int) -> None:
        """Return no peer."""
        for _ in range(hours * 3600):
            self.second(0)

    def charging(self, hours: int) -> None:
        """Cars come and go: three hours at full power, a pause, and the next one."""
        for second in range(hours * 3600):
            phase = second % (4 * 3600)
            change = {0: "B", 60: "C", 3 * 3600: "B", 3 * 3600 + 600: "A"}.get(phase)
            if change:
                self.box.on_snapshot(self.safety.become(change))
            self.second(11_000_000 if self.safety.state == "C" else 0)

    def regulated(self, hours: int) -> None:
        """One car all day, under a limit that the sun changes every 10 s."""
        for second in range(hours * 3600):
            if second == 10:
                self.box.on_snapshot(self.safety.become("C"))
            self.second(7_000_000, limit_ma=6_000 + second // 10 % 20 * 1_000)


def measure(name: str, hours: int, folder: Path) -> None:
    """Run one kind of day and print its line."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        day = Day(Path(place))
        handed, device = io_counters()
        getattr(day, name)(hours)
        day.store.close()
        after_handed, after_device = io_counters()
        written = Written(day.written.commits, after_handed - handed, after_device - device)
        size = sum(path.stat().st_size for path in Path(place).iterdir())
    days = hours / 24
    print(
        f"{name:10} {written.commits / days:7.0f} commits/day  {written.handed / days / 1000:9.0f} kB/day handed over  "
        f"{written.device / days / 1000:9.0f} kB/day to the device  file {size / 1000:.0f} kB"
    )


def main() -> None:
    """Measure all kinds of day."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    options = parser.parse_args()
    for name in ("idle", "charging", "regulated"):
        measure(name, options.hours, options.folder)


if __name__ == "__main__":
    main()
