"""A log that strangers can write into stays small, and says what it leaves out."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import pytest

from evse_pi.node.log_limit import PERIOD_S, LogLimit

if TYPE_CHECKING:
    from collections.abc import Iterator


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO, Clock]]:
    written, clock = io.StringIO(), Clock()
    handler = logging.StreamHandler(written)
    handler.addFilter(LogLimit(clock))
    logger = logging.Logger("limited", logging.DEBUG)
    logger.addHandler(handler)
    yield logger, written, clock
    handler.close()


def test_one_place_writes_so_many_lines_a_minute_and_then_tells_how_many_it_left_out(
    log: tuple[logging.Logger, io.StringIO, Clock],
) -> None:
    logger, written, clock = log
    for second in range(2):
        clock.now_s = second * PERIOD_S
        for number in range(6_000):
            logger.warning("refused peer=%d", number)
    lines = written.getvalue().splitlines()
    assert len(lines) == 120
    assert lines[0] == "refused peer=0"
    assert lines[59] == "refused peer=59 (more such lines are left out for a minute)"
    assert lines[60] == "refused peer=0 (left out before: 5940 such lines)"


def test_one_place_that_is_flooded_silences_no_other(log: tuple[logging.Logger, io.StringIO, Clock]) -> None:
    logger, written, _ = log
    for _ in range(600):
        logger.info("a flood")
    logger.error("fault set")
    assert written.getvalue().splitlines()[-1] == "fault set"


def test_traces_are_fewer_and_debugging_is_unlimited(log: tuple[logging.Logger, io.StringIO, Clock]) -> None:
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
