"""A box that stands still while its files change: its units are stopped, or it must not run in the foreground."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from evse_pi.api.client import BoxError, ask
from evse_pi.api.status import STATUS
from evse_pi.api.texts.catalogue import tr
from evse_pi.node.process_lock import LOCK_FILE, AlreadyRunning, ProcessLock
from evse_pi.paths import SYSTEM_STATE
from evse_pi.run.restart import UNITS, WHY_NOT, charging
from evse_pi.run.sealed_backup import BackupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from evse_pi.api.status import Status
    from evse_pi.paths import Paths

INSTALLER = "evse-pi-installer.socket"
"""What may change the installer's files meanwhile."""
NOT_RUNNING = 3
"""What `systemctl is-active` ends with for a unit that is not active. Source: systemctl(1), LSB."""


def run_command(command: Sequence[str]) -> int:
    """Run a command and return its exit status."""
    return subprocess.run(command, check=False).returncode


@contextmanager
def standing_still(paths: Paths, run: Callable[[Sequence[str]], int] = run_command) -> Iterator[None]:
    """Keep the box from running within the block, and start an installed one again after it, whatever comes of it.

    Raises: BackupError while a vehicle charges, the box does not say so, or it runs in the foreground.
    """
    if paths.state_dir == SYSTEM_STATE:
        if run(["systemctl", "is-active", "--quiet", UNITS[0]]) != NOT_RUNNING:
            now = charging(_status(paths))
            if now is not False:
                raise BackupError(
                    tr("{why_not}; nothing was changed. First: evse-pi stop").format(why_not=WHY_NOT[now])
                )
        if run(["systemctl", "stop", INSTALLER, *reversed(UNITS)]):
            raise BackupError(tr("the processes of the box cannot be stopped; nothing was changed"))
        try:
            yield
        finally:
            run(["systemctl", "start", *UNITS, INSTALLER])
        return
    lock = None
    try:
        if (paths.state_dir / LOCK_FILE).exists():
            lock = ProcessLock(paths.state_dir)
    except AlreadyRunning as error:
        raise BackupError(tr("the box runs; end `evse-pi run` first; nothing was changed")) from error
    try:
        yield
    finally:
        if lock is not None:
            lock.close()


def _status(paths: Paths) -> Status | None:
    try:
        return ask(paths.control_socket, STATUS)
    except (BoxError, OSError):
        return None
