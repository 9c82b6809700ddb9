"""Everything that can change, changed in one tick: every pair of changes in every phase, and random larger sets.

What a window shows is believed after two, what every other input says at once: a change of the vehicle is therefore
also let come up to five ticks before the other one. Expected values are the norm's, not the machine's.
"""

from __future__ import annotations

import random
from itertools import combinations
from typing import Any

import pytest

from evse_pi.core.faults import FAULTS, Fault, Severity
from evse_pi.core.machine import Phase
from evse_pi.core.records import Request
from evse_pi.core.states import EvseState, PilotMode, PilotState
from tests.support.ideal_box import FULL_BOARD, MS, IdealBox, S, box_in, settings_for

SETTINGS = settings_for(FULL_BOARD, circuit_capacity_ma=16_000)  # hot, a quarter is less than can be offered
DRIVERS = [fault for fault in Fault if fault.name.endswith("_FAILED") and "TEST" not in fault.name]


def _vehicle(state: str) -> Any:
    return lambda box: setattr(box, "vehicle", state)


def _set(name: str, value: Any) -> Any:
    return lambda box: setattr(box, name, value)


def _sense(name: str, value: Any) -> Any:
    """A change of what a sensor reads, told in this very tick."""

    def change(box: IdealBox) -> None:
        setattr(box, name, value)
        box.demand = None

    return change


LINE = {
    **{f"vehicle {state}": _vehicle(state) for state in "ABCDE"},
    "no diode": _set("diode", False),
    "garbled": _set("garbled", True),
}
REST = {
    "refused": _set("permitted", False),
    **{f"{ma} mA asked": _set("asked_ma", ma) for ma in (0, 1, 3_000, 5_999, 6_000, 10_000, 32_000)},
    "lease over": lambda box: (setattr(box, "node_alive", False), setattr(box, "demand", None)),  # type: ignore[func-returns-value]
    **{f"{t / 100} degrees": _sense("temperature", t) for t in (66_00, 69_00, 72_00)},
    "60 A drawn": _sense("drawn_ma", (60_000,) * 3),
    "meter silent": _sense("meter_alive", False),
    "thermometer silent": _sense("thermometer_alive", False),
    "contacts stuck closed": _set("stuck_closed", True),
    "contacts stuck open": _set("stuck_open", True),
    "residual current": _set("rcd_latched", True),
    "emergency stop": _set("emergency_stop", True),
    **{f"{ohms} ohms": _set("ohms", ohms) for ohms in (None, 10, 1_500, 100)},
    "bolt out": _set("locked", False),
    **{fault.name: _set("failures", frozenset({fault})) for fault in DRIVERS},
    "too late": _set("alarms", frozenset({Fault.TIMING_BUDGET})),
    "file invalid": _set("alarms", frozenset({Fault.INSTALLATION_INVALID})),
    **{f"order {order.name}": (lambda box, order=order: box.order(order)) for order in Request if order},
}
CHANGES = {**LINE, **REST}


def _led_to(name: str) -> IdealBox:
    if name == "TESTING":
        return IdealBox(SETTINGS, vehicle="B", ohms=220)
    if name == "STOPPING":
        box = box_in(EvseState.C2, SETTINGS)
        box.permitted = False
        box.run(S)
    elif name == "WAKING":
        box = box_in(EvseState.B2, SETTINGS)
        box.run_until(lambda b: b.state.phase is Phase.WAKING, 100 * S)
    elif name == "FAULTED":
        box = box_in(EvseState.C2, SETTINGS)
        box.garbled = True
        box.run_until(lambda b: b.state.phase is Phase.FAULTED, S)
        box.garbled = False
    elif name == "CLOSING":
        box = box_in(EvseState.B2, SETTINGS)
        box.vehicle = "C"
        box.run(510 * MS)
    elif name == "LOWERED":
        box = box_in(EvseState.C2, SETTINGS)
        box.asked_ma = 6_000
        box.run(S)
    else:
        box = box_in(EvseState[name], SETTINGS)
    return box


SITUATIONS = ["TESTING", "A", "B1", "B2", "C1", "CLOSING", "C2", "LOWERED", "STOPPING", "WAKING", "FAULTED", "E"]


def check(box: IdealBox, was_closed: bool, what: str) -> None:
    """What must hold after any tick, whatever came in it."""
    outputs, status, phase = box.outputs, box.state.status, box.state.phase
    offered_ma, duty = box.state.offer.offered_ma, outputs.pilot.duty_ppm
    oscillates = box.mode is PilotMode.PWM
    assert oscillates == (offered_ma > 0), what
    if oscillates:
        assert 100_000 <= duty <= 970_000, what
        assert 6_000 <= offered_ma <= 16_000, what
        assert box.demand is not None, what
        assert box.demand.permitted, what
        assert offered_ma <= box.demand.offered_current_ma, what
        assert not box.faults, what
    shown = {PilotState.B: "B", PilotState.C: "C", PilotState.D: "D"}.get(box.state.watch.pilot.state)
    if box.mode is PilotMode.LOW:
        assert status.evse_state is EvseState.F, what
    elif shown:
        assert status.evse_state.name == shown + ("2" if oscillates else "1"), what
    if outputs.close_ordered:
        assert phase in (Phase.CHARGING, Phase.STOPPING), what
        assert all(FAULTS[fault].severity is Severity.STOP for fault in box.faults), what
        assert outputs.lock is not False, what
        assert not outputs.rcd_test, what
        assert not outputs.rcd_reset, what
        if not was_closed:
            assert not box.faults, what
            assert oscillates, what
            assert box.diode, what
            assert box.vehicle == "C", what


def play(situation: IdealBox, changes: list[Any], apart: int, what: str) -> None:
    """Let the first change come `apart` ticks before the rest, and look at every tick until the line is believed."""
    box = situation.fork()
    first, *others = changes
    first(box)
    for tick in range(apart + 6):
        if tick == apart:
            for change in others:
                change(box)
        was_closed = box.closed
        try:
            box.tick()
        except Exception as error:
            raise AssertionError(f"{what}: {error!r}") from error
        check(box, was_closed, what)
        if tick - apart >= 2 and box.vehicle not in ("C", "D"):
            assert not box.closed, what


@pytest.mark.hazard("H-01")
@pytest.mark.hazard("H-04")
@pytest.mark.hazard("H-08")
@pytest.mark.parametrize("name", SITUATIONS)
def test_every_pair_of_changes_fits_into_one_tick(name: Any) -> None:
    situation = _led_to(name)
    for one, other in combinations(CHANGES, 2):
        spans = range(6) if one in LINE and other in REST else (0,)
        for apart in spans:
            what = f"{name}: {one}, {apart} ticks later {other}"
            play(situation, [CHANGES[one], CHANGES[other]], apart, what)


@pytest.mark.hazard("H-01")
@pytest.mark.hazard("H-04")
@pytest.mark.parametrize("name", SITUATIONS)
def test_any_number_of_changes_fits_into_one_tick(name: Any) -> None:
    situation, rng = _led_to(name), random.Random(11)
    for _ in range(150):
        line = rng.choice(list(LINE))
        chosen = rng.sample(list(REST), rng.randint(2, 8))
        apart = rng.randrange(6)
        play(situation, [LINE[line], *(REST[name] for name in chosen)], apart, f"{name}: {line}, {apart}, {chosen}")
