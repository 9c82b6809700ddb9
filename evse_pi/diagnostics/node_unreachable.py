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
        ended = words.ENDED_WITHOUT_A_WORD if header.running else words.WAS_STOPPED
        title, what, do = words.BOX_NOT_RUNNING
        what = what.format(ended=ended, age_s=max(age_s, 0))
        findings = [Finding(FindingKind.FAULT, "BOX_NOT_RUNNING", title, what, do)]
    else:
        name, (title, what, do) = ("NODE_HANGS", words.NODE_HANGS) if hangs else ("NODE_SILENT", words.NODE_SILENT)
        what = f"{what} {_safety_goes_on(last)}"
        findings = [Finding(FindingKind.FAULT, name, title, what, do), *_faults(frames)]
    first = findings[0]
    paragraph = f"{sentence(first.title)}. {first.what} {first.do}"
    return Why(Verdict.FAULT, paragraph, tuple(findings), ())


def _safety_goes_on(last: Frame) -> str:
    outcome, demand = last.outcome, last.inputs.demand
    left_s = max(demand.valid_until_ns - last.inputs.now_ns, 0) // SECOND if demand else 0
    return words.SAFETY_GOES_ON.format(
        charges=words.CHARGES if outcome.close_ordered else words.CHARGES_NOT,
        state=outcome.evse_state.name,
        offered=amps(outcome.offered_ma),
        lease=words.LEASE_ENDS.format(left_s=left_s) if left_s else words.LEASE_HAS_ENDED,
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
