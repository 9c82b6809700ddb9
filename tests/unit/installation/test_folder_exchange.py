"""Two folders change places in one step, or stay where they are."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from evse_pi.installation.folder_exchange import exchange

if TYPE_CHECKING:
    from pathlib import Path


def test_two_folders_change_places(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    exchange(tmp_path / "one", tmp_path / "other")
    assert [(tmp_path / name / "file").read_text() for name in ("one", "other")] == ["other", "one"]
    command = [sys.executable, "-m", "evse_pi.installation.folder_exchange", tmp_path / "one", tmp_path / "other"]
    subprocess.run([str(word) for word in command], check=True)
    assert (tmp_path / "one/file").read_text() == "one"


def test_a_missing_one_is_named_and_the_other_stays(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with pytest.raises(FileNotFoundError, match="other"):
        exchange(tmp_path / "one", tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
