"""docs/SECURITY.md lists what is bounded: each constant is there, and each test that shows it."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "docs/SECURITY.md").read_text().split("## Bounds")[1].split("\n## ")[0]
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in SECTION.splitlines() if line.startswith("| ")]
TESTS = {
    name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)\(", path.read_text())
}


@pytest.mark.parametrize(("constant", "test"), [(row[1].strip("`"), row[3].strip("`")) for row in ROWS[1:]])
def test_a_bound_and_its_test_exist(constant: str, test: str) -> None:
    module, name = constant.rsplit(".", 1)
    assert isinstance(getattr(importlib.import_module(module), name), int | float)
    assert test in TESTS
