"""`evse-pi report`."""

from __future__ import annotations

import getpass
import json
import os
import platform
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evse_pi.api.client import BoxError, BoxNotRunning, call
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.paths import INSTALLATION_NAME, SYSTEM_SETTINGS

if TYPE_CHECKING:
    from evse_pi.diagnostics.support_report import Part
    from evse_pi.paths import Paths

QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "status": (tr("everything the box says of itself now"), {}),
    "why": (tr("why it charges or not"), {}),
    "faults": (tr("faults with the readings of their moment"), {"limit": 200}),
    "sessions": (tr("sessions with times and energy"), {"limit": 200}),
    "transitions": (tr("changes of state, contactor and faults"), {"limit": 500}),
    "counters": (tr("cycles, openings under load, starts, release times"), {}),
    "timing": (tr("histograms of lateness, window and reaction"), {}),
    "scope": (tr("the newest window of the pilot"), {}),
}
MACHINE_FILES = {
    "os-release": "/etc/os-release",
    "model": "/proc/device-tree/model",
    "config.txt": "/boot/firmware/config.txt",
    "meminfo": "/proc/meminfo",
}
UNITS = ("evse-pi-safety", "evse-pi-node")
JOURNAL_WITHIN_S = 10.0
RECORDINGS_KEPT = 8


@click.command("report")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help=tr("Where to write it; - is stdout."))
@json_option(tr("Print what is in it as one JSON object."))
@of_a_box
def command(*, box: Paths, output: Path | None, as_json: bool) -> None:
    """Write one archive to attach to a ticket, and say what is in it.

    Keys, passcodes, names and addresses are taken out of everything.
    """
    from evse_pi.diagnostics.support_report import archive, contents

    parts, missing = gather(box)
    packed = archive(parts, missing, int(time.time()))
    if str(output) == "-":
        sys.stdout.buffer.write(packed)
        return
    path = output or Path(time.strftime("evse-pi-report-%Y%m%d-%H%M%S.tar.gz"))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(packed)
    except OSError as error:
        raise BoxError(f"output: {error}") from error
    if as_json:
        files = {part.name: len(part.content) for part in parts}
        click.echo(json.dumps({"path": str(path), "bytes": len(packed), "files": files, "missing": missing}))
    else:
        click.echo(
            "\n".join(
                (
                    *contents(parts, missing),
                    tr("written: {path} ({number} bytes)").format(path=path, number=len(packed)),
                )
            )
        )


def gather(paths: Paths) -> tuple[list[Part], dict[str, str]]:
    """Return everything that can be had, and what could not with the reason; a box that does not run gives a report."""
    from evse_pi.diagnostics.support_report import data_part, text_part

    names = _names()
    parts: list[Part] = []
    missing: dict[str, str] = {}
    for command_name, (about, fields) in QUESTIONS.items():
        try:
            parts.append(data_part(command_name, about, call(paths.control_socket, command_name, **fields), names))
        except BoxError as error:
            missing[command_name] = tr("no box is running") if isinstance(error, BoxNotRunning) else str(error)
    parts.append(data_part("machine", tr("software, kernel, Python"), _machine(), names))
    for name, source in MACHINE_FILES.items():
        with suppress(OSError):
            parts.append(text_part(name, source, Path(source).read_text(errors="replace"), names))
    installation = paths.state_dir / "installation.toml"
    for file in (SYSTEM_SETTINGS / INSTALLATION_NAME, installation):
        with suppress(OSError):
            parts.append(text_part("installation.toml", tr("the installer's settings"), file.read_text(), names))
            break
    parts += _recordings(paths)
    journal = _journal()
    if journal:
        parts.append(text_part("journal.txt", tr("what both processes logged last"), journal, names))
    else:
        missing["journal.txt"] = tr("journalctl has nothing of these units, or may not be read: use sudo")
    return parts, missing


def _recordings(paths: Paths) -> list[Part]:
    """Return the newest recordings as they are: they hold readings and no personal data."""
    from evse_pi.diagnostics.support_report import Part
    from evse_pi.recorder.archive import FOLDER, RecordingArchive

    archive = RecordingArchive(paths.state_dir / FOLDER)
    found = []
    for name in archive.names()[-RECORDINGS_KEPT:]:
        with suppress(OSError):
            found.append(Part(f"{FOLDER}/{name}", tr("seconds round a fault"), (archive.folder / name).read_bytes()))
    return found


def _machine() -> dict[str, Any]:
    from importlib.metadata import distributions, version

    uname = os.uname()
    return {
        "evse_pi": version("evse-pi"),
        "python": platform.python_version(),
        "kernel": f"{uname.sysname} {uname.release} {uname.machine}",
        "load": list(os.getloadavg()),
        "packages": sorted(f"{each.metadata['Name']} {each.version}" for each in distributions()),
    }


def _journal() -> str:
    arguments = [argument for unit in UNITS for argument in ("--unit", unit)]
    try:
        done = subprocess.run(
            ["journalctl", "--no-pager", "--quiet", "--lines=1000", "--output=short-iso", "--no-hostname", *arguments],
            capture_output=True, text=True, timeout=JOURNAL_WITHIN_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _names() -> tuple[str, ...]:
    """Return the names that a report must not tell: of this machine and of who asks."""
    found = {socket.gethostname(), platform.node(), os.environ.get("SUDO_USER", "")}
    with suppress(OSError, KeyError):
        found.add(getpass.getuser())
    return tuple(sorted(found - {"", "root", "localhost"}))
