"""Every dependency has its line of reason."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_dependency_of_the_project_is_explained_and_no_other() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    names = {name for requirement in wanted for name in re.findall("^[A-Za-z0-9_-]+", requirement)}
    table = (ROOT / "docs/DEPENDENCIES.md").read_text(encoding="utf-8").split("## Considered")[0]
    explained = {
        name.split(" (")[0].strip()
        for row in re.findall(r"^\| (.+?) \| [A-Z]", table, re.MULTILINE)
        for name in row.split(",")
    }
    assert explained == names
