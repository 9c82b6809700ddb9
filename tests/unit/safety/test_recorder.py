"""Where the black box lies, and that a place which cannot be written costs history only."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from boards.loader import load_board
from evse_pi.installation.files import ratings
from evse_pi.recorder.ring import RING_BYTES, header_of
from evse_pi.safety.recorder import BlackBoxWriter, RingMemory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCALE = load_board("simulated").pilot_adc.scale
BOARD = ratings(load_board("simulated"))


def begin(former: bytes, write: Callable[[int, bytes], None]) -> BlackBoxWriter:
    return BlackBoxWriter(former, write, safety_run_id=1, scale=SCALE, board=BOARD, started_ns=2)


def test_a_life_that_did_not_end_is_counted_by_the_next(tmp_path: Path) -> None:
    for life, unclean, ends in ((1, 0, False), (2, 1, True), (3, 1, True)):
        memory = RingMemory(tmp_path / "ring")
        box = begin(memory.read(), memory.write)
        header = header_of(memory.read())
        assert (header.life, header.unclean, header.running) == (life, unclean, True)
        if ends:
            box.end()
            assert not header_of(memory.read()).running
        memory.close()
    assert (tmp_path / "ring").stat().st_size == RING_BYTES


def test_memory_that_is_full_loses_history_and_nothing_else() -> None:
    def refuse(_at: int, _content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    box = begin(b"", refuse)
    before = box.lost
    box.end()
    assert (before, box.lost) == (2, 3)
