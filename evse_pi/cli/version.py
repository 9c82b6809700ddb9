"""`evse-pi version`."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version

import click

from evse_pi.api.texts.catalogue import tr


@click.command("version")
@click.option("--json", "as_json", is_flag=True, help=tr("Print one JSON object."))
def command(*, as_json: bool) -> None:
    """Show the version of the software."""
    facts = {"evse_pi": version("evse-pi"), "python": platform.python_version(), "machine": platform.machine()}
    if as_json:
        click.echo(json.dumps(facts))
    else:
        click.echo("evse-pi {evse_pi}, Python {python}, {machine}".format(**facts))
