"""The whole box under the system call filters of its units, where a call that they lack ends the process at once."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.api.client import BoxError, call
from evse_pi.paths import resolve_paths
from tests.support.unit_filter import HEADER, ROOT, allowed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evse_pi.paths import Paths

WITHIN_S = 60.0

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None or not HEADER.exists(), reason="needs systemd-analyze, and x86-64's headers"
)


def eventually(box: Paths, holds: Callable[[dict[str, Any]], bool]) -> None:
    deadline, now = time.monotonic() + WITHIN_S, None
    while time.monotonic() < deadline:
        with contextlib.suppress(BoxError):
            now = call(box.control_socket, "status")
            if now["reason"] is not None and holds(now):
                return
        time.sleep(0.1)
    pytest.fail(f"never came about: {now}")


def test_a_box_with_matter_and_its_page_charges_a_car_under_the_filter(tmp_path: Path) -> None:
    box = resolve_paths(tmp_path)
    own = [sys.executable, "-m", "evse_pi.cli", "--state-dir", str(tmp_path)]
    confined = [sys.executable, "-m", "tests.support.unit_filter", "evse-pi-safety.service"]
    with (tmp_path / "log").open("wb") as log:
        child = subprocess.Popen(
            [*confined, *own, "run", "--board", "simulated", "--interface", "lo", "--web-port", "0"],
            stderr=log, stdout=log, cwd=ROOT, start_new_session=True,
        )  # fmt: skip
        try:
            eventually(
                box, lambda now: now["reason"]["reason"] == "NO_VEHICLE" and bool((now["matter"] or {}).get("running"))
            )
            subprocess.run([*own, "car", "plug_in"], check=True, timeout=60)
            eventually(box, lambda now: now["session"] is not None)
            subprocess.run([*own, "car", "close_s2"], check=True, timeout=60)
            eventually(box, lambda now: bool(now["contactor"]["close_ordered"]))
        finally:
            child.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(30)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
    assert "ended with status" not in (tmp_path / "log").read_text()


def test_the_node_s_filter_lacks_only_what_sets_priorities() -> None:
    """The box above runs under the safety process's filter; the node changes no priority and no affinity."""
    lacking = allowed("evse-pi-safety.service") - allowed("evse-pi-node.service")
    assert {"sched_setscheduler", "sched_setaffinity", "setpriority"} <= lacking
    assert all(name.startswith(("sched_set", "set", "io", "m", "nice")) for name in lacking), lacking
