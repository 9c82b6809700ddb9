"""The control pilot's generator: the kernel's hardware PWM through sysfs, 1 kHz, never re-timed at run time."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hal.errors import BadReading, DeviceNotFound, DevicePermission, naming
from hal.units import DutyPpm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PERIOD_NS = 1_000_000
"""1 kHz; a part per million of it is one nanosecond. Source: IEC 61851-1 Annex A."""
UDEV_PATIENCE_NS = 2_000_000_000
"""udev hands a fresh channel to its group within about 0.1..1 s."""
UDEV_POLL_S = 0.02
_ATTRIBUTES = ("period", "duty_cycle", "enable", "polarity")


class SysfsPilotPwm:
    """Drives one channel, found by the device link of its chip because chip numbers change with kernels.

    `outputs` are (end of the device link, channel), one per model of Pi; the first that exists is taken. `inverted`
    says that a high pin gives −12 V. A channel that an earlier process left exported is taken over without a gap.
    Hazard: H-08. The PWM outlives the process: the cleanup must call `set_low`.
    """

    def __init__(
        self,
        outputs: Sequence[tuple[str, int]],
        *,
        inverted: bool = False,
        root: Path = Path("/"),
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._inverted = inverted
        self._clock = clock
        self._sleep = sleep
        chip, channel = _find(root / "sys/class/pwm", outputs)
        self._path = chip / f"pwm{channel}"
        self._name = f"pilot PWM {self._path}"
        self._export(chip / "export", channel)
        self._fds = self._open_attributes()
        try:
            self._set_up()
        except BaseException:
            self._close_attributes()
            raise

    def set_duty(self, duty_ppm: DutyPpm) -> None:
        """Hold +12 V for `duty_ppm` of each period, −12 V for the rest. Raises: BadReading when it does not stick."""
        if not 0 <= duty_ppm <= PERIOD_NS:
            raise ValueError(f"duty_ppm = {duty_ppm}; must be 0..{PERIOD_NS}")
        wanted = str(PERIOD_NS - duty_ppm if self._inverted else duty_ppm)
        self._write("duty_cycle", wanted)
        self._expect("duty_cycle", wanted)

    def set_high(self) -> None:
        """Hold +12 V."""
        self.set_duty(DutyPpm(PERIOD_NS))

    def set_low(self) -> None:
        """Hold −12 V."""
        self.set_duty(DutyPpm(0))

    def close(self) -> None:
        """Hold −12 V; the channel stays exported and enabled, because a disabled one leaves the level to the driver."""
        if not self._fds:
            return
        try:
            self.set_low()
        finally:
            self._close_attributes()

    def _export(self, export: Path, channel: int) -> None:
        with naming(f"{self._name}: export"):
            fd = os.open(export, os.O_WRONLY)
            try:
                os.write(fd, str(channel).encode())
            except OSError as error:
                if error.errno != errno.EBUSY:  # busy: an earlier process left it exported
                    raise
            finally:
                os.close(fd)

    def _open_attributes(self) -> dict[str, int]:
        """Return the attributes' descriptors, as soon as udev lets this process have them all."""
        deadline_ns = self._clock() + UDEV_PATIENCE_NS
        while True:
            fds: dict[str, int] = {}
            try:
                with naming(self._name):
                    for name in _ATTRIBUTES:
                        fds[name] = os.open(self._path / name, os.O_RDWR)
            except (DeviceNotFound, DevicePermission):
                for fd in fds.values():
                    os.close(fd)
                if self._clock() >= deadline_ns:
                    raise
                self._sleep(UDEV_POLL_S)
            else:
                return fds

    def _set_up(self) -> None:
        for name, wanted in (("period", str(PERIOD_NS)), ("polarity", "normal")):
            seen = self._read(name)
            if seen == wanted:
                continue
            if self._read("enable") != "0":
                self._write("enable", "0")
            if name == "period" and seen != "0":
                self._write("duty_cycle", "0")  # the core refuses a period below the duty cycle
            self._write(name, wanted)
        self.set_low()
        self._write("enable", "1")
        for name, wanted in (("period", str(PERIOD_NS)), ("polarity", "normal"), ("enable", "1")):
            self._expect(name, wanted)

    def _write(self, name: str, value: str) -> None:
        # A raw descriptor: a buffered file would tell the errno only when it is flushed or closed.
        with naming(f"{self._name}: {name} = {value}"):
            os.write(self._fds[name], value.encode())

    def _read(self, name: str) -> str:
        with naming(f"{self._name}: {name}"):
            return os.pread(self._fds[name], 64, 0).decode("ascii", "replace").strip()

    def _expect(self, name: str, wanted: str) -> None:
        seen = self._read(name)
        if seen != wanted:
            raise BadReading(f"{self._name}: {name} reads {seen} after {wanted} was written")

    def _close_attributes(self) -> None:
        for fd in self._fds.values():
            os.close(fd)
        self._fds = {}


def _find(class_directory: Path, outputs: Sequence[tuple[str, int]]) -> tuple[Path, int]:
    """Return the chip and channel of the first of `outputs` that this machine has."""
    with naming(str(class_directory)):
        chips = sorted(class_directory.iterdir())
    links = {chip: os.path.realpath(chip / "device") for chip in chips}
    for device, channel in outputs:
        for chip, link in links.items():
            if link.endswith("/" + device):
                return chip, channel
    raise DeviceNotFound(
        f"pilot PWM: no chip of {', '.join(device for device, _ in outputs)} in {class_directory} "
        f"(found {', '.join(links.values()) or 'none'}); the board's dtoverlay=pwm is not in force in config.txt"
    )
