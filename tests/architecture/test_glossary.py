"""Every public class of a contract stands in docs/GLOSSARY.md, or in the page that is made of the contract itself."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from evse_pi.api.reference import MODULES

ROOT = Path(__file__).parents[2]
FOLDERS = ("evse_pi/api", "evse_pi/charging", "evse_pi/installation", "evse_pi/storage")
FILES = (
    "boards/loader.py", "boards/section.py", "boards/spec.py", "evse_pi/core/board_ratings.py",
    "evse_pi/core/fault_kinds.py", "evse_pi/core/installation_limits.py", "evse_pi/core/io_records.py",
    "evse_pi/core/records.py", "evse_pi/core/states.py", "evse_pi/device/charge_point_view.py",
    "evse_pi/clearance.py", "evse_pi/device/reported_state.py", "evse_pi/link.py", "evse_pi/node_run.py",
    "evse_pi/web/answers.py", "hal/interfaces.py",
)  # fmt: skip
CONTRACTS = sorted(
    {path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in (ROOT / folder).glob("*.py")} | {*FILES}
)
NAMED = set(re.findall(r"`(\w+)`", (ROOT / "docs/GLOSSARY.md").read_text()))
RECORDS = set(re.findall(r"^### (\w+)$", (ROOT / "docs/API.md").read_text(), re.MULTILINE))
"""The records that travel over the socket have a section each in docs/API.md, with every field: one place is enough."""


def public_classes(module: str) -> set[str]:
    tree = ast.parse((ROOT / module).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")}


@pytest.mark.parametrize("module", [module for module in CONTRACTS if public_classes(module)])
def test_a_public_class_of_a_contract_is_explained(module: str) -> None:
    in_the_page = RECORDS if module.startswith("evse_pi/api/") else set()
    assert not public_classes(module) - NAMED - in_the_page


def test_the_contract_s_page_is_made_of_modules_that_are_looked_at() -> None:
    assert {module.__name__.replace(".", "/") + ".py" for module in MODULES} <= set(CONTRACTS)
