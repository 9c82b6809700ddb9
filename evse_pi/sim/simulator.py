"""The simulator process: plant, device nodes and control socket, built from plain data."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from evse_pi.paths import DEVICE_SOCKET, DEVICE_TREE, SIMULATOR_SOCKET
from evse_pi.sim.control import ControlSocket
from evse_pi.sim.devices.gpio import GpioChip, KernelRelease
from evse_pi.sim.devices.i2c import Chip, EmulatedAds1115, EmulatedThermometer, I2cBus
from evse_pi.sim.devices.modbus import ModbusMeter
from evse_pi.sim.devices.pwm import PwmChip
from evse_pi.sim.devices.serial import SerialPort
from evse_pi.sim.devices.shim_server import DeviceServer
from evse_pi.sim.devices.spi import EmulatedMcp3xxx, SpiBus
from evse_pi.sim.devices.tree import MODELS, plant_tree, show_release
from evse_pi.sim.plant import Plant

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evse_pi.sim.wiring import I2cWiring, SimulatorSettings, Wiring


class PlantSimulator:
    """One simulated wallbox below a folder of its own."""

    def __init__(self, folder: Path, settings: SimulatorSettings, clock: Callable[[], int] = time.monotonic_ns) -> None:
        wiring = settings.wiring
        if wiring.model not in MODELS:
            raise ValueError(f"wiring.model {wiring.model!r}: allowed are {', '.join(MODELS)}")
        self.model = MODELS[wiring.model]
        self.root = folder / DEVICE_TREE
        self.plant = Plant(settings.plant, clock())
        self.server = DeviceServer(folder / DEVICE_SOCKET, self.plant, clock)
        self.gpio = GpioChip(
            self.plant, self.model.pin_controller, wiring.drives, wiring.senses, wiring.release, self.server.adopt
        )
        self.i2c = I2cBus(wiring.i2c_bus, {each.address: self._i2c_chip(each) for each in wiring.i2c}, self.plant)
        self.meter: ModbusMeter | None = None
        self._build(wiring)
        plant_tree(self.root, self.model, wiring.release, self.server.prefixes(), wiring.boot_lines)
        self.control = ControlSocket(folder / SIMULATOR_SOCKET, self)

    def run(self) -> None:
        """Serve until told to stop."""
        self.server.run()

    def stop(self) -> None:
        """End `run` after the present step."""
        self.server.stopping = True

    def set_release(self, release: KernelRelease) -> None:
        """Change what the kernel does with the outputs of a dead process."""
        self.gpio.release = release
        show_release(self.root, self.model, release)

    def _build(self, wiring: Wiring) -> None:
        buses: dict[int, SpiBus] = {}
        for spi in wiring.spi:
            node = f"/dev/spidev{spi.bus}.{spi.chip_select}"
            inputs = {each.channel: each.input() for each in spi.channels}
            bus = buses.setdefault(spi.bus, SpiBus())
            self.server.devices.append(
                EmulatedMcp3xxx("spi", node, bus, spi.model, spi.reference_mv, inputs, self.plant)
            )
        pwm, model = wiring.pwm, self.model
        self.server.devices += [
            self.gpio,
            self.i2c,
            PwmChip(self.plant, self.root, pwm.chip, model.pwm_channels, model.pwm_device, pwm.channel, pwm.inverted),
        ]
        if wiring.meter is not None:
            self.meter = ModbusMeter(wiring.meter.model, wiring.meter.address, self.plant)
            self.server.devices.append(
                SerialPort(
                    wiring.meter.path,
                    self.meter,
                    wiring.meter.baud,
                    self.server,
                    self.server.agenda,
                )
            )

    def _i2c_chip(self, wired: I2cWiring) -> Chip:
        if wired.model == "ads1115":
            return EmulatedAds1115({each.channel: each.input() for each in wired.channels}, self.plant)
        if wired.model not in EmulatedThermometer.KINDS:
            raise ValueError(f"i2c.model {wired.model!r}: allowed are ads1115, {', '.join(EmulatedThermometer.KINDS)}")
        if wired.sensor not in self.plant.temperatures:
            raise ValueError(f"i2c.sensor {wired.sensor!r}: allowed are {', '.join(self.plant.temperatures)}")
        return EmulatedThermometer(wired.model, wired.sensor, self.plant)
