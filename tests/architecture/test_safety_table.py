"""docs/SAFETY.md says for every hazard where it is met and which test would fail: both ends must exist."""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|\n ").split("|")]
    for line in (ROOT / "docs/SAFETY.md").read_text().splitlines()
    if line.startswith("| H-")
]


@cache
def marked_hazards(path: Path) -> dict[str, set[str]]:
    """Return for each test of a file, methods included, the hazards it is marked with."""
    found: dict[str, set[str]] = {}
    tree = ast.parse(path.read_text())
    module_marks = {
        mark
        for node in tree.body
        if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "pytestmark" for t in node.targets)
        for mark in re.findall(r"hazard\('(H-\d\d)'\)", ast.unparse(node))
    }
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            marks = set(re.findall(r"hazard\('(H-\d\d)'\)", " ".join(ast.unparse(d) for d in node.decorator_list)))
            found[node.name] = marks | module_marks
    return found


def test_there_is_a_row_for_every_hazard_and_its_ids_have_no_gap() -> None:
    assert [row[0] for row in ROWS] == [f"H-{number:02}" for number in range(1, len(ROWS) + 1)]
    assert len(ROWS) >= 18


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_the_function_that_meets_a_hazard_exists(row: list[str]) -> None:
    names = re.findall(r"`([\w.]+)`", row[3])
    assert names, f"{row[0]} names no function"
    for name in names:
        module, _, rest = name.partition(":")
        parts = module.split(".")
        for cut in range(len(parts), 0, -1):
            try:
                found: object = importlib.import_module(".".join(parts[:cut]))
            except ModuleNotFoundError:
                continue
            for attribute in parts[cut:]:
                found = getattr(found, attribute)
            break
        else:
            pytest.fail(f"{row[0]}: there is no {name}{rest}")


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_the_test_of_a_hazard_exists_and_carries_its_mark(row: list[str]) -> None:
    tests = re.findall(r"`(tests/[\w/.]+)::(\w+)`", row[4])
    assert tests, f"{row[0]} names no test"
    for file, name in tests:
        marks = marked_hazards(ROOT / file)
        assert name in marks, f"{row[0]}: {file} has no {name}"
        assert row[0] in marks[name], f"{file}::{name} is not marked hazard({row[0]!r})"


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_no_hazard_has_more_promises_than_tests(row: list[str]) -> None:
    promises, tests = row[2].split(";"), re.findall(r"`tests/[^`]+`", row[4])
    assert len(tests) >= len(promises), f"{row[0]}: {promises}"


def test_no_test_marks_a_hazard_that_the_table_does_not_have() -> None:
    known = {row[0] for row in ROWS}
    marked = {
        mark
        for path in (ROOT / "tests").rglob("test_*.py")
        for marks in marked_hazards(path).values()
        for mark in marks
    }
    assert marked <= known
