"""The status of the box as lines of text, as wide as the terminal and at most 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.texts.catalogue import tr
from evse_pi.api.texts.quantities import amps, degrees, energy, hours, percent, power, volts
from evse_pi.cli import text_layout
from evse_pi.core.states import LimitSource, PilotMode, Reason

if TYPE_CHECKING:
    from evse_pi.api.status import LimitStatus, MeterStatus, Status

MODES = {PilotMode.HIGH: tr("+12 V steady"), PilotMode.LOW: tr("-12 V steady")}


def lines(status: Status) -> list[str]:
    """Return the whole status, one topic a line, the reason first."""
    rows = [(tr("box"), why(status)), *_plug(status), *_mains(status)]
    rows += [(tr("limit"), limit_line(limit)) for limit in status.limits if _is_known(limit)]
    rows += [(tr("fault"), f"{each.title} ({each.fault.name}): {each.hint}") for each in status.faults] or [
        (tr("fault"), tr("none"))
    ]
    rows += [(tr("warning"), notice.text) for notice in status.notices]
    absence = status.matter_absence
    if absence and not any(absence in notice.text for notice in status.notices):
        rows.append((tr("matter"), tr("the box is no Matter device: {absence}").format(absence=absence)))
    if status.web is not None and status.web.serving:
        rows.append((tr("web page"), status.web.address))
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
        tr("charging, {text}").format(text=limit.text) if charging and limit is not None else why(status),
    )
    return text_layout.fitting(" ".join(parts))


def why(status: Status) -> str:
    """Return in one sentence what the box does and what it waits for."""
    wait = status.reason
    if wait is None:
        return tr("the safety process does not answer: nothing is energised")
    if wait.reason is Reason.FAULT and status.faults:
        return tr("a fault forbids charging: {names}").format(names=", ".join(each.title for each in status.faults))
    if wait.reason is Reason.KEPT_AFTER_REPEATS and status.faults:
        return f"{wait.text}: {', '.join(each.title for each in status.faults)}"
    if wait.reason is Reason.CHARGING and status.limit is not None:
        return tr("charging; the current is limited by {text}").format(text=status.limit.text)
    return tr("{text}, {in_s} s left").format(text=wait.text, in_s=wait.in_s) if wait.in_s else wait.text


def limit_line(limit: LimitStatus) -> str:
    """Return one limit with its owner and its end."""
    value = tr("no limit") if limit.limit_ma is None else amps(limit.limit_ma)
    mark = tr(" <- this one") if limit.wins else ""
    forbids = "" if limit.permitted else tr(", does not permit")
    ends = tr(", ends in {in_s} s").format(in_s=limit.in_s) if limit.in_s is not None else ""
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
    lock = {True: tr(", locked"), False: tr(", not locked"), None: ""}[status.locked]
    plug = [(tr("cable"), f"{amps(status.cable_ma)}{lock}")] if status.cable_ma else []
    seen = pilot.positive_mv is not None
    supply = [(tr("supply"), f"{volts(pilot.positive_mv)} / {volts(pilot.negative_mv)}")] if seen else []
    mirror = tr("not fitted") if contactor.mirror_closed is None else _position(closed=contactor.mirror_closed)
    return [
        (
            tr("pilot"),
            tr("state {state} ({evse_state}), {levels}, {signal}").format(
                state=pilot.state.name, evse_state=pilot.evse_state.name, levels=levels, signal=signal
            ),
        ),
        *supply,
        *plug,
        (tr("offer"), amps(status.offered_current_ma)),
        (
            tr("contactor"),
            tr("{position}, mirror contact {mirror}").format(
                position=_position(closed=contactor.close_ordered), mirror=mirror
            ),
        ),
    ]


def _mains(status: Status) -> list[tuple[str, str]]:
    meter, session = status.meter, status.session
    rows = [(tr("power"), _power(meter) + (tr(" (estimated, there is no meter)") if meter.estimated else ""))]
    if meter.voltage_mv and meter.current_ma:
        phases = zip(meter.voltage_mv, meter.current_ma, strict=False)
        stale = tr(", stale") if meter.stale else ""
        rows.append((tr("meter"), "  ".join(f"{mv / 1000:.1f} V {amps(ma)}" for mv, ma in phases) + stale))
    if session is not None:
        ended = "ended, " if session.ended else ""
        rows.append((tr("session"), f"{ended}{hours(session.duration_s)}, {_energy(status)}"))
    if status.temperature_centi_celsius is not None:
        rows.append((tr("temperature"), degrees(status.temperature_centi_celsius)))
    return rows


def _position(*, closed: bool) -> str:
    return tr("closed") if closed else tr("open")


def _power(meter: MeterStatus) -> str:
    return tr("power unknown") if meter.power_mw is None else power(meter.power_mw)


def _energy(status: Status) -> str:
    session = status.session
    return energy(0) if session is None else energy(session.energy_mwh, estimated=session.estimated)
