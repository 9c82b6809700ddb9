"""From “the vehicle opens S2” to “the contacts are apart”: the sum of what the constants allow, against the 100 ms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from boards.loader import read_board
from boards.rules import REACTION_MS
from evse_pi.core.pilot import LEAVE_WINDOWS
from evse_pi.core.pilot_monitor import UNSEEN_NS
from evse_pi.safety.loop import PERIOD_NS

MS = 1_000_000
ACT_NS = 1 * MS  # reading, deciding and writing one line: measured well below
LATENESS_NS = 5 * MS  # a real-time tick is at most this late before the loop itself refuses to energise
BOARDS = sorted((Path(__file__).parents[3] / "boards").glob("*.toml"))


def software_ns(windows: int) -> int:
    """Return the worst time from the vehicle's change to the line's: it just missed a window, then `windows` more."""
    return PERIOD_NS + windows * PERIOD_NS + ACT_NS + LATENESS_NS


@pytest.mark.hazard("H-01")
@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.stem)
def test_every_shipped_board_opens_within_100_ms_of_a_clear_change(board: Any) -> None:
    release_ns = read_board(board).contactor.release_ms * MS
    assert software_ns(LEAVE_WINDOWS) + release_ns <= 100 * MS


@pytest.mark.hazard("H-01")
@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.stem)
def test_every_shipped_board_opens_within_100_ms_though_windows_are_garbled(board: Any) -> None:
    windows = -(-UNSEEN_NS // PERIOD_NS)
    release_ns = read_board(board).contactor.release_ms * MS
    assert software_ns(windows) + release_ns <= 100 * MS


def test_the_software_keeps_to_the_part_of_the_budget_that_boards_reserve_for_it() -> None:
    assert REACTION_MS >= 50
    assert software_ns(-(-UNSEEN_NS // PERIOD_NS)) <= REACTION_MS * MS
