"""The page of the pilot's waveform, drawn as SVG from the samples that the converter took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.texts import english as words
from evse_pi.api.texts.catalogue import tr
from evse_pi.api.texts.quantities import percent, volts
from evse_pi.web.layout import Page, definitions, note, section
from evse_pi.web.markup import Markup, element

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evse_pi.api.diagnosis import Band, Scope

WIDTH, HEIGHT = 400, 300
LEFT, RIGHT, TOP, BOTTOM = 40, 380, 8, 292
HIGHEST_MV, LOWEST_MV = 14_000, -14_000
LEVELS_MV = (12_000, 9_000, 6_000, 3_000, 0, -12_000)


def scope_page(view: Scope) -> Page:
    """Return the newest window of the pilot and what is made of it."""
    about = tr(
        "{span_us:.1f} ms of the pilot in {number} samples, in the order they were taken; volts "
        "at the left, the bands of the states at the right."
    ).format(span_us=view.span_us / 1000, number=len(view.samples_mv))
    return Page(
        "/scope",
        tr("Pilot"),
        (
            section("waveform", tr("Control pilot"), element("figure", _drawing(view), element("figcaption", about))),
            section("verdicts", None, definitions(_verdicts(view))),
        ),
        live="/live/scope",
    )


def no_scope_page(reason: str) -> Page:
    """Return why there is no waveform."""
    return Page(
        "/scope", tr("Pilot"), (section("waveform", tr("Control pilot"), note(reason, "refused")),), live="/live/scope"
    )


def _verdicts(view: Scope) -> list[tuple[str, str | Markup]]:
    driven = words.PILOT_MODES[view.driven] + ("" if view.driven_ppm is None else f" at {percent(view.driven_ppm)}")
    seen = "" if view.high_ppm is None else tr(", seen high {percent}").format(percent=percent(view.high_ppm))
    band = tr("between two bands") if view.band is None else view.band.name
    return [
        (tr("Diode"), words.DIODES[view.diode]),
        (
            tr("High plateau"),
            tr("{seen}, scatter {seen_2}").format(seen=_seen(view.high_mv), seen_2=_seen(view.spread_mv)),
        ),
        (tr("Low plateau"), _seen(view.low_mv)),
        (tr("Supply"), f"{_seen(view.positive_mv)} / {_seen(view.negative_mv)}"),
        (tr("Duty cycle"), driven + seen),
        (
            tr("Band"),
            tr("{band}; accepted is {state} ({evse_state})").format(
                band=band, state=view.state.name, evse_state=view.evse_state.name
            ),
        ),
        (tr("Bands"), ", ".join(f"{each.state.name} {_range(each)}" for each in view.bands)),
        (tr("Faults"), ", ".join(words.FAULT_TITLES[fault] for fault in sorted(view.faults)) or tr("none")),
    ]


def _seen(millivolts: int | None) -> str:
    return tr("not seen") if millivolts is None else volts(millivolts)


def _range(band: Band) -> str:
    return tr("{from_mv:.1f} to {to_mv:.1f} V").format(from_mv=band.from_mv / 1000, to_mv=band.to_mv / 1000)


def _drawing(view: Scope) -> Markup:
    high, low = _seen(view.high_mv), _seen(view.low_mv)
    return element(
        "svg",
        *(part for band in view.bands for part in _band(band, chosen=band.state is view.band)),
        *(part for level in LEVELS_MV for part in _level(level)),
        element("polyline", points=_points(view.samples_mv), class_="trace"),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=tr("Waveform of the pilot: high plateau {high}, low plateau {low}").format(high=high, low=low),
        class_="scope",
    )


def _band(band: Band, *, chosen: bool) -> tuple[Markup, ...]:
    top, bottom = _y(band.to_mv), _y(band.from_mv)
    name = tr("band chosen") if chosen else tr("band")
    return (
        element("rect", x=LEFT, y=top, width=RIGHT - LEFT, height=bottom - top, class_=name),
        element("text", band.state.name, x=RIGHT + 5, y=(top + bottom) // 2 + 5, class_=name),
    )


def _level(millivolts: int) -> tuple[Markup, ...]:
    y = _y(millivolts)
    label = f"{millivolts // 1000:+d}" if millivolts else "0"
    return (
        element("line", x1=LEFT, x2=RIGHT, y1=y, y2=y, class_="zero" if millivolts == 0 else "level"),
        element("text", label, x=LEFT - 6, y=y + 5, class_="axis"),
    )


def _points(samples_mv: Sequence[int]) -> str:
    last = max(len(samples_mv) - 1, 1)
    return " ".join(
        f"{LEFT + index * (RIGHT - LEFT) / last:.1f},{_y(millivolts)}" for index, millivolts in enumerate(samples_mv)
    )


def _y(millivolts: int) -> int:
    inside = min(max(millivolts, LOWEST_MV), HIGHEST_MV)
    return TOP + (HIGHEST_MV - inside) * (BOTTOM - TOP) // (HIGHEST_MV - LOWEST_MV)
