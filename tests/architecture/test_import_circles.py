"""No module needs itself over others, imports for type checkers included."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for folder in ("hal", "boards", "evse_pi")
    for path in (ROOT / folder).rglob("*.py")
}
ALLOWED = {
    # The plant makes its injector, which acts on the plant; the socket's server makes verbs of the simulator it is of.
    ("evse_pi.sim.fault_injection", "evse_pi.sim.plant"),
    ("evse_pi.sim.control", "evse_pi.sim.simulator"),
}


def imported(module: str) -> set[str]:
    """Return the modules that `module` imports, whether at run time or for type checkers."""
    found = set()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & FILES.keys() or {node.module} & FILES.keys()
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & FILES.keys()
    return {other for other in found - {module} if (module, other) not in ALLOWED}


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return one circle of `graph`, empty when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_circle_of_imports() -> None:
    found = circle({module: imported(module) for module in FILES})
    assert not found, " ← ".join(found)


def test_a_circle_would_be_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert not circle({"a": {"b", "c"}, "b": {"c"}})
