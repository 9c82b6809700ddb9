"""A release has its version in one place, its tag and its section of the changelog, which lists what breaks."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
SECTIONS = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]


def test_the_changelog_begins_with_what_is_unreleased() -> None:
    assert SECTIONS[0].startswith("Unreleased\n")


@pytest.mark.parametrize("section", SECTIONS, ids=lambda text: text.splitlines()[0])
def test_every_section_of_the_changelog_lists_what_breaks(section: str) -> None:
    assert "\n### Breaking changes\n" in section


@pytest.mark.parametrize("section", SECTIONS[1:], ids=lambda text: text.splitlines()[0])
def test_every_released_section_has_a_version_and_a_date(section: str) -> None:
    assert re.match(r"\d+\.\d+\.\d+, \d{4}-\d{2}-\d{2}\n", section)


def test_a_tag_at_this_commit_is_the_version_with_its_section() -> None:
    done = subprocess.run(["git", "tag", "--points-at", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    tags = [tag for tag in done.stdout.split() if tag.startswith("v")]
    assert tags in ([], [f"v{VERSION}"])
    assert not tags or any(section.startswith(f"{VERSION}, ") for section in SECTIONS)
