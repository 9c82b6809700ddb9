"""`evse-pi scope`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evse_pi.api.client import BoxError, BoxNotRunning, ask, start_hint
from evse_pi.api.diagnosis import SCOPE
from evse_pi.api.texts.catalogue import tr
from evse_pi.api.texts.quantities import percent, volts
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import row, show

if TYPE_CHECKING:
    from evse_pi.api.diagnosis import Scope
    from evse_pi.paths import Paths


@click.command("scope")
@json_option(tr("Print the samples and the verdicts as one JSON object."))
@click.option("--png", type=click.Path(dir_okay=False, path_type=Path), help=tr("Also write the waveform as an image."))
@of_a_box
def command(*, box: Paths, as_json: bool, png: Path | None) -> None:
    """Show the pilot's waveform as the converter saw it: plateaus, duty, bands, diode."""
    try:
        view = ask(box.control_socket, SCOPE)
    except BoxNotRunning:
        view = _from_ring(box.run_dir)
    if png is not None:
        from evse_pi.diagnostics.image import picture

        try:
            png.write_bytes(picture(view))
        except OSError as error:
            raise BoxError(f"png: {error}") from error
    show(view, lines(view), as_json=as_json)


def lines(view: Scope) -> list[str]:
    """Return the plot and what it means."""
    from evse_pi.api.texts import english as words
    from evse_pi.diagnostics.scope import plot

    share = (
        ""
        if view.high_ppm is None
        else tr(", seen high {percent} of the window").format(percent=percent(view.high_ppm))
    )
    driven = words.PILOT_MODES[view.driven] + ("" if view.driven_ppm is None else f" at {percent(view.driven_ppm)}")
    bands = "  ".join(
        tr("{state} {from_mv:.1f} to {to_mv:.1f} V").format(
            state=band.state.name, from_mv=band.from_mv / 1000, to_mv=band.to_mv / 1000
        )
        for band in view.bands
    )
    band = tr("between two bands") if view.band is None else view.band.name
    return [
        *plot(view),
        tr("     {span_us:.1f} ms, {number} samples in their order, volts at the left").format(
            span_us=view.span_us / 1000, number=len(view.samples_mv)
        ),
        "",
        *row(tr("driven"), driven + share),
        *row(tr("high"), tr("{seen}, scatter {seen_2}").format(seen=_seen(view.high_mv), seen_2=_seen(view.spread_mv))),
        *row(tr("low"), _seen(view.low_mv)),
        *row(tr("supply"), f"{_seen(view.positive_mv)} / {_seen(view.negative_mv)}"),
        *row(
            tr("band"),
            tr("{band}; accepted: state {state} ({evse_state})").format(
                band=band, state=view.state.name, evse_state=view.evse_state.name
            ),
        ),
        *row(tr("bands"), bands),
        *row(tr("diode"), words.DIODES[view.diode]),
        *row(tr("faults"), ", ".join(words.FAULT_TITLES[fault] for fault in sorted(view.faults)) or tr("none")),
    ]


def _seen(millivolts: int | None) -> str:
    return tr("not seen") if millivolts is None else volts(millivolts)


def _from_ring(run_dir: Path) -> Scope:
    """Return the view from the safety process's own record. Raises: BoxNotRunning."""
    from evse_pi.diagnostics.scope import scope_view
    from evse_pi.paths import RING_FILE
    from evse_pi.recorder.reader import Ring, RingFile
    from evse_pi.recorder.ring import RingError

    try:
        ring = Ring(RingFile(run_dir / RING_FILE))
        return scope_view(ring.frames(64), ring.windows(), ring.header())
    except (OSError, RingError) as error:
        raise BoxNotRunning(
            tr("no box is running at {run_dir}; {start_hint}").format(run_dir=run_dir, start_hint=start_hint(run_dir))
        ) from error
