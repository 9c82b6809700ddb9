"""The blocks of docs/boards/drivers.md run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.board_console import board_emulation

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = (Path(__file__).parents[3] / "docs/boards/drivers.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^## ([^\n]+)\n\n```python\n(.*?)```", TEXT, re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with board_emulation(tmp_path_factory.mktemp("box") / "sim") as running:
        yield running


@pytest.mark.parametrize("title", BLOCKS)
def test_the_documented_usage_runs(emulated: Any, title: Any) -> None:
    printed = emulated.python(BLOCKS[title])
    assert len(BLOCKS[title].splitlines()) <= 40
    if title == "Lines":
        assert printed == ["closed True"]


def test_every_block_is_found() -> None:
    assert len(BLOCKS) == TEXT.count("```python") == 5
