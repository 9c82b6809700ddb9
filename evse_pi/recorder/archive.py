"""The folder of recordings: a few small files, the oldest gives way, and a full disk is no trouble of the box."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from evse_pi.installation.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "recordings"
KEPT = 32
MAX_FILE_BYTES = 256 * 1024  # ten times what a recording has
MODE = 0o640
SUFFIX = ".json.gz"


class RecordingArchive:
    """Keeps the newest recordings by their names, which begin with a rising number; `trouble` says what went wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trouble: str | None = None

    def put(self, name: str, content: bytes) -> bool:
        """Keep a recording, durable on return; return whether that worked. One that is too long is given up."""
        if len(content) > MAX_FILE_BYTES:
            return True
        try:
            self.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            for oldest in self.names()[: -(KEPT - 1)]:
                (self.folder / oldest).unlink(missing_ok=True)
            write_atomically(self.folder / name, content, MODE)
        except OSError as error:
            self.trouble = str(error)
            return False
        self.trouble = None
        return True

    def names(self) -> list[str]:
        """Return the names, oldest first."""
        with suppress(OSError):
            return sorted(path.name for path in self.folder.glob(f"*{SUFFIX}"))
        return []
