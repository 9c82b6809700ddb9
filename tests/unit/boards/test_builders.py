"""What the builders do when a device is missing, and what they load."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from gpiozero.pins.mock import MockFactory

from boards.build_field import build_field
from boards.build_safety import SafetyHardware, build_safety, close_all
from boards.loader import load_board
from boards.spec import MeterModel
from hal.errors import BadReading, BusTimeout, DeviceNotFound
from hal.gpio import Gpio

if TYPE_CHECKING:
    from pathlib import Path


def test_a_missing_pilot_generator_leaves_the_contactor_line_released(tmp_path: Path) -> None:
    """Outputs come first: the coil line was driven low before the missing PWM was looked for."""
    gpio = Gpio(factory=MockFactory())
    pin = gpio.factory.pin(17)
    with pytest.raises(DeviceNotFound, match="sys/class/pwm"):
        build_safety(load_board("reference", own=tmp_path), root=tmp_path, gpio=gpio)
    assert [change.state for change in pin.states if change.state] == []
    assert pin.function == "input"


def test_closing_reaches_every_device_and_tells_the_first_error() -> None:
    calls = []

    def fail(error: BadReading | BusTimeout) -> None:
        calls.append(type(error).__name__)
        raise error

    closers = (
        lambda: fail(BadReading("contactor")),
        lambda: calls.append("pwm"),
        lambda: fail(BusTimeout("converter")),
    )
    with pytest.raises(BadReading, match="contactor"):
        close_all(closers)
    assert calls == ["BadReading", "pwm", "BusTimeout"]
    nothing: Any = None
    with pytest.raises(BadReading):
        SafetyHardware(contactor=nothing, pilot_pwm=nothing, pilot_adc=nothing, closers=closers).close()


@pytest.mark.parametrize("module", ["boards.build_safety", "boards.loader"])
def test_what_the_safety_process_imports_knows_no_slow_bus(module: str) -> None:
    code = (
        f"import sys, {module}; print([name for name in sys.modules if name.startswith(('hal.meters', 'hal.sensors'))])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n"


def test_no_vendor_library_is_loaded_by_an_import() -> None:
    code = (
        "import sys, boards.build_safety, boards.build_field, hal.mock;"
        "print([name for name in ('spidev', 'gpiod', 'gpiozero', 'serial', 'smbus2') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n"


def test_the_field_devices_are_named_by_bus_and_not_opened_yet(tmp_path: Path) -> None:
    spec = load_board("simulated", own=tmp_path)
    field = build_field(spec)
    assert field.meter is not None
    assert field.meter.bus == "/dev/serial0"  # the name that most know, as this machine is no Pi
    assert [(slot.place, slot.bus) for slot in field.thermometers] == [
        ("contactor terminals", "/dev/i2c-1"),
        ("socket contacts", "/dev/i2c-1"),
        ("enclosure", "/dev/i2c-1"),
    ]


def test_the_installations_meter_takes_the_place_of_the_boards(tmp_path: Path) -> None:
    spec = load_board("simulated", own=tmp_path)
    assert spec.meter is not None
    other = replace(spec.meter, model=MeterModel.SDM120, port="/dev/ttyUSB0")
    slot = build_field(spec, meter=other).meter
    assert slot is not None
    assert slot.bus == "/dev/ttyUSB0"
    assert build_field(replace(spec, meter=None, temperature=())).meter is None
