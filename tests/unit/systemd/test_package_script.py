"""What dpkg runs after it has unpacked the package, in a folder instead of /, with stand-ins for what it calls."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.package_machine import PackageMachine

ROOT = Path(__file__).parents[3]
OLD, NEW = "1.0.0", "1.0.1"


@pytest.fixture
def machine(tmp_path: Path) -> PackageMachine:
    machine = PackageMachine(tmp_path)
    machine.configure(OLD)
    assert machine.current == OLD
    return machine


RESTART = "python -I -m evse_pi.run.restart"


def test_an_upgrade_switches_and_restarts_by_what_asks_the_box(machine: PackageMachine) -> None:
    machine.configure(NEW, OLD)
    assert machine.current == NEW
    assert (machine.base / "former").readlink().name == OLD
    assert machine.called[-1] == RESTART
    assert "python -I -m evse_pi.run.boot_settings" in machine.called


def test_an_update_that_watches_restarts_by_itself(machine: PackageMachine) -> None:
    machine.configure(NEW, OLD, EVSE_PI_RESTART="no")
    assert machine.current == NEW
    assert RESTART not in machine.called


def test_a_release_that_was_taken_back_comes_in_force_by_no_other_way(machine: PackageMachine) -> None:
    """As after `dpkg-reconfigure`, or an installation of the same package by hand."""
    (machine.base / f"releases/{NEW}.refused").touch()
    told = machine.configure(NEW, OLD)
    assert machine.current == OLD
    assert f"release {NEW} was taken back on this machine; releases/{OLD} stays in force" in told
    assert not [call for call in machine.called if call.startswith("python")]


def test_the_mark_outlives_other_releases_and_does_not_hold_them_up(machine: PackageMachine) -> None:
    mark = machine.base / f"releases/{NEW}.refused"
    mark.touch()
    machine.configure("1.0.2", NEW)
    assert machine.current == "1.0.2"
    assert mark.exists()


def test_what_a_person_permits_again_is_installed(machine: PackageMachine) -> None:
    mark = machine.base / f"releases/{NEW}.refused"
    mark.touch()
    machine.configure(NEW, OLD)
    mark.unlink()
    machine.configure(NEW, NEW)
    assert machine.current == NEW


def test_a_removal_disables_no_unit_that_is_not_there() -> None:
    """The package has disabled its own before; what is left are those of versions from before it."""
    done = subprocess.run(
        ["bash", str(ROOT / "systemd/device.sh"), "uninstall", "--dry-run"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    there = [
        name for name in ("safety.service", "node.service") if Path(f"/etc/systemd/system/evse-pi-{name}").exists()
    ]
    assert done.stdout.count("+ systemctl disable --now") == len(there)
