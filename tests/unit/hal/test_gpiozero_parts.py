"""Lines load what they need of gpiozero, and other importers find the whole package."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("gpiozero")


def in_new_interpreter(program: str, **environment: str) -> list[str]:
    """Return the words that a program prints whose interpreter has loaded nothing yet."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nfrom hal.gpiozero_parts import part\n{program}"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_line_loads_no_robots_and_no_reader_of_packages() -> None:
    unused = "{'gpiozero.boards', 'gpiozero.internal_devices', 'importlib.metadata', 'importlib_metadata', 'zipfile'}"
    assert in_new_interpreter(f"part('output_devices').OutputDevice\nprint(*{unused} & set(sys.modules))") == []


def test_the_rest_of_gpiozero_is_loaded_by_the_first_other_name() -> None:
    program = """
line = part('output_devices').LED
from gpiozero import LED, LEDBoard, Robot
import gpiozero
print(LED is line, issubclass(LEDBoard, gpiozero.CompositeDevice), type(gpiozero).__name__)
"""
    assert in_new_interpreter(program) == ["True", "True", "module"]


def test_a_name_that_gpiozero_does_not_have_is_an_attribute_error_as_ever() -> None:
    program = """
part('exc')
import gpiozero
print(hasattr(gpiozero, 'Kettle'), hasattr(gpiozero, 'Button'))
"""
    assert in_new_interpreter(program) == ["False", "True"]


def test_a_pin_factory_that_the_environment_names_is_found_among_the_installed_ones() -> None:
    program = """
device = part('devices').Device
device.ensure_pin_factory()
print(type(device.pin_factory).__name__)
"""
    assert in_new_interpreter(program, GPIOZERO_PIN_FACTORY="mock") == ["MockFactory"]


def test_an_installed_reader_of_packages_stays_the_one_that_others_import() -> None:
    program = """
import types
theirs = sys.modules['importlib_metadata'] = types.ModuleType('importlib_metadata')
part('output_devices')
print(sys.modules['importlib_metadata'] is theirs)
"""
    assert in_new_interpreter(program) == ["True"]


def test_what_was_loaded_whole_before_is_left_as_it_is() -> None:
    program = """
import gpiozero
print(part('output_devices').LED is gpiozero.LED, sys.modules['gpiozero'] is gpiozero)
"""
    assert in_new_interpreter(program) == ["True", "True"]
