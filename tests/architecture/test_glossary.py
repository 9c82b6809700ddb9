"""Every public class of a contract stands in docs/GLOSSARY.md."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = (
    "core/records", "core/io_records",
    "charging/charge_point", "charging/demand_arbiter", "charging/event_recorder", "charging/one_shot_requests",
    "charging/schedule", "charging/session", "charging/startup_state", "charging/targets",
    "charging/transition_cursor", "charging/write_queue",
    "charging/settings", "charging/acting_limits", "charging/evse_status", "charging/controller_permission",
    "charging/charging_planner", "charging/charge_scheduling", "charging/charging_plan_memory", "charging/modes",
    "charging/vehicle_data", "charging/meter_check", "charging/thermometer_check", "device/charge_point_view",
    "storage/database", "storage/identity", "storage/key_value", "storage/writer_thread",
)  # fmt: skip
NAMED = set(re.findall(r"`(\w+)`", (ROOT / "docs/GLOSSARY.md").read_text()))


@pytest.mark.parametrize("module", CONTRACTS)
def test_a_public_class_of_a_contract_is_explained(module: str) -> None:
    tree = ast.parse((ROOT / "evse_pi" / f"{module}.py").read_text())
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")}
    assert classes
    assert not classes - NAMED
