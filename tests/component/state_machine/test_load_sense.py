"""Voltage behind open contacts, and none behind closed ones: a vehicle's, a weld, a lost phase, a broken sense.

The simulated board sees each phase against PE; the board with couplers sees what drives a current through those.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from boards.loader import load_board
from evse_pi.core.faults import Fault
from evse_pi.core.machine import Phase
from evse_pi.core.states import EvseState, Reason
from evse_pi.installation.files import SIMULATED_INSTALLATION
from evse_pi.sim.harness.virtual_box import VirtualBox, VirtualBoxSettings
from evse_pi.sim.signals import Sense
from hal.units import MILLISECOND, SECOND
from tests.support.coupler_board import COUPLER_BOARD
from tests.support.ideal_box import FULL_BOARD, MS, IdealBox, S, settings_for

if TYPE_CHECKING:
    from boards.spec import BoardSpec

BOARD = load_board("simulated")


def charging(
    board: BoardSpec = BOARD, *, release_ms: int = 25, offered_ma: int = 32_000, seed: int = 1, **house: Any
) -> VirtualBox:
    box = VirtualBox(VirtualBoxSettings(board, replace(SIMULATED_INSTALLATION, **house), seed=seed))
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


def reasons(box: VirtualBox) -> set[Reason]:
    assert box.loop is not None
    return {transition.reason for transition in box.loop.state.journal.transitions}


# --- no false weld -------------------------------------------------------------------------------------------------

LEFT: dict[str, dict[str, dict[str, Any]]] = {
    "nothing": {},
    "2.2 µF, 470 kΩ": {"leave_charge": {"microfarad": 2.2, "bleeder_ohm": 470_000}},
    "2.2 µF, 1 MΩ": {"leave_charge": {"microfarad": 2.2, "bleeder_ohm": 1_000_000}},
    "4.4 µF, no bleeder": {"leave_charge": {"microfarad": 4.4}},
    "fed back for 0.5 s": {"feed_back": {"ms": 500}},
    "fed back for 0.9 s, then 4.4 µF": {"feed_back": {"ms": 900}, "leave_charge": {"microfarad": 4.4}},
}


@pytest.mark.hazard("H-03")
@pytest.mark.parametrize("offered_ma", [6_000, 32_000])
@pytest.mark.parametrize("how", ["open_s2", "unplug", "revoked"])
@pytest.mark.parametrize("left", LEFT)
def test_no_normal_stop_is_a_welded_contactor(left: str, how: str, offered_ma: int) -> None:
    box = charging(release_ms=5 if how == "open_s2" else 25, offered_ma=offered_ma)
    for verb, arguments in LEFT[left].items():
        box.do(verb, **arguments)
    stop(box, how)
    box.wait(3 * SECOND)
    assert not box.faults


@pytest.mark.hazard("H-03")
@pytest.mark.parametrize("how", ["open_s2", "unplug", "revoked"])
@pytest.mark.parametrize("left", ["nothing", "2.2 µF, 470 kΩ", "fed back for 0.5 s"])
def test_couplers_make_no_normal_stop_a_welded_contactor(left: str, how: str) -> None:
    """2.2 µF into 136 kΩ and 470 kΩ hold couplers live for 0.64 s. Source: docs/boards/reference.md."""
    box = charging(COUPLER_BOARD)
    for verb, arguments in LEFT[left].items():
        box.do(verb, **arguments)
    stop(box, how)
    lit = box.wait_for(lambda: not box.plant.sense(Sense.LOAD_VOLTAGE), SECOND)
    if left == "2.2 µF, 470 kΩ":
        assert 600 * MILLISECOND < lit < 720 * MILLISECOND
    box.wait(3 * SECOND)
    assert not box.faults


@pytest.mark.hazard("H-03")
def test_a_vehicle_that_feeds_is_told_and_nothing_closes_or_lets_go_meanwhile() -> None:
    box = charging()
    box.do("feed_back", ms=500)
    stop(box, "unplug")
    box.wait(300 * MILLISECOND)
    assert Reason.VEHICLE_FEEDS in reasons(box)
    assert box.plant.lock.bolted
    assert box.loop is not None
    assert not box.loop.state.watch.contactor.apart
    box.wait(3 * SECOND)
    assert not box.plant.lock.bolted
    assert not box.faults


def test_a_stop_that_leaves_direct_voltage_is_not_told_as_a_vehicle_that_feeds() -> None:
    box = charging()
    box.do("leave_charge", microfarad=4.4)
    stop(box, "open_s2")
    box.wait(3 * SECOND)
    assert Reason.VEHICLE_FEEDS not in reasons(box)
    assert box.loop is not None
    assert box.loop.state.watch.contactor.apart, "contacts are proven open whatever the capacitors hold"


@pytest.mark.hazard("H-13")
@pytest.mark.parametrize(
    ("microfarad", "bleeder_ohm", "from_ms", "to_ms"),
    [
        (2.2, 470_000, 1_000, 1_400),  # 0.84 s · ln(162 V / 42 V) = 1.13 s
        (2.2, 1_000_000, 1_800, 2_300),  # 1.47 s · 1.35 = 1.98 s
        (4.4, None, 5_000, 5_400),  # 11.9 s: by the mirror contact alone
    ],
)
def test_the_plug_stays_locked_while_a_vehicle_s_capacitors_hold_more_than_may_be_touched(
    microfarad: float, bleeder_ohm: float | None, from_ms: int, to_ms: int
) -> None:
    box = charging()
    box.do("leave_charge", microfarad=microfarad, bleeder_ohm=bleeder_ohm)
    stop(box, "unplug")
    held_ns = box.wait_for(lambda: not box.plant.lock.bolted, 8 * SECOND)
    travel_ns = BOARD.lock.drive_ms * MILLISECOND if BOARD.lock else 0
    assert from_ms * MILLISECOND < held_ns < to_ms * MILLISECOND + travel_ns


def test_voltage_that_outlasts_a_second_and_a_quarter_is_a_weld() -> None:
    box = charging()
    box.do("feed_back", ms=1_500)
    stop(box, "open_s2")
    opened_ns = box.clock.now_ns
    box.wait_for(lambda: Fault.CONTACTOR_WELDED in box.faults, 2 * SECOND)
    assert 1_200 * MILLISECOND < box.clock.now_ns - opened_ns < 1_300 * MILLISECOND


# --- welds ---------------------------------------------------------------------------------------------------------


def welded(box: VirtualBox, poles: tuple[int, ...] | None, *, neutral: bool = False) -> None:
    box.do("weld", **({} if poles is None else {"poles": poles}))
    if neutral:
        box.plant.contactor.welded, box.plant.contactor.neutral_welded = frozenset(), True


@pytest.mark.hazard("H-03")
@pytest.mark.parametrize("plugged", [True, False])
@pytest.mark.parametrize("poles", [(0,), (1,), (2,), (0, 2), None])
@pytest.mark.parametrize("mirror_stuck", [None, False])
def test_one_welded_pole_is_seen_by_the_mirror_contact_and_by_the_phases(
    poles: tuple[int, ...] | None, mirror_stuck: bool | None, plugged: bool
) -> None:
    box = charging()
    welded(box, poles)
    if mirror_stuck is not None:
        box.do("stick_mirror", closed=mirror_stuck)
        box.wait(20 * MILLISECOND)
    box.do("open_s2" if plugged else "unplug")
    took_ns = box.wait_for(lambda: Fault.CONTACTOR_WELDED in box.faults, 2 * SECOND)
    by_mirror_ns = (25 + 30 + 50) * MILLISECOND  # release, half a bounce, the pilot's reaction
    assert took_ns < (by_mirror_ns if mirror_stuck is None else 1_350 * MILLISECOND)
    box.wait(10 * SECOND)
    assert box.plant.lock.bolted
    assert not box.asked_closed


@pytest.mark.hazard("H-03")
@pytest.mark.parametrize("plugged", [True, False])
def test_a_welded_neutral_is_seen_by_the_mirror_contact_alone(plugged: bool) -> None:
    def case(mirror_stuck: bool | None) -> frozenset[Fault]:
        box = charging()
        welded(box, (), neutral=True)
        if mirror_stuck is not None:
            box.do("stick_mirror", closed=mirror_stuck)
        box.do("open_s2" if plugged else "unplug")
        box.wait(3 * SECOND)
        return box.faults

    assert Fault.CONTACTOR_WELDED in case(None)
    if plugged:
        assert not case(mirror_stuck=False) - {Fault.CONTACTOR_FAILED_TO_CLOSE}


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
        ((1,), False, False),  # by nothing: couplers are no sense of a single pole
    ],
)
def test_couplers_see_two_welded_poles_and_never_one(
    poles: tuple[int, ...] | None, mirror_stuck: bool | None, seen: bool, plugged: bool
) -> None:
    box = charging(COUPLER_BOARD)
    welded(box, poles)
    if mirror_stuck is not None:
        box.do("stick_mirror", closed=mirror_stuck)
        box.wait(20 * MILLISECOND)
    box.do("open_s2" if plugged else "unplug")
    box.wait(1_500 * MILLISECOND)
    assert (Fault.CONTACTOR_WELDED in box.faults) is seen
    if seen:
        assert box.plant.lock.bolted or not plugged


# --- mains that is not there ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [0, 1, 2])
@pytest.mark.parametrize("offered_ma", [6_000, 32_000])
def test_a_phase_that_is_lost_under_load_is_named_and_ends_the_offer(phase: int, offered_ma: int) -> None:
    box = charging(offered_ma=offered_ma)
    box.do("lose_phase", phase=phase)
    took_ns = box.wait_for(lambda: bool(box.faults), SECOND)
    assert box.faults == {Fault.PHASE_LOST}
    assert 500 * MILLISECOND <= took_ns < 560 * MILLISECOND
    box.wait_for(lambda: not box.energised, 7 * SECOND)


@pytest.mark.parametrize("phases", [1, 3])
def test_lost_mains_is_named_and_charging_goes_on_by_itself_when_it_is_back(phases: int) -> None:
    box = charging(phases=phases)
    box.do("lose_phase")
    took_ns = box.wait_for(lambda: bool(box.faults), SECOND)
    assert box.faults == {Fault.SUPPLY_LOST}
    assert 500 * MILLISECOND <= took_ns < 560 * MILLISECOND
    box.wait_for(lambda: not box.energised, 7 * SECOND)
    box.wait(5 * SECOND)
    box.do("lose_phase", on=False)
    box.do("insist", on=True)
    box.wait_for(lambda: box.energised, 120 * SECOND)
    box.wait(5 * SECOND)
    assert not box.faults


def test_a_dip_of_400_ms_ends_nothing() -> None:
    box = charging()
    box.do("lose_phase")
    box.wait(400 * MILLISECOND)
    box.do("lose_phase", on=False)
    box.wait(2 * SECOND)
    assert box.energised
    assert not box.faults


def test_a_phase_that_the_installation_does_not_have_is_not_missed() -> None:
    box = charging(phases=1)
    box.do("lose_phase", phase=1)
    box.do("lose_phase", phase=2)
    box.wait(3 * SECOND)
    assert box.energised
    assert not box.faults


def test_a_contactor_that_lets_go_is_no_lost_mains() -> None:
    """One that had closed and lets go by itself has lost its coil's supply: docs/boards/reference.md."""
    box = charging()
    box.do("break_coil")
    box.wait_for(lambda: bool(box.faults), SECOND)
    assert box.faults == {Fault.SUPPLY_24V}


