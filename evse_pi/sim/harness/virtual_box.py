"""A wallbox, a car and a node under virtual time: the real loop on the simulated plant, no processes, no waiting."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from boards.build_safety import SafetyHardware
from boards.spec import NotFitted, PilotSupplySpec
from evse_pi.core.faults import NO_FAULTS
from evse_pi.core.machine_settings import MachineSettings
from evse_pi.installation.files import SIMULATED_INSTALLATION, ratings
from evse_pi.recorder.ring import RING_BYTES
from evse_pi.safety.fault_memory import outliving
from evse_pi.safety.loop import LoopSettings, SafetyLoop
from evse_pi.safety.recorder import BlackBoxWriter
from evse_pi.sim.board_wiring import plant_of
from evse_pi.sim.harness.faulty_drivers import Breakable, Breakage, ProcessHangs
from evse_pi.sim.harness.scripted_node import ScriptedNode
from evse_pi.sim.harness.simulated_drivers import (
    PlantPort,
    SimulatedContactor,
    SimulatedEmergencyStop,
    SimulatedLock,
    SimulatedPilotAdc,
    SimulatedPilotPwm,
    SimulatedProximity,
    SimulatedRcd,
    SimulatedStatusLed,
    SimulatedVoltageSense,
    SimulatedWatchdog,
    SimulatedWeldOutput,
)
from evse_pi.sim.harness.virtual_clock import VirtualClock
from evse_pi.sim.plant import Plant
from evse_pi.sim.signals import Drive
from hal.units import MILLISECOND, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from boards.spec import BoardSpec
    from evse_pi.core.faults import Fault
    from evse_pi.core.installation_limits import Installation
    from evse_pi.core.states import EvseState
    from evse_pi.safety.loop_interfaces import Installed, ProcessServices

SERVICE_WATCHDOG_NS = SECOND
RESTART_NS = SECOND
SAFE_OFF_NS = 150 * MILLISECOND  # start of a Python process


class QuietServices:
    """A process without service manager, files or garbage."""

    def heartbeat(self) -> None:
        """Do nothing: there is no listener."""

    def remember(self, faults: frozenset[Fault]) -> None:
        """The world looks for itself."""

    def collect_garbage(self) -> None:
        """Virtual time has no pauses."""

    def touched(self) -> bool:
        """Do nothing: there is nothing to change."""
        return False

    def reload(self) -> Installed | None:
        """The installer has nothing new to say."""
        return None


@dataclass(frozen=True, slots=True)
class VirtualBoxSettings:
    """One box and how its host treats it.

    `persist` is a kernel that keeps outputs driven after their process died; `lateness` draws a tick's delay in ns.
    `records` keeps the ticks in the world's `black_box`.
    """

    board: BoardSpec
    installation: Installation = SIMULATED_INSTALLATION
    persist: bool = False
    seed: int = 1
    alarms: frozenset[Fault] = NO_FAULTS
    lateness: Callable[[random.Random], int] = field(default=lambda _: 0)
    services: ProcessServices = field(default_factory=QuietServices)
    records: bool = False


class VirtualBox:
    """Everything, and the verbs to let it happen.

    `watchers` look after every tick; `may_crash` allows the process to end by itself, which is an error otherwise.
    """

    def __init__(self, settings: VirtualBoxSettings) -> None:
        self.settings = settings
        self.clock = VirtualClock(SECOND)
        self.plant = Plant(plant_of(settings.board, seed=settings.seed), self.clock.now_ns)
        self.node = ScriptedNode(self.plant)
        self.breakage = Breakage()
        self.black_box = bytearray(RING_BYTES if settings.records else 0)
        self.boots = 0
        self.may_crash = False
        self.watchers: list[Callable[[], None]] = []
        self.exit_status: int | None = None
        self._rng = random.Random(settings.seed)
        self._former: frozenset[Fault] = NO_FAULTS
        self._powered_up = True
        self._hung_ns: int | None = None
        self._wake_ns = 0
        self._safe_off_ns = 0
        self.loop: SafetyLoop | None = None
        self._start()

    # Time.

    def wait(self, duration_ns: int) -> None:
        """Let `duration_ns` pass."""
        end_ns = self.clock.now_ns + duration_ns
        while self.clock.now_ns < end_ns:
            self._go_on(end_ns)

    def wait_for(self, condition: Callable[[], bool], within_ns: int) -> int:
        """Let time pass until `condition` holds and return how much did. Raises: TimeoutError."""
        started_ns = self.clock.now_ns
        while not condition():
            if self.clock.now_ns - started_ns >= within_ns:
                raise TimeoutError(f"not within {within_ns} ns: {self.describe()}")
            self._go_on(started_ns + within_ns)
        return self.clock.now_ns - started_ns

    def wait_for_state(self, state: EvseState, within_ns: int) -> int:
        """Let time pass until the box is in `state` and return how much did. Raises: TimeoutError."""
        return self.wait_for(lambda: self.evse_state is state, within_ns)

    # What happens.

    def do(self, verb: str, **arguments: Any) -> None:
        """Let one of the plant's verbs happen now."""
        self.plant.apply(verb, arguments, self.clock.now_ns)

    def kill(self) -> None:
        """Kill the safety process; the kernel, the service manager and `safe_off` do what they do then."""
        now_ns = self.clock.now_ns
        if self.loop:
            self._former = outliving(self.loop.state.book.active)
        self.loop = None
        self._hung_ns = None
        if not self.settings.persist:
            self._release_lines(now_ns)
        self._safe_off_ns = now_ns + SAFE_OFF_NS
        self._wake_ns = now_ns + RESTART_NS

    def cut_power(self) -> None:
        """Take the supply away from everything for a moment; only what is on disk outlives it."""
        self.kill()
        self._powered_up = True
        self.plant.rcd.power_up()

    # What is seen.

    @property
    def evse_state(self) -> EvseState | None:
        """The state that the box is in, None while no process runs."""
        return self.loop.state.status.evse_state if self.loop else None

    @property
    def faults(self) -> frozenset[Fault]:
        """The active faults, none while no process runs."""
        return self.loop.state.book.active if self.loop else NO_FAULTS

    @property
    def energised(self) -> bool:
        """Whether any pole conducts."""
        self.plant.advance(self.clock.now_ns)
        return any(self.plant.contactor.closed)

    @property
    def asked_closed(self) -> bool:
        """Whether the contactor is told to close: its line alone may also be driven to prove that the gate is open."""
        ordered = self.loop is None or self.loop.state.outputs.close_ordered
        return ordered and self.plant.drives[Drive.CONTACTOR]

    def describe(self) -> str:
        """Return one line for a message."""
        if self.loop is None:
            return f"no process, poles {self.plant.contactor.closed}"
        state = self.loop.state
        faults = ", ".join(fault.name for fault in sorted(self.faults)) or "none"
        return (
            f"{state.status.evse_state.name} {state.phase.name} because {state.status.reason.name}, faults {faults}, "
            f"poles {self.plant.contactor.closed}, car {self.plant.vehicle.s2}"
        )

    # How it goes on.

    def _go_on(self, end_ns: int) -> None:
        """Do the next thing that is due, or let the time come to `end_ns`."""
        if self.loop is None:
            self._be_dead(end_ns)
        elif self._hung_ns is not None:
            self._hang(end_ns, self._hung_ns + SERVICE_WATCHDOG_NS)
        elif self.loop.due_ns > end_ns:
            self._idle(end_ns)
        else:
            self._tick(self.loop)
        for watch in self.watchers:
            watch()

    def _tick(self, loop: SafetyLoop) -> None:
        self.clock.sleep_until(loop.due_ns + self.settings.lateness(self._rng))
        self.node.act(self.clock.now_ns)
        try:
            loop.tick(self.clock.now_ns)
            loop.rest()
        except ProcessHangs:
            self._hung_ns = self.clock.now_ns
        except SystemExit as end:
            if not self.may_crash:
                raise RuntimeError("the safety process ended by itself") from end
            self.exit_status = cast("int", end.code)
            self.kill()
        self.plant.advance(self.clock.now_ns)

    def _hang(self, end_ns: int, killed_ns: int) -> None:
        self._idle(min(end_ns, killed_ns))
        if self.clock.now_ns >= killed_ns:
            self.kill()

    def _be_dead(self, end_ns: int) -> None:
        self._idle(min(end_ns, max(self._safe_off_ns, self.clock.now_ns)) if self._safe_off_ns else end_ns)
        if self._safe_off_ns and self.clock.now_ns >= self._safe_off_ns:
            self._safe_off_ns = 0
            self._release_lines(self.clock.now_ns)
            self.plant.set_pilot(0, self.clock.now_ns)
        if self.clock.now_ns >= self._wake_ns:
            self._start()

    def _idle(self, until_ns: int) -> None:
        self.clock.sleep_until(until_ns)
        self.plant.advance(self.clock.now_ns)

    def _release_lines(self, now_ns: int) -> None:
        for line in Drive:
            self.plant.drive(line, False, now_ns)

    def _start(self) -> None:
        settings = self.settings
        self.boots += 1
        loop_settings = LoopSettings(
            machine=MachineSettings(ratings(settings.board), settings.installation),
            pilot_scale=settings.board.pilot_adc.scale,
            safety_run_id=self.boots,
            alarms=settings.alarms,
            former=self._former,
            powered_up=self._powered_up,
        )
        black_box = (
            BlackBoxWriter(
                bytes(self.black_box),
                self._write_black_box,
                safety_run_id=self.boots,
                scale=loop_settings.pilot_scale,
                board=loop_settings.machine.board,
                started_ns=self.clock.now_ns,
            )
            if self.settings.records
            else None
        )
        self._powered_up = False
        self.loop = SafetyLoop(
            self._hardware(), self.node, loop_settings, self.clock.monotonic_ns, settings.services, black_box
        )

    def _write_black_box(self, at: int, content: bytes) -> None:
        self.black_box[at : at + len(content)] = content

    def _hardware(self) -> SafetyHardware:
        """Return the drivers of the board's devices, outputs first and off, each of them breakable."""
        board, port = self.settings.board, PlantPort(self.plant, self.clock)
        contactor, pwm = SimulatedContactor(port, board.contactor), SimulatedPilotPwm(port)
        contactor.open()
        pwm.set_low()

        weld = board.weld_output
        supply = board.pilot_supply if isinstance(board.pilot_supply, PilotSupplySpec) else None

        def breakable(device: object, name: str) -> Any:
            return Breakable(device, name, self.breakage)

        return SafetyHardware(
            contactor=breakable(contactor, "contactor"),
            pilot_pwm=breakable(pwm, "pilot_pwm"),
            pilot_adc=breakable(SimulatedPilotAdc(port, board, self._rng), "pilot_adc"),
            pilot_supply=supply,
            load_sense=board.load_sense,
            weld_output=breakable(SimulatedWeldOutput(port, readable=weld.readback is not None), "weld_output")
            if weld
            else None,
            coil_node=board.coil_node,
            watchdog=None if isinstance(board.watchdog, NotFitted) else breakable(SimulatedWatchdog(port), "watchdog"),
            rcd=None if isinstance(board.rcd, NotFitted) else breakable(SimulatedRcd(port), "rcd"),
            voltage_sense=breakable(SimulatedVoltageSense(port), "voltage_sense") if board.voltage_sense else None,
            proximity=breakable(SimulatedProximity(port), "proximity") if board.proximity else None,
            lock=breakable(SimulatedLock(port), "lock") if board.lock else None,
            emergency_stop=breakable(SimulatedEmergencyStop(port), "emergency_stop") if board.emergency_stop else None,
            status_led=breakable(SimulatedStatusLed(port), "status_led") if board.status_led else None,
        )
