"""A sense that is stuck at its last value while a vehicle charges: seen, named, and nothing closes on it again.

A driver that raises is dead and easily seen; one that repeats what it read last looks like one that is well.
"""

from __future__ import annotations

from functools import partial

import pytest

from evse_pi.core.faults import Fault
from evse_pi.core.states import EvseState
from evse_pi.sim.harness.virtual_box import VirtualBox, VirtualBoxSettings
from hal.mock.script import FaultKind
from tests.support.coupler_board import COUPLER_BOARD
from tests.support.forked import in_a_fork

pytestmark = pytest.mark.hazard("H-16")

MS = 1_000_000
S = 1_000_000_000
BOARD = COUPLER_BOARD
OPEN_WITHIN_MS = 100  # of the vehicle's end of charge; the contactor's 25 ms are within


@pytest.fixture(scope="module")
def charging() -> VirtualBox:
    """A box that charges, to be used in forks only."""
    world = VirtualBox(VirtualBoxSettings(BOARD))
    world.wait_for_state(EvseState.A, 3 * S)
    world.do("plug_in", cable_ma=32_000)
    world.do("auto")
    world.wait_for(lambda: world.energised, 15 * S)
    world.wait(2 * S)
    return world


def stuck(world: VirtualBox, method: str) -> None:
    world.breakage.broken[method] = FaultKind.STUCK
    world.wait(50 * MS)
    assert world.breakage.hits > 0, "it is read in every tick"


def test_a_converter_that_repeats_itself_opens_and_is_named(charging: VirtualBox) -> None:
    def case() -> tuple[bool, frozenset[Fault]]:
        stuck(charging, "pilot_adc.read_window")
        charging.wait(OPEN_WITHIN_MS * MS)
        return charging.energised, charging.faults

    energised, faults = in_a_fork(case)
    assert not energised
    assert Fault.PILOT_ADC_FAILED in faults


@pytest.mark.parametrize("method", ["contactor.read_closed", "voltage_sense.read_live"])
def test_a_contact_that_seems_to_stay_closed_is_a_welded_one(charging: VirtualBox, method: str) -> None:
    def case() -> tuple[bool, frozenset[Fault], bool]:
        stuck(charging, method)
        charging.do("open_s2")
        charging.wait(OPEN_WITHIN_MS * MS)
        energised = charging.energised
        charging.wait(1_500 * MS)  # voltage alone is judged from a second after the order
        faults = charging.faults
        charging.do("close_s2")
        charging.wait(15 * S)
        return energised, faults, charging.asked_closed

    energised, faults, closed_again = in_a_fork(case)
    assert not energised
    assert faults == {Fault.CONTACTOR_WELDED}
    assert not closed_again


def test_a_residual_current_device_that_says_nothing_fails_its_test_before_the_next_vehicle(
    charging: VirtualBox,
) -> None:
    def case() -> tuple[bool, frozenset[Fault]]:
        stuck(charging, "rcd.read_tripped")
        charging.do("unplug")
        charging.wait(12 * S)
        charging.do("plug_in", cable_ma=32_000)
        charging.do("auto")
        closed = False
        for _ in range(200):
            charging.wait(100 * MS)
            closed = closed or charging.asked_closed
        return closed, charging.faults

    closed, faults = in_a_fork(case)
    assert not closed
    assert Fault.RCD_TEST_FAILED in faults


def test_an_emergency_stop_or_a_plug_contact_that_is_stuck_leaves_the_vehicle_its_own_ways_to_open(
    charging: VirtualBox,
) -> None:
    """Nothing tells such a line from one that does not move; the pilot opens none the less."""

    def case(method: str) -> bool:
        stuck(charging, method)
        charging.do("unplug")
        charging.wait(OPEN_WITHIN_MS * MS)
        return charging.energised

    for method in ("emergency_stop.read_pressed", "proximity.read_ohms"):
        assert not in_a_fork(partial(case, method)), method
