"""`evse-pi update`: a new release from a signed package, taken back where it is not healthy."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import click

from evse_pi.api.client import BoxError
from evse_pi.api.exits import Exit
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.options import json_option

SCHEME = "https://"
DOWNLOAD_WITHIN_S = 60.0
LARGEST_BYTES = 200_000_000


@click.command("update")
@click.argument("source", metavar="FILE|URL")
@json_option(tr("Print one JSON object at the end."))
def command(*, source: str, as_json: bool) -> None:
    """Install a release from a package and its signature beside it, FILE.sig.

    Only signed packages, and never while a vehicle charges. A release that is not healthy for a minute is taken back.
    """
    if not source.startswith(SCHEME) and "://" in source:
        raise click.UsageError(tr("{source}: only {scheme} addresses and files").format(source=source, scheme=SCHEME))
    if not source.startswith(SCHEME) and not Path(source).is_file():
        raise click.UsageError(tr("{source}: no such file").format(source=source))
    if os.geteuid() != 0:
        raise BoxError(tr("only root installs releases: sudo evse-pi update"))
    import sqlite3

    from evse_pi.run.update import Machine, UnfinishedUpdateError, UpdateError, update, verify

    machine = Machine()
    with tempfile.TemporaryDirectory(prefix="evse-pi-update-") as folder:
        try:
            package = _fetched(source, Path(folder))
            verify(package)
            update(package, machine, lambda text: click.echo(f"evse-pi: {text}", err=True))
        except UnfinishedUpdateError as error:
            click.echo(f"evse-pi: {error}", err=True)
            sys.exit(Exit.UNWELL)
        except (UpdateError, OSError, sqlite3.Error) as error:
            raise BoxError(str(error)) from error
    click.echo(
        json.dumps({"current": machine.current})
        if as_json
        else tr("{current} is in force").format(current=machine.current)
    )


def _fetched(source: str, folder: Path) -> Path:
    """Return a copy in root's own folder, which nothing changes between the check and the installation."""
    from urllib.parse import urlsplit
    from urllib.request import urlopen

    if not source.startswith(SCHEME):
        for suffix in ("", ".sig"):
            if Path(source + suffix).is_file():
                shutil.copyfile(source + suffix, folder / (Path(source).name + suffix))
        return folder / Path(source).name
    package = folder / (Path(urlsplit(source).path).name or "evse-pi.deb")
    for suffix in ("", ".sig"):
        with urlopen(source + suffix, timeout=DOWNLOAD_WITHIN_S) as answer:  # noqa: S310 (https alone, see above)
            content = answer.read(LARGEST_BYTES + 1)
        if len(content) > LARGEST_BYTES:
            raise OSError(
                tr("{source}: more than {largest_bytes} bytes").format(
                    source=source + suffix, largest_bytes=LARGEST_BYTES
                )
            )
        package.with_name(package.name + suffix).write_bytes(content)
    return package
