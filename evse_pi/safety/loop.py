"""The tick: read, decide, act, publish, pulse; and what happens when any of that fails."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evse_pi.core.faults import NO_FAULTS, Fault
from evse_pi.core.machine import initial, step
from evse_pi.core.records import Request
from evse_pi.core.states import EvseState
from evse_pi.core.status_light import lit
from evse_pi.safety.actuators import Actuators
from evse_pi.safety.input_reader import InputReader
from evse_pi.safety.loop_timing import LoopTiming
from evse_pi.safety.publisher import Publisher
from hal.errors import HalError
from hal.units import MICROSECOND, MILLISECOND, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from boards.build_safety import SafetyHardware
    from evse_pi.core.io_records import Inputs
    from evse_pi.core.machine import MachineState
    from evse_pi.core.machine_settings import MachineSettings
    from evse_pi.core.records import Demand
    from evse_pi.safety.loop_interfaces import DemandLink, Installed, ProcessServices
    from evse_pi.safety.recorder import BlackBoxWriter
    from hal.linear_scale import LinearScale

PERIOD_NS = 10 * MILLISECOND
HEARTBEAT_NS = 200 * MILLISECOND  # for a service manager that waits one second
COLLECT_NS = 60 * SECOND
STOP_WITHIN_NS = 7 * SECOND  # the vehicle's 6 s, and one for the contactor; the service manager kills after 8
EX_SOFTWARE = 70  # sysexits(3): the service manager restarts the process, into the self-test


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """What a start of the safety process knows.

    `alarms` are what the start found out about itself; `former` are faults that the process had when it died.
    `powered_up` says that this is the first start since the box was switched on.
    """

    machine: MachineSettings
    pilot_scale: LinearScale
    safety_run_id: int
    alarms: frozenset[Fault] = NO_FAULTS
    former: frozenset[Fault] = NO_FAULTS
    powered_up: bool = False


class SafetyLoop:
    """Decides where the contactor is, a hundred times a second. Hazard: H-01, H-08, H-09, H-10.

    Units: `clock` returns ns of CLOCK_MONOTONIC; `due_ns` is when the next tick should begin.
    """

    def __init__(
        self,
        hardware: SafetyHardware,
        link: DemandLink,
        settings: LoopSettings,
        clock: Callable[[], int],
        services: ProcessServices,
        black_box: BlackBoxWriter | None = None,
    ) -> None:
        self.due_ns = clock()
        self.timing = LoopTiming(settings.machine.board)
        self._link = link
        self._clock = clock
        self._services = services
        self._watchdog = hardware.watchdog
        self._led = hardware.status_led
        self._lit: bool | None = None
        self._input_reader = InputReader(hardware, settings.pilot_scale, self.timing, clock)
        self._actuators = Actuators(hardware)
        self._publisher = Publisher(link, settings.safety_run_id, self.timing)
        self._machine = settings.machine
        self._alarms = settings.alarms
        switched_on = (
            settings.powered_up and settings.machine.board.rcd_fitted
        )  # only that device needs a while to wake
        self._state = initial(self.due_ns, settings.former, powered_up=switched_on)
        self._demand: Demand | None = None
        self._watchdog_failed = False
        self._fed_ns = self.due_ns
        self._feeding = False
        self._reload_wanted = False
        self._waiting: Installed | None = None
        self._waiting_since = 0
        self._stop_by_ns: int | None = None
        self._heartbeat_ns = self.due_ns
        self._collect_ns = self.due_ns
        self._black_box = black_box
        self._before = self._state
        self._inputs: Inputs | None = None
        self._times_us = (0, 0)

    @property
    def state(self) -> MachineState:
        """What the last tick decided."""
        return self._state

    @property
    def stopped(self) -> bool:
        """Whether a stop was asked for and the contactor is open, or will never obey any more."""
        return self._stop_by_ns is not None and (self._actuators.opened or self._clock() >= self._stop_by_ns)

    def request_stop(self) -> None:
        """Let go of the vehicle softly, as if the lease had ended, and be `stopped` once the contactor is open."""
        self._stop_by_ns = self._clock() + STOP_WITHIN_NS

    def run(self, sleep_until: Callable[[int], None]) -> None:
        """Tick on absolute deadlines until stopped. Raises: SystemExit, as `tick`."""
        while not self.stopped:
            sleep_until(self.due_ns)
            self.tick(self._clock())
            self.rest()

    def tick(self, now_ns: int) -> None:
        """Look once, decide, and act on it; whatever fails, the contactor is open when this returns or raises.

        Raises: SystemExit after anything that no driver is known to raise; the process must end then.
        """
        try:
            self._tick(now_ns)
        except Exception as error:
            raise self._given_up(now_ns) from error

    def rest(self) -> None:
        """Do between two ticks what must not lengthen one; with a closed contactor only what the installer orders.

        Raises: SystemExit, as `tick`.
        """
        try:
            self._rest()
        except Exception as error:
            raise self._given_up(self._clock()) from error

    def _given_up(self, now_ns: int) -> SystemExit:
        """Open, say so as far as that still works, and return what ends the process."""
        self._actuators.make_safe()
        with suppress(Exception):
            self._publisher.send_final_snapshot(now_ns)
        with suppress(Exception):
            self._record()
        return SystemExit(EX_SOFTWARE)

    def _rest(self) -> None:
        self._services.remember(self._state.book.active)
        self._record()
        self._update_led()
        if self._reload_wanted:
            self._reload_wanted = False
            self._reload()
        if self._waiting is not None:
            self._adopt(self._waiting)
        if self._actuators.opened and self._state.status.evse_state is EvseState.A:
            self._do_housekeeping()

    def _do_housekeeping(self) -> None:
        """Once a minute, collect garbage and find out whether the installer's files changed without a reload."""
        if self._clock() >= self._collect_ns:
            self._services.collect_garbage()
            self._reload_wanted |= self._services.touched()
            self._collect_ns = self._clock() + COLLECT_NS

    def _tick(self, now_ns: int) -> None:
        alarms = self._alarms | self._judge_time(now_ns)
        self._actuators.prepare(now_ns)
        self._lower_pulse()
        failures = self._actuators.failures
        if self._watchdog_failed:
            failures |= {Fault.WATCHDOG_DRIVE_FAILED}
        before = self._state
        self._input_reader.fed_ns = self._fed_ns
        inputs = self._input_reader.read(now_ns, self._listen(), failures, alarms)
        self._decide(before, inputs)
        if not self._actuators.failures <= inputs.failures:
            inputs = replace(inputs, failures=inputs.failures | self._actuators.failures)
            self._decide(before, inputs)
        acted_ns = self._clock()
        self.timing.add_acted(acted_ns)
        self._times_us = (self._times_us[0], (acted_ns - now_ns) // MICROSECOND)
        self._publisher.publish(self._state, inputs, self._machine.board, self._input_reader.pilot_scale)
        if self._actuators.obeyed and not self._watchdog_expired(self._clock()):
            self._send_heartbeat()
            if not self._pulse():
                self._decide(before, replace(inputs, failures=inputs.failures | {Fault.WATCHDOG_DRIVE_FAILED}))

    def _judge_time(self, now_ns: int) -> frozenset[Fault]:
        """Count how late this tick is, set the next deadline, and return what that means for the vehicle."""
        late_ns = now_ns - self.due_ns
        self.timing.lateness.add(late_ns)
        self._times_us = (late_ns // MICROSECOND, 0)
        self.due_ns += PERIOD_NS * (1 + max(0, late_ns) // PERIOD_NS)
        missed = self.timing.overdue(now_ns, late_ns) and not self._actuators.opened
        trusted = self.timing.within_budget and not missed and not self._watchdog_expired(now_ns)
        return NO_FAULTS if trusted else frozenset((Fault.TIMING_BUDGET,))

    def _watchdog_expired(self, now_ns: int) -> bool:
        """Return whether a closed contactor's gate may have let go for want of pulses: one more would close under load.

        Late ticks and long ones add up, so what counts is the time since the last pulse. Hazard: H-15.
        """
        if not self._feeding or self._actuators.opened:
            return False
        return now_ns - self._fed_ns > self._machine.board.late_limit_ns

    def _listen(self) -> Demand | None:
        """Return the newest demand ever received; none any more when stopping."""
        self._demand = self._link.receive() or self._demand
        return self._demand if self._stop_by_ns is None else None

    def _decide(self, before: MachineState, inputs: Inputs) -> None:
        """Take the step from `before` and drive what follows; a second look in a tick replaces the first."""
        self._before, self._inputs = before, inputs
        self._state, outputs = step(before, inputs, self._machine)
        self._actuators.drive(outputs)
        if Request.RELOAD_INSTALLATION in self._state.watch.lease.orders:
            self._reload_wanted = True

    def _record(self) -> None:
        """Put the tick into the black box, once it is over and nothing waits for it."""
        if self._black_box is not None and self._inputs is not None:
            window = self._input_reader.window if self._inputs.pilot is not None else None
            self._black_box.note(self._before, self._inputs, self._state, self._machine, self._times_us, window)
            self._black_box.note_timing(self.timing, self._input_reader.pilot_scale)

    def _update_led(self) -> None:
        """Show the box at its LED; one that fails is told again, and nothing else follows from it."""
        if self._led is None:
            return
        now_ns, state, demand = self._clock(), self._state, self._demand
        identify = demand is not None and demand.identify and now_ns < demand.valid_until_ns
        wanted = lit(now_ns, faults=state.book.active, close_ordered=state.outputs.close_ordered, identify=identify)
        if wanted is not self._lit:
            self._lit = None
            with suppress(HalError):
                self._led.set(wanted)
                self._lit = wanted

    def _send_heartbeat(self) -> None:
        """Tell the service manager, five times a second, that a tick has completed."""
        if self._clock() >= self._heartbeat_ns:
            self._heartbeat_ns = self._clock() + HEARTBEAT_NS
            self._services.heartbeat()

    def _lower_pulse(self) -> None:
        """Let the watchdog's line fall, so that only the end of this tick can feed the gate. Hazard: H-09.

        Without pulses this alone tells whether its driver works again.
        """
        if self._watchdog is not None:
            try:
                self._watchdog.lower()
            except HalError:
                self._watchdog_failed = True
            else:
                self._watchdog_failed = self._watchdog_failed and self._feeding

    def _pulse(self) -> bool:
        """Keep the gate of the contactor's coil on for one more tick where that is wanted; return whether that worked.

        An open contactor gets none but in the proof before a close, so that one switch that stays on closes nothing.
        """
        self._feeding = self._watchdog is not None and self._state.outputs.gate_fed
        if self._watchdog is None or not self._feeding:
            return True
        try:
            self._watchdog.pulse()
        except HalError:
            self._watchdog_failed = True
        else:
            self._watchdog_failed = False
            self._fed_ns = self._clock()
        return not self._watchdog_failed

    def _reload(self) -> None:
        self._waiting, self._waiting_since = self._services.reload(), self._state.offer.changed_ns
        self._alarms -= {Fault.INSTALLATION_INVALID}
        if self._waiting is None:
            self._alarms |= {Fault.INSTALLATION_INVALID}

    def _adopt(self, installed: Installed) -> None:
        """Put in force what was read: all of it once the contactor is open, before that no more than the capacity.

        A lower capacity does not wait; a higher one waits until the offer changes anyway. Hazard: H-04.
        """
        if self._actuators.opened:
            self._machine, self._input_reader.pilot_scale, self._waiting = (
                installed.machine,
                installed.pilot_scale,
                None,
            )
            return
        here, capacity_ma = self._machine.installation, installed.machine.installation.circuit_capacity_ma
        if capacity_ma == here.circuit_capacity_ma:
            return
        if capacity_ma < here.circuit_capacity_ma or self._state.offer.changed_ns != self._waiting_since:
            self._machine = replace(self._machine, installation=replace(here, circuit_capacity_ma=capacity_ma))
