"""From a board's file to the simulated board: the same pins, scales and times, seen from the other side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from boards.boot_lines import boot_lines
from boards.spec import HEADER, NotFitted, PilotSupplySpec
from evse_pi.sim.contactor_model import ContactorSettings
from evse_pi.sim.devices.gpio import KernelRelease, LinePull, LineWiring
from evse_pi.sim.devices.tree import MODELS
from evse_pi.sim.mains import MainsSettings
from evse_pi.sim.plant import PlantSettings, WatchdogSettings
from evse_pi.sim.residual import Injection, RcdSettings
from evse_pi.sim.signals import LOAD_PHASES, Analog, Drive, Sense
from evse_pi.sim.vehicle import VehicleSettings
from evse_pi.sim.wiring import ChannelWiring, I2cWiring, MeterWiring, PwmWiring, SimulatorSettings, SpiWiring, Wiring
from hal.pi_models import find_model
from hal.units import MILLISECOND

if TYPE_CHECKING:
    from boards.spec import BoardSpec, InputPin, WatchdogSpec
    from hal.linear_scale import LinearScale

REFERENCE_MV = 3_000
"""Any value gives the same codes, because a board's scale counts codes."""
ROOM_C = 25.0
LOOSE_CABLE_MA = 32_000
GRID_SWING_MHZ = 20  # within the standard range of 50 mHz. Source: Regulation (EU) 2017/1485, annex III
AMBIENT_SWING_C = 1.0


def simulator_settings(
    spec: BoardSpec, *, model: str = "pi5", release: KernelRelease = KernelRelease.STRICT, seed: int = 1
) -> SimulatorSettings:
    """Return a simulator that is wired as `spec` says.

    Raises: ValueError when that model of Pi is in no table.
    """
    plant = plant_of(spec, seed=seed)
    mains = replace(plant.mains, frequency_swing_mhz=GRID_SWING_MHZ)
    plant = replace(plant, mains=mains, ambient_swing_c=AMBIENT_SWING_C)
    return SimulatorSettings(wiring_of(spec, model=model, release=release), plant)


def wiring_of(spec: BoardSpec, *, model: str = "pi5", release: KernelRelease = KernelRelease.STRICT) -> Wiring:
    """Return where the plant's signals meet the Pi. Raises: ValueError as above."""
    pi = find_model(MODELS[model].description)
    if pi is None:
        raise ValueError(f"model {model}: {MODELS[model].description} is not in hal.pi_models")
    meter = spec.meter
    port = pi.header_uart if meter and meter.port == HEADER else meter.port if meter else ""
    return Wiring(
        model=model,
        release=release,
        spi=(_spi(spec),),
        pwm=PwmWiring(channel=pi.pwm[spec.pilot_pwm.pin].channel, inverted=spec.pilot_pwm.inverted),
        drives=_drives(spec),
        senses=_senses(spec),
        i2c_bus=next((sensor.bus for sensor in spec.temperature), 1),
        i2c=tuple(I2cWiring(sensor.address, sensor.chip.value, sensor.place) for sensor in spec.temperature),
        meter=MeterWiring(port, meter.model.value, meter.unit, meter.baud) if meter else None,
        boot_lines=boot_lines(spec, pi),
    )


def plant_of(spec: BoardSpec, *, seed: int = 1) -> PlantSettings:
    """Return an electrical world whose contactor, RCD, watchdog and proximity circuit are the board's."""
    dog, rcd, proximity, lock, couplers = spec.watchdog, spec.rcd, spec.proximity, spec.lock, spec.voltage_sense
    plant = PlantSettings()
    return PlantSettings(
        vehicle=VehicleSettings(cable_ma=LOOSE_CABLE_MA if proximity else None),
        contactor=ContactorSettings(
            pull_in_ns=spec.contactor.pull_in_ms * MILLISECOND, release_ns=spec.contactor.release_ms * MILLISECOND
        ),
        mains=MainsSettings(phases=spec.phases),
        rcd=RcdSettings(test=Injection.LEVEL if isinstance(rcd, NotFitted) or not rcd.test_hz else Injection.TOGGLE),
        economiser=spec.contactor.economiser is not None,
        watchdog=None if isinstance(dog, NotFitted) else _gate(dog),
        lock_travel_ns=lock.drive_ms * MILLISECOND * 2 // 3 if lock else plant.lock_travel_ns,
        sense_hold_ns=couplers.hold_ms * MILLISECOND if couplers else None,
        proximity_supply_mv=proximity.supply_mv if proximity else plant.proximity_supply_mv,
        proximity_pull_up_ohm=proximity.pull_up_ohms if proximity else plant.proximity_pull_up_ohm,
        temperatures={sensor.place: ROOM_C for sensor in spec.temperature} or plant.temperatures,
        seed=seed,
    )


