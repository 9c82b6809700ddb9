"""`evse-pi why`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from evse_pi.api.exits import Exit
from evse_pi.cli.client import BoxNotRunning, BoxSilent, ask
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import paragraph, row, show

if TYPE_CHECKING:
    from pathlib import Path

    from evse_pi.paths import Paths


ANSWER_WITHIN_S = 3.0  # the node answers this from memory; one that does not by then hangs


@click.command("why")
@json_option()
@of_a_box
def command(*, box: Paths, as_json: bool) -> None:
    """Say why the box does not charge, or charges at this current, and what to do."""
    try:
        told = ask(box.control_socket, "why", within_s=ANSWER_WITHIN_S)
    except BoxNotRunning as error:
        told = _without_node(box.run_dir, hangs=isinstance(error, BoxSilent))
        if told is None:
            raise
        show(told, lines(told), as_json=as_json)
        sys.exit(Exit.NOT_RUNNING)
    show(told, lines(told), as_json=as_json)


def lines(told: dict[str, Any]) -> list[str]:
    """Return the paragraph, the findings and the limits."""
    text = [*paragraph(told["paragraph"]), ""]
    for finding in told["findings"]:
        text += row(finding["kind"].lower(), f"{finding['name']}: {finding['what']}")
        if finding["do"] and finding["do"] != "Nothing.":
            text += row("  do", finding["do"])
        if finding["clears"]:
            text += row("  clears", finding["clears"])
    label = "limit"
    for limit in told["limits"]:
        value = "no limit" if limit["limit_ma"] is None else f"{limit['limit_ma'] / 1000:.1f} A"
        forbids = "" if limit["permitted"] else ", does not permit"
        ends = f", ends in {limit['in_s']} s" if limit.get("in_s") is not None else ""
        mark = " <- this one" if limit["wins"] else ""
        text += row(label, f"{value:<9}{limit['text']}{forbids}{ends}{mark}")
        label = ""
    return text


def _without_node(run_dir: Path, *, hangs: bool) -> dict[str, Any] | None:
    """Return what the safety process's own record says while no node process answers, None when there is none."""
    import time

    from evse_pi.diagnostics.node_unreachable import explain_without_node
    from evse_pi.recorder.reader import RING_FILE, Ring, RingFile
    from evse_pi.recorder.ring import RingError

    try:
        ring = Ring(RingFile(run_dir / RING_FILE))
        return explain_without_node(ring.frames(2), ring.header(), time.monotonic_ns(), hangs=hangs)
    except (OSError, RingError):
        return None
