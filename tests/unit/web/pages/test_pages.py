"""Pages are made of whatever the box may say: unknown values, silence, faults, hostile names."""

from __future__ import annotations

from typing import Any

import pytest

from evse_pi.api.codec import from_plain
from evse_pi.api.commissioning import Codes
from evse_pi.api.diagnosis import Scope
from evse_pi.api.history import FaultEvent
from evse_pi.api.matter_status import MatterDeviceStatus, Window
from evse_pi.api.readings import NO_READINGS
from evse_pi.api.session_summary import SessionSummary
from evse_pi.api.status import LimitStatus, Owner
from evse_pi.api.texts.quantities import sentence
from evse_pi.api.why import Verdict, Why
from evse_pi.core.faults import Fault
from evse_pi.core.states import EvseState, LimitSource
from evse_pi.diagnostics.explanation import why
from evse_pi.web import layout
from evse_pi.web.page_admission import PinSession
from evse_pi.web.pages import history_page, protected_pages, scope_page, status_page
from hal.units import Milliamps, MilliwattHours
from tests.support.diagnosed_box import DiagnosedBox

SESSION = PinSession("the-token", 1)
MATTER = MatterDeviceStatus(
    running=True,
    trouble=None,
    commissioned=False,
    window=Window.BASIC,
    fabrics=(),
    port=5540,
    test_credentials=True,
)
CODES = Codes("MT:Y.K9042C00KA0648G00", "34970112332", 3840, 20202021)


def shown(page: layout.Page, session: PinSession | None = None) -> str:
    return layout.document(page, "<b>box</b>", session, "1").replace("\N{NO-BREAK SPACE}", " ")


def test_a_charge_shows_power_limit_and_winner(tmp_path: Any) -> None:
    box = DiagnosedBox(tmp_path).charging()
    status = box.status()
    told = shown(status_page.status_page(status, why(status)))
    assert "<h1>Charging</h1>" in told
    assert "closed (mirror closed)" in told
    assert "&lt;b&gt;box&lt;/b&gt;" in told
    told = shown(status_page.why_page(why(status)))
    assert told.count(">decides<") == 1
    for limit in status.limits:
        assert sentence(limit.text) in told


def test_a_fault_shows_what_was_read_and_what_to_do(tmp_path: Any) -> None:
    box = DiagnosedBox(tmp_path).charging()
    box.do("remove_diode")
    box.wait(1)
    told = shown(status_page.why_page(box.why()))
    assert "<h1>Fault</h1>" in told
    assert "The vehicle&#x27;s diode is missing" in told
    assert "PILOT_DIODE" not in told
    assert "<strong>Do: </strong>" in told


def test_silence_of_the_safety_process_is_a_page_as_well(tmp_path: Any) -> None:
    box = DiagnosedBox(tmp_path)
    status = box.status()
    assert "The safety process has not spoken" in shown(status_page.status_page(status, why(status)))
    assert "does not answer" in shown(protected_pages.self_test_page(status, SESSION), SESSION)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"limit_ma": None, "permitted": True}, "no limit"),
        ({"limit_ma": 6_000, "permitted": False}, "no charging"),
        ({"limit_ma": 6_000, "permitted": True, "in_s": 3_700}, "in 1:01:40"),
        ({"limit_ma": 6_000, "permitted": True, "in_s": 0, "counts": False}, "over"),
        ({"source": LimitSource.CABLE, "limit_ma": 0, "permitted": True}, "no cable"),
    ],
)
def test_every_limit_says_what_it_allows_and_until_when(limit: dict[str, Any], words: str) -> None:
    told = LimitStatus(**{"source": LimitSource.OWNER, "text": "the owner", "judged": False, "wins": False, **limit})
    page = status_page.why_page(Why(Verdict.WAITING, "", (), (told,)))
    assert f"<td>{words}</td>" in shown(page)


def test_codes_need_the_pin_and_a_box_that_lets_a_controller_in(tmp_path: Any) -> None:
    status = DiagnosedBox(tmp_path).status()

    def page(session: PinSession | None = SESSION, *, pin_set: bool = True, **changes: Any) -> str:
        codes = CODES if session else None
        return shown(
            protected_pages.codes_page(
                status._replace(matter=MATTER._replace(**changes)), codes, session, pin_set=pin_set
            )
        )

    assert "<svg" in page()
    assert "3497-011-2332" in page()
    assert "<svg" in page(commissioned=True, window=Window.BASIC)
    for told in (
        page(None),
        page(None, pin_set=False),
        page(commissioned=True, window=None),
        page(commissioned=True, window=Window.ENHANCED),
    ):
        assert "<svg" not in told
        assert "3497" not in told
    assert "setup --yes --set-pin-stdin" in page(None, pin_set=False)
    absent = status._replace(matter_absence="it is still being loaded")
    assert "no Matter device: it is still being loaded" in shown(
        protected_pages.codes_page(absent, None, SESSION, pin_set=True)
    )


def test_forms_carry_the_token_of_the_session_and_are_not_there_without(tmp_path: Any) -> None:
    status = DiagnosedBox(tmp_path).ready().status()._replace(owner=Owner(True, Milliamps(10_000)))
    with_pin = shown(protected_pages.control_page(status, SESSION))
    assert with_pin.count("the-token") == 3
    assert "10.0 A" in with_pin
    without = shown(protected_pages.control_page(status, None))
    assert "<form" not in without
    assert "/pin?to=control" in without


def test_a_waveform_is_drawn_inside_its_frame_whatever_was_read() -> None:
    plain: dict[str, Any] = {
        "at_ns": 1, "span_us": 4_700, "samples_mv": [99_999, -99_999, 0], "spacing_us": 49, "high_mv": None,
        "low_mv": -12_000, "spread_mv": None, "high_ppm": None, "driven": "PWM", "driven_ppm": 266_600, "state": "B",
        "evse_state": "B2", "band": None, "bands": [{"state": "B", "from_mv": 7_570, "to_mv": 10_800}],
        "diode": "MISSING", "faults": [],
    }  # fmt: skip
    view = from_plain(Scope, plain, "refuse")
    told = shown(scope_page.scope_page(view))
    assert f'points="40.0,{scope_page.TOP} 210.0,{scope_page.BOTTOM} 380.0,150"' in told
    assert "between two bands" in told
    assert "not seen" in told
    assert "no window" in shown(scope_page.no_scope_page("no window"))


def test_history_is_shown_newest_first_and_as_a_spreadsheet() -> None:
    session = SessionSummary(2, None, None, False, 60, 59, MilliwattHours(1_500_000), True)
    told = shown(history_page.sessions_page((session,)))
    for words in ("time unknown", "~1.500 kWh", "0:00:59", ">now<", "there is no meter"):
        assert words in told
    assert history_page.sessions_csv((session,)).splitlines()[1] == "2,,,False,60,59,1500000,True"
    assert "No sessions so far" in shown(history_page.sessions_page(()))
    fault = FaultEvent(
        number=1,
        fault=Fault.PILOT_SHORT,
        title="a short",
        set_unix_s=1_800_000_000,
        cleared_unix_s=1_800_000_100,
        active=False,
        state=EvseState.E,
        close_ordered=True,
        hint="<script>",
        readings=NO_READINGS,
    )
    told = shown(history_page.faults_page((fault,)))
    assert "PILOT_SHORT" in told
    assert "<script>" not in told
    assert "No faults so far" in shown(history_page.faults_page(()))
