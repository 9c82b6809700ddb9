"""`evse-pi` without a command: how the box is, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.client import BoxError, BoxNotRunning, ask
from evse_pi.api.status import STATUS
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.text_layout import rows
from evse_pi.paths import INSTALLATION_NAME, SYSTEM_STATE

if TYPE_CHECKING:
    from evse_pi.api.status import Status
    from evse_pi.paths import Paths

SUDO = "sudo "
ONWARD_INDENT = 25


def overview(box: Paths) -> list[str]:
    """Return the box in a line or two, and the commands that lead on from there."""
    is_set_up = (box.settings_dir / INSTALLATION_NAME).exists()
    try:
        now = ask(box.control_socket, STATUS)
    except BoxNotRunning:
        told, onward = _idle(box, is_set_up=is_set_up)
    except BoxError as error:
        told, onward = str(error), [("evse-pi why", tr("what it says of itself"))]
    else:
        told, onward = _running(now)
    onward.append(("evse-pi --help", tr("all commands")))
    return [*rows([(tr("box"), told), (tr("where"), str(box.state_dir))]), "", *rows(onward, ONWARD_INDENT)]


def _idle(box: Paths, *, is_set_up: bool) -> tuple[str, list[tuple[str, str]]]:
    own = box.state_dir != SYSTEM_STATE
    sudo = "" if own else SUDO
    if not is_set_up:
        onward = [(tr("{sudo}evse-pi setup").format(sudo=sudo), tr("answer what only the installer knows"))]
        return tr("not set up yet"), [*onward, ("evse-pi demo", tr("watch a simulated box charge a car"))]
    start = "evse-pi run" if own else "sudo systemctl start evse-pi-safety evse-pi-node"
    return tr("set up, and not running"), [(start, tr("start it"))]


def _running(now: Status) -> tuple[str, list[tuple[str, str]]]:
    from evse_pi.cli.status_text import why

    onward = [
        ("evse-pi status --watch", tr("keep looking")),
        ("evse-pi why", tr("why so, and what to do")),
        ("evse-pi commission", tr("the controllers of the box")),
    ]
    return why(now), onward
