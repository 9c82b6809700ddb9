"""Files that stand in for what a Raspberry Pi's kernel shows: device tree, module parameters, empty node files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.sim.devices.gpio import KernelRelease

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class PiModel:
    """What tells one Raspberry Pi from another."""

    revision: int
    description: str
    pin_controller: str
    pin_module: str
    pwm_device: str
    pwm_channels: int


MODELS = {
    "pi5": PiModel(
        revision=0xD04171,
        description="Raspberry Pi 5 Model B Rev 1.1",
        pin_controller="pinctrl-rp1",
        pin_module="pinctrl_rp1",
        pwm_device="/sys/devices/platform/axi/1000120000.pcie/1f00098000.pwm",
        pwm_channels=4,
    ),
    "pi4": PiModel(
        revision=0xC03115,
        description="Raspberry Pi 4 Model B Rev 1.5",
        pin_controller="pinctrl-bcm2711",
        pin_module="pinctrl_bcm2835",
        pwm_device="/sys/devices/platform/soc/fe20c000.pwm",
        pwm_channels=2,
    ),
}

GPIO_MAJOR = 254  # the kernel gives it out at boot; here as in simdev.c
REDIRECTED = ("/sys/class/pwm", "/sys/module/pinctrl_", "/proc/device-tree", f"/sys/dev/char/{GPIO_MAJOR}:")


def plant_tree(root: Path, model: PiModel, release: KernelRelease, nodes: tuple[str, ...]) -> None:
    """Write the files below `root`."""
    system = root / "proc/device-tree/system"
    system.mkdir(parents=True)
    (system / "linux,revision").write_bytes(model.revision.to_bytes(4, "big"))
    (root / "proc/device-tree/model").write_bytes(model.description.encode() + b"\0")
    show_release(root, model, release)
    for node in nodes:
        if node.startswith("/dev/"):
            file = root / node.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        if node.startswith("/dev/gpiochip"):
            number = node.removeprefix("/dev/gpiochip")
            device, subsystem = root / f"sys/dev/char/{GPIO_MAJOR}:{number}", root / "sys/bus/gpio"
            device.mkdir(parents=True)
            subsystem.mkdir(parents=True, exist_ok=True)
            (device / "subsystem").symlink_to(subsystem)


def show_release(root: Path, model: PiModel, release: KernelRelease) -> None:
    """Write the parameter by which the pin controller tells what it does with a dead holder's outputs."""
    parameters = root / "sys/module" / model.pin_module / "parameters"
    parameters.mkdir(parents=True, exist_ok=True)
    (parameters / "persist_gpio_outputs").write_text("Y\n" if release is KernelRelease.PERSIST else "N\n")
