"""A backup put in force at a box that stands still: checked whole, prepared beside, then switched as one change.

The record of changes is this box's own and goes on; the restore is an entry in it. The files of the installer are
sealed again with this box's key, which no backup holds. The database permits no charge: what was said since the backup,
a stop among it, is not in it. Hazards: H-17, H-18.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from boards.loader import INTEGRATOR, BoardError, load_board
from evse_pi.api.texts.catalogue import tr
from evse_pi.api.troubles import DoubtKind, PermissionDoubt
from evse_pi.installation.board_choice import ENVIRONMENT_FILE
from evse_pi.installation.files import (
    CALIBRATION_FILE,
    INSTALLATION_MODE,
    ConfigError,
    parse_calibration,
    ratings,
    read_calibration,
    read_installation,
    write_atomically,
)
from evse_pi.installation.seal import KEY_FILE
from evse_pi.installer.audit import AUDIT_FILE, read_trail
from evse_pi.installer.box_settings import BoxSettings, ChangeRefused, safety_uid
from evse_pi.installer.pin import PIN_FILE
from evse_pi.node.machine_mark import machine_mark
from evse_pi.paths import DATABASE, INSTALLATION_NAME, SYSTEM_STATE
from evse_pi.run.backup import BOARDS, IDENTITY, drop_identity, is_identity
from evse_pi.run.file_switch import carry_out, decide, stage
from evse_pi.run.sealed_backup import BackupError
from evse_pi.storage.database import Store
from evse_pi.storage.forbid import forbid_charging

if TYPE_CHECKING:
    from pathlib import Path

    from boards.spec import BoardSpec
    from evse_pi.charging.clock import Clock
    from evse_pi.installer.box_settings import Who
    from evse_pi.paths import Paths
    from evse_pi.run.backup import Backup

RESTORED = PermissionDoubt(DoubtKind.RESTORED)
"""Why a restored database forbids: it is older than what was said since."""
FORMER = f"{DATABASE}.before-restore"
EVENTS_SINCE = 1 << 20
"""What an event number goes ahead by: a number must not come twice, and a box has some hundred events a day.

Source: Matter core specification, 7.14.2.1.
"""
OTHER_MACHINE = tr(
    "the backup was made on another machine, or one of the two does not say which it is. Its settings are true of that "
    "machine's circuit and country. To restore it here all the same: --another-box, then evse-pi setup, and "
    "evse-pi calibrate, as the calibration is not taken"
)
TWO_BOXES = tr(
    "; with --identities both have the same Matter keys and set-up code: the other one must never run again, as "
    "controllers would take each for the other, and who opens one has opened both"
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What of a backup is to be restored, and where."""

    identities: bool
    another_box: bool


def check(backup: Backup, wish: Wish) -> bool:
    """Return whether `backup` was made on this machine. Raises: BackupError where what is wished is not allowed."""
    if wish.identities and not backup.identities:
        raise BackupError(tr("the backup holds no identity; it was made without --identities"))
    here = machine_mark()
    same = here is not None and backup.machine == here
    if not same and not wish.another_box:
        raise BackupError(OTHER_MACHINE + (TWO_BOXES if wish.identities else ""))
    return same


def restore(backup: Backup, wish: Wish, paths: Paths, who: Who, clock: Clock) -> None:
    """Put `backup` in force; the processes of the box stand still. Who calls has called `check`.

    Raises: BackupError, ChangeRefused, OSError, sqlite3.Error; then nothing was changed, or `carry_out` goes on.
    """
    same = check(backup, wish)
    settings_dir, state_dir = paths.settings_dir, paths.state_dir
    carry_out(settings_dir)
    for folder in (settings_dir, state_dir):
        folder.mkdir(parents=True, exist_ok=True, mode=0o755 if folder == settings_dir != state_dir else 0o700)
    fresh = stage(settings_dir)
    state = fresh if settings_dir == state_dir else stage(state_dir)
    gone = _prepare_settings(backup, settings_dir, BoxSettings(fresh, clock), who, calibrated=same)
    _prepare_state(backup, wish, state_dir, state)
    _keep_former(state_dir)
    decide(settings_dir, [settings_dir] if state == fresh else [settings_dir, state_dir], gone)
    carry_out(settings_dir)


def board_of(backup: Backup, own: Path = INTEGRATOR) -> BoardSpec:
    """Return the board of a backup, as this software and this box know it. Raises: BackupError."""
    try:
        return load_board(backup.board, own)
    except BoardError as error:
        raise BackupError(tr("the backup's board cannot be used here: {error}").format(error=error)) from error


