"""`python -m evse_pi.installation.folder_exchange ONE OTHER`: two folders change places in one step.

Between two renames there would be a moment without one, and a power cut in it would leave none. Source: renameat2(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

_EXCHANGE, _AT_FDCWD = 2, -100


def exchange(one: Path, other: Path) -> None:
    """Let both change places, durable on return. Raises: OSError, and then each is where it was."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE):
        number = ctypes.get_errno() or errno.EIO
        raise OSError(number, os.strerror(number), str(other))
    for folder in {one.parent, other.parent}:
        sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises: OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    exchange(Path(sys.argv[1]), Path(sys.argv[2]))
