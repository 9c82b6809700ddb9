"""One `evse-pi run` per state directory."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path  # noqa: TC003 (a fixture's type)

import pytest

from evse_pi.cli.run import _keep_alone


@pytest.mark.hazard("H-08")
def test_a_second_run_is_refused_at_once_and_starts_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "evse_pi.cli", "--state-dir", str(tmp_path), "run", "--simulate"]
    with ExitStack() as first:
        _keep_alone(tmp_path, first)
        second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert second.returncode != 0
    assert f"another run: {str(tmp_path)!r}" in second.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("run", "run.lock")] == []
    with ExitStack() as third:
        _keep_alone(tmp_path, third)
