"""When the switch ahead of the box is tripped. Source of the times: docs/boards/reference.md."""

from __future__ import annotations

import pytest

from evse_pi.core.faults import Fault
from evse_pi.core.weld_control import WeldControl, first_weld_control
from hal.units import MILLISECOND as MS
from hal.units import SECOND as S

WELDED = frozenset((Fault.CONTACTOR_WELDED,))
NONE: frozenset[Fault] = frozenset()


def driven(
    output: WeldControl, seconds: int, *, seen: bool, dead: bool, faults: frozenset[Fault] = WELDED
) -> list[int]:
    """Return in which tenths of a second from 100 s on the output is driven."""
    found = []
    for tenth in range(10 * seconds):
        output = output.advance(100 * S + tenth * 100 * MS, faults, seen, None, dead=dead)
        if output.driving:
            found.append(tenth)
    return found


@pytest.mark.hazard("H-03")
def test_a_pulse_of_a_second_is_repeated_every_ten_while_the_weld_is_seen() -> None:
    tenths = driven(WeldControl(), 25, seen=True, dead=False)
    assert tenths == [*range(10), *range(100, 110), *range(200, 210)]


def test_a_load_side_that_was_dead_for_ten_seconds_needs_no_further_pulse() -> None:
    assert driven(WeldControl(), 40, seen=True, dead=True) == list(range(10))


def test_a_weld_that_has_let_go_gets_the_first_pulse_alone() -> None:
    assert driven(WeldControl(), 30, seen=False, dead=False) == list(range(10))


def test_a_fault_from_before_a_restart_trips_only_what_is_still_closed() -> None:
    """Else the supply could never be switched on again after the contactor was replaced."""
    assert driven(first_weld_control(WELDED), 30, seen=False, dead=True) == []
    assert driven(first_weld_control(WELDED), 5, seen=True, dead=False) == list(range(10))


def test_no_other_fault_trips_anything() -> None:
    assert driven(WeldControl(), 30, seen=False, dead=False, faults=frozenset(Fault) - WELDED) == []


@pytest.mark.parametrize("stuck", [True, False])
def test_a_relay_that_does_not_follow_is_named_after_100_ms(stuck: bool) -> None:
    output = WeldControl()
    faults = NONE if stuck else WELDED
    seen = []
    for tick in range(30):
        now_ns = S + tick * 10 * MS
        output = output.advance(now_ns, faults, seen=not stuck, readback=stuck, dead=stuck)
        seen.append(bool(output.faults(now_ns)))
    assert not any(seen[:10])
    assert seen[12]


def test_a_relay_that_follows_within_its_time_is_no_fault() -> None:
    output, closed = WeldControl(), [False] * 5 + [True] * 50
    for tick, readback in enumerate(closed):
        now_ns = S + tick * 10 * MS
        output = output.advance(now_ns, WELDED, seen=True, readback=readback, dead=False)
        assert not output.faults(now_ns)
