"""Lines over gpiozero, on its own mock pins; lgpio's import trap in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from hal.errors import DeviceBusy, DeviceNotFound, HalError
from hal.gpio import Gpio, Pull


@pytest.fixture
def gpio():
    gpio = Gpio(factory=MockFactory(pin_class=MockPWMPin))
    yield gpio
    gpio.close()


@pytest.mark.parametrize("active_high", [True, False])
def test_an_output_starts_inactive_and_follows(gpio, active_high):
    line = gpio.output(17, "coil", active_high=active_high)
    pin = gpio.factory.pin(17)
    assert (pin.function, bool(pin.state)) == ("output", not active_high)
    line.set(True)
    assert bool(pin.state) is active_high
    line.set(False)
    assert bool(pin.state) is not active_high


def test_an_active_high_output_never_was_high_on_its_way_to_low(gpio):
    gpio.output(17, "coil")
    assert [change.state for change in gpio.factory.pin(17).states] == [False]


def test_closing_an_output_first_drives_it_inactive(gpio):
    line = gpio.output(17, "coil")
    line.set(True)
    pin = gpio.factory.pin(17)
    line.close()
    assert pin.function == "input"
    assert [bool(change.state) for change in pin.states] == [False, True, False]
    line.close()


@pytest.mark.parametrize("pull", Pull)
@pytest.mark.parametrize("active_high", [True, False])
def test_an_input_reads_and_watches_its_active_level_with_every_pull(gpio, pull, active_high):
    line = gpio.input(22, "trip", active_high=active_high, pull=pull)
    pin = gpio.factory.pin(22)
    level = {True: pin.drive_high, False: pin.drive_low}
    level[not active_high]()
    seen = []
    line.watch(lambda: seen.append("active"))
    assert line.read() is False
    level[active_high]()
    assert line.read() is True
    level[not active_high]()
    level[active_high]()
    assert seen == ["active", "active"]


def test_an_unconnected_input_reads_its_pull(gpio):
    assert gpio.input(20, "a", active_high=True, pull=Pull.UP).read() is True
    assert gpio.input(21, "b", active_high=True, pull=Pull.DOWN).read() is False


def test_a_square_wave_runs_only_while_it_is_set(gpio):
    line = gpio.square_wave(24, "test", 60)
    pin = gpio.factory.pin(24)
    assert (pin.frequency, pin.state) == (60, 0)
    line.set(True)
    assert pin.state == 0.5
    line.set(False)
    assert pin.state == 0
    line.close()


def test_a_line_that_is_taken_or_missing_or_closed_is_a_hal_error(gpio):
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
    ("text", "kind"), [("GPIO busy", DeviceBusy), ("can not open gpiochip", DeviceNotFound), ("other", HalError)]
)
def test_lgpio_tells_its_errors_by_text(gpio, text, kind):
    translated = gpio.translate("coil", Exception(text))
    assert type(translated) is kind
    assert str(translated).startswith("coil: ")


IMPORT = """
import os, sys
from pathlib import Path
from hal.errors import HalError
from hal.gpio import Gpio
scratch = Path(sys.argv[1])
try:
    Gpio(scratch=scratch)
except HalError as error:
    print(type(error).__name__)
print(os.getcwd())
print(sorted(path.name for path in scratch.iterdir()) if scratch.exists() else "no scratch")
print("LG_WD" in os.environ)
"""


def open_lines(scratch, where):
    command = [sys.executable, "-c", IMPORT, str(scratch)]
    return subprocess.run(command, cwd=where, capture_output=True, text=True, check=True).stdout.split("\n")


@pytest.mark.skipif(Path("/dev/gpiochip0").exists(), reason="needs a machine without GPIO")
def test_opening_lgpio_leaves_working_directory_environment_and_scratch_as_they_were(tmp_path):
    """And it works from a directory that cannot be written, where lgpio's own import dies."""
    kind, where, left, variable, _ = open_lines(tmp_path, "/proc")
    assert kind == "DeviceNotFound"
    assert where == "/proc"
    assert left == "[]"
    assert variable == "False"


def test_a_scratch_directory_that_is_missing_is_a_hal_error(tmp_path):
    assert open_lines(tmp_path / "missing", "/proc")[0] == "DeviceNotFound"
