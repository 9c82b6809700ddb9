"""Every method of every driver, broken in every way, in every state: safe at once, named, and recovered by the table.

The matrix is generated. Each case starts from a box that was brought into its state once, breaks one method, and lets
the day go on: the vehicle stops, leaves, another one comes. A watcher looks at the contacts after every tick.
"""

from __future__ import annotations

from array import array
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.core.faults import FAULTS, Clear, Fault
from evse_pi.core.records import Request
from evse_pi.core.states import EvseState
from evse_pi.installation.files import SIMULATED_INSTALLATION
from evse_pi.sim.harness.virtual_box import VirtualBox, VirtualBoxSettings
from evse_pi.sim.vehicle import S2
from hal.mock.script import FaultKind
from tests.support.coupler_board import COUPLER_BOARD
from tests.support.forked import in_a_fork

if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.interfaces import PilotWindow

pytestmark = [pytest.mark.hazard("H-08"), pytest.mark.hazard("H-09"), pytest.mark.hazard("H-16")]

MS = 1_000_000
BOARD = COUPLER_BOARD
INSTALLATION = replace(SIMULATED_INSTALLATION, ventilated=True)

DRIVER_FAULT = {
    "pilot_adc": Fault.PILOT_ADC_FAILED,
    "pilot_pwm": Fault.PILOT_PWM_FAILED,
    "contactor": Fault.CONTACTOR_DRIVE_FAILED,
    "voltage_sense": Fault.VOLTAGE_SENSE_FAILED,
    "rcd": Fault.RCD_DRIVE_FAILED,
    "proximity": Fault.PROXIMITY_READ_FAILED,
    "lock": Fault.LOCK_DRIVE_FAILED,
    "emergency_stop": Fault.EMERGENCY_STOP_READ_FAILED,
    "watchdog": Fault.WATCHDOG_DRIVE_FAILED,
    "weld_output": Fault.WELD_OUTPUT_FAILED,
}


def three_volts_lower(window: PilotWindow) -> PilotWindow:
    return replace(window, codes=array("H", [max(0, code - 410) for code in window.codes]))


DRIFTS: dict[str, Callable[[Any], Any]] = {
    "pilot_adc.read_window": three_volts_lower,
    "pilot_pwm.set_duty": lambda ppm: min(1_000_000, ppm + 300_000),
    "contactor.read_closed": lambda closed: not closed,
    "voltage_sense.read_live": lambda live: not live,
    "weld_output.read_closed": lambda closed: not closed,
    "rcd.read_tripped": lambda tripped: not tripped,
    "proximity.read_ohms": lambda ohms: ohms and ohms * 3,
    "lock.read_locked": lambda locked: not locked,
    "emergency_stop.read_pressed": lambda pressed: not pressed,
}
METHODS = (
    *DRIFTS,
    "pilot_pwm.set_high",
    "pilot_pwm.set_low",
    "contactor.open",
    "contactor.close",
    "contactor.maintain",
    "rcd.set_test",
    "rcd.reset",
    "lock.drive_lock",
    "lock.drive_unlock",
    "lock.stop",
    "watchdog.lower",
    "watchdog.pulse",
)
KINDS = (FaultKind.RAISE, FaultKind.HANG, FaultKind.STUCK, FaultKind.DRIFT)
CASES = [(method, kind) for method in METHODS for kind in KINDS if kind is not FaultKind.DRIFT or method in DRIFTS]

OPEN_WITHIN_MS = 100
GATE_MS = 65 + 25  # the watchdog's longest hold and the contactor's release
SLOWER = {
    # The software cannot open: its pulses stop in the tick that knows, and the gate does the rest.
    ("contactor.open", FaultKind.RAISE): 20 + 10 + GATE_MS,
    # That nothing opened is known from the mirror contact only.
    ("contactor.open", FaultKind.STUCK): 20 + 25 + 30 + 10 + GATE_MS,
}
STEADY_MS = 6_000 + OPEN_WITHIN_MS
"""Without the negative half nothing tells a converter that drifts from a vehicle; the 6 s of grace are the bound."""


def prepare(state: EvseState) -> VirtualBox:
    """Bring a new box into `state`."""
    world = VirtualBox(VirtualBoxSettings(BOARD, INSTALLATION))
    if state is EvseState.F:
        world.wait(100 * MS)
        return world
    world.wait_for_state(EvseState.A, 3_000 * MS)
    world.wait(5_000 * MS)
    if state is EvseState.A:
        return world
    if state is EvseState.B1:
        world.node.permit(world.clock.now_ns, permitted=False)
    world.do("plug_in", cable_ma=32_000)
    if state is not EvseState.B1:
        world.wait_for_state(EvseState.B2, 3_000 * MS)
    if state in (EvseState.C1, EvseState.C2, EvseState.D1, EvseState.D2):
        world.do("ask_ventilation" if state in (EvseState.D1, EvseState.D2) else "close_s2")
        world.wait_for(lambda: world.energised, 3_000 * MS)
        world.wait(2_000 * MS)
    if state in (EvseState.C1, EvseState.D1):
        world.do("ignore_pwm_stop")
        world.node.permit(world.clock.now_ns, permitted=False)
    if state is EvseState.E:
        world.do("short_pilot")
    world.wait_for_state(state, 1_000 * MS)
    world.wait(50 * MS)
    return world


