"""The hal interfaces on the plant, under virtual time: no kernel, no library, no waiting."""

from __future__ import annotations

import itertools
from array import array
from typing import TYPE_CHECKING, NamedTuple

from boards.build_safety import side_channels
from boards.spec import PilotSupplySpec
from evse_pi.sim.converter import AdcInput, ConverterRange, codes, millivolts
from evse_pi.sim.signals import LOAD_PHASES, Analog, Drive, Sense
from hal.interfaces import PilotWindow
from hal.mcp3xxx import MAX_BURST
from hal.pilot_adc import LEADS_US, sampled_at, window_delays_us
from hal.units import MILLISECOND, DutyPpm, Ohms

if TYPE_CHECKING:
    import random

    from boards.spec import BoardSpec, ContactorSpec
    from evse_pi.sim.harness.virtual_clock import VirtualClock
    from evse_pi.sim.plant import Plant
    from hal.linear_scale import LinearScale

SPACING_NS = 40_000  # one conversion of an MCP3208 at 1 MHz with its chip select
FRAME_NS = 24_000  # 24 bits at 1 MHz
KERNEL_GAP_US = 10
PATTERNS = 17 * 13  # no whole number of the driver's own, so that a locked phase meets the gaps in another order
ADC_RANGE = ConverterRange(reference_mv=3_000, codes=4_096)


class PlantPort:
    """The plant at the present instant of the clock."""

    def __init__(self, plant: Plant, clock: VirtualClock) -> None:
        self.plant = plant
        self.clock = clock

    def drive(self, line: Drive, active: bool) -> None:
        """Set one output."""
        self.plant.drive(line, active, self.clock.now_ns)

    def sense(self, line: Sense) -> bool:
        """Read one input."""
        self.plant.advance(self.clock.now_ns)
        return self.plant.sense(line)

    def set_pilot(self, duty_ppm: int) -> None:
        """Drive the pilot stage."""
        self.plant.set_pilot(duty_ppm, self.clock.now_ns)


class SimulatedPilotAdc:
    """Takes its time for a window, as the bus does."""

    def __init__(self, port: PlantPort, board: BoardSpec, rng: random.Random) -> None:
        self._port = port
        self._runs = itertools.cycle([sampling_run(rng) for _ in range(PATTERNS)])
        self._leads_us = itertools.cycle(LEADS_US)
        self._pilot = _input(Analog.PILOT, board.pilot_adc.scale)
        self._others: dict[int, AdcInput] = {}
        self._before, self._after = side_channels(board)
        for phase, source in zip(board.load_sense.phases if board.load_sense else (), LOAD_PHASES, strict=False):
            self._others[phase.channel] = _input(source, phase.scale)
        if isinstance(board.pilot_supply, PilotSupplySpec):
            positive, negative = board.pilot_supply.positive, board.pilot_supply.negative
            self._others[positive.channel] = _input(Analog.PILOT_POSITIVE, positive.scale)
            self._others[negative.channel] = _input(Analog.PILOT_NEGATIVE, negative.scale)
        if board.coil_node:
            self._others[board.coil_node.channel] = _input(Analog.COIL_NODE, board.coil_node.scale)

    def read_window(self) -> PilotWindow:
        """Return the codes of one window, and of the other channels round it."""
        clock, plant = self._port.clock, self._port.plant
        before = self._read_others(self._before)
        clock.sleep_until(clock.now_ns + 1_000 * next(self._leads_us))
        started_ns = clock.now_ns
        run = next(self._runs)
        instants = [started_ns + offset for offset in run.instants_ns]
        clock.sleep_until(instants[-1])
        plant.advance(clock.now_ns)
        found = array("H", codes(plant, self._selected(self._pilot), ADC_RANGE, instants))
        ended_ns = clock.now_ns
        sampled_ns = tuple(started_ns + at_ns for at_ns in sampled_at(run.delays_us, run.stamps_ns, FRAME_NS))
        return PilotWindow(found, started_ns, ended_ns, before, self._read_others(self._after), sampled_ns)

    def _read_others(self, channels: tuple[int, ...]) -> dict[int, int]:
        clock, plant = self._port.clock, self._port.plant
        if not channels:
            return {}
        clock.sleep_until(clock.now_ns + SPACING_NS * len(channels))
        plant.advance(clock.now_ns)
        wired = {channel: self._selected(self._others[channel]) for channel in channels}
        return {channel: codes(plant, line, ADC_RANGE, (clock.now_ns,))[0] for channel, line in wired.items()}

    def _selected(self, wired: AdcInput) -> AdcInput:
        """Return the input that the multiplexer connects instead, where it hangs on one."""
        every = (self._pilot, *self._others.values())
        return next((each for each in every if each.source is self._port.plant.fault_injection.selected), wired)

    def close(self) -> None:
        """Nothing to release."""


