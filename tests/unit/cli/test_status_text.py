"""What a person reads of the box: honest, complete, and at most 80 columns wide."""

from __future__ import annotations

from typing import Any

import pytest

from evse_pi.api.orders import StartAnswer
from evse_pi.api.session_summary import SessionSummary
from evse_pi.api.status import (
    ActiveFault,
    Board,
    ContactorStatus,
    LimitStatus,
    MeterStatus,
    Notice,
    NoticeKind,
    Owner,
    Pilot,
    Safety,
    Status,
    Wait,
)
from evse_pi.api.texts.english import FAULT_TITLES, LIMITS
from evse_pi.cli.start import told as started
from evse_pi.cli.status_text import line, lines, why
from evse_pi.core.faults import Clear, Fault, Severity
from evse_pi.core.states import EvseState, LimitSource, PilotMode, PilotState, Reason
from hal.units import CentiCelsius, DutyPpm, Milliamps, Millivolts, MilliwattHours, Milliwatts


def a_limit(source: LimitSource, limit_ma: int | None, **more: Any) -> LimitStatus:
    told = {"judged": source < LimitSource.OWNER, "permitted": True, "wins": False, **more}
    return LimitStatus(
        source=source, limit_ma=None if limit_ma is None else Milliamps(limit_ma), text=LIMITS[source], **told
    )


CHARGING = Status(
    unix_s=1_800_000_000,
    safety=Safety(connected=True, age_ms=10),
    pilot=Pilot(
        PilotState.C, EvseState.C2, Millivolts(6_000), Millivolts(-12_020), PilotMode.PWM, DutyPpm(266_666), 7_312,
        Millivolts(0),
    ),
    contactor=ContactorStatus(True, True, None, 1, 0),
    offered_current_ma=Milliamps(15_999),
    permitted=True,
    cable_ma=Milliamps(32_000),
    locked=True,
    reason=Wait(Reason.CHARGING, "charging", None),
    limit=a_limit(LimitSource.OWNER, 16_000, wins=True),
    limits=(
        a_limit(LimitSource.CABLE, 32_000),
        a_limit(LimitSource.OWNER, 16_000, wins=True, in_s=90),
        a_limit(LimitSource.SCHEDULE, None, permitted=False),
    ),
    faults=(),
    meter=MeterStatus(
        fitted=True,
        power_mw=Milliwatts(11_040_000),
        estimated=False,
        stale=False,
        voltage_mv=(Millivolts(230_000),) * 3,
        current_ma=(Milliamps(16_000),) * 3,
    ),
    session=SessionSummary(1, None, None, False, 3_723, 3_700, MilliwattHours(2_310_000), False),
    temperature_centi_celsius=CentiCelsius(3_150),
    owner=Owner(True, Milliamps(16_000)),
    orders_outstanding=(),
    board=Board("simulated", "a board"),
    version="0",
)  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (((), ()), "nothing was skipped; nothing holds charging up now"),
        (
            ((LimitSource.RANDOM_DELAY, LimitSource.SCHEDULE), ()),
            "skipped: the schedule and the random delay; nothing holds",
        ),
        (((), (LimitSource.POWER_ADJUSTMENT,)), "nothing was skipped; it still waits for the energy manager"),
    ],
)
def test_a_start_tells_what_was_skipped_and_who_still_holds_it_up(answer: Any, words: str) -> None:
    assert words in started(StartAnswer(frozenset(answer[0]), frozenset(answer[1])))


def test_a_charging_box_is_shown_whole() -> None:
    text = "\n".join(lines(CHARGING))
    for said in ("6.00 V / -12.02 V", "26.67 %", "16.0 A", "closed, mirror contact closed", "11.04 kW", "1:02:03",
                 "2.310 kWh", "31.5 °C", "32.0 A, locked", "ends in 90 s", "does not permit"):  # fmt: skip
        assert said in text
    assert "limited by the owner" in text
    assert text.count("<- this one") == 1


def test_nothing_is_wider_than_a_terminal_of_80_columns() -> None:
    hint = "Residual current flowed: look for moisture or damage in cable, " * 3
    title = FAULT_TITLES[Fault.RCD_TRIPPED]
    fault = ActiveFault(Fault.RCD_TRIPPED, title, Severity.OPEN, hint, (Clear.BY_USER,), None, 1)
    status = CHARGING._replace(faults=(fault,) * 3, reason=Wait(Reason.FAULT, "a fault forbids it", 12))
    assert max(map(len, [*lines(status), line(status)])) <= 80
    assert "residual current flowed" in why(status)
    assert "RCD_TRIPPED" not in why(status)


def test_a_silent_safety_process_is_said_and_nothing_is_made_up() -> None:
    silent = CHARGING._replace(pilot=None, contactor=None, reason=None, limits=(), offered_current_ma=None)
    assert why(silent) == "the safety process does not answer: nothing is energised"
    assert line(silent) == why(silent)
    assert not any("contactor" in text for text in lines(silent))


def test_what_is_estimated_stale_or_unknown_is_marked() -> None:
    estimated = CHARGING._replace(meter=MeterStatus(False, Milliwatts(1_000_000), True))
    assert any("estimated, there is no meter" in text for text in lines(estimated))
    stale = CHARGING._replace(meter=CHARGING.meter._replace(power_mw=None, stale=True))
    assert any("power unknown" in text for text in lines(stale))
    assert any(text.endswith("stale") for text in lines(stale))


def test_a_wait_tells_how_long() -> None:
    waiting = CHARGING._replace(reason=Wait(Reason.MINIMUM_OFF_TIME, "the contactor rests", 7))
    assert why(waiting) == "the contactor rests, 7 s left"


@pytest.mark.parametrize("locked", [True, False, None])
def test_every_lock_is_shown_as_it_is(locked: bool | None) -> None:
    text = "\n".join(lines(CHARGING._replace(locked=locked)))
    assert ("not locked" in text) is (locked is False)
    assert ("locked" in text) is (locked is not None)


def test_warnings_are_shown_and_a_socket_without_a_cable_is_no_limit_of_0() -> None:
    empty = a_limit(LimitSource.CABLE, 0, wins=True)
    full = Notice(NoticeKind.STORAGE, "the disk is full")
    text = "\n".join(lines(CHARGING._replace(limits=(empty,), cable_ma=None, notices=(full,))))
    assert "the disk is full" in text
    assert "0.0 A" not in text


def test_the_absence_of_matter_is_told_once_with_its_reason() -> None:
    off = "\n".join(lines(CHARGING._replace(matter_absence="it was started with --no-matter")))
    assert "no Matter device: it was started with --no-matter" in off
    broken = "ImportError: a package is missing"
    notice = Notice(NoticeKind.MATTER, f"Matter does not run: {broken}")
    told = "\n".join(lines(CHARGING._replace(matter_absence=broken, notices=(notice,))))
    assert told.count(broken) == 1
