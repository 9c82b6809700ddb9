"""An ideal wallbox round the real state machine: exact voltages, a contactor with delays, a clock that is asked for.

It models wires and never a rule: what the machine must do is said by the tests.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from evse_pi.core.board_ratings import BoardRatings, CoilChannels
from evse_pi.core.faults import Fault
from evse_pi.core.installation_limits import Installation
from evse_pi.core.io_records import CoilReading, Inputs, LoadVoltages, Outputs, PilotReading, PilotSupply
from evse_pi.core.machine import MachineState, initial, step
from evse_pi.core.machine_settings import MachineSettings, WakeUp
from evse_pi.core.records import Demand, MeterSample, Request, TemperatureSample
from evse_pi.core.states import EvseState, LimitSource, PilotMode, Reason
from hal.units import CentiCelsius, Milliamps, Millivolts, Ohms
from tests.support.gated_coil import GatedCoil

if TYPE_CHECKING:
    from collections.abc import Callable

MS = 1_000_000
S = 1_000_000_000
TICK_NS = 10 * MS
SAMPLES = 96
RAILS = PilotSupply(Millivolts(12_000), Millivolts(12_000), Millivolts(-12_000))
HIGH_MV = {"A": 12_000, "B": 9_000, "C": 6_000, "D": 3_000, "E": 0}

PLAIN_BOARD = BoardRatings(
    rated_current_ma=Milliamps(32_000),
    phases=3,
    contactor_pull_in_ns=30 * MS,
    contactor_release_ns=20 * MS,
    tethered_cable_ma=Milliamps(32_000),
    mirror_fitted=True,
)
FULL_BOARD = replace(
    PLAIN_BOARD,
    tethered_cable_ma=None,
    load_sense_fitted=True,
    load_phases=3,
    rcd_fitted=True,
    lock_fitted=True,
    emergency_stop_fitted=True,
    meter_fitted=True,
    temperature_fitted=True,
    pilot_supply_mv=(Millivolts(11_500), Millivolts(12_500)),
)
COUPLER_BOARD = replace(FULL_BOARD, load_phases=0)
"""For tests that leave out ticks: looks that are further apart than half a period cannot tell whether a phase turns."""
GATED_BOARD = replace(
    FULL_BOARD,
    coil_channels=CoilChannels(42 * MS, 58 * MS, 30 * MS, (Millivolts(20_400), Millivolts(28_800))),
)
"""Gate and coil node of docs/boards/reference.md: a hold of 42 to 58 ms, armed after 30 ms, 20.4 to 28.8 V."""
HOUSE = Installation(circuit_capacity_ma=Milliamps(32_000), phases=3, country="DE")


def settings_for(board: BoardRatings = PLAIN_BOARD, wake_up: WakeUp | None = None, **house: Any) -> MachineSettings:
    """Return settings of `board` in a German house, except for what `house` says otherwise."""
    return MachineSettings(board, replace(HOUSE, **house), wake_up=wake_up or WakeUp())


def reading(high_mv: int | None, low_mv: int | None, high_ppm: int) -> PilotReading:
    """Return what a window without noise reads."""
    high_count = SAMPLES * high_ppm // 1_000_000 if high_mv is not None else 0
    high, low = (None if value is None else Millivolts(value) for value in (high_mv, low_mv))
    return PilotReading(high, low, Millivolts(0), high_count, SAMPLES - high_count, high_ppm, supply=RAILS)


@dataclass
class IdealBox:
    """The machine and what it is wired to. Verbs of the outside world change the fields; `run` lets time pass."""

    settings: MachineSettings = field(default_factory=settings_for)
    now_ns: int = 1_000 * S
    vehicle: str = "A"
    diode: bool = True
    mains: tuple[bool, bool, bool] = (True, True, True)
    garbled: bool = False  # the window shows nothing that can be believed
    stuck_closed: bool = False
    stuck_open: bool = False
    rcd_works: bool = True
    rcd_latched: bool = False
    emergency_stop: bool = False
    ohms: int | None = None
    lock_jammed: bool = False
    locked: bool = False
    failures: frozenset[Fault] = frozenset()
    alarms: frozenset[Fault] = frozenset()
    permitted: bool = True
    asked_ma: int = 16_000
    node_alive: bool = True
    meter_alive: bool = True
    thermometer_alive: bool = True
    drawn_ma: tuple[int, int, int] = (0, 0, 0)
    voltage_mv: tuple[int, int, int] = (230_000, 230_000, 230_000)
    temperature: int = 25_00
    request: Request = Request.NONE
    request_number: int = 0
    former: frozenset[Fault] = frozenset()
    state: MachineState = field(init=False)
    demand: Demand | None = None
    trace: list[tuple[int, Outputs]] = field(default_factory=list)
    coil: GatedCoil = field(default_factory=GatedCoil)

    def __post_init__(self) -> None:
        self.state = initial(self.now_ns, self.former)
        self.started_ns = self.now_ns
        self.outputs = self.state.outputs
        self.switched_ns = self.now_ns - S
        self.driven_ns: int | None = None

    # --- the outside world -------------------------------------------------------------------------------------

    def order(self, request: Request) -> None:
        """Send one-time orders with the next demand."""
        self.request, self.request_number = request, self.request_number + 1
        self.demand = None

    def fork(self) -> Self:
        """Return a second box in the same situation."""
        other = copy.copy(self)
        other.trace, other.coil = [], copy.copy(self.coil)
        return other

    def restart(self) -> None:
        """Kill the machine and start it again; the world goes on."""
        self.state = initial(self.now_ns)
        self._actuate(self.state.outputs)

    def charging(self) -> Self:
        """Bring a vehicle from unplugged to charging; return the box."""
        self.run_until(lambda box: box.reason is Reason.NO_VEHICLE, 10 * S)
        self.plug_in()
        self.run_until(lambda box: box.reason is Reason.VEHICLE_NOT_READY, 30 * S)
        self.vehicle = "C"
        self.run_until(lambda box: box.closed, 30 * S)
        self.run(100 * MS)
        return self

    def plug_in(self, vehicle: str = "B") -> None:
        """Plug in a vehicle with a 32 A cable; at one that is there already it shows B first, as each with S2 does."""
        there = self.ohms is not None or not self.settings.board.proximity_fitted
        if vehicle in ("C", "D") and self.vehicle != "B" and there:
            self.vehicle = "B"
            self.run(500 * MS)
        self.vehicle, self.ohms = vehicle, 220

    def unplug(self) -> None:
        """Take the plug out of the vehicle."""
        self.vehicle = "A"

    # --- what can be seen from outside -------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        return self.outputs.close_ordered

    @property
    def mode(self) -> PilotMode:
        return self.outputs.pilot.mode

    @property
    def reason(self) -> Reason:
        return self.state.status.reason

    @property
    def faults(self) -> frozenset[Fault]:
        return self.state.book.active

    @property
    def contacts_closed(self) -> bool:
        """Where the main contacts are: they follow the coil after its pull-in or release time."""
        board = self.settings.board
        driven, switched_ns = self.closed, self.switched_ns
        if board.coil_channels is not None:
            self.coil.follow(self.now_ns)
            driven, switched_ns = self.coil.carries, self.coil.switched_ns
        delay_ns = board.contactor_pull_in_ns if driven else board.contactor_release_ns
        moved = self.now_ns - switched_ns >= delay_ns - 5 * MS
        follows = driven if moved else not driven
        return (follows or self.stuck_closed) and not self.stuck_open

    # --- time --------------------------------------------------------------------------------------------------

    def run(self, duration_ns: int) -> None:
        """Let time pass in ticks of 10 ms."""
        end_ns = self.now_ns + duration_ns
        while self.now_ns + TICK_NS <= end_ns:
            self.tick()

    def idle(self, duration_ns: int) -> None:
        """Let a long time pass in which nothing happens outside, with two ticks a second, which see the mains turn."""
        end_ns = self.now_ns + duration_ns
        while self.now_ns + S <= end_ns:
            self.now_ns += S - 2 * TICK_NS
            self.tick()
            self.tick()

    def run_until(self, condition: Callable[[Self], object], limit_ns: int) -> int:
        """Tick until `condition(box)`; return how long it took, fail after `limit_ns`."""
        begun_ns = self.now_ns
        while not condition(self):
            assert self.now_ns - begun_ns < limit_ns, (
                f"not within {limit_ns / S} s: {self.state.phase} {self.reason} {sorted(self.faults)}"
            )
            self.tick()
        return self.now_ns - begun_ns

    def tick(self) -> None:
        """One tick: read, step, act."""
        self.now_ns += TICK_NS
        self._renew()
        self.state, outputs = step(self.state, self.inputs(), self.settings)
        self._actuate(outputs)

    def inputs(self) -> Inputs:
        """Return what the tick at this instant reads."""
        board = self.settings.board
        return Inputs(
            now_ns=self.now_ns,
            pilot=self.window(),
            demand=self.demand,
            mirror_closed=self.contacts_closed if board.mirror_fitted else None,
            load_live=self._any_live if board.load_sense_fitted and not board.load_phases else None,
            rcd_tripped=board.rcd_fitted and (self.rcd_latched or (self.outputs.rcd_test and self.rcd_works)),
            emergency_stop=self.emergency_stop,
            proximity_ohms=None if self.ohms is None else Ohms(self.ohms),
            locked=self.locked if board.lock_fitted else None,
            failures=self.failures,
            alarms=self.alarms,
            load=self.load_voltages() if board.load_phases else None,
            coil=self._coil_reading() if board.coil_channels and board.coil_channels.supply_mv else None,
        )

    def _coil_reading(self) -> CoilReading | None:
        if Fault.PILOT_ADC_FAILED in self.failures:  # one converter reads both
            return None
        return CoilReading(Millivolts(self.coil.node_mv(self.now_ns)), self.now_ns, self.coil.fed_ns)

    @property
    def _any_live(self) -> bool:
        return self.contacts_closed and any(self.mains)

    def load_voltages(self) -> LoadVoltages:
        """Return what each phase behind the contacts shows: a tick is half a period of 50 Hz, so the sign turns."""
        peak_mv = 300_000 if self.now_ns // TICK_NS % 2 else -300_000
        seen = tuple(Millivolts(peak_mv if self.contacts_closed and live else 0) for live in self.mains)
        return LoadVoltages(seen, seen)

    def window(self) -> PilotReading | None:
        """Return what the pilot shows: the generator's level, loaded by the vehicle behind its diode."""
        if Fault.PILOT_ADC_FAILED in self.failures:
            return None
        if self.garbled:
            high, low, spread = Millivolts(6_400), Millivolts(-12_000), Millivolts(3_000)
            return PilotReading(high, low, spread, 48, 48, 500_000, supply=RAILS)
        high_mv = HIGH_MV[self.vehicle]
        low_mv = -12_000 if self.diode or self.vehicle == "A" else -high_mv
        low_mv = 0 if self.vehicle == "E" else low_mv
        if self.mode is PilotMode.HIGH:
            return reading(high_mv, None, 1_000_000)
        if self.vehicle == "E":
            return reading(0, None, 1_000_000)
        if self.mode is PilotMode.LOW:
            return reading(None, low_mv, 0)
        return reading(high_mv, low_mv, self.outputs.pilot.duty_ppm)

    def _renew(self) -> None:
        """The node sends a demand every 2 s, with what its sensors read."""
        if not self.node_alive:
            return
        due = self.demand is None or self.now_ns >= self.demand.valid_until_ns - 13 * S
        changed = self.demand is not None and (self.demand.permitted, self.demand.offered_current_ma) != (
            self.permitted,
            self.asked_ma,
        )
        if not due and not changed:
            return
        old = self.demand
        a, b, c = map(Millivolts, self.voltage_mv)
        x, y, z = map(Milliamps, self.drawn_ma)
        meter = MeterSample(self.now_ns, (a, b, c), (x, y, z))
        heat = TemperatureSample(self.now_ns, CentiCelsius(self.temperature))
        self.demand = Demand(
            number=1 if old is None else old.number + 1,
            permitted=self.permitted,
            offered_current_ma=Milliamps(self.asked_ma),
            limit_source=LimitSource.OWNER,
            valid_until_ns=self.now_ns + 15 * S,
            meter=meter if self.meter_alive else old.meter if old else None,
            temperature=heat if self.thermometer_alive else old.temperature if old else None,
            request=self.request,
            request_number=self.request_number,
        )

    def _actuate(self, outputs: Outputs) -> None:
        if outputs != self.outputs:
            self.trace.append((self.now_ns, outputs))
        if outputs.close_ordered is not self.closed:
            self.switched_ns = self.now_ns
        if outputs.rcd_test and self.rcd_works:
            self.rcd_latched = True
        if outputs.rcd_reset:
            self.rcd_latched = False
        if outputs.lock is not None and not self.lock_jammed:
            self.locked = outputs.lock
        self.outputs = outputs
        if self.settings.board.coil_channels is not None:
            self.coil.told(
                self.now_ns,
                fed=outputs.gate_fed,
                returned=outputs.coil_returned,
                latched=self.rcd_latched,
                stopped=self.emergency_stop,
            )


@cache
def _brought_to(state: EvseState, settings: MachineSettings) -> IdealBox:
    box = IdealBox(settings)
    if state is EvseState.F:
        box.run(100 * MS)
        return box
    box.run_until(lambda b: b.reason is Reason.NO_VEHICLE, 10 * S)
    if state is EvseState.A:
        box.run(20 * S)
        return box
    if state is EvseState.E:
        box.vehicle = "E"
        box.run(100 * MS)
        return box
    box.permitted = state in (EvseState.B2, EvseState.C2, EvseState.D2)
    box.plug_in(state.name[0])
    box.run(30 * S)
    assert box.state.status.evse_state is state
    assert box.closed is (state in (EvseState.C2, EvseState.D2))
    return box


def box_in(state: EvseState, settings: MachineSettings) -> IdealBox:
    """Return a box that has been led to `state`, in C2 and D2 with a closed contactor."""
    box = _brought_to(state, settings).fork()
    assert box.state.status.evse_state is state
    return box
