"""Lines over gpiozero, on its own mock pins, and which chip they are lines of."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from hal import gpiod_pins
from hal.errors import DeviceBusy, DeviceNotFound, DevicePermission, HalError
from hal.gpio import Gpio, Pull

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def gpio() -> Iterator[Gpio]:
    gpio = Gpio(factory=MockFactory(pin_class=MockPWMPin))
    yield gpio
    gpio.close()


@pytest.mark.parametrize("active_high", [True, False])
def test_an_output_starts_inactive_and_follows(gpio: Gpio, active_high: bool) -> None:
    line = gpio.output(17, "coil", active_high=active_high)
    pin = gpio.factory.pin(17)
    assert (pin.function, bool(pin.state)) == ("output", not active_high)
    line.set(True)
    assert bool(pin.state) is active_high
    line.set(False)
    assert bool(pin.state) is not active_high


def test_an_active_high_output_never_was_high_on_its_way_to_low(gpio: Gpio) -> None:
    gpio.output(17, "coil")
    assert [change.state for change in gpio.factory.pin(17).states] == [False]


def test_closing_an_output_first_drives_it_inactive(gpio: Gpio) -> None:
    line = gpio.output(17, "coil")
    line.set(True)
    pin = gpio.factory.pin(17)
    line.close()
    assert pin.function == "input"
    assert [bool(change.state) for change in pin.states] == [False, True, False]
    line.close()


@pytest.mark.parametrize("pull", Pull)
@pytest.mark.parametrize("active_high", [True, False])
def test_an_input_reads_and_watches_its_active_level_with_every_pull(gpio: Gpio, pull: Pull, active_high: bool) -> None:
    line = gpio.input(22, "trip", active_high=active_high, pull=pull)
    pin = gpio.factory.pin(22)
    level = {True: pin.drive_high, False: pin.drive_low}
    level[not active_high]()
    seen = []
    line.watch(lambda _: seen.append("active"))
    assert line.read() is False
    level[active_high]()
    assert line.read() is True
    level[not active_high]()
    level[active_high]()
    assert seen == ["active", "active"]


def test_an_unconnected_input_reads_its_pull(gpio: Gpio) -> None:
    assert gpio.input(20, "a", active_high=True, pull=Pull.UP).read() is True
    assert gpio.input(21, "b", active_high=True, pull=Pull.DOWN).read() is False


def test_a_square_wave_runs_only_while_it_is_set(gpio: Gpio) -> None:
    line = gpio.square_wave(24, "test", 60)
    pin = gpio.factory.pin(24)
    assert (pin.frequency, pin.state) == (60, 0)
    line.set(True)
    assert pin.state == 0.5
    line.set(False)
    assert pin.state == 0
    line.close()


def test_a_line_that_is_taken_or_missing_or_closed_is_a_hal_error(gpio: Gpio) -> None:
    line = gpio.output(17, "coil")
    with pytest.raises(HalError, match=r"coil 2 \(GPIO 17\)"):
        gpio.output(17, "coil 2")
    with pytest.raises(HalError, match="GPIO 99"):
        gpio.output(99, "nowhere")
    line.close()
    with pytest.raises(HalError, match="coil"):
        line.set(True)
    closed = gpio.input(20, "bolt", active_high=True, pull=Pull.UP)
    closed.close()
    with pytest.raises(HalError, match="bolt"):
        closed.read()


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EBUSY, DeviceBusy),
        (errno.ENOENT, DeviceNotFound),
        (errno.EACCES, DevicePermission),
        (errno.EINVAL, HalError),
    ],
)
def test_the_kernel_s_errors_are_told_apart_by_their_number(
    gpio: Gpio, number: int, kind: type[DeviceBusy | DeviceNotFound | DevicePermission]
) -> None:
    translated = gpio.translate("coil", OSError(number, os.strerror(number)))
    assert type(translated) is kind
    assert str(translated) == f"coil: {os.strerror(number)}"


class FakeChip:
    """A chip of which only the label matters."""

    opened: ClassVar[list[str]] = []
    labels: ClassVar[dict[str, str]] = {}

    def __init__(self, path: str) -> None:
        self.path = path
        self.opened.append(path)

    def get_info(self) -> SimpleNamespace:
        return SimpleNamespace(label=self.labels[self.path])

    def close(self) -> None:
        self.opened.remove(self.path)


@pytest.fixture
def chips(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Let the machine have the chips of `labels`."""
    monkeypatch.setattr("hal.gpiod_pins.gpiod.Chip", FakeChip)
    monkeypatch.setattr(FakeChip, "opened", [])
    monkeypatch.setattr(gpiod_pins, "chips", lambda: iter(FakeChip.labels))
    return lambda labels: monkeypatch.setattr(FakeChip, "labels", labels)


@pytest.mark.parametrize(
    ("labels", "path"),
    [
        # Pi 5 with kernel 6.6.31 and with 6.12, and Pi 4: gpioinfo of Raspberry Pi's forums and kernel issue 6144.
        ({"/dev/gpiochip0": "gpio-brcmstb@107d508500", "/dev/gpiochip4": "pinctrl-rp1"}, "/dev/gpiochip4"),
        ({"/dev/gpiochip0": "pinctrl-rp1", "/dev/gpiochip10": "gpio-brcmstb@107d508500"}, "/dev/gpiochip0"),
        ({"/dev/gpiochip0": "pinctrl-bcm2711", "/dev/gpiochip1": "raspberrypi-exp-gpio"}, "/dev/gpiochip0"),
    ],
)
def test_the_header_s_chip_is_found_by_its_label_whatever_its_number(
    chips: Callable[..., Any], labels: dict[str, str], path: str
) -> None:
    chips(labels)
    factory = Gpio().factory
    assert (factory.chip.path, FakeChip.opened) == (path, [path])
    factory.close()
    assert FakeChip.opened == []


def test_a_machine_without_a_header_is_told_what_it_has(chips: Callable[..., Any]) -> None:
    chips({"/dev/gpiochip0": "gpio-mockup"})
    with pytest.raises(DeviceNotFound, match=r"none is a Raspberry Pi's header; /dev/gpiochip0 is gpio-mockup"):
        Gpio()
    assert FakeChip.opened == []
    chips({})
    with pytest.raises(DeviceNotFound, match="there is none at all"):
        Gpio()
