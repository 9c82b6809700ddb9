"""What dpkg runs after it has unpacked the package, in a folder instead of /, with stand-ins for what it calls."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

POSTINST = Path(__file__).parents[3] / "packaging/deb/postinst"
STANDS_IN = '#!/bin/sh\necho "$(basename "$0") $*" >> "$CALLS"\n'
OLD, NEW = "1.0.0", "1.0.1"


class Machine:
    """A machine with a release in force, onto which dpkg has unpacked another one."""

    def __init__(self, folder):
        self.folder, self.base, self.calls = folder, folder / "opt/evse-pi", folder / "calls"
        for name in ("bin", "etc", "run/systemd/system"):
            (folder / name).mkdir(parents=True)
        for name in ("systemd-sysusers", "systemd-tmpfiles", "systemctl", "sync"):
            self.program(folder / "bin" / name)
        self.unpack()

    def program(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STANDS_IN)
        path.chmod(0o755)

    def unpack(self):
        shutil.rmtree(self.base / "package", ignore_errors=True)
        self.program(self.base / "package/bin/python")

    def configure(self, version, former="", **environment):
        text = POSTINST.read_text().replace("@VERSION@", version)
        for place in ("/opt/evse-pi", "/etc/evse-pi", "/run/systemd"):
            text = text.replace(place, f"{self.folder}{place}")
        self.calls.write_text("")
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-c", text, "postinst", "configure", former], capture_output=True, text=True, check=False,
            env={"PATH": path, "CALLS": str(self.calls), **environment},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stderr

    @property
    def current(self):
        return (self.base / "current").readlink().name

    @property
    def called(self):
        return self.calls.read_text().splitlines()


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    machine.configure(OLD)
    assert machine.current == OLD
    return machine


RESTART = "python -I -m evse_pi.run.restart"


def test_an_upgrade_switches_and_restarts_by_what_asks_the_box(machine):
    machine.configure(NEW, OLD)
    assert machine.current == NEW
    assert (machine.base / "former").readlink().name == OLD
    assert machine.called[-1] == RESTART
    assert "python -I -m evse_pi.run.boot_settings" in machine.called


def test_an_update_that_watches_restarts_by_itself(machine):
    machine.configure(NEW, OLD, EVSE_PI_RESTART="no")
    assert machine.current == NEW
    assert RESTART not in machine.called


def test_a_release_that_was_taken_back_comes_in_force_by_no_other_way(machine):
    """As after `dpkg-reconfigure`, or an installation of the same package by hand."""
    (machine.base / f"releases/{NEW}.refused").touch()
    told = machine.configure(NEW, OLD)
    assert machine.current == OLD
    assert f"release {NEW} was taken back on this machine; releases/{OLD} stays in force" in told
    assert not [call for call in machine.called if call.startswith("python")]


def test_the_mark_outlives_other_releases_and_does_not_hold_them_up(machine):
    mark = machine.base / f"releases/{NEW}.refused"
    mark.touch()
    machine.configure("1.0.2", NEW)
    assert machine.current == "1.0.2"
    assert mark.exists()


def test_what_a_person_permits_again_is_installed(machine):
    mark = machine.base / f"releases/{NEW}.refused"
    mark.touch()
    machine.configure(NEW, OLD)
    mark.unlink()
    machine.configure(NEW, NEW)
    assert machine.current == NEW


def test_a_removal_disables_no_unit_that_is_not_there():
    """The package has disabled its own before; what is left are those of versions from before it."""
    done = subprocess.run(
        ["bash", str(POSTINST.parents[2] / "systemd/device.sh"), "uninstall", "--dry-run"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    there = [
        name for name in ("safety.service", "node.service") if Path(f"/etc/systemd/system/evse-pi-{name}").exists()
    ]
    assert done.stdout.count("+ systemctl disable --now") == len(there)
