"""The composition root of the node process."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING

from evse_pi.api.server import Server
from evse_pi.api.service import Service
from evse_pi.api.status import Board, Notice, NoticeKind
from evse_pi.api.texts import english as words
from evse_pi.api.texts.trouble_texts import clock_trouble, permission_doubt, storage_trouble
from evse_pi.charging.charge_point import ChargePoint
from evse_pi.charging.wall_clock import WallClockWatch
from evse_pi.clearance import with_clearance
from evse_pi.core.records import Request as Order
from evse_pi.core.records import encode_demand
from evse_pi.installation.files import ConfigError, ratings, read_installation
from evse_pi.installation.service_manager import ServiceManager
from evse_pi.node.boot_check import boot_notices, safety_refusal
from evse_pi.node.box_status import PRODUCT_VERSION, NodeStatus, device_doubts
from evse_pi.node.charge_point_adapter import ChargePointAdapter
from evse_pi.node.commands import ChangeNotifier, Commands
from evse_pi.node.diagnosis_commands import COUNTERS, Diagnosis
from evse_pi.node.field_devices import FieldDevices
from evse_pi.node.matter_options import equipment_of
from evse_pi.node_run import NodeRun
from evse_pi.paths import CONTROL_SOCKET, DATABASE, RING_FILE
from evse_pi.recorder.archive import FOLDER as RECORDINGS
from evse_pi.recorder.archive import RecordingArchive
from evse_pi.recorder.reader import Ring, RingFile
from evse_pi.storage.recall import latest_before
from evse_pi.storage.writer_thread import WriterThread
from hal.units import SECOND

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from boards.build_field import FieldHardware
    from boards.spec import BoardSpec
    from evse_pi.api.status import DeviceStatus
    from evse_pi.charging.clock import Clock
    from evse_pi.core.board_ratings import BoardRatings
    from evse_pi.core.installation_limits import Installation
    from evse_pi.device.equipment import Equipment
    from evse_pi.node.matter_device import MatterDevice
    from evse_pi.node.matter_options import MatterOptions
    from evse_pi.node.safety_link import SafetyLink
    from evse_pi.node.web import WebServer
    from evse_pi.node.web_options import WebOptions
    from hal.units import Milliamps

log = logging.getLogger(__name__)

RENEW_S = 2.0  # the lease is 15 s: six datagrams may be lost in a row
TICK_S = 1.0
RETRY_STORAGE_S = 30.0
READ_ZONE_S = 10.0
ANSWERED_WITHIN_S = 4.0  # the reload is still answered; the lease outlasts the restart
MATTER_FIRST_S = 30.0  # the page waits until Matter has come up, but not for ever
FIRST_DEMAND_WITHIN_S = 8.0  # with 3 s until the restart and 1 s for it, within the 15 s of the former lease


@dataclass(frozen=True, slots=True)
class NodePaths:
    """Where the node keeps and finds things."""

    state_dir: Path
    run_dir: Path
    installation: Path


async def serve(
    board: BoardSpec,
    hardware: FieldHardware,
    link: SafetyLink,
    paths: NodePaths,
    clock: Clock,
    stopping: asyncio.Event,
    matter: MatterOptions | None = None,
    web: WebOptions | None = None,
) -> None:
    """Run the node until `stopping` is set, as a Matter device and with a web page where `matter` and `web` say how.

    Raises: OSError where the command socket cannot be made.
    """
    storage = WriterThread()
    try:
        store = await storage.open(paths.state_dir / DATABASE)
        memory = await storage.recall(clock.unix_s())
        rated = ratings(board)
        box = ChargePoint(clock, replace(rated, meter_fitted=hardware.meter is not None), None, memory, storage)
        if matter is None:
            box.run_without_controllers()
        node = Daemon(board, box, link, storage, paths)
        node.calendar = WallClockWatch(clock, await storage.call(latest_before, store, clock.kernel_boot_id))
        if matter is not None:
            await _recall(node.charger, storage)
        field = FieldDevices(hardware, clock.monotonic_ns, wake=node.wake)
        ring, archive = Ring(RingFile(paths.run_dir / RING_FILE)), RecordingArchive(paths.state_dir / RECORDINGS)
        diagnosis = Diagnosis(board, box, ring, archive, await storage.call(store.setting, COUNTERS))
        node.diagnosis = diagnosis
        commands = Commands(box, storage, store, node)
        service = Service(*commands.offers, *diagnosis.offers(commands.view, storage))
        server = Server(paths.run_dir / CONTROL_SOCKET, service)
        await server.start()
        field.start()
        log.info("node runs board=%s version=%s", board.name, PRODUCT_VERSION)
        try:
            async with _doors(node, service, equipment_of(board, hardware), matter, web):
                await node.run(field, stopping)
        finally:
            await server.stop()
            field.end()
            box.event_recorder.save()
            storage.put(box.event_recorder.write_queue.take(clock.monotonic_ns(), all_rows=True))
    finally:
        await storage.close()


@asynccontextmanager
async def _doors(
    node: Daemon, service: Service, equipment: Equipment, matter: MatterOptions | None, web: WebOptions | None
) -> AsyncGenerator[None]:
    """Run Matter device and web page beside the box; neither ends it, both end before the database closes."""
    device = asyncio.create_task(node.run_matter_device(matter, equipment), name="matter")
    device.add_done_callback(node.matter_ended)
    page = asyncio.create_task(node.serve_web_page(web, service, device), name="web")
    page.add_done_callback(node.page_ended)
    try:
        yield
    finally:
        for task in (page, device):
            task.cancel()
        await asyncio.gather(page, device, return_exceptions=True)


async def _recall(charger: ChargePointAdapter, storage: WriterThread) -> None:
    """Have the sessions go on from those that controllers were told of, where that can be read."""
    with suppress(OSError):
        charger.recall(await storage.key_values())


class Daemon:
    """Moves records, readings and rows between the box and the world; it is the `NodeActions` of its commands."""

    def __init__(
        self, board: BoardSpec, box: ChargePoint, link: SafetyLink, storage: WriterThread, paths: NodePaths
    ) -> None:
        self.notifier = ChangeNotifier()
        self._board = board
        self._box = box
        self._link = link
        self._run = NodeRun()
        self._storage = storage
        self._paths = paths
        self._field: FieldDevices | None = None
        self._renewal = asyncio.Event()
        self._writing = asyncio.Event()
        self._sensed = asyncio.Event()
        self._reading = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._installer_trouble: str | None = None
        self._stopping: asyncio.Event | None = None
        self.matter: MatterDevice | None = None
        self._matter_refused = False
        self._matter_trouble: str | None = None
        self._web: WebServer | None = None
        self._web_trouble: str | None = None
        self.diagnosis: Diagnosis | None = None
        self.calendar = WallClockWatch(box.clock)
        self._manager = ServiceManager(os.environ.get("NOTIFY_SOCKET"))
        self._boot_notices = boot_notices(board, paths.run_dir)
        self.charger = ChargePointAdapter(box, self.renew)
        self._take_installation(_installation(paths.installation, box.ratings))

    async def run(self, field: FieldDevices, stopping: asyncio.Event) -> None:
        """Keep lease, time and storage until `stopping`. When it ends, the lease ends by itself."""
        self._field = field
        self._stopping = stopping
        self._collect()
        self._loop.add_reader(self._link.fileno(), self._receive)
        works = (self._keep_lease, self._keep_time, self._keep_zone, self._keep_storage, self._keep_recordings)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work(), name=work.__name__) for work in works]
                await stopping.wait()
                for task in tasks:
                    task.cancel()
        finally:
            self._loop.remove_reader(self._link.fileno())
            self._manager.close()

    async def run_matter_device(self, options: MatterOptions | None, equipment: Equipment) -> None:
        """Load and run the Matter device beside the box, which goes on whatever becomes of it."""
        if options is None:
            self._matter_refused = True
            return
        module = await asyncio.to_thread(import_module, "evse_pi.node.matter_device")  # it takes seconds on a small Pi
        self.matter = device = await asyncio.to_thread(
            module.MatterDevice, options, equipment, self._storage.key_values, self._paths.state_dir, self.charger
        )
        await device.run()

    def matter_ended(self, device: asyncio.Task[None]) -> None:
        """Note that the Matter device is gone for good, which only a broken installation brings about."""
        if not device.cancelled() and (error := device.exception()) is not None:
            self._matter_trouble = f"{type(error).__name__}: {error}"
            self._box.expect_energy_manager(expected=False)
            log.error("matter ended", exc_info=error)

    async def serve_web_page(self, options: WebOptions | None, service: Service, device: asyncio.Task[None]) -> None:
        """Load and serve the web page once the Matter device has come up, or cannot."""
        if options is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(MATTER_FIRST_S):
                while not device.done() and not (self.matter and (self.matter.running or self.matter.trouble)):
                    await self.notifier.next_change().wait()
        module = await asyncio.to_thread(import_module, "evse_pi.node.web")
        asked = await asyncio.to_thread(
            module.BoxAnswers, service, self.notifier, self._paths.installation.parent, self._box.clock
        )
        self._web = module.WebServer(options, asked)
        await self._web.run()

    def page_ended(self, page: asyncio.Task[None]) -> None:
        """Note that the page is gone for good, which only a broken installation brings about."""
        if not page.cancelled() and (error := page.exception()) is not None:
            self._web_trouble = f"{type(error).__name__}: {error}"
            log.error("web page ended", exc_info=error)

    # What commands need.

    def renew(self) -> None:
        """Send a new demand at once."""
        self._renewal.set()

    async def reload(self) -> None:
        """Read the installer's file again, beside the loop; the safety process reads it itself and decides."""
        async with self._reading:  # what was read last is what counts
            self._take_installation(await asyncio.to_thread(_installation, self._paths.installation, self._box.ratings))

    def _take_installation(self, found: Installation | str) -> None:
        if isinstance(found, str):
            self._installer_trouble = found
            log.warning("installer's file cannot be used problem=%s", found)
            return
        former = self._box.installation
        self._box.installation, self._installer_trouble = found, None
        self.notifier.notify()
        if former is not None and former.meter != found.meter and self._stopping is not None:
            log.info("another meter was fitted; the process ends to be started with it")
            self._loop.call_later(ANSWERED_WITHIN_S, self._stopping.set)

    async def flush(self) -> str | None:
        """Write what was said; return why it is not durable, None when it is."""
        self._storage.put(self._box.event_recorder.write_queue.take(self._box.clock.monotonic_ns()))
        return await self._storage.written()

    def set_owner_permission(self, *, permitted: bool | None, limit_ma: Milliamps | None) -> None:
        """Carry out the owner's permission or stop at once, None keeps it. Raises: ValueError for a bad limit."""
        self._box.set_owner_permission(permitted=permitted, limit_ma=limit_ma)
        self.charger.refresh()
        self.renew()
        self.notifier.notify()

    def begin_charging(self) -> None:
        """Skip the random delay and the planned start at once."""
        self._box.begin_charging()
        self.charger.refresh()
        self.renew()
        self.notifier.notify()

    @property
    def matter_absence(self) -> str | None:
        """Why there is no Matter device, None when there is one."""
        if self.matter is not None:
            return None
        if self._matter_refused:
            return words.STARTED_WITHOUT_MATTER
        return self._matter_trouble or words.MATTER_IS_BEING_LOADED

    @property
    def owner_permits(self) -> bool:
        """Whether charging is permitted as far as owner or controller decide it."""
        return self._box.permission.now.charging

    def node_status(self) -> NodeStatus:
        """Return what the status shows beside the box itself."""
        now_ns = self._box.clock.monotonic_ns()
        devices = self._field.state(now_ns, device_doubts(self._box)) if self._field else ()
        return NodeStatus(
            board=Board(self._board.name, self._board.title),
            version=PRODUCT_VERSION,
            owner_permits=self.owner_permits,
            matter=self.matter.describe() if self.matter is not None else None,
            matter_absence=self.matter_absence,
            web=self._web.describe() if self._web is not None else None,
            devices=devices,
            notices=self._notices(devices),
            safety_refusal=safety_refusal(self._paths.run_dir),
        )

    def _notices(self, devices: tuple[DeviceStatus, ...]) -> tuple[Notice, ...]:
        """Return what people must know and what stops no charge."""
        matter = self.matter
        matter_trouble = self._matter_trouble and words.MATTER_DOES_NOT_RUN.format(trouble=self._matter_trouble)
        if matter is not None and matter.trouble:
            matter_trouble = words.MATTER_IS_TRIED_AGAIN.format(trouble=matter.trouble)
        web_trouble = self._web_trouble or (self._web.trouble if self._web is not None else None)
        doubt, reason, clock = self._box.doubt, self._board.bench_only, self.calendar.trouble
        told = {
            NoticeKind.INSTALLATION: self._installer_trouble,
            NoticeKind.PERMISSION: doubt and words.FORBIDDEN_UNTIL_PERMITTED.format(doubt=permission_doubt(doubt)),
            NoticeKind.BENCH_ONLY: reason and words.FOR_THE_BENCH_ONLY.format(reason=reason),
            NoticeKind.CLOCK: None if clock is None else clock_trouble(clock),
            NoticeKind.MATTER: matter_trouble,
            NoticeKind.IDENTITY: matter and matter.identity_made_elsewhere and words.MADE_ON_ANOTHER_MACHINE,
            NoticeKind.CHARGING_PLAN: self._box.planner.notice,
            NoticeKind.WEB: web_trouble and words.WEB_PAGE_NOT_SERVED.format(trouble=web_trouble),
        }
        return (
            *(Notice(NoticeKind.STORAGE, storage_trouble(each)) for each in self._storage.troubles),
            *(self.diagnosis.notices if self.diagnosis is not None else ()),
            *(Notice(kind, text) for kind, text in told.items() if text),
            *self._boot_notices,
            *(Notice(NoticeKind.DEVICE, f"{each.device}: {each.trouble}") for each in devices if each.trouble),
        )

    # The link.

    def _receive(self) -> None:
        if (snapshot := self._link.receive()) is None:
            return
        begun, number = self._run.on_snapshot(snapshot), self._box.requests.number
        self._box.on_snapshot(snapshot)
        if begun or self._box.requests.number != number:
            self.renew()
        if self.diagnosis is not None:
            self.diagnosis.on_snapshot(snapshot)
        self.charger.refresh()
        self.notifier.notify()
        self._writing.set()

    async def _keep_lease(self) -> None:
        """Send a demand every 2 s, when a request expires, and whenever something is asked.

        The first one waits for the sensors: the lease that this process had before a restart still runs, and a demand
        without readings would stop the vehicle that it lets charge.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_DEMAND_WITHIN_S):
                await self._sensed.wait()
        while True:
            self._renewal.clear()
            self._send_demand()
            self._manager.tell(b"READY=1\nWATCHDOG=1")  # said again, the first half means nothing: sd_notify(3)
            now_ns = self._box.clock.monotonic_ns()
            expiry_ns = self._box.arbiter.next_expiry_ns(now_ns)
            wait_s = RENEW_S if expiry_ns is None else min(RENEW_S, (expiry_ns - now_ns) / SECOND)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._renewal.wait()

    def _send_demand(self) -> None:
        self._collect()
        demand = self._box.demand()
        try:
            datagram = encode_demand(demand)
        except ValueError as error:  # a reading that no supply can have; without one the safety process stops
            log.warning("reading cannot be sent problem=%s", error)
            datagram = encode_demand(replace(demand, meter=None, temperature=None))
        proof = self._box.requests.clearance if Order.CLEAR_INSTALLER in demand.request else None
        self._link.send(self._run.stamp(with_clearance(datagram, proof)))

    # Sensors, time and storage.

    def wake(self) -> None:
        """Tell the loop, from a bus thread, that there is a new reading."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._collect)

    def _collect(self) -> None:
        """Take over what the bus threads have read."""
        if self._field is not None:
            if (reading := self._field.meter) is not None:
                self._box.measure(reading)
            self._box.feel(self._field.temperatures())
            if self._field.complete:
                self._sensed.set()

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._box.tick()
            if self.diagnosis is not None:
                self.diagnosis.tick()
            self.charger.refresh()
            self.notifier.notify()
            self._writing.set()

    async def _keep_zone(self) -> None:
        """Follow the zone of the place, whose file lies on the card: read on the thread that may wait for that."""
        while True:
            await asyncio.sleep(READ_ZONE_S)
            await self._storage.call(self._box.clock.read_zone)

    async def _keep_storage(self) -> None:
        """Write what the journal has due, try again what the disk refused, and correct dates after the clock was set.

        Nothing here waits for the disk: what happens while it is busy is collected by the storage.
        """
        journal, clock = self._box.event_recorder.write_queue, self._box.clock
        tried_ns = clock.monotonic_ns()
        while True:
            await self._writing.wait()
            self._writing.clear()
            now_ns = clock.monotonic_ns()
            epoch_s = self.calendar.look()
            if epoch_s is not None:
                self._box.event_recorder.redate(epoch_s)
            rows = journal.take(now_ns, all_rows=epoch_s is not None)
            if rows or (self._storage.troubled and now_ns - tried_ns >= RETRY_STORAGE_S * SECOND):
                tried_ns = now_ns
                self._storage.put(rows)
            if epoch_s is not None:
                self._storage.redate(clock.kernel_boot_id, epoch_s)

    async def _keep_recordings(self) -> None:
        """Write the recordings of faults; this alone waits for the disk."""
        while True:
            await asyncio.sleep(TICK_S)
            if self.diagnosis is not None:
                await self.diagnosis.keep(self._storage)


def _installation(path: Path, rated: BoardRatings) -> Installation | str:
    """Return what the installer's file says, or why it cannot be used."""
    try:
        return read_installation(path, rated)
    except ConfigError as error:
        return str(error)
