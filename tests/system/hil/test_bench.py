"""A real board on the bench, nothing plugged in, with `evse-pi run` beside these tests: `make hil`.

They ask the running box and order nothing but a self-test, which closes no contactor. What is expected stands in
IEC 61851-1: state A is 12 V (Table A.4, 11 V to 13 V at the vehicle's connector), the generator's rails are 12 V within
0.6 V (Table A.2), and the contactor opens within 100 ms (Table A.6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evse_pi.api.client import BoxNotRunning, ask
from evse_pi.api.diagnosis import SCOPE, TIMING
from evse_pi.api.status import STATUS, SelfTestStatus
from evse_pi.cli.installer_commands import self_tested
from evse_pi.core.states import EvseState, PilotState
from evse_pi.paths import resolve_paths

if TYPE_CHECKING:
    from pathlib import Path

    from evse_pi.api.status import Status

pytestmark = pytest.mark.hil
RAIL_MV = (11_400, 12_600)


@pytest.fixture(scope="module")
def socket() -> Path:
    """Return where the running box listens: EVSE_PI_RUN_DIR or the installed service."""
    return resolve_paths().control_socket


@pytest.fixture
def box(socket: Path) -> Status:
    try:
        return ask(socket, STATUS)
    except BoxNotRunning:
        pytest.fail(f"{socket}: no box runs; start one with: evse-pi run")


def test_the_pilot_is_in_state_a_and_its_rails_are_right(box: Status, socket: Path) -> None:
    assert box.pilot is not None
    assert (box.pilot.state, box.pilot.evse_state) == (PilotState.A, EvseState.A), "unplug the vehicle"
    assert 11_000 <= box.pilot.high_mv <= 13_000
    window = ask(socket, SCOPE)
    for rail_mv in (window.positive_mv, window.negative_mv):
        assert rail_mv is None or RAIL_MV[0] <= abs(rail_mv) <= RAIL_MV[1]


def test_the_contactor_is_open_by_every_sense_that_the_board_has(box: Status) -> None:
    assert box.contactor is not None
    assert not box.contactor.close_ordered
    assert box.contactor.mirror_closed is not True
    assert box.contactor.load_live is not True


def test_the_self_test_passes_with_every_measurement_in_its_band(socket: Path) -> None:
    after = self_tested(socket)
    assert after.safety.self_test is SelfTestStatus.PASSED
    assert after.safety.evidence
    assert not [each for each in after.safety.evidence if not each.passed]


def test_the_box_reacts_within_what_the_contactor_leaves_of_100_ms(socket: Path) -> None:
    timing = ask(socket, TIMING)
    assert timing.ticks > 1_000, "let it run for some seconds"
    assert timing.budget_us == 100_000 - timing.release_us
    assert timing.fits


def test_there_is_no_fault(box: Status) -> None:
    assert not box.faults
