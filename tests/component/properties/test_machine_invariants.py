"""Whatever the world does, in whatever order: what must hold after every tick. Numbers are literal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from evse_pi.core.faults import Fault
from evse_pi.core.records import Request
from tests.support.checked_box import CABLES, CheckedBox
from tests.support.ideal_box import FULL_BOARD, GATED_BOARD, MS, PLAIN_BOARD, S, settings_for

DRIVERS = [fault for fault in Fault if fault.name.endswith("_FAILED") and fault >= Fault.PILOT_ADC_FAILED]
ALARMS = [Fault.TIMING_BUDGET, Fault.INSTALLATION_INVALID, Fault.LIVE_NEUTRAL_SWAP, Fault.INTERNAL]
WAITS_MS = [10, 20, 30, 50, 90, 100, 110, 200, 290, 310, 490, 510, 990, 1_010, 2_990, 3_010, 4_990, 5_010, 5_990, 6_010]
LONG_WAITS_MS = [9_990, 10_010, 12_000, 15_010, 20_000]


class World(RuleBasedStateMachine):
    """Verbs of the world over a checked box."""

    box: CheckedBox

    @initialize(
        board=st.sampled_from([PLAIN_BOARD, FULL_BOARD, GATED_BOARD, GATED_BOARD]),
        ventilated=st.booleans(),
        capacity_ma=st.sampled_from([6_000, 10_000, 16_000, 32_000]),
        vehicle=st.sampled_from("ABC"),
        lucky=st.booleans(),
    )
    def start(self, board: Any, ventilated: Any, capacity_ma: Any, vehicle: Any, lucky: Any) -> None:
        house = settings_for(board, ventilated=ventilated, circuit_capacity_ma=capacity_ma)
        self.box = CheckedBox(house, vehicle=vehicle, ohms=220)
        if lucky:  # random verbs seldom get as far as to charge
            self.box.run(10_200 * MS)
            self.box.vehicle = "C"
            self.box.run(7 * S)

    @rule(ohms=st.sampled_from(sorted(CABLES)))
    @precondition(lambda self: self.box.vehicle == "A")
    def plug_in(self, ohms: Any) -> None:
        self.box.ohms = ohms
        self.box.run(300 * MS)
        self.box.vehicle = "B"

    @rule(vehicle=st.sampled_from("BCCD"))
    @precondition(lambda self: self.box.vehicle != "A")
    def ask(self, vehicle: Any) -> None:
        self.box.vehicle = vehicle

    @rule(on_ms=st.sampled_from([10, 20, 40, 200]), off_ms=st.sampled_from([10, 20, 30, 100]))
    @precondition(lambda self: self.box.vehicle in "BC")
    def flap(self, on_ms: Any, off_ms: Any) -> None:
        for _ in range(6):
            self.box.vehicle = "C"
            self.box.run(on_ms * MS)
            self.box.vehicle = "B"
            self.box.run(off_ms * MS)

    @rule()
    def unplug(self) -> None:
        self.box.unplug()

    @rule()
    def short_pilot(self) -> None:
        self.box.vehicle = "E"

    @rule(present=st.booleans())
    def diode(self, present: Any) -> None:
        self.box.diode = present

    @rule(windows=st.integers(1, 8))
    def garble(self, windows: Any) -> None:
        self.box.garbled = True
        self.box.run(windows * 10 * MS)
        self.box.garbled = False

    @rule(permitted=st.booleans(), asked_ma=st.integers(5_500, 40_000))
    def demand(self, permitted: Any, asked_ma: Any) -> None:
        self.box.permitted, self.box.asked_ma = permitted, asked_ma

    @rule(alive=st.booleans())
    def node(self, alive: Any) -> None:
        self.box.node_alive = alive

    @rule(drivers=st.sets(st.sampled_from(DRIVERS), max_size=1), alarms=st.sets(st.sampled_from(ALARMS), max_size=1))
    def trouble(self, drivers: Any, alarms: Any) -> None:
        self.box.failures, self.box.alarms = frozenset(drivers), frozenset(alarms)

    @rule()
    def trip(self) -> None:
        self.box.rcd_latched = True

    @rule(
        part=st.sampled_from(["gate", "returned", "whole", "latch_cuts", "supply_mv", "hold_ns"]), shorted=st.booleans()
    )
    def break_coil(self, part: str, shorted: Any) -> None:
        """Let one part of the coil's circuit be wrong, in one of two ways, and all others as they should."""
        self.box.coil.mend()
        ways = {
            "gate": (False, True),
            "returned": (False, True),
            "supply_mv": (17_000, 0),
            "hold_ns": (30 * MS, 80 * MS),
        }
        setattr(self.box.coil, part, ways.get(part, (False, False))[shorted])

    @rule()
    def mend_coil(self) -> None:
        self.box.coil.mend()

    @rule(pressed=st.booleans())
    def emergency_stop(self, pressed: Any) -> None:
        self.box.emergency_stop = pressed

    @rule(
        drawn_ma=st.sampled_from([0, 5_000, 16_000, 60_000]), temperature=st.sampled_from([20_00, 66_00, 69_00, 75_00])
    )
    def sensors(self, drawn_ma: Any, temperature: Any) -> None:
        self.box.drawn_ma, self.box.temperature = (drawn_ma,) * 3, temperature

    @rule(request=st.sampled_from([r for r in Request if r] + [Request.CLEAR_USER | Request.CLEAR_INSTALLER]))
    def order(self, request: Request) -> None:
        self.box.order(request)

    @rule()
    def restart(self) -> None:
        self.box.restart()

    @rule(wait_ms=st.sampled_from(WAITS_MS))
    def wait(self, wait_ms: Any) -> None:
        self.box.run(wait_ms * MS)

    @rule(wait_ms=st.sampled_from(LONG_WAITS_MS))
    def wait_long(self, wait_ms: Any) -> None:
        self.box.run(wait_ms * MS)

    @rule()
    def make_all_well(self) -> None:
        box = self.box
        box.failures = box.alarms = frozenset()
        box.coil.mend()
        box.emergency_stop = box.garbled = box.rcd_latched = False
        box.diode = box.node_alive = box.permitted = True
        box.temperature, box.drawn_ma, box.vehicle = 20_00, (0, 0, 0), "A"
        box.run(2 * S)
        box.order(Request.CLEAR_USER | Request.CLEAR_INSTALLER)
        box.run(2 * S)

    def teardown(self) -> None:
        if hasattr(self, "box"):
            assert self.box.told == list(range(1, len(self.box.told) + 1)), "I8"


COMMON: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@pytest.mark.hazard("H-01")
@pytest.mark.hazard("H-02")
@pytest.mark.hazard("H-10")
def test_no_order_of_events_breaks_an_invariant() -> None:
    run_state_machine_as_test(
        World, settings=settings(max_examples=25, stateful_step_count=25, derandomize=True, database=None, **COMMON)
    )


@pytest.mark.nightly
def test_no_order_of_events_breaks_an_invariant_in_a_long_search() -> None:
    run_state_machine_as_test(World, settings=settings(max_examples=2_000, stateful_step_count=60, **COMMON))
