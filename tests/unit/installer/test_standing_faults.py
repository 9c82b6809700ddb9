"""What stands by the safety process's own record: a proof more is for a fault that never went, and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from boards.loader import load_board
from evse_pi.core.faults import Fault
from evse_pi.core.records import Request
from evse_pi.installer.standing_faults import StandingFaults
from evse_pi.paths import RING_FILE
from evse_pi.safety.recorder import BlackBoxWriter, RingMemory
from tests.support.ideal_box import FULL_BOARD, TICK_NS, IdealBox, S, settings_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCALE = load_board("simulated").pilot_adc.scale
CLEAR = Request.CLEAR_USER | Request.CLEAR_INSTALLER


class Recorded:
    """The decisions of a box whose contactor welds, written as the safety process writes them."""

    def __init__(self, folder: Path) -> None:
        self.box = IdealBox(settings_for(FULL_BOARD))
        self.memory = RingMemory(folder / RING_FILE)
        self.writer = BlackBoxWriter(
            b"", self.memory.write, safety_run_id=1, scale=SCALE, board=self.box.settings.board, started_ns=0
        )

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            before, inputs = self.box.state, self.box.inputs()
            self.box.run(TICK_NS)
            self.writer.note(before, inputs, self.box.state, self.box.settings, (0, 0), None)


@pytest.fixture
def welded(tmp_path: Path) -> Iterator[Recorded]:
    recorded = Recorded(tmp_path)
    recorded.box.run(3 * S)
    recorded.box.stuck_closed = True
    recorded.run(300)
    assert Fault.CONTACTOR_WELDED in recorded.box.faults
    yield recorded
    recorded.memory.close()


@pytest.mark.hazard("H-03")
def test_a_weld_that_stands_is_left(welded: Recorded, tmp_path: Path) -> None:
    standing = StandingFaults(tmp_path)
    welded.box.order(CLEAR)
    welded.run(50)
    assert standing.left() == {Fault.CONTACTOR_WELDED}


@pytest.mark.hazard("H-03")
@pytest.mark.hazard("H-14")
def test_one_that_was_cleared_and_came_back_is_not_the_same(welded: Recorded, tmp_path: Path) -> None:
    standing = StandingFaults(tmp_path)
    welded.box.stuck_closed = False
    welded.run(50)
    welded.box.order(CLEAR)
    welded.run(5)
    assert Fault.CONTACTOR_WELDED not in welded.box.faults
    welded.box.stuck_closed = True
    welded.run(300)
    assert Fault.CONTACTOR_WELDED in welded.box.faults
    assert standing.left() == set()


def test_what_a_user_or_time_clears_is_no_reason_to_prove_an_order_again(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path)
    recorded.box.run(3 * S)
    recorded.box.rcd_latched = True
    recorded.run(100)
    assert Fault.RCD_TRIPPED in recorded.box.faults
    standing = StandingFaults(tmp_path)
    recorded.run(10)
    assert standing.left() == set()


def test_without_a_record_or_with_one_that_does_not_reach_back_nothing_is_known(
    welded: Recorded, tmp_path: Path
) -> None:
    assert StandingFaults(tmp_path / "elsewhere").left() == set()
    standing = StandingFaults(tmp_path)
    welded.run(1_600)  # more than the record holds
    assert standing.left() == set()
    (tmp_path / RING_FILE).write_bytes(b"no record")
    assert StandingFaults(tmp_path).left() == set()
