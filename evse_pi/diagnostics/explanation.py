"""Why the box charges as it does, or does not: one honest paragraph and a list. Pure, over the status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.status import NoticeKind
from evse_pi.api.texts import english as words
from evse_pi.api.texts.fault_texts import clearing, happened
from evse_pi.api.texts.quantities import amps
from evse_pi.api.texts.self_test_texts import evidence_text
from evse_pi.api.texts.wait_texts import explain
from evse_pi.api.why import Finding, FindingKind, Verdict, Why
from evse_pi.core.faults import Fault
from evse_pi.core.states import LimitSource, Reason

if TYPE_CHECKING:
    from evse_pi.api.status import Notice, Status

TESTED = (
    Fault.PILOT_GENERATOR,
    Fault.CONTACTOR_WELDED,
    Fault.CONTACTOR_CHANNEL,
    Fault.RCD_TEST_FAILED,
    Fault.SELF_TEST_FAILED,
)
TOLD_BY_FAULTS = (Reason.FAULT, Reason.STATE_F_HOLD)
BEGINS_BY_ITSELF = frozenset((LimitSource.SCHEDULE.name, LimitSource.RANDOM_DELAY.name, LimitSource.RESUME_PAUSE.name))
TAKES_LESS_MA = 2_000
DENIED = ("permission", "not permitted", "eacces", "eperm")


def why(status: Status) -> Why:
    """Return verdict, paragraph, findings and limits."""
    findings = [*_silence(status), *_faults(status)]
    findings += _wait(status, faulted=bool(findings))
    findings += [_notice(notice) for notice in status.notices]
    return Why(_verdict(status, findings), _paragraph(status, findings), tuple(findings), status.limits)


def _silence(status: Status) -> list[Finding]:
    safety, refusal = status.safety, status.safety_refusal
    if safety.connected:
        return []
    age_ms = safety.age_ms
    since = words.SINCE_START if age_ms is None else words.FOR_SECONDS.format(seconds=age_ms // 1000)
    title, what, do = words.SAFETY_SILENT
    what = what.format(since=since)
    if refusal:
        what += words.COULD_NOT_START.format(refusal=refusal)
        do = words.CORRECT_IT + _permission(refusal)
    return [Finding(FindingKind.FAULT, "SAFETY_SILENT", title, what, do)]


def _permission(refusal: str) -> str:
    denied = any(word in refusal.lower() for word in DENIED)
    return words.GIVE_DEVICE_BACK if denied else ""


def _faults(status: Status) -> list[Finding]:
    if not status.safety.connected:
        return []
    return [
        Finding(
            FindingKind.FAULT,
            each.fault.name,
            each.title,
            happened(each.fault, each.readings) + (_failed_evidence(status) if each.fault in TESTED else ""),
            each.hint + _extra(each.fault, status),
            clearing(each.clears),
        )
        for each in status.faults
    ]


def _extra(fault: Fault, status: Status) -> str:
    """Return what the node knows beyond the fault's own hint."""
    if fault is Fault.PILOT_GENERATOR:
        return words.CALIBRATE
    if fault is Fault.TIMING_BUDGET:
        late_ms, reaction_ms = (
            (ns or 0) / 1e6 for ns in (status.safety.lateness_max_ns, status.safety.reaction_p999_ns)
        )
        return words.TIMING_FIGURES.format(late_ms=late_ms, reaction_ms=reaction_ms)
    if fault in (Fault.METER_STALE, Fault.TEMPERATURE_STALE):
        silent = [f"{each.device}: {each.trouble}" for each in status.devices if each.trouble]
        return words.SILENT_NOW.format(devices="; ".join(silent)) if silent else ""
    if fault is Fault.INSTALLATION_INVALID:
        told = [notice.text for notice in status.notices if notice.kind is NoticeKind.INSTALLATION]
        return " " + " ".join(told) if told else ""
    return ""


def _failed_evidence(status: Status) -> str:
    return "".join(
        words.SELF_TEST_FOUND.format(evidence=evidence_text(each)) for each in status.safety.evidence if not each.passed
    )


def _wait(status: Status, *, faulted: bool) -> list[Finding]:
    wait = status.reason
    if wait is None or (faulted and wait.reason in TOLD_BY_FAULTS):
        return []
    kind = FindingKind.CHARGING if wait.reason is Reason.CHARGING else FindingKind.WAIT
    text = explain(wait.reason, status)
    ends = words.SECONDS_LEFT.format(in_s=wait.in_s) if wait.in_s else ""
    return [Finding(kind, text.name, text.title, text.what + ends, text.do)]


def _notice(notice: Notice) -> Finding:
    title, do = words.NOTICES[notice.kind]
    return Finding(FindingKind.NOTICE, notice.kind.name, title, notice.text, do)


def _verdict(status: Status, findings: list[Finding]) -> Verdict:
    wait = status.reason
    if wait is None or any(each.kind is FindingKind.FAULT for each in findings):
        return Verdict.FAULT
    if wait.reason is Reason.CHARGING:
        return Verdict.CHARGING
    begins_by_itself = any(each.name in BEGINS_BY_ITSELF for each in findings)
    stopped = wait.reason in (Reason.NOT_PERMITTED, Reason.LIMIT_BELOW_MINIMUM) and not begins_by_itself
    return Verdict.STOPPED if stopped else Verdict.WAITING


def _paragraph(status: Status, findings: list[Finding]) -> str:
    """Return what the box does, what happened and what to do first."""
    first = findings[0]
    if first.kind is FindingKind.CHARGING:
        return f"{first.what} {_takes(status)}".strip()
    others = sum(each.kind is FindingKind.FAULT for each in findings) - 1
    more = words.MORE_FAULTS[others > 1].format(number=others) if others > 0 else ""
    closed = status.contactor is not None and status.contactor.close_ordered
    doing = words.GOES_ON if closed else words.DOES_NOT_CHARGE
    named = f": {first.title}" if first.kind is FindingKind.FAULT else ""
    ends = words.ENDS.format(clears=first.clears) if first.clears else ""
    return f"{doing}{named}. {first.what} {first.do}{ends}{more}"


def _takes(status: Status) -> str:
    """Return what the vehicle makes of the offer, where a meter knows it."""
    meter, offered_ma = status.meter, status.offered_current_ma
    if not meter.current_ma or meter.stale or not offered_ma:
        return ""
    drawn_ma = max(abs(each) for each in meter.current_ma)
    if drawn_ma < offered_ma - TAKES_LESS_MA:
        return words.TAKES_LESS.format(drawn=amps(drawn_ma))
    return words.TAKES.format(drawn=amps(drawn_ma))
