"""A name means one thing: files and classes of several packages are distinct, and the accepted rest has a reason."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from evse_pi.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
PRODUCT = {
    path.relative_to(ROOT): path.read_text()
    for folder in ("hal", "boards", "evse_pi")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if not path.stem.startswith("__")
}
COMMAND_FILES = {Path(f"evse_pi/cli/{name}.py") for name in COMMANDS}
"""`evse_pi.cli.main` loads the command NAME from the file NAME.py, so what a command shows may have its name."""
FILES = {
    "gpio": "the emulated bus of a simulated box has the name of the bus",
    "i2c": "the emulated bus of a simulated box has the name of the bus",
    "paths": "Matter's word for what addresses an attribute, and the folders of a box, which Matter does not know",
    "reference": "what writes the reference page of its package, run as a module and imported by no other",
}
CLASSES = {
    "Command": "Matter's word for a row of a cluster's command table; the one of the control socket is not known there",
}


def shared(named: dict[Path, set[str]]) -> set[str]:
    """Return the names that files of more than one folder have."""
    folders: dict[str, set[Path]] = defaultdict(set)
    for path, names in named.items():
        for name in names:
            folders[name].add(path)
    return {name for name, paths in folders.items() if len(paths) > 1}


def test_a_file_name_stands_in_one_package() -> None:
    assert shared({path: {path.stem} for path in PRODUCT if path not in COMMAND_FILES}) == FILES.keys()


def test_a_class_name_stands_in_one_file() -> None:
    classes = {
        path: {node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}
        for path, text in PRODUCT.items()
    }
    assert shared(classes) == CLASSES.keys()


def test_a_name_in_two_files_would_be_found() -> None:
    assert shared({Path("a/x.py"): {"Meter"}, Path("b/y.py"): {"Meter", "Relay"}}) == {"Meter"}
