"""`python -m evse_pi.run.restart`: the units of the installed box, restarted while its contactor is open and not else.

With `--charging` it only answers: exit status 0 while a vehicle charges. A box that does not answer is not known to be
open, so it is not restarted; its service manager does that by itself where it is broken.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from evse_pi.api.client import BoxError, ask
from evse_pi.api.status import STATUS
from evse_pi.api.texts.catalogue import tr
from evse_pi.paths import CONTROL_SOCKET, SYSTEM_RUN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from evse_pi.api.status import Status

UNITS = ("evse-pi-safety.service", "evse-pi-node.service")
RESTART_LATER = f"sudo systemctl restart {' '.join(UNITS)}"
WHY_NOT: Mapping[bool | None, str] = {
    True: tr("a vehicle charges"),
    None: tr("the box does not say whether a vehicle charges"),
}
"""By what `charging` returns, why a box is not restarted."""
LATER = 3


def charging(status: Status | None) -> bool | None:
    """Return whether the contactor is to be closed, or a sense says that it is; None where the box does not tell."""
    if status is None or status.contactor is None:
        return None
    contactor = status.contactor
    return contactor.close_ordered or contactor.mirror_closed is True or contactor.load_live is True


def main(arguments: Sequence[str], control_socket: Path = SYSTEM_RUN / CONTROL_SOCKET) -> int:
    """Restart, or answer, and return an exit status."""
    now = charging(_status(control_socket))
    if "--charging" in arguments:
        return 0 if now else 1
    if now is not False:
        sys.stderr.write(
            tr("evse-pi: {why_not}; the new release is in force after: {restart_later}\n").format(
                why_not=WHY_NOT[now], restart_later=RESTART_LATER
            )
        )
        return LATER
    return subprocess.run(["systemctl", "restart", *UNITS], check=False).returncode


def _status(control_socket: Path) -> Status | None:
    try:
        return ask(control_socket, STATUS)
    except (BoxError, OSError):
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
