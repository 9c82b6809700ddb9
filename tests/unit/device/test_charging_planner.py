"""What mode, targets, delay and clock ask of the box, and what a controller sees of it."""

from __future__ import annotations

import pytest

from evse_pi.charging.modes import ChargeMode
from evse_pi.charging.random_delay import DelayCause
from evse_pi.charging.schedule import PlanStatus
from evse_pi.core.faults import Fault
from evse_pi.core.states import LimitSource, PilotState
from evse_pi.matter.wire.status_code import StatusCode
from hal.units import SECOND
from tests.support.device_bench import KWH, DeviceBench

SCHEDULE, DELAY = LimitSource.SCHEDULE, LimitSource.RANDOM_DELAY
NOTHING = (None, None, None, None)
END = "2026-01-08T07:00:00"


async def planned(**given: object) -> DeviceBench:
    """Return a box in time-of-use mode: 19.9 kWh by 7 at 32 A on three phases, which takes an hour."""
    bench = await DeviceBench(**given).start()
    bench.choose(ChargeMode.TIME_OF_USE)
    assert bench.targets(("07:00", None, 19_872_000)) is StatusCode.SUCCESS
    assert bench.enable() is StatusCode.SUCCESS
    return bench


async def test_in_time_of_use_charging_waits_for_its_start() -> None:
    bench = await planned()
    bench.charger.pilot(PilotState.B)
    start, end, energy_mwh, percent = bench.next_charge
    assert (end, energy_mwh, percent) == (END, 19_872_000, None)
    assert start == "2026-01-08T05:45:00"
    ask = bench.ask(SCHEDULE)
    assert ask is not None
    assert not ask.permitted
    assert bench.in_s(SCHEDULE) == (11 * 60 + 45) * 60 + 5


async def test_nothing_is_planned_without_a_vehicle_or_supply_and_yet_nothing_may_start() -> None:
    bench = await planned()
    assert bench.next_charge == NOTHING
    ask = bench.ask(SCHEDULE)
    assert ask is not None
    assert not ask.permitted
    bench.charger.pilot(PilotState.B)
    assert bench.next_charge != NOTHING
    bench.evse.disable()
    assert bench.next_charge == NOTHING
    bench.enable()
    bench.charger.fault(Fault.OVER_TEMPERATURE)
    assert bench.next_charge == NOTHING
    assert bench.ask(SCHEDULE) is not None
    bench.charger.fault()
    bench.charger.pilot(PilotState.A)
    assert bench.next_charge == NOTHING


async def test_in_manual_mode_charging_starts_at_once_and_targets_only_inform() -> None:
    bench = await DeviceBench().start()
    bench.targets(("07:00", None, 9 * KWH))
    bench.enable()
    assert bench.next_charge == NOTHING, "no vehicle is plugged in"
    bench.charger.pilot(PilotState.B)
    bench.spend(60)
    assert bench.next_charge == ("2026-01-07T18:00:00", END, 9 * KWH, None)
    bench.charger.charge(32_000)
    bench.spend(1_800, 10 * KWH - 1)
    assert bench.next_charge[0] == "2026-01-07T18:00:00"
    bench.spend(60, 1)
    assert bench.next_charge == (None, END, 9 * KWH, None), "has what was asked for, and goes on charging"
    assert bench.asks == {LimitSource.OWNER, LimitSource.ENABLE_CHARGING, LimitSource.USER_MAXIMUM}
    assert bench.dice.thrown == []
    bench.evse.disable()
    assert bench.next_charge == NOTHING


async def test_in_manual_mode_too_a_target_that_cannot_be_reached_is_said_to_be_late() -> None:
    bench = await DeviceBench().start()
    bench.enable()
    bench.targets(("19:00", None, 60 * KWH))
    bench.charger.pilot(PilotState.B)
    assert bench.planner.notice == "the charging target of 2026-01-07 19:00 cannot be reached in time"
    bench.targets(("19:00", None, 6 * KWH))
    assert bench.planner.notice is None


async def test_without_a_surplus_the_start_in_solar_mode_is_unknown() -> None:
    bench = await planned()
    bench.choose(ChargeMode.SOLAR)
    bench.charger.pilot(PilotState.B)
    assert bench.next_charge == (None, END, 19_872_000, None)
    bench.spend(60)
    assert bench.adjust(11_040_000) is StatusCode.SUCCESS
    assert bench.next_charge == ("2026-01-07T18:01:00", END, 19_872_000, None)
    assert bench.cancel() is StatusCode.SUCCESS
    assert bench.next_charge == (None, END, 19_872_000, None)
    assert bench.ask(SCHEDULE) is None


async def test_energy_charged_by_hand_counts_for_the_target() -> None:
    bench = await planned()
    bench.choose(ChargeMode.MANUAL)
    bench.charger.charge(32_000)
    bench.spend(1_800, 11_040_000)
    bench.choose(ChargeMode.TIME_OF_USE)
    assert bench.next_charge == ("2026-01-08T06:15:00", END, 19_872_000, None), "half of it is in already"
    assert bench.ask(SCHEDULE) is not None


