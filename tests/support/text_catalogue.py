"""The list of all texts for people, for translators: `make texts` writes docs/texts.pot, in the form of GNU gettext."""

from __future__ import annotations

import ast
import json
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING

from evse_pi.api.diagnosis import Diode

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
HEAD = """# What evse-pi says to people. Made from the code by `make texts`; do not edit.
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"""


def marked(tree: ast.AST) -> Iterator[str]:
    """Yield the texts that are arguments of `tr`, and the help of commands, which is their documentation."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="tr"), args=[ast.Constant(value=str(text))]):
                yield text
            case ast.FunctionDef(decorator_list=decorators) if any(map(_is_command, decorators)):
                yield cleandoc(ast.get_docstring(node) or "")


def _is_command(decorator: ast.expr) -> bool:
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(function, ast.Attribute) and function.attr in ("command", "group")


def catalogue_template() -> str:
    """Return docs/texts.pot."""
    places: dict[str, set[str]] = {diode.value: {"evse_pi/api/texts/english.py"} for diode in Diode}
    for path in sorted((ROOT / "evse_pi").rglob("*.py")):
        for text in marked(ast.parse(path.read_text())):
            places.setdefault(text, set()).add(path.relative_to(ROOT).as_posix())
    entries = (
        f"\n#: {' '.join(sorted(files))}\n"
        + ("#, python-brace-format\n" if "{" in text else "")
        + f'msgid {json.dumps(text, ensure_ascii=False)}\nmsgstr ""\n'
        for text, files in sorted(places.items(), key=lambda entry: (min(entry[1]), entry[0]))
        if text
    )
    return HEAD + "".join(entries)


def main() -> None:
    (ROOT / "docs/texts.pot").write_text(catalogue_template())


if __name__ == "__main__":
    main()
