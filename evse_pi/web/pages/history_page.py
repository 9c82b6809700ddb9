"""The pages of the past: sessions and faults."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from evse_pi.api.session_summary import SessionSummary
from evse_pi.api.texts.catalogue import tr
from evse_pi.api.texts.fault_texts import happened
from evse_pi.api.texts.quantities import energy, hours, sentence
from evse_pi.web.layout import Page, moment, note, section, table
from evse_pi.web.markup import Markup, element, joined

if TYPE_CHECKING:
    from evse_pi.api.history import FaultEvent

SESSIONS_SHOWN = 50
FAULTS_SHOWN = 30
CSV_PAGE = 1_000  # the most that one answer holds


def sessions_page(sessions: tuple[SessionSummary, ...]) -> Page:
    """Return the sessions, newest first."""
    if not sessions:
        return Page(
            "/sessions", tr("Sessions"), (section("sessions", tr("Sessions"), note(tr("No sessions so far."))),)
        )
    rows: list[tuple[Markup | str, ...]] = [
        (
            joined(moment(each.started_unix_s), None if each.ended else element("span", tr("now"), class_="tag")),
            energy(each.energy_mwh, estimated=each.estimated),
            hours(each.charging_s),
        )
        for each in sessions
    ]
    told = table(
        tr("The last {number}, newest first.").format(number=len(sessions)),
        (tr("Plugged in"), tr("Energy"), tr("Charging")),
        rows,
    )
    save = element("p", element("a", tr("Save as CSV"), href="/sessions.csv", class_="button", download="sessions.csv"))
    estimated = any(each.estimated for each in sessions)
    remark = note(tr("~ estimated from the offer: there is no meter.")) if estimated else None
    return Page("/sessions", tr("Sessions"), (section("sessions", tr("Sessions"), told, remark, save),))


def sessions_csv(sessions: tuple[SessionSummary, ...]) -> str:
    """Return the sessions as a table for a spreadsheet."""
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\r\n")  # Source: RFC 4180
    writer.writerow(SessionSummary._fields)
    writer.writerows(sessions)
    return sheet.getvalue()


def faults_page(faults: tuple[FaultEvent, ...]) -> Page:
    """Return the faults of the past with what was read then and what to do, newest first."""
    items = [_fault(each) for each in faults]
    told = element("ul", *items, class_="findings") if items else note(tr("No faults so far."))
    return Page("/faults", tr("Faults"), (section("faults", tr("Faults"), told),))


def _fault(fault: FaultEvent) -> Markup:
    closed = tr(", contactor closed") if fault.close_ordered else ""
    until = joined(" until ", moment(fault.cleared_unix_s)) if not fault.active else None
    tag = element("span", tr("Active"), class_="tag") if fault.active else None
    return element(
        "li",
        element("h3", tag, f" {sentence(fault.title)}"),
        element("p", f"No. {fault.number}, {fault.fault.name}, ", moment(fault.set_unix_s), until, class_="when"),
        element(
            "p",
            tr("{happened} State {state}{closed}.").format(
                happened=happened(fault.fault, fault.readings), state=fault.state.name, closed=closed
            ),
        ),
        element("p", element("strong", tr("Do: ")), fault.hint),
        class_="fault" if fault.active else "notice",
    )
