"""`evse-pi sessions`."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import click

from evse_pi.cli.client import ask
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import hours, moment, show

if TYPE_CHECKING:
    from evse_pi.paths import Paths

PAGE = 1000
COLUMNS = (
    "number", "started_unix_s", "ended_unix_s", "ended", "duration_s", "charging_s", "energy_mwh", "estimated"
)  # fmt: skip


@click.command("sessions")
@json_option("Print one JSON array.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a table for a spreadsheet.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many, newest first.")
@of_a_box
def command(*, box: Paths, as_json: bool, as_csv: bool, limit: int) -> None:
    """Show the charging sessions with their times and energy."""
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    address = box.control_socket
    sessions: list[dict[str, Any]] = []
    while len(sessions) < limit:
        before = sessions[-1]["number"] if sessions else None
        page = ask(address, "sessions", limit=min(PAGE, limit - len(sessions)), before=before)
        if not page:
            break
        sessions += page
    if as_csv:
        click.echo(_csv(sessions), nl=False)
    else:
        show(sessions, lines(sessions), as_json=as_json)


def lines(sessions: list[dict[str, Any]]) -> list[str]:
    """Return one line a session."""
    if not sessions:
        return ["no sessions so far"]
    text = [f"{'number':>6}  {'plugged in':<19}  {'plugged':>9}  {'charging':>9}  {'energy':>12}"]
    for session in sessions:
        energy = f"{'~' if session['estimated'] else ''}{session['energy_mwh'] / 1_000_000:.3f} kWh"
        text.append(
            f"{session['number']:>6}  {moment(session['started_unix_s']):<19}  {hours(session['duration_s']):>9}  "
            f"{hours(session['charging_s']):>9}  {energy:>12}{'' if session['ended'] else '  now'}"
        )
    if any(session["estimated"] for session in sessions):
        text.append("~ estimated from the offer: there is no meter")
    return text


def _csv(sessions: list[dict[str, Any]]) -> str:
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(sessions)
    return table.getvalue()
