"""The coil between its switches. Voltages and verdicts: the table of docs/boards/reference.md, section on the coil."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evse_pi.sim.coil_circuit import KICK_NS, CoilCircuit, CoilState
from evse_pi.sim.contactor_model import Coil, ContactorSettings
from evse_pi.sim.plant import Plant, PlantSettings, WatchdogSettings
from evse_pi.sim.residual import RcdSettings
from evse_pi.sim.signals import Analog, Drive, Sense

MS = 1_000_000
SECOND = 1_000 * MS
HOLD_NS = 50 * MS
GATED = PlantSettings(contactor=ContactorSettings(bounce_ns=0), watchdog=WatchdogSettings(HOLD_NS, HOLD_NS))


def fed(plant: Plant, from_ns: int, until_ns: int) -> None:
    """Give an edge every 10 ms."""
    for at_ns in range(from_ns, until_ns, 10 * MS):
        plant.drive(Drive.WATCHDOG, False, at_ns)
        plant.drive(Drive.WATCHDOG, True, at_ns)


def node_v(plant: Plant, at_ns: int) -> float:
    plant.advance(at_ns)
    return plant.analog(Analog.COIL_NODE)


@pytest.mark.parametrize("supply_v", [20.4, 24.0, 28.8])
@pytest.mark.parametrize(
    ("gate", "returned", "share"), [(False, False, 0.5), (True, False, 1.0), (False, True, 0.0), (True, True, 0.0)]
)
def test_the_node_tells_the_four_orders_apart(supply_v: float, gate: bool, returned: bool, share: float) -> None:
    state = CoilState(supply_v, gate, returned)
    assert state.node_v == pytest.approx(supply_v * share, abs=0.1)


@pytest.mark.parametrize(
    "state", [CoilState(0.0), CoilState(24.0, whole=False), CoilState(24.0, gate=True, whole=False)]
)
def test_without_supply_or_winding_the_node_is_at_ground(state: CoilState) -> None:
    assert state.node_v == 0.0
    assert state.strength is Coil.OFF


@pytest.mark.parametrize(
    ("supply_v", "strength"), [(16.0, Coil.OFF), (18.0, Coil.HOLD), (20.3, Coil.HOLD), (20.4, Coil.FULL)]
)
def test_a_sagging_supply_holds_before_it_lets_go(supply_v: float, strength: Coil) -> None:
    assert CoilState(supply_v, gate=True, returned=True).strength is strength


def test_a_coil_that_loses_its_return_kicks_and_one_that_loses_its_gate_does_not() -> None:
    circuit = CoilCircuit()
    for state, volts in ((CoilState(24.0, gate=True), 57.0), (CoilState(24.0, returned=True), 0.0)):
        circuit.set(0, CoilState(24.0, gate=True, returned=True))
        circuit.set(1, state)
        assert circuit.node_v(1 + KICK_NS - 1) == volts
        assert circuit.node_v(1 + KICK_NS) == state.node_v


def test_after_opening_the_node_shows_how_long_the_gate_holds() -> None:
    plant = Plant(GATED)
    plant.drive(Drive.CONTACTOR, True, 0)
    fed(plant, 0, SECOND)
    assert plant.sense(Sense.MIRROR)
    plant.drive(Drive.CONTACTOR, False, SECOND)
    last_ns = SECOND - 10 * MS
    assert node_v(plant, SECOND + KICK_NS) == pytest.approx(24.0, abs=0.1)
    assert node_v(plant, last_ns + HOLD_NS - 1) == pytest.approx(24.0, abs=0.1)
    assert node_v(plant, last_ns + HOLD_NS) == pytest.approx(12.0, abs=0.1)


@pytest.mark.parametrize(
    ("verb", "args", "lines", "closed"),
    [
        ("break_gate", {"how": "shorted"}, {Drive.CONTACTOR}, True),
        ("break_gate", {"how": "open"}, {Drive.CONTACTOR, Drive.WATCHDOG}, False),
        ("break_return", {"how": "shorted"}, {Drive.WATCHDOG}, True),
        ("break_return", {"how": "open"}, {Drive.CONTACTOR, Drive.WATCHDOG}, False),
        ("break_coil", {}, {Drive.CONTACTOR, Drive.WATCHDOG}, False),
        ("supply_coil", {"mv": 0}, {Drive.CONTACTOR, Drive.WATCHDOG}, False),
        ("supply_coil", {"mv": 16_000}, {Drive.CONTACTOR, Drive.WATCHDOG}, False),
    ],
)
def test_a_broken_part_closes_or_keeps_open_and_is_mended(
    verb: str, args: dict[str, object], lines: set[Drive], closed: bool
) -> None:
    plant = Plant(GATED)
    plant.apply(verb, args, 0)
    plant.drive(Drive.CONTACTOR, Drive.CONTACTOR in lines, 0)
    if Drive.WATCHDOG in lines:
        fed(plant, 0, SECOND)
    plant.advance(SECOND)
    assert plant.sense(Sense.MIRROR) is closed
    plant.apply("repair", {}, SECOND)
    plant.advance(2 * SECOND)
    assert not plant.sense(Sense.MIRROR)


def test_a_gate_holds_as_long_as_it_is_told_to() -> None:
    plant = Plant(GATED)
    plant.apply("stretch_gate", {"ms": 120}, 0)
    plant.drive(Drive.WATCHDOG, True, 0)
    assert node_v(plant, 120 * MS - 1) == pytest.approx(24.0, abs=0.1)
    assert node_v(plant, 120 * MS) == pytest.approx(12.0, abs=0.1)


@pytest.mark.parametrize("cut", [False, True])
def test_the_latch_takes_the_return_unless_it_is_cut_from_it(cut: bool) -> None:
    plant = Plant(replace(GATED, watchdog=None, rcd=RcdSettings()))
    plant.apply("cut_latch", {"on": cut}, 0)
    plant.drive(Drive.CONTACTOR, True, 0)
    plant.advance(SECOND)
    plant.apply("trip_rcd", {}, SECOND)
    plant.advance(2 * SECOND)
    assert plant.sense(Sense.RCD_TRIPPED)
    assert plant.sense(Sense.MIRROR) is cut


def test_the_emergency_stop_stands_in_the_coil_s_own_supply() -> None:
    plant = Plant(GATED)
    plant.apply("press_stop", {}, 0)
    assert node_v(plant, MS) == 0.0
