"""One node process per state directory."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LOCK_FILE = "node.lock"


class AlreadyRunning(OSError):  # noqa: N818 (named for what is the case)
    """Another node process keeps this state directory."""


class ProcessLock:
    """Holds the state directory until closed; the kernel lets go when the process dies, however it dies."""

    def __init__(self, state_dir: Path) -> None:
        path = state_dir / LOCK_FILE
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise AlreadyRunning(
                errno.EADDRINUSE, "another node process keeps this state directory", str(path)
            ) from error

    def close(self) -> None:
        """Let go."""
        os.close(self._descriptor)
