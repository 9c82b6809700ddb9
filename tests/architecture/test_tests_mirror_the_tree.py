"""A test is found from the file that it tests: tests/unit has the folders of the product, and the levels have names."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {"architecture", "unit", "component", "system", "interop", "vectors", "support"}
UNITS = ROOT / "tests/unit"
SEVERAL = "one table for modules that are alike"
WITHOUT_A_MODULE = {
    "boards/test_board_files.py": "the board files themselves",
    "boards/test_builders.py": "build_safety and build_field, which must not open the same device",
    "cli/test_every_command.py": SEVERAL,
    "core/test_small_machines.py": SEVERAL,
    "device/test_charging_planner.py": "charging_planner of charging, as the clusters show what it does",
    "device/test_energy_evse_commands.py": "energy_evse, its commands",
    "device/test_energy_evse_stories.py": "energy_evse, what follows from what",
    "device/test_measurement_clusters.py": SEVERAL,
    "device/test_mode_clusters.py": SEVERAL,
    "diagnostics/test_answers.py": "counters and timing_report, as a terminal shows them",
    "hal/mock/test_mocks.py": SEVERAL,
    "hal/sensors/test_sensors.py": SEVERAL,
    "hal/test_gpio_lines.py": "gpio with gpiozero_parts",
    "hal/test_line_drivers.py": SEVERAL,
    "hal/test_measured_duty.py": "the duty cycle that follows from windows of pilot_adc",
    "hal/test_pilot_pwm_files.py": "pilot_pwm, at the files of the kernel",
    "matter/channel/test_lossy_network.py": "stack and exchange over a network that loses, doubles and reorders",
    "matter/clusters/test_commissioning.py": "the clusters that a commissioner uses, one after the other",
    "matter/clusters/test_conformance.py": "every cluster against its schema",
    "matter/clusters/test_rolled_back.py": "what the end of a fail-safe takes back in every cluster",
    "matter/clusters/test_utility.py": SEVERAL,
    "matter/interaction/test_events.py": "report, its events",
    "matter/interaction/test_read.py": "report, its attributes: from the paths to the messages",
    "matter/interaction/test_report_memory.py": "report, how much it holds",
    "matter/interaction/test_shares.py": "what one member of a fabric may hold of reads, subscriptions and exchanges",
    "matter/model/test_composition.py": "cluster_server, classes derived from others",
    "recorder/test_recordings.py": "replay, with every recording of tests/data",
    "safety/test_notify.py": "what the process tells systemd",
    "sim/test_instruments.py": SEVERAL,
    "systemd/test_build_chroot.py": "packaging/build.sh",
    "systemd/test_card.py": "image/prepare.sh",
    "systemd/test_hardening.py": "what systemd-analyze says of the units",
    "systemd/test_package_removal.py": "packaging/deb, the scripts of removal",
    "systemd/test_package_script.py": "packaging/deb, the script of installation",
    "systemd/test_units.py": "the units themselves",
    "web/pages/test_pages.py": SEVERAL,
    "web/test_csv.py": "pages/history_page, the table for spreadsheets",
}
"""The unit tests that test no single module, and what they test."""
FILES = sorted(path.relative_to(UNITS) for path in UNITS.rglob("*.py"))


def subject_of(folder: Path) -> Path:
    """Return the folder whose files the unit tests of a folder test."""
    match folder.parts[:1]:
        case ("boards" | "hal" | "systemd",):
            return ROOT / folder
        case ("support",):
            return ROOT / "tests" / folder
    return ROOT / "evse_pi" / folder


def test_every_folder_of_tests_is_a_level_or_their_support() -> None:
    assert {path.parts[-2] for path in (ROOT / "tests").glob("*/*.py")} <= FOLDERS
    assert {path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").glob("*/**/*.py")} == FOLDERS


@pytest.mark.parametrize("folder", sorted({path.parent for path in FILES}), ids=str)
def test_a_folder_of_unit_tests_is_a_folder_of_the_product(folder: Path) -> None:
    assert subject_of(folder).is_dir(), f"tests/unit/{folder} tests no folder"


def has_its_module(path: Path) -> bool:
    """Return whether a file of unit tests has the name of a module, or a package, in its folder of the product."""
    return any((subject_of(path.parent) / f"{path.stem.removeprefix('test_')}{end}").exists() for end in (".py", ""))


def test_a_file_of_unit_tests_has_the_name_of_the_module_that_it_tests() -> None:
    without = {path.as_posix() for path in FILES if path.name.startswith("test_") and not has_its_module(path)}
    assert without - WITHOUT_A_MODULE.keys() == set(), "tests no module: name it after one, or say what it tests"
    assert WITHOUT_A_MODULE.keys() - without == set(), "exceptions that nothing needs any more"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_the_name_of_a_test_file_does_not_repeat_its_folder(path: Path) -> None:
    has_the_name_of_its_file = (subject_of(path.parent) / path.name.removeprefix("test_")).exists()
    assert has_the_name_of_its_file or not path.name.startswith(f"test_{path.parent.name}_")
