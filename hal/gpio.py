"""GPIO lines over gpiozero with the factory of `hal.gpiod_pins`, named explicitly: no other factory can slip in."""

from __future__ import annotations

import time
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any

from hal.errors import DeviceNotFound, HalError, kind_of
from hal.gpiozero_parts import part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
            self._device = part("output_devices").OutputDevice(
                pin, active_high=active_high, initial_value=False, pin_factory=gpio.factory
            )

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
    """One output that oscillates at `frequency_hz` while it is set; a thread makes the edges."""

    def __init__(self, gpio: Gpio, pin: int, name: str, frequency_hz: int) -> None:
        self._gpio = gpio
        self._name = f"{name} (GPIO {pin})"
        with gpio.translating(self._name):
            self._device = part("output_devices").PWMOutputDevice(
                pin, frequency=frequency_hz, initial_value=0, pin_factory=gpio.factory
            )

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
            self._device = part("input_devices").DigitalInputDevice(
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

    def watch(self, callback: Callable[[int], None]) -> None:
        """Call `callback` in a thread of the line's own on every change to active, about 0.2 ms after the edge.

        It is handed the edge's own time in ns of CLOCK_MONOTONIC, because on a busy machine it may come much later.
        """

        def tell_activated(device: Any) -> None:
            callback(_ago_ns(device.active_time))

        def tell_deactivated(device: Any) -> None:
            callback(_ago_ns(device.inactive_time))

        with self._gpio.translating(self._name):
            if self._vendor_active_high is self._active_high:
                self._device.when_activated = tell_activated
            else:
                self._device.when_deactivated = tell_deactivated

    def close(self) -> None:
        """Release the line."""
        with self._gpio.translating(self._name):
            self._device.close()


def _ago_ns(seconds: float | None) -> int:
    """Return the instant so many seconds ago; now, where a later edge has already changed what is known of this one."""
    return time.monotonic_ns() - round((seconds or 0.0) * 1e9)


class Gpio:
    """The lines of one gpiochip, for one process; open it after the last fork.

    `chip` is a number in place of the header's own chip, `factory` other pins, for tests.
    """

    def __init__(self, chip: int | None = None, *, factory: Any = None) -> None:
        exc = part("exc")
        # gpiozero answers a call on a closed line with AttributeError.
        self.vendor_errors: tuple[type[Exception], ...] = (exc.GPIOZeroError, OSError, AttributeError)
        self._no_pi = exc.PinUnknownPi
        if factory is None:
            from hal.gpiod_pins import VENDOR_ERRORS, GpiodFactory

            self.vendor_errors += VENDOR_ERRORS
            with self.translating("gpiochip"):
                factory = GpiodFactory(chip)
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
        if isinstance(error, self._no_pi):
            return DeviceNotFound(f"{device}: {error}")
        if isinstance(error, OSError):
            return kind_of(error, HalError)(f"{device}: {error.strerror or error}")
        return HalError(f"{device}: {type(error).__name__}: {error}")

    @contextmanager
    def translating(self, device: str) -> Iterator[None]:
        """Let no exception but HalError out of the block."""
        try:
            yield
        except HalError:
            raise
        except self.vendor_errors as error:
            raise self.translate(device, error) from error
