"""A Debian to build in is made from where this machine's own packages come from, in either form that apt knows."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from subprocess import CompletedProcess

SCRIPT = Path(__file__).parents[3] / "packaging/chroot.sh"
DEB822 = "Types: deb\nURIs: https://first.invalid/debian https://second.invalid\nSuites: trixie\nComponents: main\n"
ONE_LINE = "# ours\ndeb [arch=arm64] https://lines.invalid/debian bookworm main\n"


def make(tmp_path: Path, **files: str) -> tuple[CompletedProcess[str], list[str]]:
    """Run the script on a machine with these files below /etc/apt; return what it ended with and asked for."""
    apt, programs, called = tmp_path / "apt", tmp_path / "bin", tmp_path / "called"
    for name in ("sources.list.d", "apt.conf.d"):
        (apt / name).mkdir(parents=True)
    for name, content in files.items():
        (apt / name.replace("__", "/").replace("_", ".")).write_text(content)
    programs.mkdir()
    (programs / "mmdebstrap").write_text(f'#!/bin/sh\necho "$*" > {called}\nmkdir -p {tmp_path}/made/etc/ssl/certs\n')
    (programs / "mmdebstrap").chmod(0o755)
    text = SCRIPT.read_text().replace("/etc/apt", str(apt))
    command = ["bash", "-c", text, "chroot.sh", "trixie", str(tmp_path / "made")]
    environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return done, called.read_text().split() if called.exists() else []


@pytest.mark.parametrize(
    ("files", "source"),
    [
        ({"sources.list.d__debian_sources": DEB822}, "https://first.invalid/debian"),
        ({"sources_list": ONE_LINE}, "https://lines.invalid/debian"),
        ({"sources.list.d__debian_sources": DEB822, "sources_list": ONE_LINE}, "https://first.invalid/debian"),
    ],
    ids=["deb822", "one-line", "both"],
)
def test_the_packages_come_from_this_machine_s_own_source(tmp_path: Path, files: dict[str, str], source: str) -> None:
    done, asked = make(tmp_path, **files)
    assert done.returncode == 0, done.stderr
    assert asked[-3:] == ["trixie", str(tmp_path / "made"), source]


def test_a_machine_without_a_source_is_told_so(tmp_path: Path) -> None:
    done, asked = make(tmp_path)
    assert done.returncode == 1
    assert "names a source of packages" in done.stderr
    assert asked == []
