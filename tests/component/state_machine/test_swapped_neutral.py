"""Live and neutral swapped ahead of the box: L1 behind the contacts stands at earth, and the meter reads its 230 V.

Source: docs/boards/reference.md, load sense against PE; the fault is LiveNeutralSwap of the Energy EVSE cluster.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from boards.loader import load_board
from evse_pi.core.faults import Fault
from evse_pi.core.states import EvseState
from evse_pi.installation.files import SIMULATED_INSTALLATION
from evse_pi.sim.harness.virtual_box import VirtualBox, VirtualBoxSettings
from hal.units import SECOND

pytestmark = pytest.mark.hazard("H-05")

BOARD = load_board("simulated")


def asking(
    *, offered_ma: int = 16_000, swapped: bool = False, lost: dict[str, int] | None = None, **house: Any
) -> tuple[VirtualBox, set[Fault]]:
    """Return a box whose vehicle has just got its contactor closed, and the faults that come from now on."""
    box = VirtualBox(VirtualBoxSettings(BOARD, replace(SIMULATED_INSTALLATION, **house)))
    box.node.permit(box.clock.now_ns, offered_ma=offered_ma)
    box.wait_for_state(EvseState.A, 6 * SECOND)
    box.wait(5 * SECOND)
    box.do("swap_live_neutral", on=swapped)
    if lost is not None:
        box.do("lose_phase", **lost)
    named: set[Fault] = set()
    box.watchers.append(lambda: named.update(box.faults))
    box.do("plug_in", cable_ma=32_000)
    box.wait_for_state(EvseState.B2, 8 * SECOND)
    box.do("close_s2")
    box.wait_for(lambda: box.asked_closed, 8 * SECOND)
    return box, named


@pytest.mark.parametrize("offered_ma", [6_000, 16_000, 32_000])
def test_a_swap_is_named_and_stays_until_the_installer(offered_ma: int) -> None:
    box, named = asking(offered_ma=offered_ma, swapped=True)
    box.wait_for(lambda: Fault.LIVE_NEUTRAL_SWAP in box.faults, 8 * SECOND)
    box.wait_for(lambda: not box.asked_closed, 8 * SECOND)
    assert Fault.LIVE_NEUTRAL_SWAP in named
    assert named <= {Fault.LIVE_NEUTRAL_SWAP, Fault.OVERVOLTAGE}  # the meter reads 400 V on L2 and L3
    box.do("unplug")
    box.wait(3 * SECOND)
    assert Fault.LIVE_NEUTRAL_SWAP in box.faults


@pytest.mark.parametrize("phases", [1, 3])
def test_a_supply_as_it_should_be_is_none(phases: int) -> None:
    most_ma = 20_000 if phases == 1 else 32_000
    box, named = asking(phases=phases, circuit_capacity_ma=most_ma)
    box.wait(15 * SECOND)
    assert box.energised
    assert not named


@pytest.mark.parametrize("lost", [{}, {"phase": 0}])
def test_a_supply_that_is_not_there_is_lost_and_not_swapped(lost: dict[str, int]) -> None:
    box, named = asking(lost=lost)
    box.wait_for(lambda: not box.asked_closed, 30 * SECOND)
    assert Fault.LIVE_NEUTRAL_SWAP not in named
    assert named & {Fault.SUPPLY_LOST, Fault.PHASE_LOST, Fault.UNDERVOLTAGE, Fault.POWER_QUALITY}


def test_a_supply_without_an_earthed_point_has_no_such_verdict() -> None:
    _, named = asking(swapped=True, country="NO", earthing="it")
    assert Fault.LIVE_NEUTRAL_SWAP not in named


def test_a_phase_that_goes_while_the_vehicle_charges_is_not_swapped() -> None:
    box, named = asking()
    box.wait(3 * SECOND)
    box.do("lose_phase", phase=0)
    box.wait(8 * SECOND)
    assert named
    assert Fault.LIVE_NEUTRAL_SWAP not in named


def blind(phases: int) -> tuple[VirtualBox, set[Fault]]:
    """Return a box whose first sense opened before a close, at a supply that is as it should be."""
    box, named = asking(phases=phases, circuit_capacity_ma=16_000)
    box.wait(3 * SECOND)
    assert not named
    box.do("open_s2")
    box.wait(15 * SECOND)
    box.do("break_load_sense", how="open", phase=0)
    box.do("close_s2")
    box.wait_for(lambda: bool(named), 12 * SECOND)
    return box, named


@pytest.mark.parametrize("phases", [1, 3])
def test_a_sense_that_opened_since_it_last_showed_l1_is_no_swap(phases: int) -> None:
    """Lines do not change places by themselves; the resistor of a sense does open. Source: docs/boards/reference.md."""
    _, named = blind(phases)
    assert named == {Fault.VOLTAGE_SENSE_FAILED}


def test_on_three_phases_the_other_two_tell_a_swap_from_an_open_sense_at_the_first_close() -> None:
    """With L1 at the neutral the meter reads 400 V, the voltage between two phases, on the other two."""
    box = VirtualBox(VirtualBoxSettings(BOARD, SIMULATED_INSTALLATION))
    box.do("break_load_sense", how="open", phase=0)
    box.node.permit(box.clock.now_ns, offered_ma=16_000)
    box.wait_for_state(EvseState.A, 6 * SECOND)
    box.do("plug_in", cable_ma=32_000)
    box.wait_for_state(EvseState.B2, 12 * SECOND)
    box.do("close_s2")
    box.wait_for(lambda: bool(box.faults), 15 * SECOND)
    assert box.faults == {Fault.VOLTAGE_SENSE_FAILED}