async def test_a_change_of_mode_acts_at_once() -> None:
    bench = await planned()
    bench.charger.pilot(PilotState.B)
    bench.choose(ChargeMode.MANUAL)
    assert bench.ask(SCHEDULE) is None
    bench.choose(ChargeMode.TIME_OF_USE)
    assert bench.ask(SCHEDULE) is not None
    bench.choose(ChargeMode.SOLAR)
    assert bench.ask(SCHEDULE) is None
    assert bench.ask(LimitSource.POWER_ADJUSTMENT) is not None


async def test_a_planned_start_is_delayed_at_random_and_the_start_that_is_shown_follows() -> None:
    bench = await planned()
    bench.charger.pilot(PilotState.B)
    bench.until("2026-01-08T05:45")
    assert bench.ask(SCHEDULE) is None
    assert bench.dice.thrown == [600]
    assert bench.in_s(DELAY) == 599
    assert bench.planner.delay is not None
    assert bench.planner.delay.cause is DelayCause.PLANNED_START
    assert bench.next_charge[0] == "2026-01-08T05:54:59"
    bench.spend(600)
    assert bench.ask(DELAY) is None
    assert bench.dice.thrown == [600]


@pytest.mark.parametrize("skip", ["planner", "controller", "owner"])
async def test_a_delay_can_be_skipped(skip: str) -> None:
    bench = await planned()
    bench.charger.pilot(PilotState.B)
    bench.until("2026-01-08T05:46")
    assert bench.ask(DELAY) is not None
    if skip == "planner":
        bench.planner.start_now()
        bench.spend(0)
    elif skip == "controller":
        bench.enable()
    else:
        bench.planner.start_now()
        bench.charger.apply(bench.charger.view().settings.enabled())
        bench.charger.settle(tell=True)
    assert bench.ask(DELAY) is None
    bench.spend(1)
    assert bench.ask(DELAY) is None


async def test_an_explicit_start_within_the_plan_is_not_delayed() -> None:
    bench = await DeviceBench().start()
    bench.choose(ChargeMode.TIME_OF_USE)
    bench.targets(("18:35", None, 8 * KWH))
    bench.charger.pilot(PilotState.B)
    bench.enable()
    assert bench.planner.plan.status is PlanStatus.BEGUN
    assert bench.ask(DELAY) is None
    assert bench.ask(SCHEDULE) is None


async def test_a_planned_start_can_be_brought_forward_to_now_and_is_not_delayed() -> None:
    bench = await planned()
    bench.charger.pilot(PilotState.B)
    assert bench.ask(SCHEDULE) is not None
    bench.charger.start()
    assert (bench.ask(SCHEDULE), bench.ask(DELAY)) == (None, None)
    assert bench.next_charge == ("2026-01-07T18:00:00", END, 19_872_000, None)
    bench.spend(60)
    assert (bench.ask(SCHEDULE), bench.ask(DELAY)) == (None, None)
    bench.charger.pilot(PilotState.A)
    bench.charger.pilot(PilotState.B)
    assert bench.ask(SCHEDULE) is not None, "the next vehicle waits again"


async def test_what_cannot_be_ready_starts_at_once_and_says_so() -> None:
    bench = await planned()
    bench.targets(("19:00", None, 60 * KWH))
    bench.charger.pilot(PilotState.B)
    assert bench.planner.plan.status is PlanStatus.LATE
    assert bench.next_charge == ("2026-01-07T18:00:00", "2026-01-07T19:00:00", 60 * KWH, None)
    assert bench.planner.notice == "the charging target of 2026-01-07 19:00 cannot be reached in time"
    assert bench.ask(SCHEDULE) is None
    assert bench.ask(DELAY) is None


async def test_a_full_vehicle_is_asked_for_by_its_state_of_charge_and_starts_at_once() -> None:
    bench = await planned()
    bench.targets(("07:00", 100, None))
    bench.charger.pilot(PilotState.B)
    assert bench.next_charge == ("2026-01-07T18:00:00", END, None, 100)
    assert bench.ask(SCHEDULE) is None


async def test_less_current_brings_the_start_forward() -> None:
    bench = await planned()
    bench.charger.pilot(PilotState.B)
    before = bench.next_charge[0]
    bench.evse.write_user_maximum_charge_current(16_000)
    assert before == "2026-01-08T05:45:00"
    assert bench.next_charge[0] == "2026-01-08T04:45:00"


async def test_the_window_can_be_changed_and_is_part_of_the_plan() -> None:
    bench = await planned()
    bench.charger.pilot(PilotState.B)
    bench.evse.write_randomization_delay_window(0)
    assert bench.next_charge[0] == "2026-01-08T05:55:00"
    bench.until("2026-01-08T05:56")
    assert bench.dice.thrown == []
    assert bench.ask(DELAY) is None


async def test_after_the_energy_is_in_charging_waits_for_the_next_target() -> None:
    bench = await planned()
    bench.charger.pilot(PilotState.B)
    bench.until("2026-01-08T05:56")
    bench.charger.charge(32_000)
    bench.spend(3_600, 22_079_999)
    assert bench.ask(SCHEDULE) is None
    bench.spend(1, 1)
    ask = bench.ask(SCHEDULE)
    assert ask is not None
    assert not ask.permitted
    assert bench.next_charge == (None, END, 19_872_000, None)
    bench.until("2026-01-08T07:00")
    assert bench.next_charge[:2] == ("2026-01-09T05:45:00", "2026-01-09T07:00:00")


