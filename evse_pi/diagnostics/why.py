"""Why the box charges as it does, or does not: one honest paragraph and a list. Pure, over the status dictionary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evse_pi.api.texts.fault_texts import amps, clearing, happened, volts
from evse_pi.api.texts.wait_texts import REASONS
from evse_pi.core.evidence import Check

if TYPE_CHECKING:
    from collections.abc import Mapping

TESTED = ("PILOT_GENERATOR", "CONTACTOR_WELDED", "RCD_TEST_FAILED", "SELF_TEST_FAILED")
TAKES_LESS_MA = 2_000

NOTICES = {
    "STORAGE": "Free space on the disk, or replace the card: df -h, journalctl -u evse-pi-node.",
    "INSTALLATION": "Have the installer set it again: sudo evse-pi setup.",
    "BENCH_ONLY": "Do not connect this board to the mains without supervision.",
    "CLOCK": "Connect the box to a network with a time server, or set the clock: timedatectl.",
    "MATTER": "Charging does not depend on it; read: evse-pi log, then restart the node process.",
    "WEB": "Charging does not depend on it; choose another port with --web-port, or end what has this one.",
    "CHARGING_PLAN": "It charges at once; ask for less or for later, or raise the limit that is in the way.",
    "DEVICE": "Check supply, bus and address of this device; the box tries again by itself.",
    "RECORDINGS": "Free space on the disk; the last recordings wait in memory.",
    "RESTARTED": "Read the last fault: evse-pi faults; attach evse-pi report to a ticket when it repeats.",
}


def why(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return verdict, paragraph, findings and limits.

    Units: as in `status`. A finding has `kind`, `name`, `what` happened, what to `do`, and where known how it `clears`.
    """
    findings = [*_silence(status), *_faults(status)]
    faulted = bool(findings)
    findings += _reasons(status, faulted=faulted)
    findings += [_notice(notice) for notice in status.get("notices", [])]
    limits = [dict(limit) for limit in status.get("limits", [])]
    return {
        "verdict": _verdict(status, findings),
        "paragraph": _paragraph(status, findings),
        "findings": findings,
        "limits": limits,
    }


def finding(kind: str, name: str, what: str, do: str, clears: str | None = None) -> dict[str, Any]:
    """Return one entry of the list."""
    return {"kind": kind, "name": name, "what": what, "do": do, "clears": clears}


def _silence(status: Mapping[str, Any]) -> list[dict[str, Any]]:
    safety = status["safety"]
    if safety["connected"]:
        return []
    age_ms, refusal = safety["age_ms"], status.get("safety_refusal")
    since = "since the node process started" if age_ms is None else f"for {age_ms // 1000} s"
    what = f"The safety process has not spoken {since}; without it the contactor is open and nothing is offered."
    do = "Look why: systemctl status evse-pi-safety; journalctl -u evse-pi-safety. It is restarted every second."
    if refusal:
        what += f" It could not start: {refusal}"
        do = "Correct what it names; it tries again every second. " + _permission(refusal)
    return [finding("FAULT", "SAFETY_SILENT", what, do)]


def _permission(refusal: str) -> str:
    denied = any(word in refusal.lower() for word in ("permission", "not permitted", "eacces", "eperm"))
    return "Give the user evse-safety its device back: groups spi and gpio, ls -l on the device." if denied else ""


def _faults(status: Mapping[str, Any]) -> list[dict[str, Any]]:
    if not status["safety"]["connected"]:
        return []
    found = []
    for fault in status["faults"]:
        what = happened(fault["fault"], fault.get("readings") or {})
        evidence = _failed_evidence(status) if fault["fault"] in TESTED else ""
        found.append(
            finding(
                "FAULT",
                fault["fault"],
                what + evidence,
                fault["hint"] + _extra(fault["fault"], status),
                clearing(fault["clears"]),
            )
        )
    return found


def _extra(fault: str, status: Mapping[str, Any]) -> str:
    """Return what the node knows beyond the fault's own hint."""
    if fault == "PILOT_GENERATOR":
        return " If a meter shows +12 V and -12 V, the calibration has drifted: sudo evse-pi calibrate."
    if fault == "TIMING_BUDGET":
        safety = status["safety"]
        late_ms, reaction_ms = safety["lateness_max_ns"] / 1e6, safety["reaction_p999_ns"] / 1e6
        return f" Since the start: latest tick {late_ms:.0f} ms late, 99.9 % of reactions within {reaction_ms:.0f} ms."
    if fault in ("METER_STALE", "TEMPERATURE_STALE"):
        silent = [f"{each['device']}: {each['trouble']}" for each in status.get("devices", []) if each["trouble"]]
        return f" Silent now: {'; '.join(silent)}." if silent else ""
    if fault == "INSTALLATION_INVALID":
        told = [notice["text"] for notice in status.get("notices", []) if notice["kind"] == "INSTALLATION"]
        return " " + " ".join(told) if told else ""
    return ""


