"""`evse-pi backup` and `evse-pi restore`: passphrase, refusals, and what becomes of a running box."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from evse_pi.api.client import BoxNotRunning
from evse_pi.api.exits import Exit
from evse_pi.api.status import ContactorStatus
from evse_pi.cli.main import evse_pi
from evse_pi.node.process_lock import ProcessLock
from evse_pi.paths import SYSTEM_RUN, SYSTEM_STATE, Paths
from evse_pi.run import still_box
from evse_pi.run.sealed_backup import BackupError
from tests.support.commands import run_command
from tests.support.forked import in_a_fork

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PASSPHRASE = "correct horse battery staple"
OPEN = ContactorStatus(close_ordered=False, mirror_closed=False, load_live=False, cycles=3, openings_under_load=0)


@pytest.fixture
def box(tmp_path: Path) -> Path:
    done = run_command(tmp_path, tmp_path / "box", "setup", "--yes", "--country", "DE", "--capacity", "20A")
    assert done.status == Exit.DONE, done.err
    (tmp_path / "passphrase").write_text(f"{PASSPHRASE}\nnot this line\n")
    return tmp_path


def run(box: Path, *arguments: str) -> Any:
    return run_command(box, box / "box", *arguments, "--passphrase-file", "passphrase")


def test_what_was_set_comes_back_from_a_file_that_its_owner_alone_may_read(box: Path) -> None:
    kept = run(box, "backup", "box.backup")
    assert kept.status == Exit.DONE, kept.err
    assert stat.S_IMODE((box / "box.backup").stat().st_mode) == 0o600
    assert run_command(box, box / "box", "capacity", "set", "10A").status == Exit.DONE
    back = run(box, "restore", "box.backup", "--another-box")
    assert back.status == Exit.DONE, back.err
    assert "charging is forbidden until: evse-pi permit" in " ".join(back.out.split())
    assert '"circuit_capacity_ma": 20000' in run_command(box, box / "box", "capacity", "--json").out


def test_a_passphrase_is_asked_twice_and_never_shown(box: Path) -> None:
    told = f"{PASSPHRASE}\n{PASSPHRASE}\n"
    arguments = ["--state-dir", str(box / "box"), "backup", str(box / "asked.backup")]
    shown = in_a_fork(lambda: CliRunner().invoke(evse_pi, arguments, input=told, catch_exceptions=False).output)
    assert shown.count("Passphrase") == 1
    assert "Repeat for confirmation" in shown
    assert PASSPHRASE not in shown
    (box / "passphrase").write_text("another passphrase\n")
    assert "the passphrase is wrong" in run(box, "restore", "asked.backup").err


def test_a_short_passphrase_leaves_no_file(box: Path) -> None:
    (box / "passphrase").write_text("480213\n")
    done = run(box, "backup", "box.backup")
    assert (done.status, "at least 12 characters" in done.err) == (Exit.REFUSED, True)
    assert not (box / "box.backup").exists()


def test_a_box_that_runs_in_the_foreground_is_not_restored(box: Path) -> None:
    run(box, "backup", "box.backup")
    lock = ProcessLock(box / "box")
    done = run(box, "restore", "box.backup", "--another-box")
    lock.close()
    assert (done.status, "end `evse-pi run` first; nothing was changed" in done.err) == (Exit.REFUSED, True)


class Units:
    """systemctl of a machine, and what the box on it says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, says: Any, *, active: bool = True) -> None:
        self.commands: list[str] = []
        self._active = active
        monkeypatch.setattr(still_box, "ask", lambda *_: says() if callable(says) else says)

    def run(self, command: Sequence[str]) -> int:
        if "is-active" in command:
            return 0 if self._active else 3  # systemctl(1)
        self.commands.append(" ".join(command))
        return 0


INSTALLED = Paths(SYSTEM_STATE, SYSTEM_RUN)
STOP = "systemctl stop evse-pi-installer.socket evse-pi-node.service evse-pi-safety.service"
START = "systemctl start evse-pi-safety.service evse-pi-node.service evse-pi-installer.socket"


class Said:
    """A status of which only the contactor counts."""

    def __init__(self, contactor: ContactorStatus | None) -> None:
        self.contactor = contactor


@pytest.mark.hazard("H-18")
@pytest.mark.parametrize("contactor", [OPEN._replace(close_ordered=True), OPEN._replace(mirror_closed=True), None])
def test_an_installed_box_is_not_stopped_while_a_vehicle_charges_or_may(
    monkeypatch: pytest.MonkeyPatch, contactor: ContactorStatus | None
) -> None:
    units = Units(monkeypatch, Said(contactor))
    with pytest.raises(BackupError, match="nothing was changed"), still_box.standing_still(INSTALLED, units.run):
        pytest.fail("it was stopped")
    assert units.commands == []


def test_an_installed_box_is_started_again_whatever_becomes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    units = Units(monkeypatch, Said(OPEN))
    with pytest.raises(OSError, match="the disk is full"), still_box.standing_still(INSTALLED, units.run):
        raise OSError("the disk is full")
    assert units.commands == [STOP, START]


def test_a_box_without_a_safety_process_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent() -> None:
        raise BoxNotRunning("no box is running")

    units = Units(monkeypatch, silent, active=False)
    with still_box.standing_still(INSTALLED, units.run):
        pass
    assert units.commands == [STOP, START]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("words", [("backup", "x.backup"), ("restore", "x.backup")])
def test_only_the_installer_may(box: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65_534)
    arguments = ["--state-dir", str(box / "box"), *words]
    with pytest.raises(AssertionError, match="BoxError: only the installer may do this"):
        in_a_fork(lambda: CliRunner().invoke(evse_pi, arguments, catch_exceptions=False).output)
