"""The models of Raspberry Pi that a wallbox may have, and what each calls the devices behind its 40-pin header.

A board file names a function and a pin; the device behind it is the model's. Sources, per column:
- `described`: the property `model` of each board's device tree in the kernel (boot/dts/broadcom/bcm27*-rpi-*.dts).
- `filters`, `board_type`: raspberrypi.com/documentation, "Conditional filters" of config.txt, and "Revision codes".
- `pwm_device`, `pwm`: the same device trees; BCM2835 ARM Peripherals, section 6.2 "Alternative function assignments";
  RP1 Peripherals, table 4 "GPIO function selection"; the firmware's overlays/README, "pwm" (pin and function numbers).
- `header_uart`, `uart_lines`: raspberrypi.com/documentation, "Configuring UARTs", with its correction for the Pi 5
  (github.com/raspberrypi/documentation, pull request 3294: the primary UART of a Pi 5 is on the debug connector).
- `serial0`: the same page: which UART the firmware puts in the place of "serial0", with the lines of `uart_lines` set.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DESCRIPTION = "proc/device-tree/model"
HEADER_UART_PINS = (14, 15)


@dataclass(frozen=True, slots=True)
class PwmPin:
    """A header pin that the PWM block drives: its channel, and the number of the pin's function in the overlay."""

    channel: int
    function: int


@dataclass(frozen=True, slots=True)
class PiModel:
    """One model; `described` is how its device tree begins, `serial0` the device that the firmware means by that."""

    name: str
    described: tuple[str, ...]
    filters: frozenset[str]
    board_type: frozenset[int]
    pwm_device: str
    pwm: Mapping[int, PwmPin]
    header_uart: str
    uart_lines: tuple[str, ...]
    serial0: str
    audio_uses_pwm: bool


BCM_PWM = MappingProxyType({12: PwmPin(0, 4), 13: PwmPin(1, 4), 18: PwmPin(0, 2), 19: PwmPin(1, 2)})
RP1_PWM = MappingProxyType({12: PwmPin(0, 4), 13: PwmPin(1, 4), 18: PwmPin(2, 2), 19: PwmPin(3, 2)})
# The good UART leaves Bluetooth and comes to the header.
BCM_UART = ("enable_uart=1", "dtoverlay=disable-bt")
RP1_UART = ("dtparam=uart0=on",)


def _bcm(name: str, described: tuple[str, ...], filters: set[str], board_type: set[int], pwm: str) -> PiModel:
    return PiModel(
        name, described, frozenset(filters), frozenset(board_type), pwm, BCM_PWM, "/dev/ttyAMA0", BCM_UART,
        "/dev/ttyAMA0", audio_uses_pwm=True,
    )  # fmt: skip


def _rp1(name: str, described: tuple[str, ...], filters: set[str], board_type: set[int]) -> PiModel:
    return PiModel(
        name, described, frozenset(filters), frozenset(board_type), "1f00098000.pwm", RP1_PWM, "/dev/ttyAMA0", RP1_UART,
        "/dev/ttyAMA10", audio_uses_pwm=False,
    )  # fmt: skip


MODELS = (
    _bcm("Raspberry Pi 3", ("Raspberry Pi 3 Model B",), {"pi3"}, {0x08}, "3f20c000.pwm"),
    _bcm(
        "Raspberry Pi 3+", ("Raspberry Pi 3 Model B Plus", "Raspberry Pi 3 Model A Plus"), {"pi3", "pi3+"},
        {0x0D, 0x0E}, "3f20c000.pwm",
    ),
    _bcm("Raspberry Pi Zero 2 W", ("Raspberry Pi Zero 2",), {"pi0", "pi0w", "pi02"}, {0x12}, "3f20c000.pwm"),
    _bcm("Raspberry Pi 4", ("Raspberry Pi 4 Model B",), {"pi4"}, {0x11}, "fe20c000.pwm"),
    _bcm("Compute Module 4", ("Raspberry Pi Compute Module 4 ",), {"pi4", "cm4"}, {0x14}, "fe20c000.pwm"),
    _rp1("Raspberry Pi 5", ("Raspberry Pi 5 Model B",), {"pi5"}, {0x17}),
    _rp1("Compute Module 5", ("Raspberry Pi Compute Module 5",), {"pi5", "cm5"}, {0x18, 0x1A}),
)  # fmt: skip


def find_model(description: str) -> PiModel | None:
    """Return the model whose device tree describes itself so, None when the table has no such model."""
    fitting = [
        (len(start), model)
        for model in MODELS
        for start in model.described
        if f"{description} ".startswith(start)
    ]  # fmt: skip
    return max(fitting, key=lambda each: each[0])[1] if fitting else None


def read_description(root: Path = Path("/")) -> str | None:
    """Return what this machine's device tree calls it, None on a machine that has none or does not say."""
    try:
        return (root / DESCRIPTION).read_bytes().rstrip(b"\0").decode(errors="replace")
    except OSError:
        return None


def this_model(root: Path = Path("/")) -> PiModel | None:
    """Return this machine's model, None when it is no Raspberry Pi or none of the table."""
    description = read_description(root)
    return find_model(description) if description is not None else None


def pwm_outputs(pin: int) -> tuple[tuple[str, int], ...]:
    """Return (end of the device link, channel) of the PWM behind `pin`, for each kind of model that has one there."""
    found = {model.pwm_device: model.pwm[pin].channel for model in MODELS if pin in model.pwm}
    return tuple(found.items())


def header_uart(model: PiModel | None) -> str:
    """Return the device of the UART on the header; on an unknown machine the name by which most know it."""
    return model.header_uart if model is not None else "/dev/serial0"
