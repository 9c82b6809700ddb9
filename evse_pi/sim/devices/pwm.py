"""A hardware PWM chip behind the kernel's sysfs files, with their errors, running on when no process holds it."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evse_pi.sim.devices.shim_protocol import READ, WRITE, Answer, Opened, ShimRequest, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from evse_pi.sim.plant import Plant

CLASS = "/sys/class/pwm/"
FULL_PPM = 1_000_000
NUMBER = re.compile(rb"\+?(0x[0-9a-fA-F]+|[0-9]+)\n?\Z")
ATTRIBUTE = re.compile(r"/pwmchip\d+/(?:pwm(\d+)/)?(\w+)\Z")


@dataclass(slots=True)
class Channel:
    """One exported channel."""

    period: int = 0
    duty_cycle: int = 0
    enable: int = 0
    polarity: str = "normal"

    def high_ppm(self) -> int:
        """Return the share of the period in which the pin is high; a disabled one is low."""
        if not self.enable or not self.period:
            return 0
        high = FULL_PPM * self.duty_cycle // self.period
        return high if self.polarity == "normal" else FULL_PPM - high


@dataclass(slots=True)
class PwmChip:
    """The chip; one of its channels is the pilot's.

    Files below `root` show what exists; their contents and errors come from here.
    """

    plant: Plant
    root: Path
    chip: int
    count: int
    device: str  # of the PWM block, below /sys
    pilot: int
    inverted: bool = False
    name: str = "pwm"
    channels: dict[int, Channel] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.pilot < self.count:
            raise ValueError(f"pwm.channel {self.pilot}: allowed is 0 to {self.count - 1}")
        folder = self._folder()
        folder.mkdir(parents=True)
        for attribute in ("export", "unexport", "npwm"):
            (folder / attribute).touch()
        (folder / "device").symlink_to("../..")
        classes = self.root / CLASS.strip("/")
        classes.mkdir(parents=True, exist_ok=True)
        (classes / f"pwmchip{self.chip}").symlink_to(os.path.relpath(folder, classes))

    def nodes(self) -> tuple[str, ...]:
        """Return the prefixes under which the attributes are found."""
        return (f"{CLASS}pwmchip{self.chip}/", f"{self.device}/pwm/pwmchip{self.chip}/")

    def open(self, path: str, flags: int, now_ns: int) -> Opened:  # noqa: ARG002 - time does not matter
        """Open an attribute that exists."""
        match = ATTRIBUTE.search(path)
        if match is None or not (self.root / path.lstrip("/")).is_file():
            raise refusal(errno.EISDIR if (self.root / path.lstrip("/")).is_dir() else errno.ENOENT)
        number, attribute = match.groups()
        if attribute == "npwm" and flags & os.O_ACCMODE != os.O_RDONLY:
            raise refusal(errno.EACCES)
        return Opened(AttributeFile(self, None if number is None else int(number), attribute))

    def read(self, number: int | None, attribute: str) -> bytes:
        """Return an attribute's text."""
        if attribute == "npwm":
            return b"%d\n" % self.count
        if number is None:
            raise refusal(errno.EACCES)
        if number not in self.channels:
            raise refusal(errno.ENODEV)
        return f"{getattr(self.channels[number], attribute)}\n".encode()

    def write(self, number: int | None, attribute: str, text: bytes, now_ns: int) -> None:
        """Store an attribute as the kernel does, or refuse it."""
        if number is None:
            self._export(_number(text), attribute == "export", now_ns)
            return
        channel = self.channels.get(number)
        if channel is None:
            raise refusal(errno.ENODEV)
        if attribute == "polarity":
            polarity = text.decode(errors="replace").strip()
            if polarity not in ("normal", "inversed"):
                raise refusal(errno.EINVAL)
            changed = Channel(channel.period, channel.duty_cycle, channel.enable, polarity)
        else:
            values = {"period": channel.period, "duty_cycle": channel.duty_cycle, "enable": channel.enable}
            values[attribute] = _number(text)
            changed = Channel(**values, polarity=channel.polarity)
        if not changed.period or changed.duty_cycle > changed.period or changed.enable > 1:
            raise refusal(errno.EINVAL)
        self.channels[number] = changed
        self._drive(number, now_ns)

    def _export(self, number: int, export: bool, now_ns: int) -> None:
        if number >= self.count:
            raise refusal(errno.ENODEV)
        if export is (number in self.channels):
            raise refusal(errno.EBUSY if export else errno.ENODEV)
        folder = self._folder() / f"pwm{number}"
        if export:
            self.channels[number] = Channel()
            folder.mkdir()
            for attribute in ("period", "duty_cycle", "enable", "polarity"):
                (folder / attribute).touch()
            return
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        del self.channels[number]
        self._drive(number, now_ns)

    def _drive(self, number: int, now_ns: int) -> None:
        if number != self.pilot:
            return
        channel = self.channels.get(number, Channel())
        high_ppm = channel.high_ppm()
        self.plant.set_pilot(FULL_PPM - high_ppm if self.inverted else high_ppm, now_ns, channel.period or FULL_PPM)

    def _folder(self) -> Path:
        return self.root / self.device.lstrip("/") / "pwm" / f"pwmchip{self.chip}"


class AttributeFile:
    """One open attribute."""

    def __init__(self, chip: PwmChip, number: int | None, attribute: str) -> None:
        self._chip = chip
        self._number = number
        self._attribute = attribute

    def handle(self, request: ShimRequest, now_ns: int) -> Answer:
        """Serve a read or a store."""
        if request.operation == READ:
            text = self._chip.read(self._number, self._attribute)[request.a : request.a + request.b]
            return Answer(len(text), text)
        if request.operation != WRITE:
            raise refusal(errno.ENOTTY)
        self._chip.write(self._number, self._attribute, request.payload, now_ns)
        return Answer(len(request.payload))

    def closed(self, now_ns: int) -> None:
        """The channel runs on."""


def _number(text: bytes) -> int:
    if NUMBER.match(text) is None:
        raise refusal(errno.EINVAL)
    value = int(text, 0)
    if value >= 1 << 64:
        raise refusal(errno.ERANGE)
    return value
