"""docs/CERTIFICATION.md names for every rule the test that would fail: both ends exist, and no test is left out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REAL = ROOT / "tests/interop"
CELL = re.compile(r"`([\w/]+\.py)::(\w+)`")
NAMED = CELL.findall((ROOT / "docs/CERTIFICATION.md").read_text())


def names_in(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_")
    }


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_every_test_of_a_rule_exists(file: str) -> None:
    path = ROOT / file if "/" in file else REAL / file
    missing = {name for other, name in NAMED if other == file} - names_in(path)
    assert not missing, f"docs/CERTIFICATION.md names what {file} does not have"


def test_every_test_of_the_rules_stands_in_the_table() -> None:
    paths = [*REAL.glob("test_evse_rules*.py"), *REAL.glob("test_evse_triggers*.py")]
    found = {(path.name, name) for path in paths for name in names_in(path)}
    assert len(found) > 30
    assert found <= set(NAMED)


def test_a_rule_has_a_test() -> None:
    lines = (ROOT / "docs/CERTIFICATION.md").read_text().split("## Rules")[1].split("##")[0].splitlines()
    rows = [line for line in lines if line.startswith("| ")][1:]
    assert rows
    assert [row for row in rows if not CELL.search(row)] == []
