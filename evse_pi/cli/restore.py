"""`evse-pi restore`: a backup put in force, whole or not at all."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evse_pi.api.client import BoxError
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.backup import passphrase_of, passphrase_option
from evse_pi.cli.installer_commands import installer_options
from evse_pi.cli.options import chosen
from evse_pi.cli.text_layout import paragraph
from evse_pi.installer.installer_client import installer_client_of

if TYPE_CHECKING:
    from evse_pi.installer.box_settings import Who
    from evse_pi.paths import Paths
    from evse_pi.run.backup import Backup
    from evse_pi.run.restore import Wish


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--identities", is_flag=True, help=tr("Also the Matter keys, fabrics and set-up code that are in it."))
@click.option(
    "--another-box", is_flag=True, help=tr("It may have been made on another machine: only if that one is out of use.")
)
@passphrase_option
@installer_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    file: Path,
    passphrase_file: Path | None,
    **given: Any,
) -> None:
    """Put settings, records and history of a backup in force. Charging is forbidden until `evse-pi permit`.

    Only the installer may, and never while a vehicle charges: the box stands still for it. Two boxes with one identity
    are dangerous: who lets one charge has let both.
    """
    box = chosen(context, given["state_dir"], given["run_dir"])
    who = installer_client_of(box).who(given["name"], pin_stdin=given["pin_stdin"], wish="restore")
    content = _decrypted(file, passphrase_file)
    from evse_pi.run.restore import Wish

    backup = _restored(file, content, box, who, Wish(given["identities"], given["another_box"]))
    told = [
        tr("{file}: restored, as of {date}; charging is forbidden until: evse-pi permit").format(
            file=file, date=_date(backup.made_unix_s)
        ),
        tr("what was in the database before lies beside it as evse.db.before-restore"),
    ]
    if backup.board:
        told.append(
            tr(
                "board {board}; where it was another, also: sudo /opt/evse-pi/current/bin/python -I -m "
                "evse_pi.run.boot_settings"
            ).format(board=backup.board)
        )
    facts = {"board": backup.board, "made_unix_s": backup.made_unix_s, "identities": given["identities"]}
    click.echo(json.dumps(facts) if given["as_json"] else "\n".join(line for each in told for line in paragraph(each)))


def _decrypted(file: Path, passphrase_file: Path | None) -> bytes:
    """Return the content of the backup. Raises: BoxError."""
    from evse_pi.run.sealed_backup import BackupError, decrypt

    try:
        sealed = file.read_bytes()
        return decrypt(sealed, passphrase_of(passphrase_file, confirm=False))
    except OSError as error:
        raise BoxError(f"{file}: {error.strerror}") from error
    except BackupError as error:
        raise BoxError(f"{file}: {error}") from error


def _restored(file: Path, content: bytes, box: Paths, who: Who, wish: Wish) -> Backup:
    """Restore and return what is in force. Raises: BoxError."""
    # Loaded here alone: cryptography and sqlite3 cost every other command their time.
    import sqlite3

    from evse_pi.charging.clock import SystemClock
    from evse_pi.run.backup import decoded
    from evse_pi.run.restore import check, restore
    from evse_pi.run.sealed_backup import BackupError
    from evse_pi.run.still_box import standing_still

    try:
        backup = decoded(content)
        check(backup, wish)
        with standing_still(box):
            restore(backup, wish, box, who, SystemClock())
    except BackupError as error:
        raise BoxError(f"{file}: {error}") from error
    except (OSError, sqlite3.Error) as error:
        raise BoxError(str(error)) from error
    return backup


def _date(unix_s: int | None) -> str:
    if unix_s is None:
        return tr("an unknown date")
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%d %H:%M} UTC"
