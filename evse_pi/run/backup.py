"""What a backup holds: the installer's files, the record of changes, settings and history, and the identity on request.

It leaves out what belongs to this machine or to this run of it: the key of the seal, the faults that a person must
clear, drafts, the count of wrong PINs, and the key that signs releases.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import zlib
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from evse_pi.api.texts.catalogue import tr
from evse_pi.installation.board_choice import ENVIRONMENT_FILE
from evse_pi.installation.files import CALIBRATION_FILE, ConfigError, read_proven
from evse_pi.installer.audit import AUDIT_FILE
from evse_pi.installer.pin import PIN_FILE
from evse_pi.installer.product import PRODUCT_FILE
from evse_pi.installer.provisioning import FILES, FOLDER
from evse_pi.node.machine_mark import machine_mark
from evse_pi.paths import DATABASE, INSTALLATION_NAME
from evse_pi.run.sealed_backup import BackupError
from evse_pi.storage.identity import IDENTITY_FILE
from evse_pi.storage.schema import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from boards.spec import BoardSpec
    from evse_pi.paths import Paths

CONTENT = 1
"""The version of the content; one that leaves something out or means something else by a name has another."""
SETTINGS = (INSTALLATION_NAME, CALIBRATION_FILE, PIN_FILE, AUDIT_FILE, ENVIRONMENT_FILE)
BOARDS = "boards"
IDENTITY = (IDENTITY_FILE, *(f"{FOLDER}/{name}" for name in (*FILES.values(), PRODUCT_FILE)))
"""In the state folder: what is printed on the box, and a vendor's own credentials."""
NO_IDENTITY = ("state/", "energy-evse/", "charged-energy/", "charging-plan")
"""How Matter's values begin that no fabric and no key is in (the plan: up to version 4 of the database)."""
LARGEST_BYTES = 256 << 20
"""What a content may unfold to; a full history is some 5 MB."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds; `machine` is the mark of the machine it was made on, None where that has none."""

    software: str
    made_unix_s: int | None
    machine: bytes | None
    board: str
    schema: int | None
    identities: bool
    files: dict[str, bytes]

    def encoded(self) -> bytes:
        """Return the content of a backup file."""
        told: dict[str, Any] = {
            "content": CONTENT,
            "software": self.software,
            "made_unix_s": self.made_unix_s,
            "machine": self.machine.hex() if self.machine else None,
            "board": self.board,
            "schema": self.schema,
            "identities": self.identities,
            "files": {name: base64.b64encode(content).decode() for name, content in self.files.items()},
        }
        return zlib.compress(json.dumps(told).encode(), 9)


def decoded(content: bytes) -> Backup:
    """Return the backup that `content` is. Raises: BackupError, for one of newer software by name."""
    try:
        unpacking = zlib.decompressobj()
        told = json.loads(unpacking.decompress(content, LARGEST_BYTES))
        _refuse_newer(told)
        backup = Backup(
            software=str(told["software"]),
            made_unix_s=told["made_unix_s"],
            machine=bytes.fromhex(told["machine"]) if told["machine"] else None,
            board=str(told["board"]),
            schema=told["schema"],
            identities=bool(told["identities"]),
            files={name: base64.b64decode(text) for name, text in told["files"].items()},
        )
    except (zlib.error, KeyError, TypeError, AttributeError) as error:
        raise BackupError(
            tr("the backup has no content that this software knows: {error!r}").format(error=error)
        ) from error
    except BackupError:
        raise
    except ValueError as error:
        raise BackupError(
            tr("the backup has no content that this software knows: {error}").format(error=error)
        ) from error
    unknown = sorted(name for name in backup.files if not _known(name))
    if unknown:
        raise BackupError(
            tr("the backup has files that this software does not know: {names}").format(names=", ".join(unknown))
        )
    return backup


def _refuse_newer(told: Mapping[str, Any]) -> None:
    """Raises: BackupError for a content, or a database, of newer software; KeyError, TypeError for none."""
    if told["content"] > CONTENT:
        raise BackupError(
            tr("the backup was made by {told}, newer than this software; update first").format(told=told["software"])
        )
    if told["schema"] is not None and not 0 <= told["schema"] <= len(MIGRATIONS):
        raise BackupError(
            tr(
                "the backup's database has version {told}, of newer software ({told_2}); this one knows "
                "versions up to {number}; update first"
            ).format(told=told["schema"], told_2=told["software"], number=len(MIGRATIONS))
        )


def collect(paths: Paths, board: BoardSpec, made_unix_s: int | None, *, identities: bool) -> Backup:
    """Return what the box holds now; it may run meanwhile. Raises: BackupError, OSError, sqlite3.Error."""
    try:
        read_proven(paths.settings_dir / INSTALLATION_NAME, board)
    except ConfigError as error:
        raise BackupError(tr("what is set cannot be used and is not kept: {error}").format(error=error)) from error
    files = {name: paths.settings_dir / name for name in SETTINGS}
    files |= {f"{BOARDS}/{path.name}": path for path in sorted((paths.settings_dir / BOARDS).glob("*.toml"))}
    if identities:
        files |= {name: paths.state_dir / name for name in IDENTITY}
    contents = {name: path.read_bytes() for name, path in files.items() if path.is_file()}
    schema = None
    if (paths.state_dir / DATABASE).is_file():
        contents[DATABASE], schema = _database(paths.state_dir / DATABASE, identities=identities)
    return Backup(version("evse-pi"), made_unix_s, machine_mark(), board.name, schema, identities, contents)


def is_identity(key: str) -> bool:
    """Return whether a value of Matter's says who the box is, or whom it knows."""
    return not key.startswith(NO_IDENTITY)


def drop_identity(connection: sqlite3.Connection) -> None:
    """Delete from a database what says who the box is, or whom it knows. Raises: sqlite3.Error."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'matter_values'").fetchone():
        keys = [key for (key,) in connection.execute("SELECT key FROM matter_values") if is_identity(key)]
        connection.executemany("DELETE FROM matter_values WHERE key = ?", ((key,) for key in keys))
        connection.commit()


def _database(path: Path, *, identities: bool) -> tuple[bytes, int]:
    """Return a whole copy of the database and its version. Raises: BackupError, sqlite3.Error."""
    with closing(sqlite3.connect(":memory:")) as copy:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source:
            source.backup(copy)
        if copy.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise BackupError(
                tr("{path} is damaged; restart the box, which sets it aside, then try again").format(path=path)
            )
        (schema,) = copy.execute("PRAGMA user_version").fetchone()
        if not identities:
            drop_identity(copy)
            copy.execute("VACUUM")  # what was deleted would lie on in free pages
        return copy.serialize(), schema


def _known(name: str) -> bool:
    folder, _, file = name.partition("/")
    if folder == BOARDS:
        return file.endswith(".toml") and "/" not in file and not file.startswith(".")
    return name in (*SETTINGS, *IDENTITY, DATABASE)
