"""Whatever the world does, in whatever order: what must hold after every tick. Numbers are literal."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from evse_pi.core.faults import FAULTS, Clear, Fault, Severity
from evse_pi.core.matter_view import matter_view
from evse_pi.core.records import Request
from evse_pi.core.states import FaultState, MatterState, PilotMode, PilotState, SupplyState
from tests.support.ideal_box import FULL_BOARD, MS, PLAIN_BOARD, IdealBox, S, settings_for

CABLES = {1_500: 13_000, 680: 20_000, 220: 32_000, 100: 63_000}
DRIVERS = [fault for fault in Fault if fault.name.endswith("_FAILED") and fault >= Fault.PILOT_ADC_FAILED]
ALARMS = [Fault.TIMING_BUDGET, Fault.INSTALLATION_INVALID, Fault.LIVE_NEUTRAL_SWAP, Fault.INTERNAL]
WAITS_MS = [10, 20, 30, 50, 90, 100, 110, 200, 290, 310, 490, 510, 990, 1_010, 2_990, 3_010, 4_990, 5_010, 5_990, 6_010]
LONG_WAITS_MS = [9_990, 10_010, 12_000, 15_010, 20_000]


def car_reads(duty_ppm: int) -> int:
    """Return what a vehicle may draw at a duty cycle, in mA."""
    if duty_ppm <= 850_000:
        return duty_ppm * 6 // 100
    return (duty_ppm - 640_000) // 4


class CheckedBox(IdealBox):
    """The ideal box, which checks every invariant after every tick."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asking_ns = -(10**18)
        self.allowed_ns = -(10**18)
        self.closed_ns = -(10**18)
        self.unplugged_ns = self.gone_long_ns = self.now_ns
        self.gone_ns: dict[Fault, int] = {}
        self.told: list[int] = []

    def tick(self) -> None:
        was_closed, before, number = self.closed, self.faults, self.state.watch.lease.order_number
        super().tick()
        ordered = number is not None and number != self.state.watch.lease.order_number
        self._remember()
        self.check_closed(was_closed)
        self.check_offer()
        self.check_faults(before, self.request if ordered else Request.NONE)
        self.check_views()
        self.check_plug()
        self.told += [t.number for t in self.state.journal.transitions if not self.told or t.number > self.told[-1]]

    def restart(self) -> None:
        super().restart()
        self.told, self.gone_ns = [], {}
        self.asking_ns = -(10**18)

    def _remember(self) -> None:
        if self.vehicle in ("C", "D") and not self.garbled:
            self.asking_ns = self.now_ns
        demand = self.demand
        valid = demand is not None and demand.valid_until_ns > self.now_ns
        soft = any(FAULTS[fault].severity is Severity.STOP for fault in self.faults)
        if valid and demand.permitted and 6_000 <= demand.offered_current_ma <= 80_000 and not soft:
            self.allowed_ns = self.now_ns
        if self.vehicle != "A":
            self.unplugged_ns = self.now_ns
        elif self.now_ns - self.unplugged_ns >= 1 * S:
            self.gone_long_ns = self.now_ns
        sources = self.failures | self.alarms
        for fault in self.faults:
            self.gone_ns[fault] = self.now_ns if fault in sources else self.gone_ns.get(fault, self.now_ns)

    def check_closed(self, was_closed: bool) -> None:
        if not self.closed:
            return
        pilot = self.state.watch.pilot
        allowed = (PilotState.C, PilotState.D) if self.settings.installation.ventilated else (PilotState.C,)
        assert pilot.state in allowed, "I1"
        assert self.state.watch.tests.passed, "I1"
        assert all(FAULTS[fault].severity is Severity.STOP for fault in self.faults), "I1, I4"
        assert self.now_ns - self.allowed_ns <= 6_100 * MS, "I1, I6"
        assert not self.failures, "I4"
        assert self.now_ns - self.asking_ns + self.settings.board.contactor_release_ns <= 100 * MS, "I2"
        if not was_closed:
            assert self.now_ns - self.closed_ns >= 5 * S, "I9"
            assert self.now_ns - self.started_ns >= 10 * S, "I9"
            assert self.diode, "H-06"
            self.closed_ns = self.now_ns
            board = self.settings.board
            assert not board.lock_fitted or self.locked, "H-13"

    def check_offer(self) -> None:
        offered_ma = self.state.offer.offered_ma
        if self.mode is not PilotMode.PWM:
            assert offered_ma == 0
            return
        assert self.state.watch.pilot.state in (PilotState.B, PilotState.C, PilotState.D)
        house, board = self.settings.installation, self.settings.board
        assert self.demand is not None
        limits = [house.circuit_capacity_ma, board.rated_current_ma, self.demand.offered_current_ma]
        limits.append(board.tethered_cable_ma or CABLES[self.ohms])
        assert 6_000 <= car_reads(self.outputs.pilot.duty_ppm) <= offered_ma <= min(limits), "I3"

    def check_faults(self, before: frozenset[Fault], ordered: Request) -> None:
        for fault in before - self.faults:
            clear = FAULTS[fault].clear
            ways = [
                Clear.WHEN_GONE in clear,
                Clear.ON_UNPLUG in clear and self.now_ns - self.gone_long_ns <= 30 * MS,
                Clear.BY_USER in clear and Request.CLEAR_USER in ordered,
                Clear.BY_INSTALLER in clear and Request.CLEAR_INSTALLER in ordered,
                fault is Fault.RCD_TRIPPED and not self.rcd_latched,
            ]
            assert any(ways), f"I5 {fault.name}"
            assert fault not in self.failures | self.alarms, "I5"
            delay_ns = FAULTS[fault].clear_delay_ns if Clear.WHEN_GONE in clear else 0
            assert self.now_ns - self.gone_ns.pop(fault) >= delay_ns, f"I5 {fault.name}"

    def check_views(self) -> None:
        status = self.state.status
        view = matter_view(
            self.state.watch.pilot.state,
            self.faults,
            permitted=status.permitted,
            charging=self.closed,
            diagnosing=self.state.watch.tests.running,
        )
        faulty = view.fault_state is not FaultState.NO_ERROR
        assert faulty == bool(self.faults), "I7"
        assert faulty == (view.supply_state is SupplyState.DISABLED_ERROR) == (view.state is MatterState.FAULT), "I7"

    def check_plug(self) -> None:
        outputs = self.outputs
        assert not (outputs.contactor_closed and (outputs.rcd_test or outputs.rcd_reset)), "H-05"
        if self.contacts_closed:
            assert outputs.lock is not False, "H-13"


