"""The status of the box as lines of text, as wide as the terminal and at most 80 columns."""

from __future__ import annotations

from typing import Any

from evse_pi.cli import text_layout


def lines(status: dict[str, Any]) -> list[str]:
    """Return the whole status, one topic a line, the reason first.

    Units: `status` is what the command socket answers to `status`.
    """
    rows = [("box", why(status)), *_plug(status), *_mains(status)]
    rows += [("limit", text) for text in _limits(status)]
    rows += [("fault", f"{fault['fault']}: {fault['hint']}") for fault in status["faults"]] or [("fault", "none")]
    rows += [("warning", text) for text in status.get("warnings", ())]
    absence = status.get("matter_absence")
    if absence and not any(absence in warning for warning in status.get("warnings", ())):
        rows.append(("matter", f"the box is no Matter device: {absence}"))
    if (web := status.get("web")) and web["serving"]:
        rows.append(("web page", web["address"]))
    return text_layout.rows(rows)


def line(status: dict[str, Any]) -> str:
    """Return what matters most in one line of at most 80 columns, for a log or a narrow terminal."""
    pilot, contactor = status["pilot"], status["contactor"]
    if pilot is None or contactor is None:
        return text_layout.fitting(why(status))
    reason = status["reason"]
    told = f"charging, {status['limit']['text']}" if reason["reason"] == "CHARGING" else why(status)
    parts = (
        f"{pilot['evse_state']:<2}",
        f"{_volts(pilot['high_mv']):>8}",
        f"{_amps(status['offered_current_ma']):>6}",
        f"{'closed' if contactor['closed'] else 'open':<6}",
        f"{_power(status['meter']):>8}",
        f"{_energy(status['session'])}",
        told,
    )
    return text_layout.fitting(" ".join(parts))


def why(status: dict[str, Any]) -> str:
    """Return in one sentence what the box does and what it waits for."""
    reason = status["reason"]
    if reason is None:
        return "the safety process does not answer: nothing is energised"
    faults = ", ".join(fault["fault"] for fault in status["faults"])
    if reason["reason"] == "FAULT" and faults:
        return f"a fault forbids charging: {faults}"
    if reason["reason"] == "CHARGING":
        return f"charging; the current is limited by {status['limit']['text']}"
    ends = f", {reason['in_s']} s left" if reason["in_s"] else ""
    return f"{reason['text']}{ends}"


def _plug(status: dict[str, Any]) -> list[tuple[str, str]]:
    pilot, contactor = status["pilot"], status["contactor"]
    if pilot is None or contactor is None:
        return []
    signal = f"{pilot['duty_ppm'] / 10_000:.2f} %" if pilot["mode"] == "1 kHz" else "steady"
    level = f"{_volts(pilot['high_mv'])} / {_volts(pilot['low_mv'])}"
    lock = {True: ", locked", False: ", not locked", None: ""}[status["locked"]]
    plug = [("cable", f"{_amps(status['cable_ma'])}{lock}")] if status["cable_ma"] else []
    seen = {True: "closed", False: "open", None: "not fitted"}
    return [
        ("pilot", f"state {pilot['state']} ({pilot['evse_state']}), {level}, {pilot['mode']} {signal}"),
        *plug,
        ("offer", f"{_amps(status['offered_current_ma'])}"),
        (
            "contactor",
            f"{'closed' if contactor['closed'] else 'open'}, mirror contact {seen[contactor['mirror_closed']]}",
        ),
    ]


def _mains(status: dict[str, Any]) -> list[tuple[str, str]]:
    meter, session = status["meter"], status["session"]
    rows = [("power", _power(meter) + (" (estimated, there is no meter)" if meter["estimated"] else ""))]
    if meter.get("current_ma"):
        phases = zip(meter["voltage_mv"], meter["current_ma"], strict=False)
        stale = ", stale" if meter["stale"] else ""
        rows.append(("meter", "  ".join(f"{mv / 1000:.1f} V {ma / 1000:.2f} A" for mv, ma in phases) + stale))
    if session is not None:
        minutes, seconds = divmod(session["duration_s"], 60)
        ended = "ended, " if session["ended"] else ""
        rows.append(("session", f"{ended}{minutes // 60}:{minutes % 60:02}:{seconds:02}, {_energy(session)}"))
    if status["temperature_centi_celsius"] is not None:
        rows.append(("temperature", f"{status['temperature_centi_celsius'] / 100:.1f} °C"))
    return rows


def _limits(status: dict[str, Any]) -> list[str]:
    told = []
    for limit in status["limits"]:
        if limit["source"] == "CABLE" and not limit["limit_ma"]:
            continue  # nothing is plugged in, or its coding has not been read yet
        value = "no limit" if limit["limit_ma"] is None else _amps(limit["limit_ma"])
        mark = " <- this one" if limit["wins"] else ""
        forbids = "" if limit["permitted"] else ", does not permit"
        ends = f", ends in {limit['in_s']} s" if limit.get("in_s") is not None else ""
        told.append(f"{value:<9}{limit['text']}{forbids}{ends}{mark}")
    return told


def _volts(millivolts: int) -> str:
    return f"{millivolts / 1000:.2f} V"


def _amps(milliamps: int | None) -> str:
    return "-" if milliamps is None else f"{milliamps / 1000:.1f} A"


def _power(meter: dict[str, Any]) -> str:
    return "power unknown" if meter["power_mw"] is None else f"{meter['power_mw'] / 1_000_000:.2f} kW"


def _energy(session: dict[str, Any] | None) -> str:
    if session is None:
        return "0.000 kWh"
    return f"{session['energy_mwh'] / 1_000_000:.3f} kWh"
