"""A release is judged on the machine it shall run on: by what it loads and by the board file of that machine."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from evse_pi.run import health

if TYPE_CHECKING:
    from pathlib import Path


def test_this_installation_is_healthy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "evse_pi.run.health"], capture_output=True, text=True, check=False, cwd="/"
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert health.problems(tmp_path / "none") == []


def test_a_library_that_is_missing_or_broken_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "spidev.py").write_text("raise RuntimeError('built for another Python')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "spidev", raising=False)
    monkeypatch.setattr(health, "MODULES", (*health.MODULES, "no_such_library"))
    found = health.problems(tmp_path / "none")
    assert any(line.startswith("spidev: RuntimeError: built for another Python") for line in found)
    assert any(line.startswith("no_such_library: ModuleNotFoundError") for line in found)
    monkeypatch.delitem(sys.modules, "spidev", raising=False)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("EVSE_PI_BOARD=simulated\n", None),
        ("OTHER=1\n", None),
        ("EVSE_PI_BOARD=wallbux\n", "board 'wallbux' is unknown"),
    ],
)
def test_the_board_is_that_of_this_machine(tmp_path: Path, content: str, told: str | None) -> None:
    environment = tmp_path / "environment"
    environment.write_text(content)
    found = health.problems(environment)
    assert found == [] if told is None else told in found[0]