class World(RuleBasedStateMachine):
    """Verbs of the world over a checked box."""

    box: CheckedBox

    @initialize(
        full=st.booleans(),
        ventilated=st.booleans(),
        capacity_ma=st.sampled_from([6_000, 10_000, 16_000, 32_000]),
        vehicle=st.sampled_from("ABC"),
        lucky=st.booleans(),
    )
    def start(self, full, ventilated, capacity_ma, vehicle, lucky) -> None:
        board = FULL_BOARD if full else PLAIN_BOARD
        house = settings_for(board, ventilated=ventilated, circuit_capacity_ma=capacity_ma)
        self.box = CheckedBox(house, vehicle=vehicle, ohms=220)
        if lucky:  # random verbs seldom get as far as to charge
            self.box.run(10_200 * MS)
            self.box.vehicle = "C"
            self.box.run(7 * S)

    @rule(ohms=st.sampled_from(sorted(CABLES)))
    @precondition(lambda self: self.box.vehicle == "A")
    def plug_in(self, ohms) -> None:
        self.box.ohms = ohms
        self.box.run(300 * MS)
        self.box.vehicle = "B"

    @rule(vehicle=st.sampled_from("BCCD"))
    @precondition(lambda self: self.box.vehicle != "A")
    def ask(self, vehicle) -> None:
        self.box.vehicle = vehicle

    @rule(on_ms=st.sampled_from([10, 20, 40, 200]), off_ms=st.sampled_from([10, 20, 30, 100]))
    @precondition(lambda self: self.box.vehicle in "BC")
    def flap(self, on_ms, off_ms) -> None:
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
    def diode(self, present) -> None:
        self.box.diode = present

    @rule(windows=st.integers(1, 8))
    def garble(self, windows) -> None:
        self.box.garbled = True
        self.box.run(windows * 10 * MS)
        self.box.garbled = False

    @rule(permitted=st.booleans(), asked_ma=st.integers(5_500, 40_000))
    def demand(self, permitted, asked_ma) -> None:
        self.box.permitted, self.box.asked_ma = permitted, asked_ma

    @rule(alive=st.booleans())
    def node(self, alive) -> None:
        self.box.node_alive = alive

    @rule(drivers=st.sets(st.sampled_from(DRIVERS), max_size=1), alarms=st.sets(st.sampled_from(ALARMS), max_size=1))
    def trouble(self, drivers, alarms) -> None:
        self.box.failures, self.box.alarms = frozenset(drivers), frozenset(alarms)

    @rule()
    def trip(self) -> None:
        self.box.rcd_latched = True

    @rule(pressed=st.booleans())
    def emergency_stop(self, pressed) -> None:
        self.box.emergency_stop = pressed

    @rule(
        drawn_ma=st.sampled_from([0, 5_000, 16_000, 60_000]), temperature=st.sampled_from([20_00, 66_00, 69_00, 75_00])
    )
    def sensors(self, drawn_ma, temperature) -> None:
        self.box.drawn_ma, self.box.temperature = (drawn_ma,) * 3, temperature

    @rule(request=st.sampled_from([r for r in Request if r] + [Request.CLEAR_USER | Request.CLEAR_INSTALLER]))
    def order(self, request) -> None:
        self.box.order(request)

    @rule()
    def restart(self) -> None:
        self.box.restart()

    @rule(wait_ms=st.sampled_from(WAITS_MS))
    def wait(self, wait_ms) -> None:
        self.box.run(wait_ms * MS)

    @rule(wait_ms=st.sampled_from(LONG_WAITS_MS))
    def wait_long(self, wait_ms) -> None:
        self.box.run(wait_ms * MS)

    @rule()
    def make_all_well(self) -> None:
        box = self.box
        box.failures = box.alarms = frozenset()
        box.emergency_stop = box.garbled = box.rcd_latched = False
        box.diode = box.node_alive = box.permitted = True
        box.temperature, box.drawn_ma, box.vehicle = 20_00, (0, 0, 0), "A"
        box.run(2 * S)
        box.order(Request.CLEAR_USER | Request.CLEAR_INSTALLER)
        box.run(2 * S)

    def teardown(self) -> None:
        if hasattr(self, "box"):
            assert self.box.told == list(range(1, len(self.box.told) + 1)), "I8"


COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@pytest.mark.hazard("H-01")
@pytest.mark.hazard("H-02")
@pytest.mark.hazard("H-10")
def test_no_order_of_events_breaks_an_invariant():
    run_state_machine_as_test(
        World, settings=settings(max_examples=25, stateful_step_count=25, derandomize=True, database=None, **COMMON)
    )


@pytest.mark.nightly
def test_no_order_of_events_breaks_an_invariant_in_a_long_search():
    run_state_machine_as_test(World, settings=settings(max_examples=2_000, stateful_step_count=60, **COMMON))
