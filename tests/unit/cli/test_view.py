"""What a person reads of the box: honest, complete, and at most 80 columns wide."""

from __future__ import annotations

from typing import Any

import pytest

from evse_pi.cli.start import told as started
from evse_pi.cli.status_text import line, lines, why

CHARGING: dict[str, Any] = {
    "pilot": {
        "state": "C", "evse_state": "C2", "high_mv": 6000, "low_mv": -12020, "mode": "1 kHz", "duty_ppm": 266_666,
    },
    "contactor": {"closed": True, "mirror_closed": True},
    "offered_current_ma": 15_999,
    "cable_ma": 32_000,
    "locked": True,
    "reason": {"reason": "CHARGING", "text": "charging", "in_s": None},
    "limit": {"source": "OWNER", "limit_ma": 16_000, "text": "the owner"},
    "limits": [
        {"source": "CABLE", "limit_ma": 32_000, "text": "the cable", "permitted": True, "wins": False},
        {"source": "OWNER", "limit_ma": 16_000, "text": "the owner", "permitted": True, "wins": True, "in_s": 90},
        {"source": "SCHEDULE", "limit_ma": None, "text": "the schedule", "permitted": False, "wins": False},
    ],
    "faults": [],
    "meter": {
        "power_mw": 11_040_000, "estimated": False, "stale": False,
        "voltage_mv": [230_000] * 3, "current_ma": [16_000] * 3,
    },
    "session": {"duration_s": 3_723, "energy_mwh": 2_310_000, "ended": False},
    "temperature_centi_celsius": 3_150,
}  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (((), ()), "nothing was skipped; nothing holds charging up now"),
        ((("RANDOM_DELAY", "SCHEDULE"), ()), "skipped: the random delay and the schedule; nothing holds"),
        (((), ("POWER_ADJUSTMENT",)), "nothing was skipped; it still waits for the energy manager"),
    ],
)
def test_a_start_tells_what_was_skipped_and_who_still_holds_it_up(answer: Any, words: str) -> None:
    assert words in started({"skipped": answer[0], "held_up_by": answer[1]})


def test_a_charging_box_is_shown_whole() -> None:
    text = "\n".join(lines(CHARGING))
    for said in ("6.00 V / -12.02 V", "26.67 %", "16.0 A", "closed, mirror contact closed", "11.04 kW", "1:02:03",
                 "2.310 kWh", "31.5 °C", "32.0 A, locked", "ends in 90 s", "does not permit"):  # fmt: skip
        assert said in text
    assert "limited by the owner" in text
    assert text.count("<- this one") == 1


def test_nothing_is_wider_than_a_terminal_of_80_columns() -> None:
    fault = {"fault": "RCD_TRIPPED", "hint": "Residual current flowed: look for moisture or damage in cable, " * 3}
    reason = {"reason": "FAULT", "text": "a fault forbids it", "in_s": 12}
    status = {**CHARGING, "faults": [fault] * 3, "reason": reason}
    assert max(map(len, [*lines(status), line(status)])) <= 80
    assert "RCD_TRIPPED" in why(status)


def test_a_silent_safety_process_is_said_and_nothing_is_made_up() -> None:
    silent = {**CHARGING, "pilot": None, "contactor": None, "reason": None, "limits": [], "offered_current_ma": None}
    assert why(silent) == "the safety process does not answer: nothing is energised"
    assert line(silent) == why(silent)
    assert not any("contactor" in text for text in lines(silent))


def test_what_is_estimated_stale_or_unknown_is_marked() -> None:
    estimated = {**CHARGING, "meter": {"power_mw": 1_000_000, "estimated": True}}
    assert any("estimated, there is no meter" in text for text in lines(estimated))
    stale = {**CHARGING, "meter": {**CHARGING["meter"], "power_mw": None, "stale": True}}
    assert any("power unknown" in text for text in lines(stale))
    assert any(text.endswith("stale") for text in lines(stale))


def test_a_wait_tells_how_long() -> None:
    waiting = {**CHARGING, "reason": {"reason": "MINIMUM_OFF_TIME", "text": "the contactor rests", "in_s": 7}}
    assert why(waiting) == "the contactor rests, 7 s left"


@pytest.mark.parametrize("locked", [True, False, None])
def test_every_lock_is_shown_as_it_is(locked: bool | None) -> None:
    text = "\n".join(lines({**CHARGING, "locked": locked}))
    assert ("not locked" in text) is (locked is False)
    assert ("locked" in text) is (locked is not None)


def test_warnings_are_shown_and_a_socket_without_a_cable_is_no_limit_of_0() -> None:
    empty = {"source": "CABLE", "limit_ma": 0, "text": "the cable", "permitted": True, "wins": True}
    text = "\n".join(lines({**CHARGING, "limits": [empty], "cable_ma": None, "warnings": ["the disk is full"]}))
    assert "the disk is full" in text
    assert "0.0 A" not in text


def test_the_absence_of_matter_is_told_once_with_its_reason() -> None:
    off = "\n".join(lines({**CHARGING, "matter_absence": "it was started with --no-matter"}))
    assert "no Matter device: it was started with --no-matter" in off
    broken = "ImportError: a package is missing"
    told = "\n".join(lines({**CHARGING, "matter_absence": broken, "warnings": [f"Matter does not run: {broken}"]}))
    assert told.count(broken) == 1
