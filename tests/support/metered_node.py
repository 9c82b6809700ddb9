"""A node's charge point in front of a simulated house: the real driver reads the emulated meter over a virtual line."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from boards.build_field import TABLES
from boards.spec import MeterModel
from evse_pi.api.texts.trouble_texts import meter_trouble
from evse_pi.charging.charge_point import ChargePoint
from evse_pi.charging.startup_state import StartupState
from evse_pi.core.installation_limits import Installation
from evse_pi.node.field_devices import Probe
from evse_pi.sim.devices.modbus import ModbusMeter
from evse_pi.sim.harness.virtual_clock import VirtualClock
from evse_pi.sim.mains import MainsSettings
from evse_pi.sim.plant import Plant, PlantSettings
from evse_pi.sim.signals import Drive
from evse_pi.sim.vehicle import VehicleSettings
from hal.meters.eastron import EastronMeter
from hal.meters.modbus_rtu import ModbusRtu
from hal.units import SECOND, Milliamps
from tests.support.node_box import RATINGS, FakeSafety, HandWriter

if TYPE_CHECKING:
    from hal.interfaces import MeterReading

BAUD = 9_600
HOUSE = Installation(Milliamps(80_000), 3, "DE")
_BYTE_NS = 11 * SECOND // BAUD


class VirtualLine:
    """pyserial's port, with the emulated meter at its end; `clock` is the reader's, and reading takes its time.

    It keeps at most what a kernel's buffer keeps.
    """

    BUFFER = 4_096

    def __init__(self, meter: ModbusMeter, clock: VirtualClock) -> None:
        self._meter = meter
        self._clock = clock
        self._coming: list[tuple[int, bytes]] = []
        self._arrived = b""
        self._talked_ns = clock.now_ns
        self.timeout_ns = 0
        self.most_waiting = 0

    def __call__(self, _port: str, baud: int, **settings: Any) -> VirtualLine:
        assert baud == BAUD
        self.timeout_ns = int(settings["timeout"] * SECOND)
        return self

    @property
    def in_waiting(self) -> int:
        self._bring()
        return len(self._arrived)

    def reset_input_buffer(self) -> None:
        self._bring()
        self._arrived = b""

    def write(self, data: bytes) -> None:
        at_ns = self._clock.now_ns + len(data) * _BYTE_NS
        for after_ns, part in self._meter.transmission(data):
            at_ns += after_ns + len(part) * _BYTE_NS
            self._coming.append((at_ns, part))

    def read(self, size: int) -> bytes:
        deadline_ns = self._clock.now_ns + self.timeout_ns
        self._bring()
        while len(self._arrived) < size and self._clock.now_ns < deadline_ns:
            self._clock.now_ns = min(self._next_ns(), deadline_ns)
            self._bring()
        taken, self._arrived = self._arrived[:size], self._arrived[size:]
        return taken

    def close(self) -> None:
        self._coming, self._arrived = [], b""

    def _next_ns(self) -> int:
        talk = self._meter.chatter()
        due = [at_ns for at_ns, _ in self._coming] + ([self._talked_ns + talk[0]] if talk else [])
        return min(due, default=1 << 62)

    def _bring(self) -> None:
        now_ns, talk = self._clock.now_ns, self._meter.chatter()
        arrived = [part for at_ns, part in self._coming if at_ns <= now_ns]
        self._coming = [each for each in self._coming if each[0] > now_ns]
        while talk is not None and self._talked_ns + talk[0] <= now_ns:
            self._talked_ns += talk[0]
            arrived.append(talk[1])
        if talk is None:
            self._talked_ns = now_ns
        self._arrived = (self._arrived + b"".join(arrived))[: self.BUFFER]
        self.most_waiting = max(self.most_waiting, len(self._arrived))


class MeteredNode:
    """A closed contactor, a vehicle that draws, and all that the node makes of its meter, second by second."""

    def __init__(
        self, model: MeterModel = MeterModel.SDM630, house: Installation = HOUSE, *, draw_ma: int = 16_000
    ) -> None:
        phases = 1 if model in (MeterModel.SDM120, MeterModel.SDM230) else 3
        self.clock = VirtualClock()
        self.house = replace(house, phases=min(phases, house.phases))
        settings = PlantSettings(
            mains=MainsSettings(phases=phases, frequency_swing_mhz=20),
            vehicle=VehicleSettings(automatic=True, phases=phases, demand_ma=draw_ma),
        )
        self.plant = Plant(settings, self.clock.now_ns)
        self.do("ignore_offer")
        self.do("plug_in")
        self.plant.set_pilot(960_000, self.clock.now_ns)
        self.plant.drive(Drive.CONTACTOR, True, self.clock.now_ns)
        self.safety = FakeSafety(self.clock)
        ratings = replace(RATINGS, phases=phases, rated_current_ma=Milliamps(80_000))
        self.box = ChargePoint(self.clock, ratings, self.house, StartupState(), HandWriter())
        self.box.commission(commissioned=False)
        self.lines: list[VirtualLine] = []
        self._model = model
        self.probe: Probe[EastronMeter, MeterReading] = Probe(
            "meter", "/dev/virtual", self._open, lambda meter: meter.read(), SECOND
        )
        for state in ("B", "C"):
            self.box.on_snapshot(self.safety.become(state))
        self.wait(10)

    def _open(self) -> EastronMeter:
        self._reader = VirtualClock(self.clock.now_ns)
        line = VirtualLine(ModbusMeter(self._model.value, 1, self.plant), self._reader)
        self.lines.append(line)
        table = TABLES[self._model] if self.house.neutral else TABLES[self._model].without_neutral()
        bus = ModbusRtu("/dev/virtual", BAUD, open_port=line, clock=self._reader.monotonic_ns)
        return EastronMeter(bus, 1, table, self.clock.monotonic_ns, inverted=self.house.meter_inverted)

    def do(self, verb: str, **arguments: Any) -> None:
        self.plant.apply(verb, arguments, self.clock.now_ns)

    def wait(self, seconds: int) -> None:
        """Let the seconds pass, in each of which the node reads, judges and demands."""
        for _ in range(seconds):
            self.clock.advance_s(1)
            self.plant.advance(self.clock.now_ns)
            self.box.on_snapshot(self.safety.snapshot())
            if self.probe.due_ns <= self.clock.now_ns:
                if self.lines:
                    self._reader.now_ns = max(self._reader.now_ns, self.clock.now_ns)
                self.probe.poll(self.clock.monotonic_ns)
            if self.probe.newest is not None:
                self.box.measure(self.probe.newest.value)
            self.box.tick()

    @property
    def blind(self) -> bool:
        """Whether the safety process would find no reading of the last 15 s, and stop."""
        sample = self.box.demand().meter
        return sample is None or self.clock.now_ns - sample.at_ns >= 15 * SECOND

    @property
    def told(self) -> str:
        """What the status says of the meter."""
        trouble = self.box.meter_check.trouble
        return self.probe.trouble or ("" if trouble is None else meter_trouble(trouble))

    @property
    def energy_mwh(self) -> int:
        session = self.box.event_recorder.session
        assert session is not None
        return session.energy_mwh
