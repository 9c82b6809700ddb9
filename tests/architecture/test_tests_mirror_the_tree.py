"""A test is found from the file that it tests: tests/unit has the folders of the product, and the levels have names."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {"architecture", "unit", "component", "system", "interop", "vectors", "support"}
UNITS = ROOT / "tests/unit"
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


@pytest.mark.parametrize("path", FILES, ids=str)
def test_the_name_of_a_test_file_does_not_repeat_its_folder(path: Path) -> None:
    has_the_name_of_its_file = (subject_of(path.parent) / path.name.removeprefix("test_")).exists()
    assert has_the_name_of_its_file or not path.name.startswith(f"test_{path.parent.name}_")