# --- a sense that is broken ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["open", "low", "high"])
def test_a_sense_that_no_longer_turns_is_found_under_the_closed_contactor(how: str) -> None:
    box = charging()
    box.do("break_load_sense", how=how, phase=1)
    box.wait_for(lambda: bool(box.faults), SECOND)
    assert box.faults == {Fault.PHASE_LOST}


@pytest.mark.parametrize("how", ["low", "high"])
def test_a_sense_that_stands_while_nothing_is_plugged_in_is_named(how: str) -> None:
    box = charging()
    stop(box, "unplug")
    box.wait(10 * SECOND)
    box.do("break_load_sense", how=how, phase=2)
    box.wait_for(lambda: Fault.VOLTAGE_SENSE_FAILED in box.faults, 70 * SECOND)


@pytest.mark.hazard("H-03")
def test_a_sense_that_hums_lets_nothing_close_and_trips_no_switch() -> None:
    """One sense against the mirror contact of all poles: the house would be dark for mains that couples into a wire."""
    box = charging()
    stop(box, "unplug")
    tripped: set[bool] = set()
    box.watchers.append(lambda: tripped.add(box.loop is not None and box.loop.state.outputs.weld_output))
    box.do("break_load_sense", how="hum", phase=0)
    box.wait_for(lambda: Fault.CONTACTOR_WELDED in box.faults, 2 * SECOND)
    box.do("plug_in", cable_ma=32_000)
    box.do("close_s2")
    box.wait(20 * SECOND)
    assert not box.asked_closed
    assert tripped == {False}
    box.do("break_load_sense", how="hum", phase=1)
    box.wait_for(lambda: True in tripped, SECOND)


