"""docs/ENERGY_EVSE.md says for every rule where it is kept and which tests show it: both ends must exist."""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from evse_pi.device.energy_evse_schema import SCHEMA

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/ENERGY_EVSE.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith("| rule |")
]


@cache
def named_tests(file: str) -> frozenset[str]:
    """Return the names of the tests of a file."""
    nodes = ast.walk(ast.parse((ROOT / file).read_text()))
    return frozenset(node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def found(name: str) -> Any:
    """Return what a dotted name stands for. Raises: AttributeError or ModuleNotFoundError for nothing."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[cut:]:
            thing = getattr(thing, attribute)
        return thing
    raise ModuleNotFoundError(name)


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:60] for row in ROWS])
def test_a_rule_names_code_and_tests_that_exist(row: list[str]) -> None:
    rule, code, tests = row
    assert rule
    names, named = re.findall(r"`([\w.]+)`", code), re.findall(r"`(tests/[\w/.]+)::(\w+)`", tests)
    assert names, "names no code"
    for name in names:
        found(name)
    assert named, "names no test"
    for file, test in named:
        assert test in named_tests(file), f"{file} has no {test}"


def test_every_attribute_command_and_event_of_the_cluster_is_spoken_of() -> None:
    spoken_of_as = {
        "StateOfCharge": "SOC and PNC",
        "BatteryCapacity": "SOC and PNC",
        "VehicleID": "SOC and PNC",
        "DischargingEnabledUntil": "V2X",
        "SessionEnergyDischarged": "V2X",
    }
    elements = [one.name for one in (*SCHEMA.attributes, *SCHEMA.commands, *SCHEMA.events)]  # type: ignore[attr-defined]
    for name in elements:
        word = "NextCharge" if name.startswith("NextCharge") else spoken_of_as.get(name, name)
        assert word in TEXT, f"nothing is said of {name}"
