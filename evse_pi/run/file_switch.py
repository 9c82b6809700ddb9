"""`python -m evse_pi.run.file_switch`: many files change at once, though the power may go at any moment.

They are prepared in the folder `restore.new` beside their targets. One file there, the order, names them all; from the
moment it has its name the change is decided, and is carried out from wherever it was broken off:
by the command itself, or by systemd/evse-pi-restore.service before the processes of the box start. Before that moment
nothing was changed, and the folder is rubbish.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from evse_pi.api.texts.catalogue import tr
from evse_pi.installation.files import write_atomically
from evse_pi.installation.folder_exchange import sync_folder
from evse_pi.paths import SYSTEM_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

STAGE = "restore.new"
ORDER = "order"
FOLDER_MODE = 0o700


def stage(folder: Path) -> Path:
    """Return an empty folder below `folder` for what shall replace its files. Raises: OSError."""
    fresh = folder / STAGE
    _remove(fresh)
    fresh.mkdir(mode=FOLDER_MODE)
    return fresh


def decide(settings_dir: Path, folders: Sequence[Path], gone: Sequence[Path] = ()) -> None:
    """Have all that is prepared below `folders` take its place, and `gone` go; the order lies below `settings_dir`.

    Raises: OSError. Where the order does not lie there then, nothing was changed.
    """
    for folder in folders:
        for path in sorted((folder / STAGE).rglob("*")):
            _sync(path)
        _sync(folder / STAGE)
        sync_folder(folder)
    order = {"folders": [str(folder) for folder in folders], "gone": [str(path) for path in gone]}
    write_atomically(settings_dir / STAGE / ORDER, json.dumps(order).encode(), 0o600)


def carry_out(settings_dir: Path) -> bool:
    """Carry out what was decided, from wherever it was broken off; return whether anything was. Raises: OSError."""
    order = settings_dir / STAGE / ORDER
    try:
        told = json.loads(order.read_bytes())
    except FileNotFoundError:
        return False
    folders = [Path(folder) for folder in told["folders"]]
    for path in told["gone"]:
        Path(path).unlink(missing_ok=True)
    for folder in folders:
        for source in sorted((folder / STAGE).rglob("*")):
            if source != order and not source.is_dir():
                _replace(source, folder / source.relative_to(folder / STAGE), folder)
    order.unlink()
    for folder in folders:
        _remove(folder / STAGE)
        sync_folder(folder)
    return True


def _replace(source: Path, target: Path, folder: Path) -> None:
    if not target.parent.is_dir():
        owner = folder.stat()
        target.parent.mkdir(mode=folder.stat().st_mode & 0o777)
        os.chown(target.parent, owner.st_uid, owner.st_gid)
    # A database's log belongs to the file that was there. Source: sqlite.org/wal.html
    for suffix in ("-wal", "-shm", "-journal"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    source.replace(target)
    sync_folder(target.parent)


def _remove(folder: Path) -> None:
    """Remove `folder`; a link that another user put there is removed, and not followed."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    if carry_out(SYSTEM_SETTINGS):
        sys.stderr.write(tr("evse-pi: a restore that was broken off is carried out\n"))