def _failed_evidence(status: Mapping[str, Any]) -> str:
    failed = [each for each in status["safety"].get("evidence", []) if not each["passed"]]
    return "".join(f" Self-test {evidence_text(each)}." for each in failed)


def evidence_text(evidence: Mapping[str, Any]) -> str:
    """Return one piece of evidence: what was measured and what is allowed, with their unit."""
    name, unit = CHECKS[evidence["check"]]
    if unit == "mV":
        values = [volts(evidence[key]) for key in ("measured", "lowest", "highest")]
    else:
        values = [f"{evidence[key]}{unit}" for key in ("measured", "lowest", "highest")]
    return f"{name}: {values[0]}, allowed {values[1]} to {values[2]}"


CHECKS = {
    Check.PILOT_LOW_RAIL.name: ("pilot at -12 V", "mV"),
    Check.MIRROR_OPEN.name: ("mirror contact (1 is closed)", ""),
    Check.LOAD_DEAD.name: ("voltage behind the contactor (1 is live)", ""),
    Check.RCD_TRIPS.name: ("residual current device trips after", " ms"),
    Check.RCD_RESETS.name: ("residual current device resets after", " ms"),
    Check.EMERGENCY_STOP.name: ("emergency stop (1 is pressed)", ""),
    Check.PROXIMITY.name: ("cable", " mA"),
    Check.PILOT_HIGH_RAIL.name: ("pilot at +12 V", "mV"),
}


def _reasons(status: Mapping[str, Any], *, faulted: bool) -> list[dict[str, Any]]:
    reason = status["reason"]
    if reason is None or (faulted and reason["reason"] in ("FAULT", "STATE_F_HOLD")):
        return []
    kind = "CHARGING" if reason["reason"] == "CHARGING" else "WAIT"
    name, what, do = REASONS[reason["reason"]](status)
    ends = f" {reason['in_s']} s are left." if reason["in_s"] else ""
    return [finding(kind, name, what + ends, do)]


def _notice(notice: Mapping[str, Any]) -> dict[str, Any]:
    return finding("NOTICE", notice["kind"], notice["text"], NOTICES.get(notice["kind"], "Read: evse-pi log."))


def _verdict(status: Mapping[str, Any], findings: list[dict[str, Any]]) -> str:
    if any(each["kind"] == "FAULT" for each in findings):
        return "FAULT"
    reason = status["reason"]["reason"]
    if reason == "CHARGING":
        return "CHARGING"
    begins_by_itself = any(each["name"] in ("SCHEDULE", "RANDOM_DELAY") for each in findings)
    stopped = reason in ("NOT_PERMITTED", "LIMIT_BELOW_MINIMUM") and not begins_by_itself
    return "STOPPED" if stopped else "WAITING"


def _paragraph(status: Mapping[str, Any], findings: list[dict[str, Any]]) -> str:
    """Return headline, what happened and what to do first."""
    first = findings[0]
    if first["kind"] == "CHARGING":
        return f"{first['what']} {_takes(status)}".strip()
    others = sum(each["kind"] == "FAULT" for each in findings) - 1
    more = f" {others} more fault{'s' if others > 1 else ''} below." if others > 0 else ""
    doing = "The box goes on charging" if (status["contactor"] or {}).get("closed") else "The box does not charge"
    ends = f" It ends {first['clears']}." if first["clears"] else ""
    return f"{doing}: {first['name']}. {first['what']} {first['do']}{ends}{more}"


def _takes(status: Mapping[str, Any]) -> str:
    """Return what the vehicle makes of the offer, where a meter knows it."""
    meter, offered_ma = status["meter"], status["offered_current_ma"]
    drawn = [abs(each) for each in meter.get("current_ma", [])]
    if not drawn or meter.get("stale") or not offered_ma:
        return ""
    if max(drawn) < offered_ma - TAKES_LESS_MA:
        return f"The vehicle takes only {amps(max(drawn))} of it: that is its own choice (full, cold, set in the car)."
    return f"The vehicle takes {amps(max(drawn))}."
