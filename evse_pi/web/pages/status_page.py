"""The pages for the first look: what the box does, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.texts import english as words
from evse_pi.api.texts.catalogue import tr
from evse_pi.api.texts.quantities import amps, degrees, energy, hours, power, sentence, volts
from evse_pi.api.why import FindingKind
from evse_pi.core.states import LimitSource
from evse_pi.web.layout import Page, definitions, section, table
from evse_pi.web.markup import Markup, element, joined

if TYPE_CHECKING:
    from evse_pi.api.status import LimitStatus, MeterStatus, Status
    from evse_pi.api.why import Finding, Why


def status_page(status: Status, why: Why) -> Page:
    """Return what the box does now."""
    return Page(
        "/",
        tr("Status"),
        (
            _headline(why),
            section("figures", None, definitions(_figures(status), "figures")),
            _findings(why, tr("Also"), 1),
        ),
        live="/live/status",
    )


def why_page(why: Why) -> Page:
    """Return why it does so: every finding, every limit with its owner, value and end, and which one wins."""
    limits = [_limit(limit) for limit in why.limits]
    told = table(
        tr("The least of these decides what the vehicle is offered."), (tr("Limit"), tr("Allows"), tr("Ends")), limits
    )
    return Page(
        "/why",
        tr("Why"),
        (_headline(why), _findings(why, tr("What and what to do"), 0), section("limits", tr("Limits"), told)),
        live="/live/why",
    )


def _headline(why: Why) -> Markup:
    verdict = why.verdict
    return element(
        "section",
        element("h1", words.VERDICTS[verdict]),
        element("p", why.paragraph),
        id="headline",
        class_=f"headline {verdict.name.lower()}",
        role="status",
    )


def _figures(status: Status) -> list[tuple[str, str | Markup]]:
    pilot, contactor, session = status.pilot, status.contactor, status.session
    figures: list[tuple[str, str | Markup]] = [(tr("Power"), _power(status.meter))]
    if pilot is not None and contactor is not None:
        seen = {True: tr("closed"), False: tr("open"), None: tr("not fitted")}[contactor.mirror_closed]
        figures += [
            (tr("Offered"), amps(status.offered_current_ma)),
            (
                tr("Contactor"),
                tr("{ordered} (mirror {seen})").format(
                    ordered=tr("closed") if contactor.close_ordered else tr("open"), seen=seen
                ),
            ),
            (tr("Pilot"), f"{pilot.evse_state.name}, {volts(pilot.high_mv)} / {volts(pilot.low_mv)}"),
        ]
        if status.cable_ma:
            figures.append((tr("Cable"), amps(status.cable_ma) + (tr(", locked") if status.locked else "")))
    if session is not None:
        label = tr("Last session") if session.ended else tr("This session")
        figures.append(
            (label, f"{energy(session.energy_mwh, estimated=session.estimated)} in {hours(session.duration_s)}")
        )
    if (drawn := _drawn(status.meter)) is not None:
        figures.append((tr("Meter"), drawn))
    if status.temperature_centi_celsius is not None:
        figures.append((tr("Temperature"), degrees(status.temperature_centi_celsius)))
    return figures


def _power(meter: MeterStatus) -> str:
    return power(meter.power_mw) + (tr(" (estimated)") if meter.estimated else tr(", stale") if meter.stale else "")


def _drawn(meter: MeterStatus) -> str | None:
    if not meter.current_ma:
        return None
    return " / ".join(amps(each) for each in meter.current_ma) + (tr(", stale") if meter.stale else "")


def _findings(why: Why, heading: str, first: int) -> Markup:
    """Return what was found; the paragraph of the headline already tells the first."""
    items = [_finding(each) for each in why.findings[first:] if each.kind is not FindingKind.CHARGING]
    return section("findings", heading if items else None, element("ul", *items, class_="findings"))


def _finding(finding: Finding) -> Markup:
    kind = finding.kind.name.lower()
    return element(
        "li",
        element(
            "h3", element("span", sentence(words.FINDINGS[finding.kind]), class_="tag"), f" {sentence(finding.title)}"
        ),
        element("p", finding.what),
        element("p", element("strong", tr("Do: ")), finding.do) if finding.do else None,
        element("p", element("strong", tr("Clears: ")), finding.clears) if finding.clears else None,
        class_=kind,
    )


def _limit(limit: LimitStatus) -> tuple[Markup | str, ...]:
    owner = joined(sentence(limit.text), " ", element("span", tr("decides"), class_="tag") if limit.wins else None)
    return owner, _value(limit), _end(limit)


def _value(limit: LimitStatus) -> str:
    if not limit.permitted:
        return tr("no charging")
    if limit.source is LimitSource.CABLE and not limit.limit_ma:
        return tr("no cable")
    return tr("no limit") if limit.limit_ma is None else amps(limit.limit_ma)


def _end(limit: LimitStatus) -> str:
    if not limit.counts:
        return "over"
    return tr("no end") if limit.in_s is None else f"in {hours(limit.in_s)}"
