"""The units and their script: what is put somewhere is taken away, and a box that cannot start does not hammer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from evse_pi.safety import __main__ as safety
from evse_pi.safety.startup import SETTLED_S

ROOT = Path(__file__).parents[3]
OWN_FOLDERS = ("/opt/evse-pi/", "/etc/evse-pi")


def settings(unit):
    lines = (ROOT / "systemd" / unit).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def told(action):
    command = ["bash", ROOT / "systemd/device.sh", action, "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode in (0, 1), done.stderr  # 1: this machine is no Raspberry Pi, as the run says
    return [line.removeprefix("+ ").split() for line in done.stdout.splitlines() if line.startswith("+ ")]


def test_every_file_that_is_put_somewhere_is_taken_away():
    put = {words[-1] for words in told("install") if words[0] in ("install", "ln") or ">" in words}
    taken = {word for words in told("uninstall") if words[0] == "rm" for word in words}
    assert len(put) > 10
    assert {path for path in put if not path.startswith(OWN_FOLDERS)} <= taken


def test_every_unit_and_drop_in_is_installed():
    sources = {Path(word).name for words in told("install") if words[0] == "install" for word in words}
    assert {
        path.name for path in (ROOT / "systemd").iterdir() if path.suffix in (".service", ".socket", ".conf")
    } <= sources


def test_the_folders_of_the_run_directory_are_made_right_before_anything_starts_without_a_reboot():
    """Of an upgrade with another entry: systemd-tmpfiles-setup runs at boot only (tmpfiles.d(5))."""
    steps = told("install")
    made = steps.index(["systemd-tmpfiles", "--create", "/etc/tmpfiles.d/evse-pi.conf"])
    before = [
        words
        for words in steps[:made]
        if words[0] in ("useradd", "groupadd") or words[-1].endswith("tmpfiles.d/evse-pi.conf")
    ]
    assert len(before) >= 3
    assert steps.index(["systemctl", "daemon-reload"]) < made
    assert not any(words[:2] == ["systemctl", "enable"] for words in steps[:made])


def test_the_start_may_take_as_long_as_it_waits_for_the_machine_s_devices():
    assert int(settings("evse-pi-safety.service")["TimeoutStartSec"]) > SETTLED_S


@pytest.mark.parametrize("unit", ["evse-pi-safety.service", "evse-pi-node.service"])
def test_a_unit_that_cannot_start_slows_down_and_waits_for_a_person_where_only_one_can_help(unit):
    unit_settings = settings(unit)
    assert unit_settings["Restart"] == "always"
    assert unit_settings["StartLimitIntervalSec"] == "0"
    assert int(unit_settings["RestartSteps"]) > 0
    assert int(unit_settings["RestartSec"]) < int(unit_settings["RestartMaxDelaySec"]) <= 60
    assert int(unit_settings["RestartPreventExitStatus"]) == safety.EX_CONFIG
