"""What can be said of a box whose node process does not answer: from the safety process's ring alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.texts import english as words
from evse_pi.api.texts.fault_texts import clearing, happened
from evse_pi.api.texts.quantities import amps, sentence
from evse_pi.api.why import Finding, FindingKind, Verdict, Why
from evse_pi.core.faults import FAULTS
from evse_pi.core.recurrence import ways_out
from evse_pi.diagnostics.tick_readings import readings
from hal.units import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evse_pi.recorder.frame import Frame
    from evse_pi.recorder.ring import RingHeader

SILENT_NS = SECOND
_START = "Start it: sudo systemctl start evse-pi-node; read why it ended: journalctl -u evse-pi-node."
_RESTART = "Restart it: sudo systemctl restart evse-pi-node; read what it did last: journalctl -u evse-pi-node."


def explain_without_node(
    frames: Sequence[Frame], header: RingHeader, now_ns: int, *, hangs: bool = False
) -> Why | None:
    """Return what `why` returns, None when the safety process has never run here.

    `hangs` says that the node process listens and does not answer, so that it is there.
    """
    if not frames:
        return None
    last = frames[-1]
    age_s = (now_ns - last.inputs.now_ns) // SECOND
    if not 0 <= now_ns - last.inputs.now_ns < SILENT_NS:
        ended = "was stopped" if not header.running else "ended without a word"
        what = (
            f"Neither process of the box runs; the safety process {ended} {max(age_s, 0)} s ago. Nothing is energised."
        )
        findings = [
            Finding(
                FindingKind.FAULT,
                "BOX_NOT_RUNNING",
                "the box does not run",
                what,
                "Start both: sudo systemctl start evse-pi-safety evse-pi-node.",
            )
        ]
    else:
        name, title, do = (
            ("NODE_HANGS", "the node process hangs", _RESTART)
            if hangs
            else ("NODE_SILENT", "the node process does not answer", _START)
        )
        findings = [Finding(FindingKind.FAULT, name, title, _node_silent(last, hangs=hangs), do), *_faults(frames)]
    first = findings[0]
    paragraph = f"{sentence(first.title)}. {first.what} {first.do}"
    return Why(Verdict.FAULT, paragraph, tuple(findings), ())


def _node_silent(last: Frame, *, hangs: bool) -> str:
    outcome, demand = last.outcome, last.inputs.demand
    left_s = max(demand.valid_until_ns - last.inputs.now_ns, 0) // SECOND if demand else 0
    silent = "hangs: it runs and does not answer" if hangs else "does not answer"
    state = "charges" if outcome.close_ordered else "does not charge"
    lease = f"its permission ends in {left_s} s" if left_s else "its permission has ended"
    return (
        f"The node process {silent}. The safety process runs and {state} ({outcome.evse_state.name}, "
        f"{amps(outcome.offered_ma)} offered); {lease}, and without a new one it stops the vehicle and opens."
    )


def _faults(frames: Sequence[Frame]) -> list[Finding]:
    last, before = frames[-1], frames[-2] if len(frames) > 1 else None
    seen = readings(last, before)
    return [
        Finding(
            FindingKind.FAULT,
            fault.name,
            words.FAULT_TITLES[fault],
            happened(fault, seen),
            words.FAULT_HINTS[fault],
            clearing(ways_out(fault, last.outcome.reason)),
        )
        for fault in FAULTS
        if fault in last.outcome.faults
    ]
