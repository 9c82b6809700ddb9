"""What the status LED says."""

from __future__ import annotations

from itertools import pairwise

from evse_pi.core.faults import NO_FAULTS, Fault
from evse_pi.core.status_light import lit
from hal.units import MILLISECOND

FAULTY = frozenset({Fault.OVERCURRENT})


def changes_in_two_seconds(
    faults: frozenset[Fault] = NO_FAULTS, *, closed: bool = False, identify: bool = False
) -> int:
    shown = [
        lit(at * MILLISECOND, faults=faults, close_ordered=closed, identify=identify) for at in range(0, 2_010, 10)
    ]
    return sum(before is not after for before, after in pairwise(shown))


def test_charging_is_steady_light_and_idle_steady_dark() -> None:
    assert lit(0, faults=NO_FAULTS, close_ordered=True, identify=False)
    assert not lit(0, faults=NO_FAULTS, close_ordered=False, identify=False)
    assert changes_in_two_seconds(closed=True) == changes_in_two_seconds() == 0


def test_a_fault_blinks_and_identifying_blinks_twice_as_fast_whatever_the_box_does() -> None:
    assert changes_in_two_seconds(FAULTY) == changes_in_two_seconds(FAULTY, closed=True) == 4
    assert changes_in_two_seconds(identify=True) == changes_in_two_seconds(FAULTY, closed=True, identify=True) == 8
