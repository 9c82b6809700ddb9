"""`evse-pi why`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from evse_pi.api.client import BoxNotRunning, BoxSilent, ask
from evse_pi.api.exits import Exit
from evse_pi.api.texts import english as words
from evse_pi.api.texts.catalogue import tr
from evse_pi.api.why import WHY, FindingKind
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.status_text import limit_line
from evse_pi.cli.text_layout import paragraph, row, rows, show

if TYPE_CHECKING:
    from pathlib import Path

    from evse_pi.api.why import Finding, Why
    from evse_pi.paths import Paths


NOTHING = tr("Nothing.")
ANSWER_WITHIN_S = 3.0  # the node answers this from memory; one that does not by then hangs


@click.command("why")
@json_option()
@of_a_box
def command(*, box: Paths, as_json: bool) -> None:
    """Say why the box does not charge, or charges at this current, and what to do."""
    try:
        told = ask(box.control_socket, WHY, within_s=ANSWER_WITHIN_S)
    except BoxNotRunning as error:
        known = _without_node(box.run_dir, hangs=isinstance(error, BoxSilent))
        if known is None:
            raise
        show(known, lines(known), as_json=as_json)
        sys.exit(Exit.NOT_RUNNING)
    show(told, lines(told), as_json=as_json)


def lines(told: Why) -> list[str]:
    """Return the paragraph, the findings and the limits."""
    text = [*paragraph(told.paragraph), ""]
    for finding in told.findings:
        text += row(words.FINDINGS[finding.kind], _told(finding))
        if finding.do and finding.do != NOTHING:
            text += row(tr("  do"), finding.do)
        if finding.clears:
            text += row(tr("  clears"), finding.clears)
    return [*text, *rows((tr("limit"), limit_line(limit)) for limit in told.limits)]


def _told(finding: Finding) -> str:
    """Return what is the case, under its title where that says more than the sentence."""
    if finding.kind is FindingKind.FAULT:
        return f"{finding.title} ({finding.name}): {finding.what}"
    return f"{finding.title}: {finding.what}" if finding.kind is FindingKind.NOTICE else finding.what


def _without_node(run_dir: Path, *, hangs: bool) -> Why | None:
    """Return what the safety process's own record says while no node process answers, None when there is none."""
    import time

    from evse_pi.diagnostics.node_unreachable import explain_without_node
    from evse_pi.paths import RING_FILE
    from evse_pi.recorder.reader import Ring, RingFile
    from evse_pi.recorder.ring import RingError

    try:
        ring = Ring(RingFile(run_dir / RING_FILE))
        return explain_without_node(ring.frames(2), ring.header(), time.monotonic_ns(), hangs=hangs)
    except (OSError, RingError):
        return None
