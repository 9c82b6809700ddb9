"""From a BoardSpec to what the safety process drives: outputs first, and off."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from boards.spec import NotFitted, PilotSupplySpec
from hal.connector_lock import GpioConnectorLock
from hal.contactor import GpioContactor
from hal.emergency_stop import GpioEmergencyStop
from hal.errors import HalError
from hal.gpio import Gpio
from hal.mcp3xxx import Mcp3xxx, Mcp3xxxInput
from hal.pi_models import pwm_outputs
from hal.pilot_adc import SpiPilotAdc
from hal.pilot_pwm import SysfsPilotPwm
from hal.proximity import ResistorProximity
from hal.rcd import GpioResidualCurrentDevice
from hal.status_led import GpioStatusLed
from hal.units import MILLISECOND
from hal.voltage_sense import GpioVoltageSense
from hal.watchdog import GpioWatchdog
from hal.weld_output import GpioWeldOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from boards.spec import BoardSpec, CoilNodeSpec, InputPin, LoadSenseSpec, WatchdogSpec
    from hal.gpio import InputLine, OutputLine, SquareWaveLine
    from hal.interfaces import (
        ConnectorLock,
        Contactor,
        EmergencyStop,
        PilotAdc,
        PilotPwm,
        ProximityInput,
        ResidualCurrentDevice,
        StatusLed,
        VoltageSense,
        Watchdog,
        WeldOutput,
    )


@dataclass(frozen=True, slots=True)
class SafetyHardware:
    """Everything that the safety process reads and drives; what the board lacks is None.

    `closers` bring each device into its safe state and release it, the contactor first.
    """

    contactor: Contactor
    pilot_pwm: PilotPwm
    pilot_adc: PilotAdc
    pilot_supply: PilotSupplySpec | None = None
    load_sense: LoadSenseSpec | None = None
    coil_node: CoilNodeSpec | None = None
    watchdog: Watchdog | None = None
    rcd: ResidualCurrentDevice | None = None
    voltage_sense: VoltageSense | None = None
    weld_output: WeldOutput | None = None
    proximity: ProximityInput | None = None
    lock: ConnectorLock | None = None
    emergency_stop: EmergencyStop | None = None
    status_led: StatusLed | None = None
    closers: tuple[Callable[[], None], ...] = ()

    def close(self) -> None:
        """Bring every device into its safe state, whatever the others do. Raises: the first HalError, at the end."""
        close_all(self.closers)


def close_all(closers: Iterable[Callable[[], None]]) -> None:
    """Call all of them in turn. Raises: the first HalError, after the last call."""
    first: HalError | None = None
    for close in closers:
        try:
            close()
        except HalError as error:
            first = first or error
    if first:
        raise first


def build_safety(
    spec: BoardSpec,
    *,
    root: Path = Path("/"),
    gpio: Gpio | None = None,
    clock: Callable[[], int] = time.monotonic_ns,
    rng: random.Random | None = None,
) -> SafetyHardware:
    """Return the board's drivers with the contactor open and the pilot at −12 V.

    `root` is where sysfs lies, `gpio` replaces the lines of this machine, `rng` draws the sampling dither.
    Raises: HalError, after everything that was opened is closed again.
    """
    gpio = gpio or Gpio()
    closers: list[Callable[[], None]] = []
    try:
        contactor = _contactor(spec, gpio, clock)
        closers.append(contactor.release)
        pilot_pwm = _pilot_pwm(spec, root)
        closers.append(pilot_pwm.close)
        watchdog = None if isinstance(spec.watchdog, NotFitted) else _watchdog(spec.watchdog, gpio)
        lock = _lock(spec, gpio, clock)
        rcd = _rcd(spec, gpio, clock)
        status_led = _status_led(spec, gpio)
        weld_output = _weld_output(spec, gpio)
        closers.extend(device.close for device in (watchdog, lock, rcd, status_led, weld_output) if device)
        converter = Mcp3xxx(spec.pilot_adc.bus, spec.pilot_adc.device, spec.pilot_adc.chip, spec.pilot_adc.speed_hz)
        closers.append(converter.close)
        sense, stop = spec.voltage_sense, spec.emergency_stop
        supply = spec.pilot_supply if isinstance(spec.pilot_supply, PilotSupplySpec) else None
        return SafetyHardware(
            contactor=contactor,
            pilot_pwm=pilot_pwm,
            pilot_adc=_pilot_adc(spec, converter, clock, rng or random.SystemRandom()),
            pilot_supply=supply,
            load_sense=spec.load_sense,
            coil_node=spec.coil_node,
            watchdog=watchdog,
            rcd=rcd,
            voltage_sense=GpioVoltageSense(_input(gpio, sense.line, "voltage sense")) if sense else None,
            weld_output=weld_output,
            proximity=_proximity(spec, converter),
            lock=lock,
            emergency_stop=GpioEmergencyStop(_input(gpio, stop, "emergency stop")) if stop else None,
            status_led=status_led,
            closers=(*closers, gpio.close),
        )
    except BaseException:
        close_all((*closers, gpio.close))
        raise


def _pilot_adc(spec: BoardSpec, converter: Mcp3xxx, clock: Callable[[], int], rng: random.Random) -> SpiPilotAdc:
    """Return the pilot's window with all other channels round it."""
    before, after = side_channels(spec)
    return SpiPilotAdc(converter, spec.pilot_adc.channel, clock, rng, before=before, after=after)