def _prepare_settings(
    backup: Backup, folder: Path, prepared: BoxSettings, who: Who, *, calibrated: bool
) -> tuple[Path, ...]:
    """Prepare the installer's files in their folder, each as it will be; return those that must go without another."""
    fresh = prepared.folder
    for name, content in backup.files.items():
        if name.startswith(f"{BOARDS}/"):
            (fresh / BOARDS).mkdir(mode=0o755, exist_ok=True)
            write_atomically(fresh / name, content, INSTALLATION_MODE)
    if PIN_FILE in backup.files:
        write_atomically(fresh / PIN_FILE, backup.files[PIN_FILE], 0o600)
    for name in (KEY_FILE, ENVIRONMENT_FILE):
        if (folder / name).is_file():
            kept = (folder / name).stat()
            write_atomically(fresh / name, (folder / name).read_bytes(), kept.st_mode & 0o777)
            os.chown(fresh / name, kept.st_uid, kept.st_gid)
    write_atomically(fresh / AUDIT_FILE, _record(backup, folder, fresh), INSTALLATION_MODE)
    board = board_of(backup, fresh / BOARDS if (fresh / BOARDS).is_dir() else INTEGRATOR)
    write_atomically(fresh / INSTALLATION_NAME, backup.files.get(INSTALLATION_NAME, b""), INSTALLATION_MODE)
    try:
        installation = read_installation(fresh / INSTALLATION_NAME, ratings(board))
    except ConfigError as error:
        raise BackupError(tr("the backup's installation cannot be used: {error}").format(error=error)) from error
    scale = None
    if calibrated and CALIBRATION_FILE in backup.files:
        try:
            scale = parse_calibration(folder / CALIBRATION_FILE, backup.files[CALIBRATION_FILE], board)
        except ConfigError as error:
            raise BackupError(tr("the backup's calibration cannot be used: {error}").format(error=error)) from error
    try:
        prepared.take_restored(board, installation, scale, who, safety_uid(folder))
    except ChangeRefused as error:
        raise BackupError(tr("the backup's installation cannot be used: {error}").format(error=error)) from error
    return _calibration_to_go(folder, board) if scale is None else ()


def _calibration_to_go(folder: Path, board: BoardSpec) -> tuple[Path, ...]:
    """Return the calibration that is here where it is another board's: the safety process would refuse to start."""
    try:
        read_calibration(folder / CALIBRATION_FILE, board)
    except ConfigError:
        return (folder / CALIBRATION_FILE,)
    return ()


def _record(backup: Backup, folder: Path, fresh: Path) -> bytes:
    """Return the record to go on from: the box's own, unless it has none or the backup's is its continuation."""
    try:
        own = (folder / AUDIT_FILE).read_bytes()
    except FileNotFoundError:
        own = b""
    theirs = backup.files.get(AUDIT_FILE, b"")
    (fresh / AUDIT_FILE).write_bytes(theirs)
    newest = read_trail(folder / AUDIT_FILE).newest
    known = read_trail(fresh / AUDIT_FILE)
    goes_on = newest is None or any(entry.digest == newest.digest for entry in known.entries)
    return theirs if known.intact and theirs and goes_on else own


def _prepare_state(backup: Backup, wish: Wish, folder: Path, fresh: Path) -> None:
    """Prepare database and identity in `fresh`, owned as the box's state is."""
    if DATABASE in backup.files:
        write_atomically(fresh / DATABASE, backup.files[DATABASE], 0o600)
        _migrate(fresh / DATABASE)
        _merge(fresh / DATABASE, folder / DATABASE, identities=wish.identities)
        forbid_charging(fresh / DATABASE, RESTORED)
    for name in IDENTITY if wish.identities else ():
        if name in backup.files:
            (fresh / name).parent.mkdir(mode=0o700, exist_ok=True)
            write_atomically(fresh / name, backup.files[name], 0o600)
    owner = folder.stat()
    mine = [fresh / DATABASE, *(fresh / name for name in IDENTITY)]
    for path in mine if folder != SYSTEM_STATE or os.geteuid() == 0 else ():
        if path.exists():
            os.chown(path, owner.st_uid, owner.st_gid)


def _migrate(database: Path) -> None:
    """Bring the database to the version of this software. Raises: BackupError."""
    store = Store(database)
    try:
        if store.trouble is not None or store.damaged is not None:
            raise BackupError(
                tr("the backup's database cannot be used: {value}").format(value=store.trouble or tr("it is damaged"))
            )
    finally:
        store.close()


def _merge(fresh: Path, present: Path, *, identities: bool) -> None:
    """Give `fresh` the identity that the box is to have: its own, or the backup's with its events numbered on."""
    with closing(sqlite3.connect(fresh)) as connection:
        if not identities:
            drop_identity(connection)
            for key, value in _identity_in(present):
                connection.execute("INSERT OR REPLACE INTO matter_values (key, value) VALUES (?, ?)", (key, value))
        else:
            # A peer's next session is made with all its keys again: what was agreed on since is not in the backup.
            connection.execute("DELETE FROM matter_values WHERE key LIKE 'fabric/%/resumption/%'")
            row = connection.execute("SELECT value FROM matter_values WHERE key = 'event-number'").fetchone()
            if row is not None:
                number = (int.from_bytes(row[0], "big") + EVENTS_SINCE).to_bytes(8, "big")
                connection.execute("UPDATE matter_values SET value = ? WHERE key = 'event-number'", (number,))
        connection.commit()


def _identity_in(database: Path) -> list[tuple[str, bytes]]:
    """Return what says in the present database who the box is. Raises: sqlite3.Error where it cannot be read."""
    if not database.is_file():
        return []
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'matter_values'").fetchone():
            return []
        rows = connection.execute("SELECT key, value FROM matter_values").fetchall()
    return [(key, value) for key, value in rows if is_identity(key)]


def _keep_former(state_dir: Path) -> None:
    """Keep the database that is replaced; first its log goes into it, so that it needs none beside it."""
    database, kept = state_dir / DATABASE, state_dir / FORMER
    if database.is_file():
        with closing(sqlite3.connect(database, timeout=1.0)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        kept.unlink(missing_ok=True)
        kept.hardlink_to(database)
