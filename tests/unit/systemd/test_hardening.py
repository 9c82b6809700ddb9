"""What systemd-analyze says of the units: 2.0 at most, each rest with a reason in docs/SECURITY.md."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
UNITS = ("evse-pi-safety.service", "evse-pi-node.service", "evse-pi-installer@.service", "evse-pi-restore.service")
MOST = 2.0
ROW = re.compile(r"^\| `(?P<setting>[^`]+)` \| (?P<units>[a-z, ]+) \| (?P<reason>.+) \|$")

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")


def judged(unit: str, tmp_path: Path) -> tuple[float, set[str]]:
    """Return the exposure of a unit, and the settings that add to it, without what depends on systemd's version."""
    copy = tmp_path / unit
    shutil.copy(ROOT / "systemd" / unit, copy)
    shown = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(copy)],
        capture_output=True, text=True, check=False, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    marked = {line.split()[1] for line in shown.stdout.splitlines() if line.strip().startswith("✗")}
    score = re.search(r"exposure level for \S+ ([0-9.]+)", shown.stdout)
    assert score, shown.stderr
    return float(score[1]), marked


def table() -> dict[str, set[str]]:
    page = (ROOT / "docs/SECURITY.md").read_text().partition("## What the units may")[2].partition("\n## ")[0]
    rows = map(ROW.match, page.splitlines())
    return {row["setting"].replace("\\|", "|"): set(row["units"].split(", ")) for row in rows if row}


@pytest.mark.parametrize("unit", UNITS)
def test_the_exposure_is_low_and_each_rest_of_it_has_a_reason(unit: str, tmp_path: Path) -> None:
    score, marked = judged(unit, tmp_path)
    name = unit.removeprefix("evse-pi-").removesuffix(".service").removesuffix("@")
    assert score <= MOST
    assert marked == {setting for setting, units in table().items() if name in units}


def test_a_call_that_is_not_allowed_ends_no_process() -> None:
    """systemd.exec(5): without SystemCallErrorNumber the process is killed, and the contactor opens under load."""
    for unit in UNITS:
        text = (ROOT / "systemd" / unit).read_text()
        assert "SystemCallFilter=" in text, unit
        assert "SystemCallErrorNumber=EPERM" in text, unit


def test_the_safety_process_may_write_the_pwm_and_read_what_tells_the_board() -> None:
    """systemd.exec(5): ProtectKernelTunables makes /sys read-only, ProcSubset=pid hides /proc/device-tree."""
    text = (ROOT / "systemd/evse-pi-safety.service").read_text()
    for setting in ("ProtectKernelTunables=yes", "ProcSubset=pid", "PrivateDevices=yes", "RestrictRealtime=yes"):
        assert setting not in text
    assert "@resources" not in text.partition("SystemCallFilter=~")[2].partition("\n")[0]
