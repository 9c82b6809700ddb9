"""docs/SECURITY.md lists what is bounded: each constant has the value that stands there, and its tests exist.

So no bound moves unseen: a change of one is a change of the page, which names the tests that show what it is for.
"""

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


@pytest.mark.parametrize(("constants", "tests"), [(row[1], row[3]) for row in ROWS[1:]])
def test_a_bound_is_what_the_page_says_and_its_tests_exist(constants: str, tests: str) -> None:
    named = re.findall(r"`([\w.]+)` ([0-9]+)(?=,| of |$)", constants)
    assert len(named) == constants.count("`") / 2, constants
    module = importlib.import_module(named[0][0].rsplit(".", 1)[0])
    for name, value in named:
        assert getattr(module, name.rsplit(".", 1)[-1]) == int(value), name
    shown = re.findall(r"`(test_\w+)`", tests)
    assert shown
    assert TESTS.issuperset(shown)