def _gate(watchdog: WatchdogSpec) -> WatchdogSettings:
    return WatchdogSettings(watchdog.hold_min_ms * MILLISECOND, watchdog.hold_max_ms * MILLISECOND)


def _spi(spec: BoardSpec) -> SpiWiring:
    adc = spec.pilot_adc
    channels = [_channel(spec, adc.channel, Analog.PILOT, adc.scale)]
    if spec.proximity:
        channels.append(_channel(spec, spec.proximity.channel, Analog.PROXIMITY, spec.proximity.scale))
    supply = spec.pilot_supply
    if isinstance(supply, PilotSupplySpec):
        channels.append(_channel(spec, supply.positive.channel, Analog.PILOT_POSITIVE, supply.positive.scale))
        channels.append(_channel(spec, supply.negative.channel, Analog.PILOT_NEGATIVE, supply.negative.scale))
    phases = spec.load_sense.phases if spec.load_sense else ()
    channels += [
        _channel(spec, line.channel, source, line.scale) for line, source in zip(phases, LOAD_PHASES, strict=False)
    ]
    if spec.coil_node:
        channels.append(_channel(spec, spec.coil_node.channel, Analog.COIL_NODE, spec.coil_node.scale))
    return SpiWiring(adc.bus, adc.device, adc.chip.value, REFERENCE_MV, tuple(channels))


def _channel(spec: BoardSpec, channel: int, source: Analog, scale: LinearScale) -> ChannelWiring:
    """Return the input stage that `scale` undoes."""
    codes = spec.pilot_adc.chip.full_scale + 1
    gain_ppm = round(REFERENCE_MV * 1_000_000_000 / (codes * scale.gain_uv_per_code))
    return ChannelWiring(channel, source, zero_mv=round(-scale.offset_mv * gain_ppm / 1_000_000), gain_ppm=gain_ppm)


def _drives(spec: BoardSpec) -> dict[Drive, LineWiring]:
    lines: dict[Drive, tuple[int, bool]] = {Drive.CONTACTOR: (spec.contactor.pin, True)}
    if spec.contactor.economiser:
        lines[Drive.CONTACTOR_BOOST] = (spec.contactor.economiser.boost_pin, True)
    if not isinstance(spec.watchdog, NotFitted):
        lines[Drive.WATCHDOG] = (spec.watchdog.pin, True)
    if not isinstance(spec.rcd, NotFitted):
        lines[Drive.RCD_TEST] = (spec.rcd.test.pin, spec.rcd.test.active_high)
        if spec.rcd.reset:
            lines[Drive.RCD_RESET] = (spec.rcd.reset.pin, spec.rcd.reset.active_high)
    if spec.lock:
        lines[Drive.LOCK] = (spec.lock.lock_pin, True)
        lines[Drive.UNLOCK] = (spec.lock.unlock_pin, True)
    if spec.weld_output:
        lines[Drive.WELD_OUTPUT] = (spec.weld_output.pin, spec.weld_output.active_high)
    if spec.status_led:
        lines[Drive.LED] = (spec.status_led.pin, spec.status_led.active_high)
    return {
        drive: LineWiring(pin, active_low=not active_high, pull=LinePull.DOWN if active_high else LinePull.UP)
        for drive, (pin, active_high) in lines.items()
    }


def _senses(spec: BoardSpec) -> dict[Sense, LineWiring]:
    lines: dict[Sense, InputPin | None] = {
        Sense.MIRROR: spec.contactor.mirror,
        Sense.LOAD_VOLTAGE: spec.voltage_sense.line if spec.voltage_sense else None,
        Sense.WELD_OUTPUT: spec.weld_output.readback if spec.weld_output else None,
        Sense.RCD_TRIPPED: None if isinstance(spec.rcd, NotFitted) else spec.rcd.trip,
        Sense.LOCKED: spec.lock.feedback if spec.lock else None,
        Sense.EMERGENCY_STOP: spec.emergency_stop,
    }
    return {
        sense: LineWiring(line.pin, active_low=not line.active_high)
        for sense, line in lines.items()
        if line is not None
    }
