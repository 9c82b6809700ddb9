"""`evse-pi status`."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from evse_pi.api.client import ask, stream
from evse_pi.api.codec import to_plain
from evse_pi.api.status import STATUS, WATCH
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.status_text import line, lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from evse_pi.api.status import Status
    from evse_pi.paths import Paths


@click.command("status")
@json_option(tr("Print JSON; with --watch one object a line."))
@click.option("--watch", is_flag=True, help=tr("Keep showing it until Ctrl-C."))
@of_a_box
def command(*, box: Paths, as_json: bool, watch: bool) -> None:
    """Show what the box does, and why."""
    address = box.control_socket
    if not watch:
        now = ask(address, STATUS)
        click.echo(json.dumps(to_plain(now)) if as_json else "\n".join(lines(now)))
        return
    with suppress(KeyboardInterrupt):
        changes = stream(address, WATCH)
        if as_json:
            for now in changes:
                click.echo(json.dumps(to_plain(now)))
        else:
            show(changes)


def show(changes: Iterable[Status], caption: Callable[[], str] = str) -> None:
    """Show a box live: in place on a terminal with a caption below, else one line per change of what the line says."""
    if not sys.stdout.isatty():
        last = ""
        for now in changes:
            text = line(now)
            if text != last:
                click.echo(text)
                sys.stdout.flush()
            last = text
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(highlight=False), auto_refresh=False, transient=False) as live:
        for now in changes:
            live.update(Text("\n".join((*lines(now), caption()))), refresh=True)
