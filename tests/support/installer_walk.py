"""The walk of a new box from nothing to its certificate, typed at a terminal: `make walk` writes it to the document."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path
from typing import TYPE_CHECKING

from evse_pi.api.client import BoxError, call
from evse_pi.paths import resolve_paths
from tests.support.web_box import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCUMENT = Path(__file__).parents[2] / "docs/INSTALLING.md"
HEADING = "## A new box, from nothing to the certificate"
ABOUT = """
Written by `make walk`, at a simulated box whose converter has drifted; `evse-pi car` is the car and what happens to the
box. Enter alone takes what stands in brackets.
"""
COLUMNS, ROWS = 80, 24
CTRL_D, ENTER = "\x04", ""
WITHIN_S = 90
RUN = "evse-pi run &"
STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("evse-pi", ()),
    ("evse-pi capacity", ()),
    ("evse-pi setup --name 'Jo Bloggs'", (ENTER, "de", ENTER, CTRL_D)),
    (
        "evse-pi setup --name 'Jo Bloggs'",
        (ENTER, ENTER, ENTER, ENTER, ENTER, ENTER, "20", "40A", "20A", ENTER, ENTER, ENTER, ENTER),
    ),
    ("echo 480213 | evse-pi setup --yes --set-pin-stdin --name 'Jo Bloggs' | grep PIN", ()),
    (RUN, ()),
    ("evse-pi", ()),
    ("evse-pi capacity set 16", ()),
    ("evse-pi capacity set 40A", ()),
    ("evse-pi capacity set 16A --name 'Jo Bloggs'", ()),
    ("evse-pi car drift_adc source=pilot offset_mv=40 gain_ppm=970000", ()),
    ("evse-pi stop", ()),
    ("evse-pi why", ()),
    ("evse-pi calibrate measure open --true 12.00V", ()),
    ("evse-pi car plug_in cable_ma=32000", ()),
    ("evse-pi calibrate measure 9V", ()),
    ("evse-pi calibrate apply", ()),
    ("evse-pi car close_s2", ()),
    ("evse-pi calibrate measure 6V", ()),
    ("evse-pi calibrate measure -- -12V", ()),
    ("evse-pi calibrate apply --name 'Jo Bloggs'", ()),
    ("evse-pi car unplug", ()),
    ("evse-pi permit", ()),
    ("evse-pi why", ()),
    ("evse-pi capacity", ()),
    ("evse-pi certificate --out report.html", ()),
    ("evse-pi certificate", ()),
    ("echo 111222 | evse-pi capacity set 20A --pin-stdin", ()),
)
UNDATED = re.compile(r"time\s+unknown,\s+\d+\s+s\s+after\s+the\s+start\s+[0-9a-f]{8}")


def walk() -> str:
    """Return the transcript of all steps."""
    with tempfile.TemporaryDirectory(prefix="w") as home:
        environment = {
            "HOME": home, "EVSE_PI_STATE_DIR": f"{home}/box", "TERM": "dumb", "LANG": "C.UTF-8", "LOGNAME": "root",
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        }  # fmt: skip
        told: list[str] = []
        box: subprocess.Popen[str] | None = None
        try:
            for command, answers in STEPS:
                if command == RUN:
                    page = f"--web-port={free_port(socket.SOCK_STREAM)}"
                    box = subprocess.Popen(
                        ["evse-pi", "run", "--no-matter", page], env=environment, cwd=home, stderr=subprocess.PIPE,
                        stdout=subprocess.DEVNULL, text=True,
                    )  # fmt: skip
                    assert box.stderr is not None
                    said = next(line for line in box.stderr if line.startswith("evse-pi:"))
                    told.append(f"$ {command}\n{said}")
                    _await_rest(Path(home) / "box")
                    continue
                out, status = at_a_terminal(command, answers, environment)
                told.append(f"$ {command}\n{out}" + (f"(exit status {status})\n" if status else ""))
                if " car " in command:
                    time.sleep(0.5)
        finally:
            if box is not None:
                box.send_signal(signal.SIGTERM)
                box.communicate()
        return "\n".join(told).replace(home, "~")


def _await_rest(box: Path) -> None:
    """Return once the box has tested itself."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        with suppress(BoxError):
            reason = call(resolve_paths(box).control_socket, "status")["reason"]
            if reason is not None and reason["reason"] == "NO_VEHICLE":
                return
        time.sleep(0.2)
    raise TimeoutError("the box did not come to rest")


def at_a_terminal(command: str, answers: tuple[str, ...], environment: dict[str, str]) -> tuple[str, int]:
    """Return what a terminal of 80 columns shows, each answer typed at the next question, and the exit status."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(environment["HOME"])
        os.execve("/bin/bash", ["bash", "-c", f"set -o pipefail; {command}"], environment)
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", ROWS, COLUMNS, 0, 0))
    left, shown, answered, deadline = list(answers), "", 0, time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 1.0)[0]:
            continue
        try:
            shown += os.read(terminal, 4096).decode()
        except OSError:  # the other end is closed
            break
        if left and len(shown) > answered and shown.endswith(": "):
            answer = left.pop(0)
            answered = len(shown) + len(answer) + 2
            os.write(terminal, (answer if answer == CTRL_D else f"{answer}\n").encode())
    os.close(terminal)  # which hangs up on whatever still runs
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return shown.replace("\r\n", "\n").replace("\r", ""), status


def of_the_document() -> str:
    """Return the transcript that stands in the document."""
    return DOCUMENT.read_text().partition(f"{HEADING}\n{ABOUT}\n```\n")[2].removesuffix("```\n")


def without_figures(transcript: str) -> str:
    """Return a transcript without what is another one every time: figures, times, check sums.

    A machine without a time server says how long after its start something was.
    """
    dated = UNDATED.sub("2026-01-01 00:00:00 UTC", transcript)
    return re.sub(r"[+-]?\b[0-9a-f]*\d[0-9a-f]*(\.\d+)?", "#", dated).replace("  ", " ")


def main(arguments: Sequence[str]) -> None:
    """Write the walk where it says something else; with `--figures` also where only figures differ."""
    kept, taken = DOCUMENT.read_text().partition(HEADING)[0], walk()
    if "--figures" in arguments or without_figures(taken) != without_figures(of_the_document()):
        DOCUMENT.write_text(f"{kept}{HEADING}\n{ABOUT}\n```\n{taken}```\n")


if __name__ == "__main__":
    main(sys.argv[1:])
