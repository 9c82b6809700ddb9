"""GPIO lines over gpiozero with the lgpio factory, named explicitly: no other factory can slip in.

Two traps of lgpio 0.2.2 end here. Its import makes a FIFO in the working directory and dies when it cannot; and with
LG_WD set it changes the working directory of the whole process. So it is imported inside a private directory that is
gone again afterwards, and the working directory is put back.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hal.errors import DeviceBusy, DeviceNotFound, DevicePermission, HalError, naming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LGPIO_ERRORS: tuple[tuple[str, type[HalError]], ...] = (
    ("GPIO busy", DeviceBusy),
    ("can not open gpiochip", DeviceNotFound),
    ("bad GPIO number", DeviceNotFound),
    ("no permission", DevicePermission),
    ("unable to locate Pi revision", DeviceNotFound),
)
"""lgpio and gpiozero tell their errors apart only by text. Source: lgpio 0.2.2, lgErr.c; gpiozero 2.0.1, local.py."""


class Pull(Enum):
    """The Pi's own resistor at an input, about 50 kΩ."""

    UP = "up"
    DOWN = "down"
    NONE = "none"


class OutputLine:
    """One output; `active_high` says which level `set(True)` drives. It starts inactive."""

    def __init__(self, gpio: Gpio, pin: int, name: str, *, active_high: bool) -> None:
        self._gpio = gpio
        self._name = f"{name} (GPIO {pin})"
        with gpio.translating(self._name):
            from gpiozero import OutputDevice

            self._device = OutputDevice(pin, active_high=active_high, initial_value=False, pin_factory=gpio.factory)

    def set(self, active: bool) -> None:
        """Drive the line active or not."""
        try:
            self._device.value = active
        except self._gpio.vendor_errors as error:
            raise self._gpio.translate(self._name, error) from error

    def close(self) -> None:
        """Drive the line inactive and make it an input without pull."""
        with self._gpio.translating(self._name):
            if not self._device.closed:
                self._device.off()
                self._device.close()


class SquareWaveLine:
    """One output that oscillates at `frequency_hz` while it is set; lgpio makes the edges in its own C thread."""

    def __init__(self, gpio: Gpio, pin: int, name: str, frequency_hz: int) -> None:
        self._gpio = gpio
        self._name = f"{name} (GPIO {pin})"
        with gpio.translating(self._name):
            from gpiozero import PWMOutputDevice

            self._device = PWMOutputDevice(pin, frequency=frequency_hz, initial_value=0, pin_factory=gpio.factory)

    def set(self, active: bool) -> None:
        """Oscillate, or stay low."""
        with self._gpio.translating(self._name):
            self._device.value = 0.5 if active else 0

    def close(self) -> None:
        """Stay low and make the line an input without pull."""
        with self._gpio.translating(self._name):
            if not self._device.closed:
                self._device.value = 0
                self._device.close()


class InputLine:
    """One input; `read()` is True at the level that `active_high` names."""

    def __init__(self, gpio: Gpio, pin: int, name: str, *, active_high: bool, pull: Pull) -> None:
        self._gpio = gpio
        self._name = f"{name} (GPIO {pin})"
        self._active_high = active_high
        # gpiozero takes a pulled-up input as active low and refuses to be told otherwise.
        self._vendor_active_high = active_high if pull is Pull.NONE else pull is Pull.DOWN
        with gpio.translating(self._name):
            from gpiozero import DigitalInputDevice

            self._device = DigitalInputDevice(
                pin,
                pull_up=None if pull is Pull.NONE else pull is Pull.UP,
                active_state=active_high if pull is Pull.NONE else None,
                pin_factory=gpio.factory,
            )

    def read(self) -> bool:
        """Return whether the line is active now."""
        try:
            return bool(self._device.pin.state) is self._active_high
        except self._gpio.vendor_errors as error:
            raise self._gpio.translate(self._name, error) from error

    def watch(self, callback: Callable[[], None]) -> None:
        """Call `callback` in lgpio's thread on every change to active, about 1 ms after the edge."""
        with self._gpio.translating(self._name):
            if self._vendor_active_high is self._active_high:
                self._device.when_activated = callback
            else:
                self._device.when_deactivated = callback

    def close(self) -> None:
        """Release the line."""
        with self._gpio.translating(self._name):
            self._device.close()


class Gpio:
    """The lines of one gpiochip, for one process; open it after the last fork.

    `factory` replaces lgpio in tests. `scratch` is a writable directory, the system's own for temporary files when
    None; nothing stays in it.
    """

    def __init__(self, chip: int | None = None, *, scratch: Path | None = None, factory: Any = None) -> None:
        from gpiozero.exc import GPIOZeroError

        # gpiozero answers a call on a closed line with AttributeError.
        if factory is None:
            lgpio = _import_lgpio(scratch)
            self.vendor_errors: tuple[type[Exception], ...] = (GPIOZeroError, lgpio.error, OSError, AttributeError)
            with self.translating("gpiochip"):
                from gpiozero.pins.lgpio import LGPIOFactory

                factory = LGPIOFactory(chip)
        else:
            self.vendor_errors = (GPIOZeroError, OSError, AttributeError)
        self.factory: Any = factory

    def output(self, pin: int, name: str, *, active_high: bool = True) -> OutputLine:
        """Return the output `name`, driven inactive."""
        return OutputLine(self, pin, name, active_high=active_high)

    def square_wave(self, pin: int, name: str, frequency_hz: int) -> SquareWaveLine:
        """Return the output `name` that oscillates while set, low now."""
        return SquareWaveLine(self, pin, name, frequency_hz)

    def input(self, pin: int, name: str, *, active_high: bool, pull: Pull) -> InputLine:
        """Return the input `name`."""
        return InputLine(self, pin, name, active_high=active_high, pull=pull)

    def close(self) -> None:
        """Release every line of this process; each becomes an input without pull."""
        with self.translating("gpiochip"):
            self.factory.close()

    def translate(self, device: str, error: Exception) -> HalError:
        """Return the HalError that a vendor's `error` stands for."""
        text = str(getattr(error, "value", error))
        for part, kind in LGPIO_ERRORS:
            if part in text:
                return kind(f"{device}: {text}")
        return HalError(f"{device}: {type(error).__name__}: {text}")

    @contextmanager
    def translating(self, device: str) -> Iterator[None]:
        """Let no exception but HalError out of the block."""
        try:
            yield
        except HalError:
            raise
        except self.vendor_errors as error:
            raise self.translate(device, error) from error


def _import_lgpio(scratch: Path | None) -> Any:
    """Return the module lgpio. Raises: HalError when its FIFO cannot be made, or it is the empty wheel of 0.0.0.2."""
    if "lgpio" in sys.modules:
        return sys.modules["lgpio"]
    here = Path.cwd()
    previous = os.environ.get("LG_WD")
    with (
        naming("lgpio's notification FIFO"),
        tempfile.TemporaryDirectory(prefix="evse-pi-gpio-", dir=scratch) as private,
    ):
        os.environ["LG_WD"] = private
        try:
            import lgpio
        finally:
            os.chdir(here)
            if previous is None:
                del os.environ["LG_WD"]
            else:
                os.environ["LG_WD"] = previous
    if not hasattr(lgpio, "gpiochip_open"):
        raise HalError(f"{lgpio.__file__} is an empty module; install Debian's python3-lgpio in its place")
    return lgpio
