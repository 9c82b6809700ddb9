"""Many interactions and sessions against the Matter device of a box: does anything grow with them?

`python -m bench.soak [--interactions 10000] [--json FILE]` runs the node's own device, storage thread included, in this
process over UDP of this machine, with a controller of the tests beside it. It prints at each tenth what one interaction
cost since the tenth before: resident memory, Python objects, descriptors, bytes of files and of log. What goes to 0
fills a bounded table; what does not is a leak. The controller's own growth is in the figures as well.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import socket
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chip.tlv import uint
from rich.console import Console
from rich.table import Table

from evse_pi.charging.charge_point import ChargePoint
from evse_pi.charging.clock import SystemClock
from evse_pi.charging.startup_state import StartupState
from evse_pi.device.equipment import Equipment
from evse_pi.installation.files import SIMULATED_INSTALLATION
from evse_pi.matter.channel.transport import UdpTransport
from evse_pi.node.charge_point_adapter import ChargePointAdapter
from evse_pi.node.matter_device import MatterDevice
from evse_pi.node.matter_options import MatterOptions
from evse_pi.storage.writer_thread import WriterThread
from tests.support.matter_authority import Authority
from tests.support.matter_bench import ADMIN_NODE_ID, GENERAL_COMMISSIONING, NODE_ID, add_fabric
from tests.support.matter_initiator import MatterInitiator, Member
from tests.support.node_box import RATINGS, FakeSafety

if TYPE_CHECKING:
    from evse_pi.matter.channel.peer_session import PeerSession

EVSE, USER_MAXIMUM, ENABLE, DISABLE = 0x99, 9, 2, 1
PER_SESSION = 10  # interactions of one session; every tenth session is a whole handshake, the others resume
STEPS = 10


@dataclass(frozen=True)
class Figures:
    """What the process holds after some interactions."""

    interactions: int
    sessions: int
    seconds: float
    resident_bytes: int
    objects: int
    descriptors: int
    file_bytes: int
    log_bytes: int


class LogVolume(logging.Handler):
    """Counts what a log would take at the level of the product."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.bytes = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.bytes += len(self.format(record)) + 1


class Soak:
    """One device and one controller."""

    def __init__(self, folder: Path, log: LogVolume) -> None:
        self._folder = folder
        self._log = log
        self._storage = WriterThread()
        self._authority = Authority()
        self._started_s = time.monotonic()
        self._sessions = 0

    async def run(self, interactions: int) -> list[Figures]:
        """Return the figures after each tenth; the first are those after a tenth of warming up."""
        await self._storage.open(self._folder / "evse.db")
        clock = SystemClock()
        box = ChargePoint(clock, RATINGS, SIMULATED_INSTALLATION, StartupState(), self._storage)
        box.on_snapshot(FakeSafety(clock).snapshot())
        port = _free_port()
        options = MatterOptions(port=port, passcode=20202021)
        adapter = ChargePointAdapter(box, lambda: None)
        device = MatterDevice(
            options, Equipment(True, True, "sdm72d_m"), self._storage.key_values, self._folder, adapter
        )
        running = asyncio.create_task(device.run())
        while not device.running:  # noqa: ASYNC110 (nothing tells)
            await asyncio.sleep(0.05)
        found: list[Figures] = []
        async with MatterInitiator(UdpTransport(0), ("::1", port)) as controller:
            session = await self._commission(controller)
            for step in range(STEPS):
                for number in range(step * interactions // STEPS, (step + 1) * interactions // STEPS):
                    if number % PER_SESSION == 0:
                        session = await self._connect(controller, whole=number % (10 * PER_SESSION) == 0)
                    await self._interact(controller, session, number)
                    self._storage.put(box.event_recorder.write_queue.take(clock.monotonic_ns()))
                found.append(self._figures((step + 1) * interactions // STEPS))
                print(found[-1], file=sys.stderr, flush=True)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await self._storage.close()
        return found

    async def _commission(self, controller: MatterInitiator) -> PeerSession:
        pase = await controller.pase(20202021)
        await add_fabric(controller, pase, self._authority)
        self._member = Member.of(self._authority, ADMIN_NODE_ID, controller.entropy)
        session = await controller.case(self._member, NODE_ID)
        assert (await controller.invoke(session, 0, GENERAL_COMMISSIONING, 4)).fields[0] == 0
        return session

    async def _connect(self, controller: MatterInitiator, *, whole: bool) -> PeerSession:
        self._sessions += 1
        session = await controller.case(self._member, NODE_ID, resume=not whole)
        await controller.subscribe(session, (1, EVSE, None), min_s=0, max_s=600)
        controller.forget_subscriptions()
        return session

    @staticmethod
    async def _interact(controller: MatterInitiator, session: PeerSession, number: int) -> None:
        match number % 4:
            case 0:
                await controller.read(session, (1, EVSE, None))
            case 1:
                await controller.write(session, ((1, EVSE, USER_MAXIMUM), 6_000 + number % 20_000))
            case 2:
                fields: dict[int, Any] = {0: None, 1: uint(6_000), 2: uint(16_000)}
                await controller.invoke(session, 1, EVSE, ENABLE, fields, timed_ms=5_000)
            case _:
                await controller.invoke(session, 1, EVSE, DISABLE, timed_ms=5_000)

    def _figures(self, interactions: int) -> Figures:
        gc.collect()
        resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
        return Figures(
            interactions,
            self._sessions,
            time.monotonic() - self._started_s,
            resident_pages * os.sysconf("SC_PAGE_SIZE"),
            len(gc.get_objects()),
            len(os.listdir("/proc/self/fd")),  # noqa: PTH208 (names of a moment)
            sum(file.stat().st_size for file in self._folder.rglob("*") if file.is_file()),
            self._log.bytes,
        )


def table(found: list[Figures]) -> Table:
    """Return what each tenth cost, per interaction."""
    shown = Table("interactions", "sessions", "RSS MB", "RSS B/each", "objects/each", "fd", "files kB", "log B/each")
    former = None
    for now in found:
        count = now.interactions - (former.interactions if former else 0)

        def each(name: str, before: Figures | None = former, after: Figures = now, over: int = count) -> str:
            return "" if before is None else f"{(getattr(after, name) - getattr(before, name)) / over:.2f}"

        shown.add_row(
            f"{now.interactions:,}", f"{now.sessions:,}", f"{now.resident_bytes / 1e6:.1f}", each("resident_bytes"),
            each("objects"), str(now.descriptors), f"{now.file_bytes / 1e3:.0f}", each("log_bytes"),
        )  # fmt: skip
        former = now
    return shown


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interactions", type=int, default=10_000)
    parser.add_argument("--json", type=Path, help="write the figures there")
    arguments = parser.parse_args()
    log = LogVolume()
    logging.basicConfig(level=logging.INFO, handlers=[log], format="%(levelname)s %(name)s %(message)s")
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(Soak(Path(folder), log).run(arguments.interactions))
    Console().print(table(found))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n")
    return 0


def _free_port() -> int:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
