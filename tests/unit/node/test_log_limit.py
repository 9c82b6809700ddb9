"""A log that strangers can write into stays small, and says what it leaves out."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import pytest

from evse_pi.node.log_limit import PERIOD_S, LogLimit
from evse_pi.sim.harness.virtual_clock import VirtualClock
from hal.units import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO, VirtualClock]]:
    written, clock = io.StringIO(), VirtualClock(0)
    handler = logging.StreamHandler(written)
    handler.addFilter(LogLimit(lambda: clock.now_ns / SECOND))
    logger = logging.Logger("limited", logging.DEBUG)
    logger.addHandler(handler)
    yield logger, written, clock
    handler.close()


def test_one_place_writes_so_many_lines_a_minute_and_then_tells_how_many_it_left_out(
    log: tuple[logging.Logger, io.StringIO, VirtualClock],
) -> None:
    logger, written, clock = log
    for second in range(2):
        clock.sleep_until(int(second * PERIOD_S * SECOND))
        for number in range(6_000):
            logger.warning("refused peer=%d", number)
    lines = written.getvalue().splitlines()
    assert len(lines) == 120
    assert lines[0] == "refused peer=0"
    assert lines[59] == "refused peer=59 (more such lines are left out for a minute)"
    assert lines[60] == "refused peer=0 (left out before: 5940 such lines)"


def test_one_place_that_is_flooded_silences_no_other(log: tuple[logging.Logger, io.StringIO, VirtualClock]) -> None:
    logger, written, _ = log
    for _ in range(600):
        logger.info("a flood")
    logger.error("fault set")
    assert written.getvalue().splitlines()[-1] == "fault set"


def test_traces_are_fewer_and_debugging_is_unlimited(log: tuple[logging.Logger, io.StringIO, VirtualClock]) -> None:
    logger, written, _ = log
    for number in range(60):
        try:
            int(f"x{number}")
        except ValueError:
            logger.exception("failed")
    assert written.getvalue().count("Traceback") == 6
    for _ in range(600):
        logger.debug("frame")
    assert written.getvalue().count("frame") == 600