class SamplingRun(NamedTuple):
    """The three messages of one window as a kernel runs them, in ns after the window's begin.

    `instants_ns` are the conversions', `stamps_ns` what the driver sees: before the first message and after each;
    `delays_us` what it asked for.
    """

    instants_ns: list[int]
    stamps_ns: list[int]
    delays_us: list[list[int]]


def sampling(rng: random.Random, gap_us: int = KERNEL_GAP_US, speed_hz: int = 1_000_000) -> list[int]:
    """Return when the driver's conversions of one window happen, in ns after its begin, as a kernel would let them."""
    return sampling_run(rng, gap_us, speed_hz).instants_ns


def sampling_run(rng: random.Random, gap_us: int = KERNEL_GAP_US, speed_hz: int = 1_000_000) -> SamplingRun:
    """Return one window of the driver as a kernel runs it.

    Each transfer waits its own delay and 0 to `gap_us` of the kernel's, each message 20 to 60 µs for its system call,
    and the first one up to 15 µs for the tick's wake-up. Source: hal.pilot_adc and docs/boards/reference.md.
    """
    delays_us = window_delays_us(speed_hz)
    rng.shuffle(delays_us)
    messages = [delays_us[at : at + MAX_BURST] for at in range(0, len(delays_us), MAX_BURST)]
    at_ns, instants = rng.randrange(15_000), []
    stamps = [at_ns]
    for message in messages:
        for delay_us in message:
            at_ns += FRAME_NS
            instants.append(at_ns)
            at_ns += 1_000 * delay_us + rng.randrange(1_000 * gap_us + 1)
        at_ns += rng.randrange(20_000, 60_000)
        stamps.append(at_ns)
    return SamplingRun(instants, stamps, messages)


def _input(source: Analog, scale: LinearScale) -> AdcInput:
    """Return the input stage that `scale` undoes."""
    at_input = 1000 * ADC_RANGE.reference_mv / (ADC_RANGE.codes * scale.gain_uv_per_code)
    return AdcInput(source, zero_mv=round(-scale.offset_mv * at_input), gain_ppm=round(at_input * 1_000_000))


class SimulatedPilotPwm:
    """The pilot stage of the plant."""

    def __init__(self, port: PlantPort) -> None:
        self._port = port

    def set_duty(self, duty_ppm: DutyPpm) -> None:
        """Oscillate."""
        self._port.set_pilot(duty_ppm)

    def set_high(self) -> None:
        """Hold +12 V."""
        self._port.set_pilot(1_000_000)

    def set_low(self) -> None:
        """Hold −12 V."""
        self._port.set_pilot(0)

    def close(self) -> None:
        """Hold −12 V."""
        self.set_low()


class SimulatedContactor:
    """The coil and the mirror contact of the plant; an economiser needs its boost to pull in."""

    def __init__(self, port: PlantPort, parts: ContactorSpec) -> None:
        self._port = port
        self._boost_ns = parts.economiser.boost_ms * MILLISECOND if parts.economiser else 0
        self._boost_until_ns: int | None = None

    def open(self) -> None:
        """Let go of the coil."""
        self._port.drive(Drive.CONTACTOR, False)
        self._end_boost()

    def close(self) -> None:
        """Feed the coil."""
        if self._boost_ns:
            self._boost_until_ns = self._port.clock.now_ns + self._boost_ns
            self._port.drive(Drive.CONTACTOR_BOOST, True)
        self._port.drive(Drive.CONTACTOR, True)

    def maintain(self, now_ns: int) -> None:
        """End the boost when its time is over."""
        if self._boost_until_ns is not None and now_ns >= self._boost_until_ns:
            self._end_boost()

    def read_closed(self) -> bool:
        """Return what the mirror contact says."""
        return self._port.sense(Sense.MIRROR)

    def release(self) -> None:
        """Open."""
        self.open()

    def _end_boost(self) -> None:
        self._boost_until_ns = None
        self._port.drive(Drive.CONTACTOR_BOOST, False)


