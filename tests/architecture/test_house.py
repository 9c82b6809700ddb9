"""The house stays as docs/ARCHITECTURE.md says: names exist, one caller closes the contactor, no unfinished work."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PRODUCT = sorted(path for folder in ("hal", "boards", "evse_pi") for path in (ROOT / folder).rglob("*.py"))
TRACKED = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
]


@pytest.mark.parametrize("document", ["ARCHITECTURE.md", "PI.md"])
def test_every_name_in_a_document_exists(document: str) -> None:
    names = set(re.findall(r"`((?:hal|boards|evse_pi)(?:\.\w+)+)`", (ROOT / "docs" / document).read_text()))
    assert names
    missing = [name for name in sorted(names) if not _resolves(name)]
    assert not missing, f"docs/{document} names what is not there: {missing}"


def _resolves(name: str) -> bool:
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[cut:]:
            if not hasattr(found, attribute):
                return attribute in getattr(found, "__annotations__", {})
            found = getattr(found, attribute)
        return True
    return False


def test_only_the_safety_loop_closes_the_contactor() -> None:
    callers = {
        path.relative_to(ROOT).as_posix()
        for path in PRODUCT
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "close"
        and "contactor" in ast.unparse(node.func.value)
    }
    assert callers == {"evse_pi/safety/actuators.py"}


def test_no_product_file_speaks_of_unfinished_work() -> None:
    words = re.compile(
        r"TODO|FIXME|XXX|NotImplementedError|for now(?! in)(?=[.,;)]|$)|simplified|placeholder|not implemented"
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in PRODUCT
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if words.search(line)
    ]
    assert not found


def test_a_module_is_one_room() -> None:
    """At most 450 lines; what is longer names its decision in docs/adr."""
    decisions = "".join(path.read_text() for path in (ROOT / "docs/adr").glob("*.md"))
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for path in PRODUCT
        if (lines := len(path.read_text().splitlines())) > 450
    }
    assert not {name: lines for name, lines in long.items() if name not in decisions}


def test_only_the_listed_edges_catch_any_exception_and_what_catches_all_raises_again() -> None:
    document = (ROOT / "docs/ARCHITECTURE.md").read_text()
    rows = re.findall(r"(?m)^\|([^|]*`[^|]*)\|", document.split("## Edges")[1].split("\n## ")[0])
    listed = {name for first_column in rows for name in re.findall(r"`([\w.]+)`", first_column)}
    edges = set()
    for path in PRODUCT:
        tree = ast.parse(path.read_text())
        module = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        for name, handler in _broad_handlers(tree, module):
            raised = handler.body[-1] if isinstance(handler, ast.ExceptHandler) else None
            again = isinstance(raised, ast.Raise) and raised.exc is None
            if not again:
                edges.add(name)
    assert edges == listed, "who catches any exception, and the edges of docs/ARCHITECTURE.md"


def _broad_handlers(node: ast.AST, name: str) -> Iterator[tuple[str, ast.AST]]:
    """Yield who catches Exception or BaseException by name, bare, in a tuple, or with suppress()."""
    if isinstance(node, ast.ExceptHandler):
        kinds = "BaseException" if node.type is None else ast.unparse(node.type)
        if re.search(r"\b(Base)?Exception\b", kinds):
            yield name, node
    if isinstance(node, ast.Call) and re.search(r"^(contextlib\.)?suppress\(.*\b(Base)?Exception\b", ast.unparse(node)):
        yield name, node
    for child in ast.iter_child_nodes(node):
        inner = isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        yield from _broad_handlers(child, f"{name}.{child.name}" if inner else name)  # type: ignore[attr-defined]


def test_the_product_has_one_database_and_no_store_of_matter_beside_it() -> None:
    own = {path.relative_to(ROOT).as_posix() for path in PRODUCT if "SqliteStore" in path.read_text()}
    assert own == {"evse_pi/matter/storage.py"}
