"""`evse-pi sessions`."""

from __future__ import annotations

import csv
import io
import sys
from typing import TYPE_CHECKING

import click

from evse_pi.api.client import ask
from evse_pi.api.history import MAX_PAGE, SESSIONS, PageRequest
from evse_pi.api.session_summary import SessionSummary
from evse_pi.api.texts.catalogue import tr
from evse_pi.api.texts.quantities import energy, hours
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import moment, show

if TYPE_CHECKING:
    from evse_pi.paths import Paths

SHOWN = 20


@click.command("sessions")
@json_option(tr("Print one JSON array."))
@click.option("--csv", "as_csv", is_flag=True, help=tr("Print a table for a spreadsheet."))
@click.option("--limit", type=click.IntRange(1), help=tr("How many, newest first; else 20, all with --csv."))
@of_a_box
def command(*, box: Paths, as_json: bool, as_csv: bool, limit: int | None) -> None:
    """Show the charging sessions with their times and energy."""
    if as_json and as_csv:
        raise click.UsageError(tr("--json and --csv exclude each other"))
    address = box.control_socket
    if limit is None:
        limit = sys.maxsize if as_csv else SHOWN
    sessions: list[SessionSummary] = []
    while len(sessions) < limit:
        before = sessions[-1].number if sessions else None
        page = ask(address, SESSIONS, PageRequest(min(MAX_PAGE, limit - len(sessions)), before))
        if not page:
            break
        sessions += page
    if as_csv:
        click.echo(_csv(sessions), nl=False)
    else:
        show(sessions, lines(sessions), as_json=as_json)


def lines(sessions: list[SessionSummary]) -> list[str]:
    """Return one line a session."""
    if not sessions:
        return [tr("no sessions so far")]
    text = [
        "{:>6}  {:<19}  {:>9}  {:>9}  {:>12}".format(
            tr("number"), tr("plugged in"), tr("plugged"), tr("charging"), tr("energy")
        )
    ]
    for session in sessions:
        charged = energy(session.energy_mwh, estimated=session.estimated)
        text.append(
            f"{session.number:>6}  {moment(session.started_unix_s):<19}  {hours(session.duration_s):>9}  "
            f"{hours(session.charging_s):>9}  {charged:>12}{'' if session.ended else tr('  now')}"
        )
    if any(session.estimated for session in sessions):
        text.append(tr("~ estimated from the offer: there is no meter"))
    return text


def _csv(sessions: list[SessionSummary]) -> str:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(SessionSummary._fields)
    writer.writerows(sessions)
    return table.getvalue()
