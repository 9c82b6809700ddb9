"""Voltage behind open contacts: the sense's own capacitor, what a vehicle leaves, and a weld.

The simulated circuit draws the couplers between phases and neutral, with their hold of 40 ms.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from boards.loader import load_board
from evse_pi.core.faults import Fault
from evse_pi.core.states import EvseState
from evse_pi.installation.files import SIMULATED_INSTALLATION
from evse_pi.sim.harness.virtual_box import VirtualBox, VirtualBoxSettings
from evse_pi.sim.signals import Sense
from hal.units import MILLISECOND, SECOND

BOARD = load_board("simulated")


def charging(*, release_ms: int = 25, offered_ma: int = 32_000, phases: int = 3) -> VirtualBox:
    box = VirtualBox(VirtualBoxSettings(BOARD, replace(SIMULATED_INSTALLATION, phases=phases)))
    box.plant.contactor.settings = replace(box.plant.contactor.settings, release_ns=release_ms * MILLISECOND)
    box.wait_for_state(EvseState.A, 6 * SECOND)
    box.wait(5 * SECOND)
    box.node.permit(box.clock.now_ns, offered_ma=offered_ma)
    box.do("plug_in", cable_ma=32_000)
    box.wait_for_state(EvseState.B2, 8 * SECOND)
    box.do("close_s2")
    box.wait_for(lambda: box.energised, 8 * SECOND)
    box.wait(2 * SECOND)
    return box


def stop(box: VirtualBox, how: str) -> None:
    """Let the contactor open: by the vehicle, by its plug, or by the box under load."""
    if how == "revoked":
        box.do("insist", on=True)
        box.node.permit(box.clock.now_ns, permitted=False)
    else:
        box.do(how)
    box.wait_for(lambda: not box.energised, 8 * SECOND)


@pytest.mark.hazard("H-03")
@pytest.mark.parametrize("offered_ma", [6_000, 32_000])
@pytest.mark.parametrize("how", ["open_s2", "unplug", "revoked"])
@pytest.mark.parametrize(("release_ms", "left_ms"), [(5, 0), (25, 0), (25, 640), (12, 900)])
def test_no_normal_stop_is_a_welded_contactor(how: str, release_ms: int, left_ms: int, offered_ma: int) -> None:
    box = charging(release_ms=release_ms, offered_ma=offered_ma)
    box.do("leave_voltage", ms=left_ms)
    stop(box, how)
    box.wait(3 * SECOND)
    assert not box.faults


def test_the_plug_stays_locked_for_as_long_as_a_vehicle_leaves_voltage() -> None:
    box = charging()
    box.do("leave_voltage", ms=700)
    stop(box, "unplug")
    box.wait(500 * MILLISECOND)
    assert box.plant.sense(Sense.LOAD_VOLTAGE)
    assert box.plant.lock.bolted
    box.wait(3 * SECOND)
    assert not box.plant.lock.bolted


@pytest.mark.hazard("H-03")
@pytest.mark.parametrize("plugged", [True, False])
@pytest.mark.parametrize(
    ("poles", "mirror_stuck", "seen"),
    [
        (None, None, True),
        ((0,), None, True),  # by the mirror contact alone: one pole drives no current through the couplers
        ((0, 2), None, True),
        (None, False, True),  # by the couplers alone
        ((0, 2), False, True),
        ((1,), False, False),  # by nothing on this board, which has no sense from each phase to earth
    ],
)
def test_a_weld_is_seen_by_whatever_can_see_it(
    poles: tuple[int, ...] | None, mirror_stuck: bool | None, seen: bool, plugged: bool
) -> None:
    box = charging()
    box.do("weld", **({} if poles is None else {"poles": poles}))
    if mirror_stuck is not None:
        box.do("stick_mirror", closed=mirror_stuck)
        box.wait(20 * MILLISECOND)
    box.do("open_s2" if plugged else "unplug")
    box.wait(1_500 * MILLISECOND)
    assert (Fault.CONTACTOR_WELDED in box.faults) is seen
    if seen:
        assert box.plant.lock.bolted or not plugged


def test_voltage_that_outlasts_a_second_and_a_quarter_is_a_weld() -> None:
    box = charging()
    box.do("leave_voltage", ms=1_500)
    stop(box, "open_s2")
    opened_ns = box.clock.now_ns
    box.wait_for(lambda: Fault.CONTACTOR_WELDED in box.faults, 2 * SECOND)
    assert 1_200 * MILLISECOND < box.clock.now_ns - opened_ns < 1_300 * MILLISECOND
