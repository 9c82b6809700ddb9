"""Change one file in one place after the other, and tell which changes no test sees.

`python -m tests.support.mutate evse_pi/core/duty.py tests/unit/core/test_duty.py [--at-most 100]`: the tree is copied,
so that the working copy stays as it is. A change that all the tests survive is either without effect or untested.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
COPIED = ("boards", "evse_pi", "hal", "tests", "docs", "bench", "systemd", "pyproject.toml", "install.sh")
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip


def changed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in place of `node`."""
    match node:
        case ast.Compare(ops=[operator, *_]) if type(operator) in COMPARISONS:
            other = copy.deepcopy(node)
            other.ops[0] = COMPARISONS[type(operator)]()
            yield other
        case ast.BinOp(op=operator) if type(operator) in OPERATORS:
            yield ast.BinOp(node.left, OPERATORS[type(operator)](), node.right)
        case ast.BoolOp(op=ast.And()):
            yield ast.BoolOp(ast.Or(), node.values)
        case ast.BoolOp(op=ast.Or()):
            yield ast.BoolOp(ast.And(), node.values)
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() as value):
            yield ast.Constant(value + 1)
        case ast.IfExp():
            yield ast.IfExp(node.test, node.orelse, node.body)


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """Yield for every change its line, what it is, and the whole source with it."""
    tree = ast.parse(source)
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            places = enumerate(value) if isinstance(value, list) else [(None, value)]
            for index, node in list(places):
                if not isinstance(node, ast.expr):
                    continue
                for other in changed(node):
                    if index is None:
                        setattr(parent, name, other)
                    else:
                        value[index] = other
                    text = ast.unparse(ast.fix_missing_locations(tree))
                    what = f"{ast.unparse(node)}  ->  {ast.unparse(other)}"
                    if index is None:
                        setattr(parent, name, node)
                    else:
                        value[index] = node
                    yield node.lineno, what, text


def main() -> int:
    """Try the changes, print those that survive, and return 1 if there are any."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.mutate", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("tests", nargs="+")
    parser.add_argument("--at-most", type=int, default=100, help="of more changes, try so many at random")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    found = list(mutants((ROOT / chosen.file).read_text()))
    if len(found) > chosen.at_most:
        found = sorted(random.Random(chosen.seed).sample(found, chosen.at_most))
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in COPIED:
            place = ROOT / name
            if place.is_dir():
                shutil.copytree(place, tree / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules", ".*"))
            else:
                shutil.copy(place, tree / name)
        if not _passes(tree, chosen.tests):
            print("the tests fail without a change")
            return 2
        survivors = 0
        for line, what, text in found:
            (tree / chosen.file).write_text(text)
            if _passes(tree, chosen.tests):
                survivors += 1
                print(f"{chosen.file}:{line}: {what}")
    print(f"{len(found) - survivors} of {len(found)} changes are seen by the tests")
    return int(survivors > 0)


def _passes(tree: Path, tests: list[str]) -> bool:
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, check=False, timeout=120)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
