"""The status of the box as lines of text, as wide as the terminal and at most 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.texts.quantities import amps, degrees, energy, hours, percent, power, volts
from evse_pi.cli import text_layout
from evse_pi.core.states import LimitSource, PilotMode, Reason

if TYPE_CHECKING:
    from evse_pi.api.status import LimitStatus, MeterStatus, Status

MODES = {PilotMode.HIGH: "+12 V steady", PilotMode.LOW: "-12 V steady"}


def lines(status: Status) -> list[str]:
    """Return the whole status, one topic a line, the reason first."""
    rows = [("box", why(status)), *_plug(status), *_mains(status)]
    rows += [("limit", limit_line(limit)) for limit in status.limits if _is_known(limit)]
    rows += [("fault", f"{each.title} ({each.fault.name}): {each.hint}") for each in status.faults] or [
        ("fault", "none")
    ]
    rows += [("warning", notice.text) for notice in status.notices]
    absence = status.matter_absence
    if absence and not any(absence in notice.text for notice in status.notices):
        rows.append(("matter", f"the box is no Matter device: {absence}"))
    if status.web is not None and status.web.serving:
        rows.append(("web page", status.web.address))
    return text_layout.rows(rows)


def line(status: Status) -> str:
    """Return what matters most in one line of at most 80 columns, for a log or a narrow terminal."""
    pilot, contactor, limit = status.pilot, status.contactor, status.limit
    if pilot is None or contactor is None:
        return text_layout.fitting(why(status))
    charging = status.reason is not None and status.reason.reason is Reason.CHARGING and limit is not None
    parts = (
        f"{pilot.evse_state.name:<2}",
        f"{volts(pilot.high_mv):>8}",
        f"{amps(status.offered_current_ma):>6}",
        f"{_position(closed=contactor.close_ordered):<6}",
        f"{_power(status.meter):>8}",
        _energy(status),
        f"charging, {limit.text}" if charging and limit is not None else why(status),
    )
    return text_layout.fitting(" ".join(parts))


def why(status: Status) -> str:
    """Return in one sentence what the box does and what it waits for."""
    wait = status.reason
    if wait is None:
        return "the safety process does not answer: nothing is energised"
    if wait.reason is Reason.FAULT and status.faults:
        return f"a fault forbids charging: {', '.join(each.title for each in status.faults)}"
    if wait.reason is Reason.KEPT_AFTER_REPEATS and status.faults:
        return f"{wait.text}: {', '.join(each.title for each in status.faults)}"
    if wait.reason is Reason.CHARGING and status.limit is not None:
        return f"charging; the current is limited by {status.limit.text}"
    return f"{wait.text}, {wait.in_s} s left" if wait.in_s else wait.text


def limit_line(limit: LimitStatus) -> str:
    """Return one limit with its owner and its end."""
    value = "no limit" if limit.limit_ma is None else amps(limit.limit_ma)
    mark = " <- this one" if limit.wins else ""
    forbids = "" if limit.permitted else ", does not permit"
    ends = f", ends in {limit.in_s} s" if limit.in_s is not None else ""
    return f"{value:<9}{limit.text}{forbids}{ends}{mark}"


def _is_known(limit: LimitStatus) -> bool:
    """Return false for the cable's while none is plugged in, or its coding has not been read yet."""
    return limit.source is not LimitSource.CABLE or bool(limit.limit_ma)


def _plug(status: Status) -> list[tuple[str, str]]:
    pilot, contactor = status.pilot, status.contactor
    if pilot is None or contactor is None:
        return []
    levels = f"{volts(pilot.high_mv)} / {volts(pilot.low_mv)}"
    signal = MODES.get(pilot.mode, f"1 kHz {percent(pilot.duty_ppm)}")
    lock = {True: ", locked", False: ", not locked", None: ""}[status.locked]
    plug = [("cable", f"{amps(status.cable_ma)}{lock}")] if status.cable_ma else []
    seen = pilot.positive_mv is not None
    supply = [("supply", f"{volts(pilot.positive_mv)} / {volts(pilot.negative_mv)}")] if seen else []
    mirror = "not fitted" if contactor.mirror_closed is None else _position(closed=contactor.mirror_closed)
    return [
        ("pilot", f"state {pilot.state.name} ({pilot.evse_state.name}), {levels}, {signal}"),
        *supply,
        *plug,
        ("offer", amps(status.offered_current_ma)),
        ("contactor", f"{_position(closed=contactor.close_ordered)}, mirror contact {mirror}"),
    ]


def _mains(status: Status) -> list[tuple[str, str]]:
    meter, session = status.meter, status.session
    rows = [("power", _power(meter) + (" (estimated, there is no meter)" if meter.estimated else ""))]
    if meter.voltage_mv and meter.current_ma:
        phases = zip(meter.voltage_mv, meter.current_ma, strict=False)
        stale = ", stale" if meter.stale else ""
        rows.append(("meter", "  ".join(f"{mv / 1000:.1f} V {amps(ma)}" for mv, ma in phases) + stale))
    if session is not None:
        ended = "ended, " if session.ended else ""
        rows.append(("session", f"{ended}{hours(session.duration_s)}, {_energy(status)}"))
    if status.temperature_centi_celsius is not None:
        rows.append(("temperature", degrees(status.temperature_centi_celsius)))
    return rows


def _position(*, closed: bool) -> str:
    return "closed" if closed else "open"


def _power(meter: MeterStatus) -> str:
    return "power unknown" if meter.power_mw is None else power(meter.power_mw)


def _energy(status: Status) -> str:
    session = status.session
    return energy(0) if session is None else energy(session.energy_mwh, estimated=session.estimated)
