"""Serial lines and I2C buses that do anything: the real node keeps its rhythm of demands, its memory, and comes back.

The safety process is played here; the buses are emulated nodes that the node's own drivers open.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from boards.loader import load_board
from evse_pi.api.client import BoxError, BoxNotRunning, call
from evse_pi.installation.files import SIMULATED_INSTALLATION, write_installation
from evse_pi.sim.board_wiring import simulator_settings
from evse_pi.sim.process import SimulatorProcess
from hal.units import SECOND
from tests.support.emulation import CACHE
from tests.support.node_process import NodeProcess

if TYPE_CHECKING:
    from collections.abc import Iterator


RENEWAL_S = 2.0
"""How often a node renews its demand, docs/adr/0004-demand-lease.md."""
BUSY_GAPS = 3
"""How many renewals long a gap may be on a machine that does other things too; the lease is more than seven."""
DEMANDS = 6
MEMORY_KB = 8_192
"""What a node may grow by while it is flooded, of the 80 MB that it may have."""


class NodeAtBuses(NodeProcess):
    """A real node at emulated buses."""

    def __init__(self, folder: Path) -> None:
        write_installation(folder / "installation.toml", SIMULATED_INSTALLATION)
        settings = simulator_settings(load_board("simulated"))
        self.simulator = SimulatorProcess(folder / "sim", CACHE, settings, os.environ)
        self.plant = self.simulator.client()
        super().__init__(folder, "--no-web", "--no-matter", environment=self.simulator.environment)
        self.until(lambda: self.sensing)

    @property
    def sensing(self) -> bool:
        """Whether the newest demand has fresh readings of all sensors."""
        newest = self.demands[-1] if self.demands else None
        if newest is None or newest.meter is None or newest.temperature is None:
            return False
        oldest_ns = min(newest.meter.at_ns, newest.temperature.at_ns)
        return time.monotonic_ns() - oldest_ns < 8 * SECOND

    def devices(self) -> dict[str, str]:
        """Return the trouble of each device that has one."""
        with suppress(BoxError, BoxNotRunning, OSError):
            told: Any = call(self.folder / "control.sock", "status")
            return {each["device"]: each["trouble"] for each in told["devices"] if each["trouble"]}
        return {}

    def describe(self) -> dict[str, str]:
        return self.devices()

    def resident_kb(self) -> int:
        status = (Path("/proc") / str(self.process.pid) / "status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))

    def end(self) -> None:
        super().end()
        self.plant.close()
        self.simulator.stop()


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeAtBuses]:
    made = NodeAtBuses(tmp_path_factory.mktemp("hostile"))
    try:
        yield made
    finally:
        made.end()


HOSTILE: dict[str, tuple[dict[str, str], str, str]] = {
    "flood, and a clock line that is held": ({"line": "flood", "i2c": "hang"}, "/dev/ttyAMA0", "timed out"),
    "no end of a frame, and garbage": ({"line": "endless", "i2c": "garbage"}, "", ""),
    "answers for others, and a second I2C master": ({"line": "second_master", "i2c": "lost_arbitration"}, "", ""),
    "an echo, and data held high": ({"line": "echo", "i2c": "stuck_high"}, "the adapter echoes", "tmp102"),
    "silence, and no acknowledgement": ({"line": "silent", "i2c": "no_acknowledge"}, "0 of 3 bytes", ""),
    "calls that never return": ({"device": "i2c"}, "", "no answer for"),
}


@pytest.mark.hazard("H-10")
@pytest.mark.hazard("H-16")
@pytest.mark.parametrize("how", HOSTILE)
def test_no_bus_breaks_the_rhythm_of_demands_or_fills_memory(box: NodeAtBuses, how: str) -> None:
    faults, of_meter, of_thermometers = HOSTILE[how]
    box.until(lambda: box.sensing)
    before_kb = box.resident_kb()
    if "device" in faults:
        box.plant.call("device", device=faults["device"], hang=True)
    else:
        box.plant.verb("break_meter_line", how=faults["line"])
        box.plant.verb("break_i2c", how=faults["i2c"])
    box.demands.clear()
    box.until(lambda: len(box.demands) >= DEMANDS)
    box.until(lambda: of_meter in box.devices().get("meter", ""))
    box.until(lambda: any(of_thermometers in text for name, text in box.devices().items() if name != "meter"))
    assert max(after - before for before, after in pairwise(box.made_s())) <= BUSY_GAPS * RENEWAL_S
    assert box.resident_kb() - before_kb <= MEMORY_KB
    box.plant.call("device", device="i2c")
    box.plant.verb("repair")
    box.until(lambda: box.sensing)
