"""What runs on each walk of docs/ARCHITECTURE.md, traced in virtual time: `python -m bench.walk_trace [--names]`.

A file counts where one of its functions was called between cause and effect, a representation where one of its values
was made: a frozen dataclass or a named tuple. Traced are all files of the product but simulator and test harness. The
device is that of the property tests: state machine, publisher, link's records, charge point, storage and clusters.
What they leave out is not traced: converters and drivers, the daemon's tasks, the command socket, and Matter's
sessions and reports, which bench.walks counts by their names. "Idle" is a time without a cause, while a vehicle
charges: a tick asks every monitor and every second renews demand and view, so most files run whatever happens; the
last columns are what ran on the walk and not there.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from evse_pi.matter.wire.chip_objects import EnergyEvse
from tests.component.properties.test_whole_device import PLAIN_BOARD, settings_for
from tests.support import virtual_loop
from tests.support.ideal_box import MS
from tests.support.whole_device import WholeDevice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

ROOT = Path(__file__).parents[1]
PRODUCT = tuple(f"{ROOT}/{folder}/" for folder in ("hal", "boards", "evse_pi"))
OUTSIDE = (f"{ROOT}/evse_pi/sim/", f"{ROOT}/hal/mock/")
MADE_BY = {"__init__": "self", "__new__": "_cls"}
"""The functions that Python writes for dataclasses and named tuples, and what they are called with."""


class Trace:
    """The files that ran and the classes of the values that were made."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.values: set[str] = set()

    @contextmanager
    def running(self) -> Iterator[None]:
        sys.setprofile(self._called)
        try:
            yield
        finally:
            sys.setprofile(None)

    def _called(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        code = frame.f_code
        if code.co_filename.startswith(PRODUCT) and not code.co_filename.startswith(OUTSIDE):
            self.files.add(code.co_filename.removeprefix(f"{ROOT}/"))
        elif code.co_filename.startswith("<string") and code.co_name in MADE_BY:
            made = frame.f_locals.get(MADE_BY[code.co_name])
            kind = made if isinstance(made, type) else type(made)
            if kind.__module__.startswith(("hal.", "boards.", "evse_pi.")) and not kind.__module__.startswith(
                ("evse_pi.sim", "evse_pi.matter.wire")
            ):
                self.values.add(kind.__qualname__)


async def walks(folder: Path) -> dict[str, Trace]:
    """Return what ran from the vehicle's end to the cluster, from EnableCharging and from a stop to the pilot."""
    device = WholeDevice(folder, settings_for(PLAIN_BOARD), commissioned=True, vehicle="A", ohms=220)
    await device.start()
    await device.run(11_000 * MS)
    device.evse.write_randomization_delay_window(0)
    machine = device.machine
    machine.plug_in("B")
    await device.run(3_000 * MS)
    found = {name: Trace() for name in ("idle", "pilot sample", "EnableCharging", "owner's stop")}
    with found["EnableCharging"].running():
        await device.evse.enable_charging(EnergyEvse.Commands.EnableCharging(None, 6_000, 32_000))
        await device.run(50 * MS)
    assert machine.state.outputs.pilot.duty_ppm, "the permission reached the pilot"
    await device.run(10_000 * MS)
    machine.vehicle, machine.drawn_ma = "C", (6_000, 6_000, 6_000)
    await device.run(7_000 * MS)
    assert machine.closed
    with found["idle"].running():
        await device.run(2_100 * MS)
    with found["owner's stop"].running():
        device.set_owner_permission(permitted=False, limit_ma=None)
        await device.run(50 * MS)
    device.set_owner_permission(permitted=True, limit_ma=None)
    await device.evse.enable_charging(EnergyEvse.Commands.EnableCharging(None, 6_000, 32_000))
    await device.run(30_000 * MS)
    machine.vehicle, machine.drawn_ma = "B", (0, 0, 0)
    with found["pilot sample"].running():
        await device.run(100 * MS)
    await device.end_node()
    return found


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        found = virtual_loop.run(walks(Path(folder)))
    idle = found["idle"]
    print(f"{'walk':<16} {'files':>6} {'representations':>16} {'files, not idle':>16} {'repr., not idle':>16}")
    for name, trace in found.items():
        files, values = trace.files - idle.files, trace.values - idle.values
        print(f"{name:<16} {len(trace.files):>6} {len(trace.values):>16} {len(files):>16} {len(values):>16}")
        if "--names" in sys.argv:
            print(f"    {', '.join(sorted(files))}\n    {', '.join(sorted(values))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