prepared = cache(prepare)


class Watcher:
    """Looks at the contacts after every tick."""

    def __init__(self, world: VirtualBox, open_within_ms: int, *, at_once: bool) -> None:
        self.world = world
        self.seen: set[Fault] = set()
        self._limit_ns = open_within_ms * MS
        self._at_once = at_once
        self._asked_ns = world.clock.now_ns
        self._hits = world.breakage.hits

    def look(self) -> None:
        world, car = self.world, self.world.plant.vehicle
        self.seen |= world.faults
        now_ns = world.clock.now_ns
        if car.plugged and car.s2 is not S2.OPEN and not car._short:
            self._asked_ns = now_ns
        unasked_ns = now_ns - self._asked_ns
        assert not world.energised or unasked_ns <= self._limit_ns, f"live {unasked_ns} ns after it was asked for"
        if self._at_once and world.breakage.hits > self._hits:
            assert not world.asked_closed, "a driver raised, and the contactor is still asked to be closed"
        self._hits = world.breakage.hits


def live_on(world: VirtualBox) -> None:
    """The vehicle stops, leaves, and another one comes that asks for power."""
    car = world.plant.vehicle
    world.wait(300 * MS)
    if car.plugged:
        world.do("clear_short")
        world.do("open_s2")
        world.wait(300 * MS)
        world.do("unplug")
    world.wait(300 * MS)
    world.node.permit(world.clock.now_ns)
    world.do("plug_in", cable_ma=32_000)
    world.do("auto")
    world.wait(1_500 * MS)
    world.do("open_s2")
    world.do("unplug")
    world.wait(300 * MS)


def broken_day(state: EvseState, method: str, kind: FaultKind) -> tuple[int, set[Fault]]:
    world = prepared(state)
    at_once = kind is FaultKind.RAISE and method != "contactor.open"
    drifts_unseen = kind is FaultKind.DRIFT and method == "pilot_adc.read_window" and state is EvseState.C1
    limit_ms = STEADY_MS if drifts_unseen else SLOWER.get((method, kind), OPEN_WITHIN_MS)
    watcher = Watcher(world, limit_ms, at_once=at_once)
    world.watchers.append(watcher.look)
    world.breakage.drifts.update(DRIFTS)
    world.breakage.broken[method] = kind
    live_on(world)
    return world.breakage.hits, watcher.seen


@pytest.mark.parametrize("state", EvseState, ids=lambda state: state.name)
@pytest.mark.parametrize("method", METHODS)
def test_broken_driver_leaves_nothing_live_and_is_named(state: EvseState, method: str) -> None:
    prepared(state)
    for kind in [kind for each, kind in CASES if each == method]:
        hits, seen = in_a_fork(partial(broken_day, state, method, kind))
        if not hits:
            return  # nothing calls it on such a day, so it makes no difference how it is broken
        if kind is FaultKind.RAISE:
            assert DRIVER_FAULT[method.split(".")[0]] in seen, f"{kind}: {seen}"


@pytest.mark.parametrize("method", METHODS)
def test_hung_driver_opens_by_the_gate(method: str) -> None:
    def hang() -> tuple[int, bool]:
        world = prepared(EvseState.C2)
        world.breakage.broken[method] = FaultKind.HANG
        world.wait((10 + GATE_MS) * MS)
        return world.breakage.hits, world.energised

    hits, energised = in_a_fork(hang)
    assert energised is (hits == 0)


def recover(method: str) -> None:
    """Break a method while charging, mend it, do what the fault table asks for, and charge again."""
    world = prepared(EvseState.C2)
    world.breakage.broken[method] = FaultKind.RAISE
    world.wait(200 * MS)
    faults = world.faults
    world.breakage.broken.clear()
    world.do("unplug")
    world.wait(2_000 * MS)
    rules = [FAULTS[fault] for fault in faults]
    if any(row.clear is Clear.RESTART for row in rules):
        world.kill()
    if any(row.clear & Clear.BY_INSTALLER for row in rules):
        world.node.order(world.clock.now_ns, Request.CLEAR_INSTALLER)
    world.wait(max((row.clear_delay_ns for row in rules), default=0) + 5_000 * MS)
    assert not world.faults, world.describe()
    world.do("plug_in", cable_ma=32_000)
    world.do("auto")
    world.wait_for(lambda: world.energised, 20_000 * MS)


@pytest.mark.parametrize("method", METHODS)
def test_mended_driver_charges_again_after_what_the_table_asks_for(method: str) -> None:
    prepared(EvseState.C2)
    in_a_fork(lambda: recover(method))