async def test_without_a_trusted_clock_nothing_waits_and_nothing_is_shown() -> None:
    bench = await planned()
    bench.clock.set_unix_s(None)
    bench.charger.pilot(PilotState.B)
    assert bench.planner.plan.status is PlanStatus.NO_CLOCK
    assert bench.ask(SCHEDULE) is None
    assert bench.next_charge == NOTHING


async def test_cleared_targets_let_charging_start() -> None:
    bench = await planned()
    bench.charger.pilot(PilotState.B)
    await bench.evse.clear_targets()
    assert bench.ask(SCHEDULE) is None
    assert bench.next_charge == NOTHING


async def test_a_restart_of_the_process_keeps_the_delay_and_rolls_no_dice() -> None:
    bench = await planned()
    bench.charger.pilot(PilotState.B)
    bench.until("2026-01-08T05:46")
    left_s = bench.in_s(DELAY)
    again = await bench.restart()
    assert again.in_s(DELAY) == left_s == 539
    assert again.dice.thrown == [600]
    assert again.next_charge[0] == "2026-01-08T05:54:59"


async def test_a_restart_while_charging_by_plan_goes_on_without_delay() -> None:
    bench = await planned()
    bench.charger.pilot(PilotState.B)
    bench.until("2026-01-08T05:56")
    bench.charger.charge(32_000)
    bench.spend(600, 3 * KWH)
    again = await bench.restart()
    assert (again.ask(SCHEDULE), again.ask(DELAY)) == (None, None)
    assert again.next_charge[0] == bench.next_charge[0]
    assert again.dice.thrown == [600]


async def test_when_the_power_returns_the_vehicle_waits_at_random_in_manual_mode_too() -> None:
    bench = await DeviceBench().start()
    bench.enable()
    bench.charger.charge()
    assert bench.ask(DELAY) is None
    again = await bench.restart(power_cut=True)
    assert again.in_s(DELAY) == 599
    assert again.planner.delay is not None
    assert again.planner.delay.cause is DelayCause.POWER_RETURN
    third = await again.restart()
    assert third.in_s(DELAY) == 599
    assert third.dice.thrown == [600]


async def test_the_delay_of_a_power_cut_holds_before_any_cluster_has_come_up() -> None:
    bench = await DeviceBench().start()
    await bench.node.close()
    box = bench.charger.restarted(outage_s=0)
    delay = box.request_of(DELAY)
    assert delay is not None
    assert delay.until_ns is not None
    assert (delay.until_ns - box.clock.now_ns) // SECOND == 599


async def test_when_the_power_returns_to_an_empty_socket_the_next_vehicle_does_not_wait() -> None:
    bench = await DeviceBench().start()
    bench.enable()
    again = await bench.restart(power_cut=True)
    assert again.ask(DELAY) is None
    again.charger.pilot(PilotState.B)
    assert again.ask(DELAY) is None


async def test_the_window_is_the_installer_s_until_a_user_chooses_another() -> None:
    bench = await planned()
    assert bench.evse.state.randomization_delay_window == 600
    bench.charger.install(random_delay_s=1_800)
    bench.charger.pilot(PilotState.B)
    assert bench.evse.state.randomization_delay_window == 1_800
    assert bench.next_charge[0] == "2026-01-08T05:25:00"
    bench.evse.write_randomization_delay_window(60)
    bench.charger.install(random_delay_s=0)
    again = await bench.restart(power_cut=True)
    assert again.evse.state.randomization_delay_window == 60
    assert again.dice.thrown == [60], "the power has returned"
    again.evse.reset()
    assert again.evse.state.randomization_delay_window == 0, "a factory reset lets the installer's word hold again"


async def test_unplugging_ends_the_delay() -> None:
    bench = await planned()
    bench.charger.pilot(PilotState.B)
    bench.until("2026-01-08T05:46")
    bench.charger.pilot(PilotState.A)
    assert bench.ask(DELAY) is None


async def test_the_asks_do_not_change_while_nothing_happens() -> None:
    bench = await planned()
    bench.charger.pilot(PilotState.B)
    before = bench.ask(SCHEDULE)
    for _ in range(30):
        bench.spend(1)
    assert bench.ask(SCHEDULE) is before


async def test_a_fault_leaves_delay_and_plan_as_they_are() -> None:
    bench = await planned()
    bench.charger.pilot(PilotState.B)
    bench.until("2026-01-08T05:46")
    delay, asks = bench.planner.delay, dict(bench.charger.asks)
    bench.charger.fault(Fault.OVER_TEMPERATURE)
    bench.charger.fall_silent()
    assert bench.charger.asks == asks
    bench.charger.hear()
    bench.charger.fault()
    assert bench.planner.delay == delay
    assert bench.charger.asks == asks
    assert bench.dice.thrown == [600]
