"""What every page shares: head, name of the box, navigation, live part, foot; and values as people write them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.api.texts.catalogue import LANGUAGE, tr
from evse_pi.web.markup import Markup, element, joined

if TYPE_CHECKING:
    from evse_pi.web.page_admission import PinSession

NAVIGATION = (
    ("/", tr("Status")),
    ("/why", tr("Why")),
    ("/scope", tr("Pilot")),
    ("/sessions", tr("Sessions")),
    ("/faults", tr("Faults")),
    ("/selftest", tr("Self-test")),
    ("/codes", tr("Codes")),
    ("/control", tr("Control")),
)
WITHOUT_SCRIPT_S = 5


@dataclass(frozen=True, slots=True)
class Page:
    """One page: `sections` have an id each; `live` says where news of them come from, None for a page that stays."""

    path: str
    title: str
    sections: tuple[Markup, ...]
    live: str | None = None


def document(page: Page, box: str, session: PinSession | None, assets: str) -> str:
    """Return a whole page; `assets` is the version of script and style."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{page.title} – evse-pi"),
        element("link", rel="icon", type="image/svg+xml", href=f"/static/icon.svg?v={assets}"),
        element("link", rel="stylesheet", href=f"/static/page.css?v={assets}"),
        element("script", src=f"/static/page.js?v={assets}", defer=True),
        _refresh() if page.live else None,
    )
    body = element(
        "body",
        element("a", tr("Skip to the content"), href="#content", class_="skip"),
        element("header", element("p", box, class_="box"), _badge(page), _navigation(page.path)),
        element("main", *page.sections, id="content", data_live=page.live),
        element("footer", _session(session, page.path)),
    )
    return f"<!doctype html>{element('html', head, body, lang=LANGUAGE).html}"


def _refresh() -> Markup:
    return element("noscript", element("meta", http_equiv="refresh", content=str(WITHOUT_SCRIPT_S)))


def _badge(page: Page) -> Markup | None:
    return (
        element(
            "p",
            tr("as loaded"),
            id="link",
            class_="link",
            role="status",
            data_live=tr("Live"),
            data_lost=tr("No connection to the box: what you see is old"),
        )
        if page.live
        else None
    )


def _navigation(current: str) -> Markup:
    links = [
        element("li", element("a", label, href=path, aria_current="page" if path == current else None))
        for path, label in NAVIGATION
    ]
    return element("nav", element("ul", *links), aria_label=tr("Pages"))


def _session(session: PinSession | None, path: str) -> Markup:
    if session is None:
        return element(
            "p", tr("Read-only. "), element("a", tr("Enter the installer PIN"), href=pin_link(path)), tr(" to act.")
        )
    return form(
        "/leave", session, element("span", tr("The installer PIN was entered.")), button(tr("Leave"), kind="plain")
    )


def pin_link(path: str) -> str:
    """Return where the PIN is entered before coming back to `path`."""
    return f"/pin?to={path.removeprefix('/')}"


def form(action: str, session: PinSession | None, *children: Markup) -> Markup:
    """Return a form that a session, where there is one, vouches for."""
    token = element("input", type="hidden", name="token", value=session.token) if session else None
    return element("form", token, *children, method="post", action=action)


def button(label: str, kind: str = "go") -> Markup:
    """Return what submits a form."""
    return element("button", label, type="submit", class_=kind)


def section(name: str, heading: str | None, *children: Markup | None, class_: str | None = None) -> Markup:
    """Return a section of a page; its name is the id by which news replace it."""
    return element("section", element("h2", heading) if heading else None, *children, id=name, class_=class_)


def definitions(rows: list[tuple[str, str | Markup]], class_: str = "rows") -> Markup:
    """Return labels and values."""
    return element(
        "dl", *(element("div", element("dt", label), element("dd", value)) for label, value in rows), class_=class_
    )


def table(caption: str, headings: tuple[str, ...], rows: list[tuple[Markup | str, ...]]) -> Markup:
    """Return a table whose first column names the row."""
    head = element("tr", *(element("th", heading, scope="col") for heading in headings))
    body = [
        element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in rest))
        for first, *rest in rows
    ]
    return element("table", element("caption", caption), element("thead", head), element("tbody", *body))


def note(told: str, kind: str = "note") -> Markup:
    """Return a remark."""
    return element("p", told, class_=kind)


def moment(unix_s: int | None) -> Markup:
    """Return a time of day of the machine's zone."""
    if unix_s is None:
        return element("span", tr("time unknown"))
    local = time.localtime(unix_s)
    return element("time", time.strftime("%Y-%m-%d %H:%M", local), datetime=time.strftime("%Y-%m-%dT%H:%M:%S%z", local))


def fragments(page: Page) -> str:
    """Return the live part alone."""
    return joined(*page.sections).html
