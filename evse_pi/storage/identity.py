"""What is printed on the box, kept outside the database as well: a database that is lost takes no label's truth along.

The file also tells that the box was in use before, so that an empty database is a loss and no first start.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

log = logging.getLogger(__name__)

IDENTITY_FILE = "identity.json"
VERSION = 1
_KEYS = ("setup", "test-attestation/")
_NOTHING: Mapping[str, bytes] = {}


def is_identity(key: str) -> bool:
    """Return whether the value of `key` belongs to what is printed on the box: its set-up code, its attestation."""
    return key.startswith(_KEYS)


class IdentityFile:
    """Values by name in one small file with a check sum; it is written as a whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, bytes] | None = None
        self._damaged = False

    @property
    def exists(self) -> bool:
        """Whether this box was started before. Raises: OSError where that cannot be told."""
        try:
            self._path.stat()
        except FileNotFoundError:
            return False
        return True

    def values(self) -> Mapping[str, bytes]:
        """Return what the file holds, nothing where there is none or it is damaged."""
        if self._values is None:
            try:
                self._values = _decoded(self._path.read_bytes())
            except FileNotFoundError:
                return _NOTHING
            except (OSError, ValueError, RecursionError) as error:
                self._damaged = not isinstance(error, OSError)
                log.warning("identity file cannot be read and is written again from the database: %s", error)
                return _NOTHING
        return self._values

    def update(self, values: Mapping[str, bytes]) -> None:
        """Add `values`, or make an empty file; return once they are on the disk. Raises: OSError."""
        present = self.values()
        if self._values is None and self.exists and not self._damaged:
            raise OSError(f"{self._path} cannot be read, and is not written over")
        wanted = {**present, **values}
        if self._values is not None and wanted == self._values:
            return
        temporary = self._path.with_name(self._path.name + ".new")
        descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_encoded(wanted))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._values = wanted


def _encoded(values: Mapping[str, bytes]) -> bytes:
    shown = {key: values[key].hex() for key in sorted(values)}
    return json.dumps({"version": VERSION, "values": shown, "sha256": _sum(shown)}, indent=1).encode()


def _decoded(content: bytes) -> dict[str, bytes]:
    """Return the values. Raises: ValueError when they are not what was written."""
    match json.loads(content):
        case {"version": 1, "values": dict(shown), "sha256": str(total)} if total == _sum(shown):
            return {key: bytes.fromhex(value) for key, value in shown.items()}
    raise ValueError("not what was written")


def _sum(shown: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()