def test_a_sense_with_a_shorted_resistor_still_judges_right() -> None:
    box = charging()
    box.do("break_load_sense", how="shorted")
    box.wait(2 * SECOND)
    stop(box, "open_s2")
    box.wait(3 * SECOND)
    assert not box.faults


# --- the weld output -----------------------------------------------------------------------------------------------


@pytest.mark.hazard("H-03")
@pytest.mark.parametrize("mirror_stuck", [None, False])
@pytest.mark.parametrize("poles", [(1,), None])
def test_a_weld_trips_the_switch_ahead_of_the_box(poles: tuple[int, ...] | None, mirror_stuck: bool | None) -> None:
    box = charging()
    welded(box, poles)
    if mirror_stuck is not None:
        box.do("stick_mirror", closed=mirror_stuck)
        box.wait(20 * MILLISECOND)
    box.do("open_s2")
    box.wait_for(lambda: not any(box.plant.mains.present), 2 * SECOND)
    assert Fault.CONTACTOR_WELDED in box.faults


def pulses(box: VirtualBox, duration_ns: int) -> int:
    """Return how often the relay closes meanwhile; the switch ahead of the box is not wired to it."""
    found, was = 0, False
    for _ in range(duration_ns // (100 * MILLISECOND)):
        box.plant.agenda.cancel("upstream.release")
        box.wait(100 * MILLISECOND)
        closed = box.plant.weld_relay_closed
        found, was = found + (closed and not was), closed
        box.plant.mains.present = [True] * 3
    return found


def test_pulses_of_a_second_are_repeated_while_the_plug_is_live() -> None:
    """1 s every 10 s until all phases were dead for 10 s. Source: docs/boards/reference.md."""
    box = charging()
    box.plant.settings = replace(box.plant.settings, upstream_ns=3_600 * SECOND)
    welded(box, (0,))
    box.do("open_s2")
    assert pulses(box, 35 * SECOND) == 4
    box.do("weld", poles=())
    box.wait(10 * SECOND)
    assert pulses(box, 30 * SECOND) == 0
    assert Fault.CONTACTOR_WELDED in box.faults


def test_a_weld_from_before_a_restart_trips_nothing_while_the_new_contactor_is_open() -> None:
    box = charging()
    box.plant.settings = replace(box.plant.settings, upstream_ns=3_600 * SECOND)
    welded(box, (0,))
    box.do("open_s2")
    box.wait(3 * SECOND)
    box.do("weld", poles=())
    box.cut_power()
    box.wait(3 * SECOND)
    assert Fault.CONTACTOR_WELDED in box.faults
    assert pulses(box, 30 * SECOND) == 0


@pytest.mark.parametrize("closed", [True, False])
def test_a_relay_that_is_stuck_is_named(closed: bool) -> None:
    box = charging()
    box.plant.settings = replace(box.plant.settings, upstream_ns=3_600 * SECOND)
    box.do("stick_weld_output", closed=closed)
    if not closed:
        welded(box, (0,))
        box.do("open_s2")
    box.wait_for(lambda: Fault.WELD_OUTPUT_FAILED in box.faults, SECOND)
    assert box.loop is not None
    assert box.loop.state.phase is not Phase.CHARGING


class SlowBox(IdealBox):
    """Ticks of 100 ms: no two looks at the load side are half a period apart."""

    def tick(self) -> None:
        self.now_ns += 90 * MS
        super().tick()


@pytest.mark.hazard("H-03")
def test_a_load_side_that_cannot_be_judged_fails_the_self_test_and_is_no_weld() -> None:
    box = SlowBox(settings_for(FULL_BOARD))
    box.run_until(lambda b: b.faults, 10 * S)
    assert box.faults == {Fault.SELF_TEST_FAILED}


# --- a supply without an earthed point -----------------------------------------------------------------------------

IT_HOUSE: dict[str, Any] = {"country": "NO", "earthing": "it", "neutral": False}
"""3×230 V between phases without neutral. Source: Tesla, Wall Connector manual, for houses in Norway. The plant's meter
reads against the star point, which no meter there can."""


def in_norway(*, offered_ma: int = 32_000, earthed: int | None = None, **house: Any) -> VirtualBox:
    """Return a charging box on 3×230 V, one phase of which touches earth from the beginning."""
    box = VirtualBox(
        VirtualBoxSettings(replace(BOARD, meter=None), replace(SIMULATED_INSTALLATION, **IT_HOUSE | house))
    )
    box.do("set_voltage", volts=230 / 3**0.5)
    box.do("earth_phase", phase=earthed)
    box.wait_for_state(EvseState.A, 6 * SECOND)
    box.wait(5 * SECOND)
    box.node.permit(box.clock.now_ns, offered_ma=offered_ma)
    box.do("plug_in", cable_ma=32_000)
    box.wait_for_state(EvseState.B2, 8 * SECOND)
    box.do("close_s2")
    box.wait_for(lambda: box.energised, 8 * SECOND)
    return box


@pytest.mark.hazard("H-03")
@pytest.mark.parametrize("offered_ma", [6_000, 32_000])
@pytest.mark.parametrize("earthed", [None, 0, 1, 2])
def test_the_first_earth_fault_of_an_it_supply_is_no_lost_phase(earthed: int | None, offered_ma: int) -> None:
    """A first fault must not interrupt an IT supply. Source: IEC 60364-4-41, clause 411.6."""
    box = in_norway(offered_ma=offered_ma, earthed=earthed)
    box.wait(8 * SECOND)
    assert not {fault for fault in box.faults if fault in (Fault.PHASE_LOST, Fault.SUPPLY_LOST)}
    assert box.energised


@pytest.mark.parametrize("earthed", [None, 0])
def test_nor_is_one_that_comes_while_a_single_phase_charges(earthed: int | None) -> None:
    box = in_norway(phases=1, neutral=True, circuit_capacity_ma=16_000, offered_ma=16_000)
    box.do("earth_phase", phase=earthed)
    box.wait(8 * SECOND)
    assert Fault.PHASE_LOST not in box.faults
    assert Fault.SUPPLY_LOST not in box.faults


def test_an_it_supply_that_goes_is_still_lost() -> None:
    box = in_norway(earthed=0)
    box.do("lose_phase")
    box.wait_for(lambda: Fault.SUPPLY_LOST in box.faults, 3 * SECOND)


@pytest.mark.hazard("H-03")
@pytest.mark.parametrize("earthed", [None, 1])
def test_a_welded_phase_of_an_it_supply_is_seen_also_while_another_touches_earth(earthed: int | None) -> None:
    box = in_norway(earthed=earthed)
    box.do("weld", poles=[0])
    box.do("stick_mirror", closed=False)
    box.do("unplug")
    box.wait_for(lambda: Fault.CONTACTOR_WELDED in box.faults, 4 * SECOND)
