"""What the package puts on a machine: all of it is installed, and all of it goes, but for what is said to stay."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.package_machine import PackageMachine

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[3]
OLD, NEW = "1.0.0", "1.0.1"
READ_AS = {
    ".service": "usr/lib/systemd/system/{name}",
    ".socket": "usr/lib/systemd/system/{name}",
    "watchdog.conf": "usr/lib/systemd/system.conf.d/evse-pi.conf",
    "journal.conf": "usr/lib/systemd/journald.conf.d/evse-pi.conf",
    ".tmpfiles.conf": "usr/lib/tmpfiles.d/evse-pi.conf",
    ".sysusers.conf": "usr/lib/sysusers.d/evse-pi.conf",
}
"""Where systemd reads what a package brings: systemd.unit(5), systemd-system.conf(5), journald.conf(5), tmpfiles.d(5),
sysusers.d(5)."""
STAYS = {"/etc/evse-pi", "/etc/evse-pi/boards", "/etc/evse-pi/environment"}
"""What a removal leaves of what the scripts put somewhere: docs/INSTALLING.md, "settings stay"."""


def entries(name: str) -> list[list[str]]:
    """Return the lines of one of systemd's tables, comments left out."""
    lines = (ROOT / "systemd" / name).read_text().splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]


def arguments(calls: list[str], command: str) -> set[str]:
    """Return the last words of all calls of a command."""
    return {word for call in calls if call.startswith(f"{command} ") for word in call.split()[2:] if word[0] != "-"}


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program that builds the package, without what it runs: no wheel, no bill of materials."""
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))
    spec = importlib.util.spec_from_file_location("package_build", ROOT / "packaging/build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules.pop("sbom", None)
    monkeypatch.setattr(module, "write_bill", lambda *_: None)
    monkeypatch.setattr(module, "_run", lambda *_, **__: b"made")
    return module


def test_every_unit_and_drop_in_is_installed(build: Any, tmp_path: Path) -> None:
    build._share(tmp_path, tmp_path / "opt/evse-pi/package", tmp_path, NEW, None)
    units = [path for path in (ROOT / "systemd").iterdir() if path.suffix in (".service", ".socket", ".conf")]
    assert len(units) >= 8
    for unit in units:
        (place,) = [place for ending, place in READ_AS.items() if unit.name.endswith(ending)]
        assert (tmp_path / place.format(name=unit.name)).read_bytes() == unit.read_bytes(), unit.name
    brought = {path for path in (tmp_path / "usr/lib").rglob("*") if path.is_file()}
    assert len(brought) == len(units)


@pytest.fixture
def machine(tmp_path: Path) -> PackageMachine:
    """A machine with two releases after each other, one that was taken back, and a box that has run."""
    machine = PackageMachine(tmp_path)
    machine.configure(OLD)
    machine.unpack()
    machine.configure(NEW, OLD)
    (machine.base / "releases/0.9.0.refused").touch()
    for folder in ("run/evse-pi/node", "var/lib/evse-pi", "var/lib/evse-pi-safety"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "something").touch()
    (tmp_path / "boot/firmware").mkdir(parents=True)
    (tmp_path / "boot/firmware/config.txt").touch()
    return machine


def test_every_file_that_is_put_somewhere_is_taken_away(machine: PackageMachine) -> None:
    put = machine.files()
    assert {"/opt/evse-pi/current", "/opt/evse-pi/former", f"/opt/evse-pi/releases/{NEW}"} <= put
    machine.remove(NEW)
    owned = {path for path in put if path.startswith("/var/lib/evse-pi")}
    boot = {path for path in put if path.startswith("/boot")}
    assert machine.files() - boot == STAYS | owned
    machine.unpack()
    machine.configure(NEW)
    machine.remove(NEW, purge=True)
    assert machine.files() - boot == set()


def test_whatever_the_scripts_switch_on_or_make_is_switched_off_or_unmade(machine: PackageMachine) -> None:
    machine.unpack()
    machine.configure(NEW, NEW)
    machine.remove(NEW, purge=True)
    calls = machine.called
    enabled, disabled = (
        arguments([c for c in calls if f" {word} " in c], "systemctl") for word in ("enable", "disable")
    )
    assert enabled == disabled == arguments([c for c in calls if " stop " in c], "systemctl")
    installable = {
        path.name for path in (ROOT / "systemd").iterdir() if re.search(r"(?m)^\[Install\]", path.read_text())
    }
    assert enabled == installable
    assert [call for call in calls if "boot_settings" in call]
    assert [call for call in calls if call.startswith("python3 ") and "boot_config.py remove" in call]


def test_every_user_group_and_folder_that_systemd_makes_goes_with_a_purge(machine: PackageMachine) -> None:
    """But for the groups of the machine's devices, which are Raspberry Pi OS's own."""
    machine.remove(NEW, purge=True)
    users = {words[1] for words in entries("evse-pi.sysusers.conf") if words[0] == "u"}
    groups = {words[1] for words in entries("evse-pi.sysusers.conf") if words[0] == "g"} - {"gpio", "spi", "i2c"}
    assert {call.split()[1] for call in machine.called if call.startswith("userdel ")} == users
    assert {call.split()[1] for call in machine.called if call.startswith("groupdel ")} == groups
    made = {words[1] for words in entries("evse-pi.tmpfiles.conf")}
    assert all(path == "/run/evse-pi" or path.startswith("/run/evse-pi/") for path in made)
    assert not (machine.folder / "run/evse-pi").exists()
