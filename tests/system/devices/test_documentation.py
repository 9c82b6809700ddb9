"""The blocks of docs/boards/drivers.md run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.board_console import board_emulation

TEXT = (Path(__file__).parents[3] / "docs/boards/drivers.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^## ([^\n]+)\n\n```python\n(.*?)```", TEXT, re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    with board_emulation(tmp_path_factory.mktemp("box") / "sim") as running:
        yield running


@pytest.mark.parametrize("title", BLOCKS)
def test_the_documented_usage_runs(emulated, title):
    printed = emulated.python(BLOCKS[title])
    assert len(BLOCKS[title].splitlines()) <= 40
    if title == "Lines":
        assert printed == ["closed True"]


def test_every_block_is_found():
    assert len(BLOCKS) == TEXT.count("```python") == 5
