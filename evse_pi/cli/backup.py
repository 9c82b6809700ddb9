"""`evse-pi backup`: one encrypted file with what a box is set to and what it remembers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evse_pi.api.client import BoxError
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.installer_commands import installer_options
from evse_pi.cli.options import chosen
from evse_pi.cli.text_layout import paragraph
from evse_pi.installer.installer_client import installer_client_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.paths import Paths

FILE_MODE = 0o600


def passphrase_option(function: Callable[..., object]) -> Callable[..., object]:
    """Give a command `--passphrase-file`."""
    text = tr("Take the passphrase from the first line of this file, such as /dev/fd/3; else it is asked.")
    return click.option("--passphrase-file", type=click.Path(path_type=Path), help=text)(function)


def passphrase_of(file: Path | None, *, confirm: bool) -> str:
    """Return the passphrase, asked without showing it where no file is named. Raises: BoxError."""
    if file is None:
        return str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True))
    try:
        with file.open(encoding="utf-8") as stream:
            return stream.readline().rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise BoxError(f"{file}: {error}") from error


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--identities", is_flag=True, help=tr("Also the Matter keys, fabrics and set-up code, which then are in it.")
)
@passphrase_option
@installer_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    file: Path,
    identities: bool,
    passphrase_file: Path | None,
    **given: Any,
) -> None:
    """Write settings, records and history into FILE, encrypted; the box may run meanwhile.

    Only the installer may. Without the passphrase nothing in FILE can be read, nor had back.
    """
    box = chosen(context, given["state_dir"], given["run_dir"])
    installer = installer_client_of(box)
    installer.who(given["name"], pin_stdin=given["pin_stdin"], wish="backup")
    if file.exists():
        raise BoxError(tr("{file} is there already, and is not written over").format(file=file))
    if not box.settings_dir.joinpath("installation.toml").exists():
        raise BoxError(
            tr("{settings_dir}: this box was not set up yet; there is nothing to keep").format(
                settings_dir=box.settings_dir
            )
        )
    passphrase = passphrase_of(passphrase_file, confirm=True)
    octets = _write(file, box, passphrase, identities=identities)
    told = [
        tr("{file}: {octets} bytes, with {identity} of this box").format(
            file=file, octets=octets, identity=tr("the identity") if identities else tr("no identity")
        )
    ]
    if identities:
        told.append(tr("who has this file and its passphrase can be this box towards its controllers"))
    facts = {"file": str(file), "octets": octets, "identities": identities}
    click.echo(json.dumps(facts) if given["as_json"] else "\n".join(line for each in told for line in paragraph(each)))


def _write(file: Path, box: Paths, passphrase: str, *, identities: bool) -> int:
    """Write the backup whole or not at all, and return its size. Raises: BoxError."""
    # Loaded here alone: cryptography and sqlite3 cost every other command their time.
    import sqlite3

    from evse_pi.charging.clock import SystemClock
    from evse_pi.installation.files import write_atomically
    from evse_pi.run.backup import collect
    from evse_pi.run.sealed_backup import BackupError, check_passphrase, encrypt

    try:
        check_passphrase(passphrase)
        board = installer_client_of(box).board()
        content = encrypt(collect(box, board, SystemClock().unix_s(), identities=identities).encoded(), passphrase)
        write_atomically(Path(os.path.abspath(file)), content, FILE_MODE)  # noqa: PTH100 (a link stays one)
    except (BackupError, OSError, sqlite3.Error) as error:
        raise BoxError(str(error)) from error
    return len(content)
