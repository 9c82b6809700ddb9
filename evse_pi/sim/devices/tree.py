"""Files that stand in for what a Raspberry Pi's kernel shows: device tree, module parameters, empty node files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.sim.devices.gpio import KernelRelease

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class EmulatedModel:
    """What tells one Raspberry Pi from another."""

    revision: int
    description: str
    pin_controller: str
    pin_module: str
    pwm_device: str
    pwm_channels: int


MODELS = {
    "pi5": EmulatedModel(
        revision=0xD04171,
        description="Raspberry Pi 5 Model B Rev 1.1",
        pin_controller="pinctrl-rp1",
        pin_module="pinctrl_rp1",
        pwm_device="/sys/devices/platform/axi/1000120000.pcie/1f00098000.pwm",
        pwm_channels=4,
    ),
    "pi4": EmulatedModel(
        revision=0xC03115,
        description="Raspberry Pi 4 Model B Rev 1.5",
        pin_controller="pinctrl-bcm2711",
        pin_module="pinctrl_bcm2835",
        pwm_device="/sys/devices/platform/soc/fe20c000.pwm",
        pwm_channels=2,
    ),
}

GPIO_MAJOR = 254  # the kernel gives it out at boot; here as in simdev.c
REDIRECTED = (
    "/sys/class/pwm", "/sys/module/pinctrl_", "/proc/device-tree", f"/sys/dev/char/{GPIO_MAJOR}:", "/boot/firmware/",
    "/run/systemd/timesync/",
)  # fmt: skip
CONFIG_TXT = """\
dtparam=audio=on
camera_auto_detect=1
dtoverlay=vc4-kms-v3d
max_framebuffers=2
arm_64bit=1
arm_boost=1

[cm4]
otg_mode=1

[cm5]
dtoverlay=dwc2,dr_mode=host

[all]
"""
CMDLINE_TXT = "console=tty1 root=PARTUUID=4a3b2c1d-02 rootfstype=ext4 fsck.repair=yes rootwait\n"
"""As Raspberry Pi OS has them, comments and serial console left out. Source: pi-gen, stage1/00-boot-files/files."""


def plant_tree(
    root: Path, model: EmulatedModel, release: KernelRelease, nodes: tuple[str, ...], boot_lines: tuple[str, ...] = ()
) -> None:
    """Write the files below `root`; `boot_lines` is what was added to config.txt for the board."""
    firmware = root / "boot/firmware"
    firmware.mkdir(parents=True)
    (firmware / "config.txt").write_text(CONFIG_TXT + "dtoverlay=\n" + "".join(f"{line}\n" for line in boot_lines))
    (firmware / "cmdline.txt").write_text(CMDLINE_TXT)
    timesync = root / "run/systemd/timesync"
    timesync.mkdir(parents=True)
    (timesync / "synchronized").touch()  # this machine's clock is the one of the simulated house
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


def show_release(root: Path, model: EmulatedModel, release: KernelRelease) -> None:
    """Write the parameter by which the pin controller tells what it does with a dead holder's outputs."""
    parameters = root / "sys/module" / model.pin_module / "parameters"
    parameters.mkdir(parents=True, exist_ok=True)
    (parameters / "persist_gpio_outputs").write_text("Y\n" if release is KernelRelease.PERSIST else "N\n")