def side_channels(spec: BoardSpec) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return what is read right before and right after each window of the pilot.

    On both sides: the load side, to compare two instants of each period, and the positive rail, that the ratio rests
    on. The rail comes next to the window, the node behind the contactor's coil last.
    """
    load = spec.load_sense.channels if spec.load_sense else ()
    node = (spec.coil_node.channel,) if spec.coil_node else ()
    supply = spec.pilot_supply
    if not isinstance(supply, PilotSupplySpec):
        return load, (*load, *node)
    positive, negative = supply.positive.channel, supply.negative.channel
    return (*load, positive), (positive, negative, *load, *node)


def _pilot_pwm(spec: BoardSpec, root: Path) -> SysfsPilotPwm:
    return SysfsPilotPwm(pwm_outputs(spec.pilot_pwm.pin), inverted=spec.pilot_pwm.inverted, root=root)


def _watchdog(parts: WatchdogSpec, gpio: Gpio) -> GpioWatchdog:
    return GpioWatchdog(gpio.output(parts.pin, "watchdog"))


def _input(gpio: Gpio, line: InputPin, name: str) -> InputLine:
    return gpio.input(line.pin, name, active_high=line.active_high, pull=line.pull)


def _contactor(spec: BoardSpec, gpio: Gpio, clock: Callable[[], int]) -> GpioContactor:
    parts = spec.contactor
    coil = gpio.output(parts.pin, "contactor")
    boost = gpio.output(parts.economiser.boost_pin, "contactor boost") if parts.economiser else None
    return GpioContactor(
        coil,
        _input(gpio, parts.mirror, "mirror contact") if parts.mirror else None,
        clock,
        boost=boost,
        boost_ns=parts.economiser.boost_ms * MILLISECOND if parts.economiser else 0,
    )


def _rcd(spec: BoardSpec, gpio: Gpio, clock: Callable[[], int]) -> GpioResidualCurrentDevice | None:
    parts = spec.rcd
    if isinstance(parts, NotFitted):
        return None
    test: OutputLine | SquareWaveLine
    if parts.test_hz:
        test = gpio.square_wave(parts.test.pin, "RCD test", parts.test_hz)
    else:
        test = gpio.output(parts.test.pin, "RCD test", active_high=parts.test.active_high)
    reset = gpio.output(parts.reset.pin, "RCD reset", active_high=parts.reset.active_high) if parts.reset else None
    trip = _input(gpio, parts.trip, "RCD trip")
    return GpioResidualCurrentDevice(trip, test, clock, reset=reset, reset_ns=parts.reset_ms * MILLISECOND)


def _lock(spec: BoardSpec, gpio: Gpio, clock: Callable[[], int]) -> GpioConnectorLock | None:
    parts = spec.lock
    if parts is None:
        return None
    return GpioConnectorLock(
        gpio.output(parts.lock_pin, "lock motor"),
        gpio.output(parts.unlock_pin, "unlock motor"),
        _input(gpio, parts.feedback, "lock feedback"),
        clock,
        drive_ns=parts.drive_ms * MILLISECOND,
    )


def _weld_output(spec: BoardSpec, gpio: Gpio) -> GpioWeldOutput | None:
    parts = spec.weld_output
    if parts is None:
        return None
    readback = _input(gpio, parts.readback, "weld output readback") if parts.readback else None
    return GpioWeldOutput(gpio.output(parts.pin, "weld output", active_high=parts.active_high), readback)


def _status_led(spec: BoardSpec, gpio: Gpio) -> GpioStatusLed | None:
    parts = spec.status_led
    return GpioStatusLed(gpio.output(parts.pin, "status LED", active_high=parts.active_high)) if parts else None


def _proximity(spec: BoardSpec, converter: Mcp3xxx) -> ResistorProximity | None:
    parts = spec.proximity
    if parts is None:
        return None
    source = Mcp3xxxInput(converter, parts.channel, parts.scale)
    return ResistorProximity(source, supply_mv=parts.supply_mv, pull_up_ohms=parts.pull_up_ohms)
