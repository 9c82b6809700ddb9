"""A charge point plans by itself, whether or not any Matter device has been loaded."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from evse_pi.charging.charge_point import ChargePoint
from evse_pi.charging.charging_plan_memory import PLAN, UNREADABLE, PersistedPlan, plan_of
from evse_pi.charging.charging_planner import UNPLANNED
from evse_pi.charging.modes import ChargeMode, PowerAdjustment
from evse_pi.charging.random_delay import DelayCause, RandomDelay
from evse_pi.charging.schedule import TargetProgress
from evse_pi.charging.settings import ChargingSettings
from evse_pi.charging.startup_state import StartupState
from evse_pi.charging.targets import DaySchedule, Target
from evse_pi.core.faults import Fault
from evse_pi.core.states import LimitSource
from evse_pi.installation.files import SIMULATED_INSTALLATION
from evse_pi.sim.harness.virtual_clock import VirtualClock
from hal.units import SECOND, Milliamps, MilliwattHours
from tests.support.node_box import RATINGS, FakeSafety, HandWriter

SCHEDULE, DELAY, ADJUSTMENT = LimitSource.SCHEDULE, LimitSource.RANDOM_DELAY, LimitSource.POWER_ADJUSTMENT
EVENING = int(datetime(2026, 1, 7, 18, tzinfo=ZoneInfo("Europe/Berlin")).timestamp())
BY_SEVEN = (DaySchedule(0x7F, (Target(420, None, MilliwattHours(19_872_000)),)),)
"""19.9 kWh for the battery, 22.08 kWh at the socket: an hour at 32 A on three phases of 230 V."""
TIME_OF_USE = ChargingSettings(charging_until_s=None, maximum_ma=32_000, targets=BY_SEVEN, mode=ChargeMode.TIME_OF_USE)
STARTS_S = EVENING + (11 * 60 + 45) * 60  # 7:00 less an hour, the delay's window of 10 min and 5 min of slack


class Bench:
    """A charge point with its safety process, and no Matter device."""

    def __init__(self, *, commissioned: bool = False, writer: HandWriter | None = None, **memory: Any) -> None:
        self.clock = VirtualClock(unix_s=EVENING, kernel_boot_id="here")
        self.safety = FakeSafety(self.clock)
        self.writer = writer or HandWriter()
        self.drawn: list[int] = []
        state = StartupState(**{"commissioned": commissioned, **memory})
        self.box = ChargePoint(self.clock, RATINGS, SIMULATED_INSTALLATION, state, self.writer, draw=self._draw)
        self.sent = 0
        self.box.on_request = self._send

    def _draw(self, below: int) -> int:
        self.drawn.append(below)
        return below - 1

    def _send(self) -> None:
        self.sent += 1

    def become(self, state: str, faults: frozenset[Fault] = frozenset()) -> None:
        self.box.on_snapshot(self.safety.become(state, faults))

    def spend(self, seconds: int) -> None:
        self.clock.advance_s(seconds)
        self.box.on_snapshot(self.safety.snapshot())
        self.box.tick()

    @property
    def permitted(self) -> bool:
        return self.box.demand().permitted


def test_without_matter_a_time_of_use_charge_waits_for_its_start_and_begins() -> None:
    bench = Bench(settings=TIME_OF_USE)
    bench.box.run_without_controllers()
    assert not bench.permitted, "nothing begins before the planner has seen the charge point"
    bench.become("B")
    shown = bench.box.planner.next_charge
    assert (shown.start_s, shown.required_energy_mwh) == (STARTS_S, 19_872_000)
    assert (bench.permitted, bench.box.held_up_by) == (False, {SCHEDULE})
    bench.spend(STARTS_S - EVENING - 1)
    assert bench.box.held_up_by == {SCHEDULE}
    sent = bench.sent
    bench.spend(1)
    assert (bench.box.held_up_by, bench.drawn) == ({DELAY}, [600])
    assert bench.sent > sent, "a demand is sent at once"
    bench.spend(599)
    assert bench.permitted
    assert bench.box.planner.notice is None


def test_without_matter_a_start_begins_what_waits() -> None:
    bench = Bench(settings=TIME_OF_USE)
    bench.box.run_without_controllers()
    bench.become("B")
    assert not bench.permitted
    bench.box.begin_charging()
    assert (bench.permitted, bench.box.held_up_by) == (True, frozenset())


def test_without_matter_no_energy_manager_can_ask_and_solar_mode_holds_nothing_back() -> None:
    bench = Bench(settings=replace(TIME_OF_USE, mode=ChargeMode.SOLAR, targets=()))
    assert bench.box.held_up_by == {ADJUSTMENT}
    bench.box.run_without_controllers()
    assert bench.permitted
    bench.become("B")
    assert bench.permitted


def test_in_solar_mode_the_power_that_an_energy_manager_wants_is_charged_with_until_its_end() -> None:
    bench = Bench(commissioned=True, settings=replace(TIME_OF_USE, mode=ChargeMode.SOLAR, targets=()))
    bench.become("B")
    assert not bench.permitted
    bench.box.adjust_power(PowerAdjustment(11_040_000, bench.clock.now_ns + 60 * SECOND))
    assert (bench.permitted, bench.box.demand().offered_current_ma) == (True, 16_000)
    bench.clock.advance_s(60)
    assert not bench.permitted, "whether or not the planner looks"


def test_what_an_energy_manager_wants_is_planned_with_at_once() -> None:
    by_eight = (DaySchedule(0x7F, (Target(20 * 60, None, MilliwattHours(19_872_000)),)),)
    bench = Bench(commissioned=True, settings=replace(TIME_OF_USE, mode=ChargeMode.SOLAR, targets=by_eight))
    bench.become("B")
    for current_ma, late in ((32_000, False), (8_000, True), (16_000, False)):  # an hour, four hours, two hours
        bench.box.adjust_power(PowerAdjustment(current_ma * 230 * 3, bench.clock.now_ns + 600 * SECOND))
        assert (bench.box.planner.notice is not None) is late


def test_a_limit_that_changes_without_a_transition_is_planned_with() -> None:
    bench = Bench(settings=TIME_OF_USE)
    bench.become("B")
    hot = bench.safety.snapshot(limit_source=LimitSource.TEMPERATURE, limit_ma=Milliamps(16_000))
    bench.box.on_snapshot(hot)
    assert bench.box.planner.next_charge.start_s == STARTS_S - 3_600, "it takes two hours"


WAITING = TargetProgress(1, 0, Target(0), 0)
FOR_GOOD = ChargingSettings(charging_until_s=None, maximum_ma=10_000)


@pytest.mark.parametrize(
    ("plan", "mode", "permitted"),
    [
        (None, ChargeMode.MANUAL, True),
        (PersistedPlan("here", 600), ChargeMode.MANUAL, True),
        (PersistedPlan("another life", 600), ChargeMode.MANUAL, False),
        (PersistedPlan("another life", 0), ChargeMode.MANUAL, True),
        (PersistedPlan("here", 0, WAITING, mode=ChargeMode.TIME_OF_USE, holds=True), ChargeMode.TIME_OF_USE, False),
        (
            PersistedPlan("here", 0, replace(WAITING, goal_s=1), mode=ChargeMode.TIME_OF_USE),
            ChargeMode.TIME_OF_USE,
            True,
        ),
        (PersistedPlan("here", 0, WAITING, mode=ChargeMode.MANUAL, holds=True), ChargeMode.MANUAL, True),
        (PersistedPlan("here", 0, WAITING, mode=ChargeMode.MANUAL), ChargeMode.TIME_OF_USE, False),
        (PersistedPlan("another life", 0), ChargeMode.SOLAR, False),
        (PersistedPlan("here", 0, mode=ChargeMode.SOLAR), ChargeMode.SOLAR, False),
        (
            PersistedPlan("here", 0, delay=RandomDelay(DelayCause.POWER_RETURN, 1_008 * SECOND)),
            ChargeMode.MANUAL,
            False,
        ),
        (PersistedPlan("here", 0, delay=RandomDelay(DelayCause.POWER_RETURN, 999 * SECOND)), ChargeMode.MANUAL, True),
        (UNREADABLE, ChargeMode.MANUAL, False),
    ],
)
@pytest.mark.parametrize("commissioned", [True, False])
def test_what_waited_before_a_restart_waits_until_the_planner_has_decided(
    plan: PersistedPlan | None, mode: ChargeMode, permitted: bool, commissioned: bool
) -> None:
    bench = Bench(commissioned=commissioned, settings=replace(FOR_GOOD, mode=mode), plan=plan)
    assert bench.permitted is permitted
    bench.box.tick()
    assert bench.permitted is permitted, "a safety process that is silent tells nothing to plan with"
    bench.become("A")
    assert bench.permitted is (mode is not ChargeMode.SOLAR), "an empty socket has no targets and no delay"


def test_a_delay_that_is_over_before_the_planner_speaks_holds_no_longer() -> None:
    plan = PersistedPlan("here", 0, delay=RandomDelay(DelayCause.POWER_RETURN, 1_008 * SECOND))
    bench = Bench(settings=FOR_GOOD, plan=plan)
    assert not bench.permitted
    bench.clock.advance_s(8)
    assert bench.permitted


def test_what_the_plan_holds_back_is_stored_for_the_next_start_and_held_there_through_a_fault() -> None:
    bench = Bench(settings=TIME_OF_USE)
    bench.become("B")
    kept = plan_of(bench.writer.settings[PLAN])
    assert (kept.holds, kept.mode, kept.kernel_boot_id) == (True, ChargeMode.TIME_OF_USE, "here")
    again = Bench(settings=TIME_OF_USE, plan=kept, writer=bench.writer)
    again.become("E", frozenset((Fault.PILOT_SHORT,)))
    again.spend(120)
    assert again.box.held_up_by == {SCHEDULE}
    assert again.box.planner.next_charge == UNPLANNED


def test_a_snapshot_of_several_transitions_is_planned_with_at_each() -> None:
    bench = Bench(settings=TIME_OF_USE)
    shown: list[bool] = []
    bench.box.event_recorder.on_transition.append(
        lambda _change: shown.append(bench.box.planner.next_charge == UNPLANNED)
    )
    bench.safety.become("B")
    bench.become("A")
    assert shown == [False, True]


def test_the_owner_s_permission_skips_a_delay_and_a_stop_does_not() -> None:
    plan = PersistedPlan("here", 0, delay=RandomDelay(DelayCause.POWER_RETURN, 1_500 * SECOND))
    bench = Bench(settings=FOR_GOOD, plan=plan)
    bench.become("B")
    bench.box.set_owner_permission(permitted=False, limit_ma=None)
    assert bench.box.held_up_by == {DELAY}
    bench.box.set_owner_permission(permitted=True, limit_ma=None)
    assert bench.box.held_up_by == frozenset()
