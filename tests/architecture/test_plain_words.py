"""Texts are plain technical English: the marks of a translated idiom stay out of product, documents and tests."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MARKS = re.compile(
    r"\b(?:nobody|somebody|anybody|whoever|anew|mourn\w*|hunger|hungry|owner's word)\b"
    r"|\b(?:life|lives) of (?:the|this|a|both)\b|\bformer li(?:fe|ves)\b|\bthis life\b",
    re.IGNORECASE,
)
USER_OF_THE_SYSTEM = re.compile(r"chown -R nobody")
TEXTS = {".md", ".toml", ".sh", ".service", ".socket", ".conf", ".c", ".js", ".html", ".css"}
FILES = [
    name
    for name in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    if Path(name).suffix in TEXTS | {".py"} and (ROOT / name).exists() and Path(name).name != Path(__file__).name
]


def prose(name: str) -> list[str]:
    """Return what a file says to people: of a test its names, documentation and comments, of any other file all."""
    text = (ROOT / name).read_text()
    if not (name.startswith("tests/") and name.endswith(".py")):
        return text.splitlines()
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    documented = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]
    tests = [node.name.replace("_", " ") for node in ast.walk(ast.parse(text)) if isinstance(node, kinds[2:])]
    return documented + tests + re.findall(r"(?:^|\s)#.*", text)


@pytest.mark.parametrize("name", FILES)
def test_a_text_has_no_mark_of_a_translated_idiom(name: str) -> None:
    found = [line.strip() for line in prose(name) if MARKS.search(USER_OF_THE_SYSTEM.sub("", line))]
    assert not found
