"""`evse-pi scope`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evse_pi.cli.client import BoxError, BoxNotRunning, ask
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import row, show
from evse_pi.paths import start_hint

if TYPE_CHECKING:
    from evse_pi.paths import Paths


@click.command("scope")
@json_option("Print the samples and the verdicts as one JSON object.")
@click.option("--png", type=click.Path(dir_okay=False, path_type=Path), help="Also write the waveform as an image.")
@of_a_box
def command(*, box: Paths, as_json: bool, png: Path | None) -> None:
    """Show the pilot's waveform as the converter saw it: plateaus, duty, bands, diode."""
    try:
        view = ask(box.control_socket, "scope")
    except BoxNotRunning:
        view = _from_ring(box.run_dir)
    if png is not None:
        from evse_pi.diagnostics.image import picture

        try:
            png.write_bytes(picture(view))
        except OSError as error:
            raise BoxError(f"png: {error}") from error
    show(view, lines(view), as_json=as_json)


def lines(view: dict[str, Any]) -> list[str]:
    """Return the plot and what it means."""
    from evse_pi.diagnostics.scope import plot

    share = "" if view["high_ppm"] is None else f", seen high {view['high_ppm'] / 10_000:.1f} % of the window"
    driven = view["driven"] + ("" if view["driven_ppm"] is None else f" at {view['driven_ppm'] / 10_000:.2f} %")
    faults = ", ".join(view["faults"]) or "none"
    bands = "  ".join(
        f"{band['state']} {band['from_mv'] / 1000:.1f} to {band['to_mv'] / 1000:.1f} V" for band in view["bands"]
    )
    return [
        *plot(view),
        f"     {view['span_us'] / 1000:.1f} ms, {len(view['samples_mv'])} samples in their order, volts at the left",
        "",
        *row("driven", driven + share),
        *row("high", f"{_volts(view['high_mv'])}, scatter {_volts(view['spread_mv'])}"),
        *row("low", _volts(view["low_mv"])),
        *row("band", f"{view['band'] or 'between two bands'}; accepted: state {view['state']} ({view['evse_state']})"),
        *row("bands", bands),
        *row("diode", view["diode"]),
        *row("faults", faults),
    ]


def _volts(millivolts: int | None) -> str:
    return "not seen" if millivolts is None else f"{millivolts / 1000:.2f} V"


def _from_ring(run_dir: Path) -> dict[str, Any]:
    """Return the view from the safety process's own record. Raises: BoxNotRunning."""
    from evse_pi.diagnostics.scope import scope_view
    from evse_pi.recorder.reader import RING_FILE, Ring, RingFile
    from evse_pi.recorder.ring import RingError

    try:
        ring = Ring(RingFile(run_dir / RING_FILE))
        return scope_view(ring.frames(64), ring.windows(), ring.header())
    except (OSError, RingError) as error:
        raise BoxNotRunning(f"no box is running at {run_dir}; {start_hint(run_dir)}") from error
