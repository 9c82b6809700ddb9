"""The installer's units as the service manager takes them, and a request through a socket that it listens at."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

SYSTEMD = Path(__file__).parents[3] / "systemd"
UNITS = sorted(path.name for path in SYSTEMD.glob("*.s[eo]*"))
GOOD = {"command": "set_capacity", "current_ma": 16_000, "phases": None, "name": "Ann", "pin": "480213"}
ACTIVATED = """
set -eu
cp -a /etc "$1/etc" && mount --bind "$1/etc" /etc && mkdir -p /etc/evse-pi
export EVSE_PI_STATE_DIR=/var/lib/evse-pi EVSE_PI_RUN_DIR="$1/run"
"$2" -m evse_pi.cli setup --yes --board simulated --country DE --capacity 20A > /dev/null
echo 480213 | "$2" -m evse_pi.cli setup --yes --set-pin-stdin > /dev/null
exec systemd-socket-activate --accept --inetd --listen="$1/installer.sock" "$2" -m evse_pi.installer.installer_service
"""


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_as_the_service_manager_wants_it(tmp_path: Path, name: str) -> None:
    for unit in UNITS:
        text = _for_this_version((SYSTEMD / unit).read_text())
        (tmp_path / unit).write_text(re.sub(r"/opt/evse-pi/current/bin/[\w-]+", sys.executable, text))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / name)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def _for_this_version(text: str) -> str:
    """Leave out what came with systemd 254 where an older one, which ignores it with a warning, judges the unit."""
    told = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=True).stdout
    return text if int(told.split()[1]) >= 254 else re.sub(r"Restart(Steps|MaxDelaySec)=.*\n", "", text)


def _may_mount() -> bool:
    tools = all(shutil.which(name) for name in ("unshare", "systemd-socket-activate"))
    return tools and os.geteuid() == 0 and not subprocess.run(
        ["unshare", "--mount", "true"], capture_output=True, check=False
    ).returncode  # fmt: skip


@pytest.mark.hazard("H-04")
@pytest.mark.skipif(not _may_mount(), reason="needs root, a mount namespace and systemd-socket-activate")
def test_a_request_through_an_activated_socket_sets_the_capacity_and_a_wrong_pin_does_not(tmp_path: Path) -> None:
    command = ["unshare", "--mount", "bash", "-c", ACTIVATED, "bash", str(tmp_path), sys.executable]
    with (tmp_path / "log").open("wb") as log:
        manager = subprocess.Popen(command, stderr=log, cwd=SYSTEMD.parent)
    try:
        address = tmp_path / "installer.sock"
        deadline = time.monotonic() + 60
        while not address.exists():
            assert manager.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        told = _asked(address, GOOD)
        assert told["ok"], told
        assert told["result"]["circuit_capacity_ma"] == 16_000
        assert told["result"]["right"] == "PIN"
        assert "the PIN is wrong" in _asked(address, {**GOOD, "pin": "111222"})["error"]
        assert "32000" in _asked(address, {**GOOD, "current_ma": 40_000})["error"]
        assert "circuit_capacity_ma = 16000" in (tmp_path / "etc/evse-pi/installation.toml").read_text()
    finally:
        manager.terminate()
        manager.wait()


def _asked(address: Path, request: dict[str, Any]) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(address))
        connection.sendall(json.dumps(request).encode() + b"\n")
        with connection.makefile("rb") as lines:
            return dict(json.loads(lines.readline()))
