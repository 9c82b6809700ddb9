"""The whole device under virtual time: the real machine, box, clusters and store; car, plant, link and clocks are ours.

It plays the part of the two processes' main loops: passes records over the link as bytes, renews the demand, lets a
second pass for box and clusters, and writes what the journal has due.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from evse_pi.charging.charge_point import ChargePoint
from evse_pi.core.records import Request, TemperatureSample, decode_demand, decode_snapshot, encode_demand
from evse_pi.device.charge_point_view import EVSE_ENDPOINT
from evse_pi.device.device_energy_management import DeviceEnergyManagementServer
from evse_pi.device.device_energy_management_mode import DeviceEnergyManagementModeServer
from evse_pi.device.energy_evse import EnergyEvseServer
from evse_pi.device.energy_evse_mode import EnergyEvseModeServer
from evse_pi.matter.storage import SqliteStore
from evse_pi.node.charge_point_adapter import ChargePointAdapter
from evse_pi.safety.loop_timing import LoopTiming
from evse_pi.safety.publisher import Publisher
from evse_pi.sim.harness.virtual_clock import VirtualClock
from evse_pi.storage.database import Store
from evse_pi.storage.key_value import QueuedStore
from evse_pi.storage.recall import load_startup_state
from hal.linear_scale import LinearScale
from hal.units import CentiCelsius, Milliamps, Millivolts
from tests.support.checked_box import CheckedBox
from tests.support.ideal_box import TICK_NS, S
from tests.support.matter_authority import CountingEntropy
from tests.support.model_bench import attached, model_node
from tests.support.node_box import meter_reading

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from evse_pi.charging.history_rows import Row
    from evse_pi.core.io_records import Inputs
    from evse_pi.core.machine_settings import MachineSettings
    from evse_pi.core.records import Demand, Snapshot

SCALE = LinearScale(7_312, Millivolts(-14_925))
ZONE = ZoneInfo("Europe/Berlin")
SAFETY_RESTARTS_NS = 1 * S
LOST = "lost"


class LinkedBox(CheckedBox):
    """The checked machine with a link in place of a scripted node."""

    mail: Demand | None = None
    seen: Inputs | None = None

    def _renew(self) -> None:
        if self.mail is not None:
            self.demand, self.mail = self.mail, None
            self.request, self.request_number = self.demand.request, self.demand.request_number

    def inputs(self) -> Inputs:
        self.seen = super().inputs()
        return self.seen

    def shift(self, by_ns: int) -> None:
        """Count time from another instant, as the clock of a new boot does."""
        for name in ("now_ns", "asking_ns", "allowed_ns", "closed_ns", "unplugged_ns", "gone_long_ns", "switched_ns"):
            setattr(self, name, getattr(self, name) + by_ns)
        self.coil.shift(by_ns)


class WholeDevice:
    """Everything, and the verbs to let it happen; `start` brings the node up, again after every end of it."""

    def __init__(self, folder: Path, settings: MachineSettings, *, commissioned: bool, **world: Any) -> None:
        self.clock = VirtualClock()
        self.machine = LinkedBox(settings, now_ns=self.clock.now_ns, **world)
        self.database = folder / "evse.db"
        self.register_mwh = 5_000_000.0
        self.loses = False  # every second datagram, both ways
        self.storage_stuck = False
        self.node_up = False
        self.safety_run_id = self.heard_boot = 0
        self.dead_until_ns = 0
        self.installed_ns = 0
        self.datagrams = 0
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.told: list[tuple[int, int]] = []
        self.watchers: list[Any] = []
        self.demands: list[Demand] = []
        self.entropy = CountingEntropy("device")
        self.inbox: Snapshot | None = None
        if commissioned:
            store = SqliteStore(self.database)
            with store.transaction() as changes:
                changes.put("fabric/1/record", b"a fabric")
            store.close()
        self.commissioned = commissioned
        self._puts, self._put_durable = 0, True
        self._boot_safety()

    # The safety process.

    def _boot_safety(self) -> None:
        self.safety_run_id += 1
        self.publisher = Publisher(self, self.safety_run_id, LoopTiming(self.machine.settings.board))  # type: ignore[arg-type]

    node_run = invitation = 1  # what is sent in memory arrives at most once and in order

    def send(self, datagram: bytes) -> bool:
        """Be the link's end at the safety process."""
        self.datagrams += 1
        if self.node_up and not (self.loses and self.datagrams % 2):
            self.inbox = decode_snapshot(datagram)
        return True

    def crash_safety(self) -> None:
        """Kill the safety process; it comes back after a second, and so the kernel has let go of its lines."""
        self.machine.restart()
        self.machine.demand = self.machine.mail = None
        self.dead_until_ns = self.clock.now_ns + SAFETY_RESTARTS_NS
        self._boot_safety()

    def _tick(self) -> None:
        machine = self.machine
        if self.clock.now_ns < self.dead_until_ns:
            machine.now_ns += TICK_NS
            if machine.now_ns >= self.dead_until_ns:
                machine.restart()
                machine.started_ns = machine.now_ns
        else:
            machine.tick()
            assert machine.seen is not None
            self.publisher.publish(machine.state, machine.seen, machine.settings.board, SCALE)
        self.clock.now_ns = machine.now_ns
        if machine.contacts_closed:
            self.register_mwh += 230 * sum(machine.drawn_ma) * TICK_NS / 3_600 / S

    # The node process.

    async def start(self) -> None:
        """Start the node on what is stored."""
        self.store = Store(self.database)
        assert self.store.damaged is None
        memory = load_startup_state(self.store, self.clock.unix_s())
        settings = self.machine.settings
        self.box = ChargePoint(self.clock, settings.board, settings.installation, memory, self, draw=self.entropy.below)
        self.renewal = True
        self.charger = ChargePointAdapter(self.box, self._renew)
        self.kept = QueuedStore(self.store.key_values(), self)
        self.charger.recall(self.kept)
        self.box.event_recorder.on_transition.append(lambda one: self.told.append((self.heard_boot, one.number)))
        self.mode, self.allowed = EnergyEvseModeServer(self.charger), DeviceEnergyManagementModeServer()
        self.management = DeviceEnergyManagementServer(self.charger)
        self.evse = EnergyEvseServer(self.charger)
        servers = (self.evse, self.mode, self.allowed, self.management)
        assert EVSE_ENDPOINT == 1
        self.events.append(("restart", {}))
        for event in self.evse.cluster.events.values():
            getattr(self.evse.events, event.key).on(self._hear_event(event.key))
        self.model = await attached(*servers, node=model_node(self.kept))
        self.model.changes.on(lambda _change: self._watch())
        self.node_up, self.inbox = True, None
        self.told.clear()  # what was consumed and not written yet is consumed again
        self._renewed_ns = self._second_ns = self.clock.now_ns
        self._send_demand()

    async def end_node(self) -> None:
        """Kill the node process: what was not written is lost."""
        self.node_up = False
        await self.model.close()
        if self.store._connection is not None:
            self.store._connection.close()

    def _hear_event(self, name: str) -> Any:
        def hear(payload: Any) -> None:
            self.events.append((name, dict(vars(payload))))

        return hear

    def _renew(self) -> None:
        self.renewal = True

    def _node(self) -> bool:
        """Do what is due at this instant, as the daemon does; return whether anything was."""
        now_ns, heard, self.inbox = self.clock.now_ns, self.inbox, None
        if heard is not None:
            known, number = self.box.snapshot, self.box.requests.number
            self.heard_boot = heard.safety_run_id
            self.box.on_snapshot(heard)
            if known is None or known.safety_run_id != heard.safety_run_id or self.box.requests.number != number:
                self.renewal = True
            self.charger.refresh()
        second = now_ns - self._second_ns >= S
        if second:
            self._second_ns = now_ns
            self._measure()
            self.box.tick()
            self.charger.refresh()
        expiry_ns = self.box.arbiter.next_expiry_ns(self._renewed_ns)
        expired = expiry_ns is not None and now_ns >= expiry_ns
        if self.renewal or expired or now_ns - self._renewed_ns >= 2 * S:
            self._send_demand()
        if heard is not None or second:
            self._write()
        return heard is not None or second

    def _measure(self) -> None:
        machine = self.machine
        if machine.meter_alive:
            amps = machine.drawn_ma if machine.contacts_closed else (0, 0, 0)
            power_mw = 230 * sum(amps)
            reading = meter_reading(self.clock.now_ns, int(self.register_mwh), power_mw, max(amps))
            self.box.measure(reading)
        if machine.thermometer_alive:
            self.box.temperature = TemperatureSample(self.clock.now_ns, CentiCelsius(machine.temperature))

    def _send_demand(self) -> None:
        self.renewal = False
        self._renewed_ns = self.clock.now_ns
        demand = decode_demand(encode_demand(self.box.demand()))
        self.datagrams += 1
        self.demands.append(demand)
        if not (self.loses and self.datagrams % 2) and self.clock.now_ns >= self.dead_until_ns:
            self.machine.mail = demand

    # What the storage's thread does.

    @property
    def number(self) -> int:
        """Return the number of the last write."""
        return self._puts

    def put(self, rows: Iterable[Row]) -> int:
        """Write Matter's values and what was set at once."""
        self._puts += 1
        self._put_durable = self.store.write(rows)
        return self._puts

    async def written(self, number: int) -> str | None:
        """Return what became of it."""
        return None if number == self._puts and self._put_durable else "full"

    def _write(self) -> bool:
        if self.storage_stuck:
            return False
        return self.store.write(self.box.event_recorder.write_queue.take(self.clock.now_ns))

    def _watch(self) -> None:
        for watch in self.watchers:
            watch()

    # Time and power.

    async def run(self, duration_ns: int) -> None:
        """Let time pass."""
        end_ns = self.clock.now_ns + duration_ns
        while self.clock.now_ns < end_ns:
            self._tick()
            if self.node_up and self._node():
                await asyncio.sleep(0)
                self._watch()
            if self.clock.now_ns % (10 * TICK_NS) == 0:
                await asyncio.sleep(10 * TICK_NS / S)

    async def cut_power(self, outage_s: int, *, knows_time: bool) -> None:
        """Cut the power of the whole box, and let it return."""
        if self.node_up:
            await self.end_node()
        clock, before_ns = self.clock, self.clock.now_ns
        clock.boot(outage_s, knows_time=knows_time)
        self.machine.rcd_latched = False
        self.machine.shift(clock.now_ns - before_ns)
        self.crash_safety()
        self.machine.started_ns = self.clock.now_ns
        self.dead_until_ns = 0
        await self.start()

    # What people do.

    def set_owner_permission(self, *, permitted: bool, limit_ma: int | None) -> bool:
        """Carry out the owner's order as the daemon does; return whether it is stored."""
        self.box.set_owner_permission(permitted=permitted, limit_ma=limit_ma)  # type: ignore[arg-type]
        self.charger.refresh()
        self.renewal = True
        journal = self.box.event_recorder.write_queue
        return self.store.write(journal.take(self.clock.now_ns)) and not journal.waiting

    def order(self, request: Request) -> None:
        self.box.order(request)
        self.renewal = True

    def install(self, capacity_ma: int) -> None:
        """Let the installer change the circuit's capacity; a higher one waits for an open contactor."""
        machine, house = self.machine, self.machine.settings.installation
        self.installed_ns = self.clock.now_ns
        if capacity_ma <= house.circuit_capacity_ma or not machine.closed:
            house = replace(house, circuit_capacity_ma=Milliamps(capacity_ma))
            machine.settings = replace(machine.settings, installation=house)
            if self.node_up:
                self.box.installation = house
                self.charger.refresh()
