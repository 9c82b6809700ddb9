"""How many files and representations each walk of docs/ARCHITECTURE.md passes.

Counted are the names in a section "The way of ...", with "as told under Matter" followed to its first paragraph and
"steps 4 and 5 above" to those steps. A file is a module that one of them stands in. A representation is a class among
them that holds a value: a named tuple, an enumeration or a frozen dataclass, into which the value is turned on its way.
"""

from __future__ import annotations

import importlib
import re
import sys
from enum import Enum
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs/ARCHITECTURE.md"
WALKS = ("The way of one pilot sample", "The way of one EnableCharging", "The way of an owner's stop")
NAME = re.compile(r"`((?:hal|boards|evse_pi)(?:\.\w+)+)`")


def main() -> int:
    print(f"{'walk':<34} {'files':>6} {'representations':>16}")
    for title in WALKS:
        files, values = walk(title)
        print(f"{title:<34} {len(files):>6} {len(values):>16}")
        print(f"    {', '.join(sorted(values))}")
    return 0


def walk(title: str) -> tuple[set[Path], set[str]]:
    """Return the files and the value classes that a walk names."""
    named = [found for name in NAME.findall(told(title)) if (found := resolve(name)) is not None]
    return {file for file, _ in named}, {kind.__name__ for _, kind in named if is_value(kind)}


def told(title: str) -> str:
    """Return the text of a walk with what it refers to."""
    text = section(title)
    if 'under "Matter"' in text:
        text += section("Matter").split("\n\n")[1]
    if "steps 4 and 5 above" in text:
        text += "".join(re.findall(r"(?ms)^[45]\. .*?(?=^\d\. |\Z)", section("The way of one EnableCharging")))
    return text


def section(title: str) -> str:
    return DOCUMENT.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]


def resolve(name: str) -> tuple[Path, object] | None:
    """Return the file that a name stands in, and the thing itself; None for a package."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        found: object = module
        for attribute in parts[cut:]:
            found = getattr(found, attribute, None)
        file = Path(module.__file__ or "")
        return None if file.name == "__init__.py" else (file, found)
    raise LookupError(name)


def is_value(kind: object) -> bool:
    """Return whether `kind` is a class that holds a value: a named tuple, an enumeration or a frozen dataclass."""
    if not isinstance(kind, type):
        return False
    frozen = getattr(getattr(kind, "__dataclass_params__", None), "frozen", False)
    return frozen or issubclass(kind, (Enum, tuple))


if __name__ == "__main__":
    sys.exit(main())
