"""The sequences of IEC 61851-1 Table A.6, as far as their numbers and times are known; every number is literal."""

from __future__ import annotations

from typing import Any

import pytest

from evse_pi.core.states import EvseState, PilotMode, Reason
from tests.support.ideal_box import FULL_BOARD, MS, PLAIN_BOARD, TICK_NS, S, box_in, settings_for

BOARDS = pytest.mark.parametrize(
    "settings", [settings_for(PLAIN_BOARD), settings_for(FULL_BOARD)], ids=["plain", "full"]
)


@BOARDS
def test_sequence_1_plugging_in_shows_b1_and_then_b2_when_charging_is_allowed(settings: Any) -> None:
    box = box_in(EvseState.A, settings)
    box.plug_in()
    box.run_until(lambda b: b.state.status.evse_state is EvseState.B2, 3 * S)
    assert box.mode is PilotMode.PWM
    assert not box.closed


@pytest.mark.hazard("H-01")
@BOARDS
def test_sequence_2_1_unplugging_without_load_ends_the_offer_within_100_ms(settings: Any) -> None:
    box = box_in(EvseState.B2, settings)
    box.unplug()
    box.run(100 * MS)
    assert box.state.status.evse_state is EvseState.A
    assert box.mode is PilotMode.HIGH


@pytest.mark.hazard("H-01")
@BOARDS
def test_sequence_2_2_unplugging_under_load_opens_within_100_ms(settings: Any) -> None:
    box = box_in(EvseState.C2, settings)
    box.unplug()
    took_ns = box.run_until(lambda b: not b.closed, 100 * MS)
    assert took_ns + settings.board.contactor_release_ns <= 100 * MS


@BOARDS
def test_sequence_4_the_contactor_closes_within_3_s_after_the_vehicle_asks(settings: Any) -> None:
    box = box_in(EvseState.B2, settings)
    box.vehicle = "C"
    took_ns = box.run_until(lambda b: b.closed, 3 * S)
    assert took_ns + settings.board.contactor_pull_in_ns <= 3 * S


@BOARDS
def test_sequence_4_holds_for_a_vehicle_that_asks_before_it_is_offered_anything(settings: Any) -> None:
    box = box_in(EvseState.C1, settings)
    box.permitted = True
    box.run_until(lambda b: b.state.status.evse_state is EvseState.C2, S)
    assert box.run_until(lambda b: b.closed, 3 * S) <= 3 * S


@BOARDS
def test_sequence_6_a_changed_order_is_signalled_within_10_s(settings: Any) -> None:
    box = box_in(EvseState.C2, settings)
    box.asked_ma = 8_000
    box.run_until(lambda b: b.outputs.pilot.duty_ppm == 133_333, 10 * S)
    box.asked_ma = 32_000
    box.run_until(lambda b: b.outputs.pilot.duty_ppm == 533_333, 10 * S)
    assert box.closed


@pytest.mark.hazard("H-01")
@pytest.mark.parametrize("state", [EvseState.C2, EvseState.D2])
def test_sequence_8_1_a_vehicle_that_stops_has_an_open_contactor_within_100_ms(state: Any) -> None:
    settings = settings_for(FULL_BOARD, ventilated=True)
    box = box_in(state, settings)
    box.vehicle = "B"
    took_ns = box.run_until(lambda b: not b.closed, 100 * MS)
    assert took_ns + settings.board.contactor_release_ns <= 100 * MS
    assert box.state.status.evse_state is EvseState.B2
    assert box.mode is PilotMode.PWM


@BOARDS
def test_sequence_9_a_refusal_while_the_vehicle_waits_ends_the_offer_at_once(settings: Any) -> None:
    box = box_in(EvseState.B2, settings)
    box.permitted = False
    box.run(2 * TICK_NS)
    assert box.state.status.evse_state is EvseState.B1


@pytest.mark.hazard("H-15")
@BOARDS
@pytest.mark.hazard("H-15")
def test_sequence_10_1_a_vehicle_that_lets_go_after_the_offer_ended_is_opened_without_load(settings: Any) -> None:
    box = box_in(EvseState.C2, settings)
    loaded = box.state.watch.contactor.openings_under_load
    box.permitted = False
    box.run(2 * TICK_NS)
    assert (box.mode, box.closed, box.reason) == (PilotMode.HIGH, True, Reason.STOPPING)
    box.run(2 * S)
    assert box.closed
    box.vehicle = "B"
    box.run_until(lambda b: not b.closed, 100 * MS)
    assert box.state.watch.contactor.openings_under_load == loaded


@pytest.mark.hazard("H-10")
@BOARDS
def test_sequence_10_2_a_vehicle_that_does_not_let_go_is_opened_under_load_after_6_s_and_not_before(
    settings: Any,
) -> None:
    box = box_in(EvseState.C2, settings)
    box.drawn_ma = (16_000,) * 3
    box.run(5 * S)
    loaded = box.state.watch.contactor.openings_under_load
    box.permitted = False
    box.run_until(lambda b: b.mode is PilotMode.HIGH, 100 * MS)
    took_ns = box.run_until(lambda b: not b.closed, 7 * S)
    assert 6 * S <= took_ns <= 6 * S + 100 * MS
    assert box.state.status.evse_state is EvseState.C1
    assert box.state.watch.contactor.openings_under_load == loaded + 1


@BOARDS
def test_sequence_11_a_toggle_of_200_ms_is_told_and_does_not_move_the_contactor(settings: Any) -> None:
    box = box_in(EvseState.B2, settings)
    before = box.state.journal.transitions[-1].number
    for _ in range(3):
        box.vehicle = "C"
        box.run(200 * MS)
        box.vehicle = "B"
        box.run(200 * MS)
    told = [t.evse_state for t in box.state.journal.transitions if t.number > before]
    assert [state for state in told if state is EvseState.C2] == [EvseState.C2] * 3
    assert box.state.watch.contactor.cycles == 0


@BOARDS
def test_sequence_12_a_short_under_load_opens_within_100_ms_and_is_told_as_e_or_f(settings: Any) -> None:
    box = box_in(EvseState.C2, settings)
    box.vehicle = "E"
    box.run_until(lambda b: not b.closed, 100 * MS)
    assert box.state.status.evse_state is EvseState.F
    box.run(S)
    assert box.state.status.evse_state is EvseState.E
