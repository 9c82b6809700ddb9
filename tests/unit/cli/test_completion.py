"""Completion in real shells: commands, options and the values that this box knows, without loading anything heavy."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evse_pi.cli.completion import SHELLS, VARIABLE
from tests.support.commands import run_command

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("box")
    archive = folder / "recordings"
    archive.mkdir()
    for name in ("000001-pilot_diode.json.gz", "000002-mirror_open.json.gz"):
        (archive / name).write_bytes(b"")
    for shell in SHELLS:
        done = run_command(folder, folder, "completion", shell)
        assert done.status == 0, done.err
        (folder / f"completion.{shell}").write_text(done.out)
    return folder


def environment(box: Path) -> dict[str, str]:
    return {"PATH": f"{BIN}:/usr/bin:/bin", "EVSE_PI_STATE_DIR": str(box), "HOME": str(box), "TERM": "dumb"}


def in_bash(box: Path, typed: str) -> list[str]:
    """Return what bash proposes for the last word of what was typed."""
    words = typed.split(" ")
    script = f"""
        source {box}/completion.bash
        COMP_WORDS=({" ".join(f"'{word}'" for word in words)}); COMP_CWORD={len(words) - 1}
        _evse_pi_completion evse-pi; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, env=environment(box), cwd=box, check=True
    )
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("typed", "proposed"),
    [
        ("evse-pi sta", ["status", "start"]),
        ("evse-pi cal", ["calibrate"]),
        ("evse-pi status --w", ["--watch"]),
        ("evse-pi capacity ", ["set", "show"]),
        ("evse-pi capacity set 1", ["10A", "13A", "16A"]),
        ("evse-pi set n", ["none"]),
        ("evse-pi calibrate measure ", ["open", "9V", "6V", "3V", "-12V"]),
        ("evse-pi setup --board ", ["nsayer_pi_evse_hat", "reference", "simulated"]),
        ("evse-pi setup --country g", ["GB", "GG", "GU"]),
        ("evse-pi setup --rcd-type a", ["a", "a_rdc_dd"]),
        ("evse-pi setup --meter sdm12", ["sdm120"]),
        ("evse-pi setup --cable ", ["socket", "tethered"]),
        ("evse-pi replay 0", ["000002-mirror_open.json.gz", "000001-pilot_diode.json.gz"]),
        ("evse-pi commission --remove ", []),
        ("evse-pi car ", []),
        ("evse-pi completion ", list(SHELLS)),
        ("evse-pi xyzzy selft", ["selftest"]),
    ],
)
def test_bash_proposes_what_can_come_next(box: Path, typed: str, proposed: list[str]) -> None:
    assert in_bash(box, typed) == proposed


def test_a_tab_in_an_interactive_bash_completes_the_word(box: Path) -> None:
    child, terminal = pty.fork()
    if child == 0:
        os.execve("/bin/bash", ["bash", "--norc", "-i"], environment(box))
    seen = b""
    try:
        os.write(terminal, f"source {box}/completion.bash; echo re''ady\n".encode())
        seen = _until(terminal, seen, b"ready")
        os.write(terminal, b"evse-pi selft\t")
        _until(terminal, seen, b"evse-pi selftest ")
    finally:
        os.close(terminal)
        os.waitpid(child, 0)


def _until(terminal: int, seen: bytes, wanted: bytes) -> bytes:
    deadline = time.monotonic() + 20
    while wanted not in seen:
        assert time.monotonic() < deadline, seen
        seen += os.read(terminal, 4096)
    return seen


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not here")
def test_zsh_takes_the_script(box: Path) -> None:
    script = f"autoload -U compinit; compinit -u; source {box}/completion.zsh; print $_comps[evse-pi]"
    done = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, env=environment(box), check=True)
    assert (done.stdout.strip(), done.stderr) == ("_evse_pi_completion", "")


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not here")
def test_fish_proposes_what_can_come_next(box: Path) -> None:
    script = f'source {box}/completion.fish; complete --do-complete "evse-pi self"'
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        capture_output=True,
        text=True,
        env=environment(box),
        check=True,
        timeout=20,
    )
    proposals = [line.split("\t")[0] for line in done.stdout.splitlines()]  # a description follows
    assert proposals == ["selftest"]


@pytest.mark.parametrize("typed", ["evse-pi sta", "evse-pi setup --board ", "evse-pi replay ", "evse-pi car "])
def test_a_proposal_loads_nothing_heavy(box: Path, typed: str) -> None:
    words = typed.split(" ")
    asked = {"COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1), VARIABLE: "bash_complete"}
    done = run_command(box, box, **asked)
    assert (done.status, done.err) == (0, "")
    assert not done.heavy
