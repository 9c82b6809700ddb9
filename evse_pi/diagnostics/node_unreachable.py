"""What can be said of a box whose node process does not answer: from the safety process's ring alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evse_pi.api.texts.fault_texts import amps, clearing, happened
from evse_pi.core.faults import FAULTS, Clear
from evse_pi.diagnostics.readings import readings
from evse_pi.diagnostics.why import finding
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
) -> dict[str, Any] | None:
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
            finding("FAULT", "BOX_NOT_RUNNING", what, "Start both: sudo systemctl start evse-pi-safety evse-pi-node.")
        ]
    else:
        name, do = ("NODE_HANGS", _RESTART) if hangs else ("NODE_SILENT", _START)
        findings = [finding("FAULT", name, _node_silent(last, hangs=hangs), do), *_faults(frames)]
    first = findings[0]
    return {
        "verdict": "FAULT",
        "paragraph": f"{first['name']}. {first['what']} {first['do']}",
        "findings": findings,
        "limits": [],
    }


def _node_silent(last: Frame, *, hangs: bool) -> str:
    outcome, demand = last.outcome, last.inputs.demand
    left_s = max(demand.valid_until_ns - last.inputs.now_ns, 0) // SECOND if demand else 0
    silent = "hangs: it runs and does not answer" if hangs else "does not answer"
    state = "charges" if outcome.contactor_closed else "does not charge"
    lease = f"its permission ends in {left_s} s" if left_s else "its permission has ended"
    return (
        f"The node process {silent}. The safety process runs and {state} ({outcome.evse_state.name}, "
        f"{amps(outcome.offered_ma)} offered); {lease}, and without a new one it stops the vehicle and opens."
    )


def _faults(frames: Sequence[Frame]) -> list[dict[str, Any]]:
    last, before = frames[-1], frames[-2] if len(frames) > 1 else None
    seen = readings(last, before)
    found = []
    for fault in FAULTS:
        if fault in last.outcome.faults:
            rules = [rule.name for rule in Clear if rule in FAULTS[fault].clear and rule.name]
            found.append(finding("FAULT", fault.name, happened(fault.name, seen), FAULTS[fault].hint, clearing(rules)))
    return found