class SimulatedVoltageSense:
    """The optocoupler behind the contactor."""

    def __init__(self, port: PlantPort) -> None:
        self._port = port

    def read_live(self) -> bool:
        """Return whether there is voltage."""
        return self._port.sense(Sense.LOAD_VOLTAGE)


class SimulatedRcd:
    """The residual current device of the plant; its latch remembers, as the kernel's edge queue does."""

    def __init__(self, port: PlantPort) -> None:
        self._port = port
        self._trips = port.plant.rcd.trips

    def read_tripped(self) -> bool:
        """Return whether it is tripped, or was since the last call."""
        tripped = self._port.sense(Sense.RCD_TRIPPED)
        trips, self._trips = self._trips, self._port.plant.rcd.trips
        return tripped or self._trips > trips

    def set_test(self, active: bool) -> None:
        """Feed the test winding."""
        self._port.drive(Drive.RCD_TEST, active)

    def reset(self) -> None:
        """Give one reset pulse."""
        self._port.drive(Drive.RCD_RESET, True)
        self._port.drive(Drive.RCD_RESET, False)

    def close(self) -> None:
        """Stop testing."""
        self.set_test(False)


class SimulatedProximity:
    """The proximity contact behind its pull-up."""

    OPEN_OHMS = 100_000

    def __init__(self, port: PlantPort) -> None:
        self._port = port
        self._wired = AdcInput(Analog.PROXIMITY)

    def read_ohms(self) -> Ohms | None:
        """Return the resistance, None when nothing is plugged in."""
        plant = self._port.plant
        plant.advance(self._port.clock.now_ns)
        (voltage_mv,) = millivolts(plant, self._wired, (self._port.clock.now_ns,))
        headroom_mv = plant.settings.proximity_supply_mv - voltage_mv
        ohms = plant.settings.proximity_pull_up_ohm * voltage_mv / headroom_mv if headroom_mv > 0 else self.OPEN_OHMS
        return None if ohms >= self.OPEN_OHMS else Ohms(round(ohms))


class SimulatedLock:
    """The motor of the connector lock."""

    def __init__(self, port: PlantPort) -> None:
        self._port = port

    def drive_lock(self) -> None:
        """Drive towards locked."""
        self._drive(lock=True, unlock=False)

    def drive_unlock(self) -> None:
        """Drive towards unlocked."""
        self._drive(lock=False, unlock=True)

    def stop(self) -> None:
        """Stop the motor."""
        self._drive(lock=False, unlock=False)

    def read_locked(self) -> bool:
        """Return the feedback."""
        return self._port.sense(Sense.LOCKED)

    def close(self) -> None:
        """Stop the motor."""
        self.stop()

    def _drive(self, *, lock: bool, unlock: bool) -> None:
        self._port.drive(Drive.LOCK, lock)
        self._port.drive(Drive.UNLOCK, unlock)


class SimulatedEmergencyStop:
    """The button."""

    def __init__(self, port: PlantPort) -> None:
        self._port = port

    def read_pressed(self) -> bool:
        """Return whether it is pressed."""
        return self._port.sense(Sense.EMERGENCY_STOP)


class SimulatedStatusLed:
    """The light of the box."""

    def __init__(self, port: PlantPort) -> None:
        self._port = port

    def set(self, lit: bool) -> None:
        """Light it or not."""
        self._port.drive(Drive.LED, lit)

    def close(self) -> None:
        """Dark."""
        self.set(False)


class SimulatedWeldOutput:
    """The relay towards the shunt release."""

    def __init__(self, port: PlantPort, *, readable: bool) -> None:
        self._port = port
        self._readable = readable

    def set(self, active: bool) -> None:
        """Close the relay's contact or not."""
        self._port.drive(Drive.WELD_OUTPUT, active)

    def read_closed(self) -> bool | None:
        """Return what the second contact says, None on a board without one."""
        return self._port.sense(Sense.WELD_OUTPUT) if self._readable else None

    def close(self) -> None:
        """Let it open."""
        self.set(False)


class SimulatedWatchdog:
    """The line of the gate in the coil's supply."""

    def __init__(self, port: PlantPort) -> None:
        self._port = port

    def lower(self) -> None:
        """Let the line fall."""
        self._port.drive(Drive.WATCHDOG, False)

    def pulse(self) -> None:
        """Let the line rise."""
        self._port.drive(Drive.WATCHDOG, True)

    def close(self) -> None:
        """Leave the line where it is; without edges the gate opens."""
