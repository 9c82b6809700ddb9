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
    """Return what a file says to people: of a test its names, documentation and comments, of any other file all.

    Words that an identifier joins by underscores are words.
    """
    text = (ROOT / name).read_text()
    if not (name.startswith("tests/") and name.endswith(".py")):
        return text.splitlines()
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    documented = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]
    return documented + identifiers(ast.parse(text)) + re.findall(r"(?:^|\s)#.*", text)


def identifiers(tree: ast.AST) -> list[str]:
    """Return every name that a module gives or uses."""
    found: list[str] = []
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.append(name)
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name):
                found.append(name)
    return found


def marked(line: str) -> bool:
    """Return whether a line has a mark, as a word or within an identifier."""
    return MARKS.search(USER_OF_THE_SYSTEM.sub("", line).replace("_", " ")) is not None


@pytest.mark.parametrize("name", FILES)
def test_a_text_has_no_mark_of_a_translated_idiom(name: str) -> None:
    found = [line.strip() for line in prose(name) if marked(line)]
    assert not found


@pytest.mark.parametrize("name", ["_check_nobody_is_in", "refused_anew", "ANYBODY_WAITS", "of_a_former_life"])
def test_a_mark_within_an_identifier_would_be_found(name: str) -> None:
    assert marked(f"    self.{name}()")


def test_a_longer_word_that_begins_with_a_mark_is_none() -> None:
    assert not marked("a_hungrytown of anewton")
