"""How the simulated board connects the plant to buses and pins; plain data, independent of any board file."""

from __future__ import annotations

from dataclasses import dataclass, field

from evse_pi.sim.converter import AdcInput
from evse_pi.sim.devices.gpio import KernelRelease, LinePull, LineWiring
from evse_pi.sim.plant import PlantSettings
from evse_pi.sim.signals import Analog, Drive, Sense


@dataclass(frozen=True, slots=True)
class ChannelWiring:
    """One converter input: converter mV = `zero_mv` + thousandths of V, A or °C × `gain_ppm` / 1,000,000."""

    channel: int
    source: Analog
    zero_mv: int = 0
    gain_ppm: int = 1_000_000
    sensor: str = "board"

    def input(self) -> AdcInput:
        """Return it without its place."""
        return AdcInput(self.source, self.zero_mv, self.gain_ppm, self.sensor)


PILOT_CHANNEL = ChannelWiring(0, Analog.PILOT, zero_mv=1_650, gain_ppm=120_000)
PROXIMITY_CHANNEL = ChannelWiring(1, Analog.PROXIMITY)


@dataclass(frozen=True, slots=True)
class SpiWiring:
    """One converter at one chip select."""

    bus: int = 0
    chip_select: int = 0
    model: str = "mcp3208"
    reference_mv: int = 3_300
    channels: tuple[ChannelWiring, ...] = (PILOT_CHANNEL, PROXIMITY_CHANNEL)


@dataclass(frozen=True, slots=True)
class I2cWiring:
    """One chip at one address: a thermometer with its sensor, or an ads1115 with its channels."""

    address: int
    model: str
    sensor: str = "board"
    channels: tuple[ChannelWiring, ...] = ()


@dataclass(frozen=True, slots=True)
class PwmWiring:
    """The pilot's channel of the hardware PWM; `inverted` is a driver stage that turns high into −12 V."""

    channel: int = 2
    chip: int = 0
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class MeterWiring:
    """The energy meter and its serial port."""

    path: str = "/dev/ttyAMA0"
    model: str = "sdm630"
    address: int = 1
    baud: int = 9_600


def _drives() -> dict[Drive, LineWiring]:
    lines = {
        Drive.CONTACTOR: 17,
        Drive.CONTACTOR_BOOST: 27,
        Drive.RCD_TEST: 24,
        Drive.RCD_RESET: 25,
        Drive.LOCK: 5,
        Drive.UNLOCK: 6,
        Drive.WATCHDOG: 22,
        Drive.PILOT_CUT: 16,
        Drive.LED: 26,
    }
    return {drive: LineWiring(line, pull=LinePull.DOWN) for drive, line in lines.items()}


def _senses() -> dict[Sense, LineWiring]:
    lines = {
        Sense.MIRROR: 23,
        Sense.LOAD_VOLTAGE: 12,
        Sense.RCD_TRIPPED: 20,
        Sense.LOCKED: 21,
        Sense.EMERGENCY_STOP: 13,
    }
    return {sense: LineWiring(line) for sense, line in lines.items()}


@dataclass(frozen=True, slots=True)
class Wiring:
    """A whole board."""

    model: str = "pi5"
    release: KernelRelease = KernelRelease.STRICT
    spi: tuple[SpiWiring, ...] = (SpiWiring(),)
    pwm: PwmWiring = field(default_factory=PwmWiring)
    drives: dict[Drive, LineWiring] = field(default_factory=_drives)
    senses: dict[Sense, LineWiring] = field(default_factory=_senses)
    i2c_bus: int = 1
    i2c: tuple[I2cWiring, ...] = (I2cWiring(0x48, "tmp102"),)
    meter: MeterWiring | None = field(default_factory=MeterWiring)
    boot_lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """What a simulator process needs to know."""

    wiring: Wiring = field(default_factory=Wiring)
    plant: PlantSettings = field(default_factory=PlantSettings)
