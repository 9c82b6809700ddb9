"""Power adjustments: what is offered, every status, every end, and what the box is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from evse_pi.charging.demand_arbiter import ExpiryPolicy
from evse_pi.charging.modes import ChargeMode
from evse_pi.core.faults import Fault
from evse_pi.core.states import LimitSource, PilotState
from evse_pi.device.device_energy_management import LONGEST_S, SHORTEST_S, DeviceEnergyManagementServer
from evse_pi.matter.wire.chip_objects import DeviceEnergyManagement
from evse_pi.matter.wire.status_code import StatusCode
from hal.units import SECOND
from tests.support.device_bench import DeviceBench

Enums = DeviceEnergyManagement.Enums
Cause, OptOut, State, Why = Enums.CauseEnum, Enums.OptOutStateEnum, Enums.ESAStateEnum, Enums.PowerAdjustReasonEnum
LEAST_MW, MOST_MW = 4_140_000, 22_080_000  # 6 A and 32 A on three phases at 230 V
LOCAL, GRID = 0, 1
ADJUSTMENT = LimitSource.POWER_ADJUSTMENT


async def solar() -> DeviceBench:
    """Return a box in solar mode with a vehicle that may charge."""
    bench = await DeviceBench().start()
    bench.choose(ChargeMode.SOLAR)
    bench.enable()
    bench.charger.pilot(PilotState.B)
    return bench


def reason(bench: DeviceBench) -> Any:
    capability = bench.management.state.power_adjustment_capability
    return None if capability is None else capability.cause


def test_the_cluster_is_that_of_the_pinned_version() -> None:
    cluster = DeviceEnergyManagementServer.cluster
    assert (cluster.revision, cluster.feature_map) == (4, 1)
    assert sorted(key for key in cluster.attributes if key < 0xF000) == [0, 1, 2, 3, 4, 5, 7]
    assert sorted(cluster.commands) == [0, 1]
    assert sorted(cluster.events) == [0, 1]


async def test_the_offer_is_what_the_limits_leave_or_nothing() -> None:
    bench = await solar()
    state = bench.management.state
    offers = [(one.minPower, one.maxPower) for one in state.power_adjustment_capability.powerAdjustCapability]
    assert offers == [(LEAST_MW, MOST_MW), (0, 0)]
    assert (state.abs_min_power, state.abs_max_power) == (LEAST_MW, MOST_MW)
    assert (state.esa_state, reason(bench)) == (State.kOnline, Why.kNoAdjustment)
    bench.charger.limit(LimitSource.TEMPERATURE, 8_000)
    assert state.power_adjustment_capability.powerAdjustCapability[0].maxPower == 5_520_000
    bench.charger.limit(LimitSource.TEMPERATURE, 5_000)
    offers = [(one.minPower, one.maxPower) for one in state.power_adjustment_capability.powerAdjustCapability]
    assert offers == [(0, 0)]
    assert (state.abs_min_power, state.abs_max_power) == (0, 0)


@pytest.mark.parametrize("mode", [ChargeMode.MANUAL, ChargeMode.TIME_OF_USE])
async def test_outside_solar_mode_nothing_is_offered_and_everything_refused(mode: ChargeMode) -> None:
    bench = await solar()
    bench.choose(mode)
    assert bench.management.state.power_adjustment_capability is None
    assert bench.adjust(LEAST_MW) is StatusCode.CONSTRAINT_ERROR
    assert bench.ask(ADJUSTMENT) is None


@pytest.mark.parametrize("why", ["unplugged", "disabled", "faulty", "silent"])
async def test_where_the_box_cannot_charge_nothing_is_offered(why: str) -> None:
    bench = await solar()
    if why == "unplugged":
        bench.charger.pilot(PilotState.A)
    elif why == "disabled":
        bench.evse.disable()
    elif why == "faulty":
        bench.charger.fault(Fault.OVER_TEMPERATURE)
    else:
        bench.charger.fall_silent()
    bench.spend(1)
    assert bench.management.state.power_adjustment_capability is None
    assert bench.adjust(LEAST_MW) is StatusCode.CONSTRAINT_ERROR
    expected = {"faulty": State.kFault, "silent": State.kOffline}.get(why, State.kOnline)
    assert bench.management.state.esa_state == expected


async def test_in_solar_mode_the_box_waits_until_power_is_offered() -> None:
    bench = await solar()
    ask = bench.ask(ADJUSTMENT)
    assert ask is not None
    assert not ask.permitted


@pytest.mark.parametrize(
    ("power_mw", "duration_s", "status"),
    [
        (LEAST_MW, SHORTEST_S, StatusCode.SUCCESS),
        (MOST_MW, LONGEST_S, StatusCode.SUCCESS),
        (0, 60, StatusCode.SUCCESS),
        (MOST_MW + 1, SHORTEST_S, StatusCode.CONSTRAINT_ERROR),
        (LEAST_MW - 1, 60, StatusCode.CONSTRAINT_ERROR),
        (1, 60, StatusCode.CONSTRAINT_ERROR),
        (-1, 60, StatusCode.CONSTRAINT_ERROR),
        (LEAST_MW, SHORTEST_S - 1, StatusCode.CONSTRAINT_ERROR),
        (LEAST_MW, LONGEST_S + 1, StatusCode.CONSTRAINT_ERROR),
        (0, LONGEST_S + 1, StatusCode.CONSTRAINT_ERROR),
    ],
)
async def test_every_status_of_a_request(power_mw: int, duration_s: int, status: StatusCode) -> None:
    bench = await solar()
    assert bench.adjust(power_mw, duration_s) is status
    assert [name for name, _ in bench.heard] == (["power_adjust_start"] if status is StatusCode.SUCCESS else [])
    active = State.kPowerAdjustActive if status is StatusCode.SUCCESS else State.kOnline
    assert bench.management.state.esa_state == active


async def test_less_than_the_minimum_that_a_controller_named_is_refused() -> None:
    bench = await solar()
    bench.enable(10_000, 32_000)
    assert bench.management.state.abs_min_power == 6_900_000
    assert bench.adjust(6_899_999) is StatusCode.CONSTRAINT_ERROR
    assert bench.adjust(6_900_000) is StatusCode.SUCCESS
    assert bench.adjust(0) is StatusCode.SUCCESS, "a pause is no current at all"
    bench.charger.limit(LimitSource.TEMPERATURE, 8_000)
    assert (bench.management.state.abs_min_power, bench.management.state.abs_max_power) == (5_520_000, 5_520_000)
    bench.charger.limit(LimitSource.BOARD, 32_000)
    bench.enable(0, 32_000)
    assert bench.management.state.abs_min_power == LEAST_MW, "no pilot offers less than 6 A"


@pytest.mark.parametrize("opt_out", [OptOut.kNoOptOut, OptOut.kLocalOptOut, OptOut.kGridOptOut, OptOut.kOptOut])
@pytest.mark.parametrize("cause", [LOCAL, GRID])
async def test_what_the_user_opted_out_of_is_refused(opt_out: Any, cause: int) -> None:
    bench = await solar()
    bench.allowed.select(opt_out)
    refused = opt_out == OptOut.kOptOut or opt_out == (OptOut.kLocalOptOut, OptOut.kGridOptOut)[cause]
    assert bench.adjust(LEAST_MW, cause=cause) is (StatusCode.CONSTRAINT_ERROR if refused else StatusCode.SUCCESS)


@pytest.mark.parametrize(("power_mw", "limit_ma"), [(LEAST_MW, 6_000), (MOST_MW, 32_000), (11_040_000, 16_000)])
async def test_the_box_is_asked_for_the_current_that_gives_the_power(power_mw: int, limit_ma: int) -> None:
    bench = await solar()
    bench.adjust(power_mw, 60)
    ask = bench.ask(ADJUSTMENT)
    assert ask is not None
    assert (ask.permitted, ask.limit_ma, ask.on_expiry) == (True, limit_ma, ExpiryPolicy.STOPPED)
    assert ask.until_ns == bench.charger.view().now_ns + 60 * SECOND


async def test_no_power_is_a_pause() -> None:
    bench = await solar()
    bench.adjust(LEAST_MW)
    bench.adjust(0)
    ask = bench.ask(ADJUSTMENT)
    assert ask is not None
    assert not ask.permitted
    assert bench.management.state.esa_state == State.kPowerAdjustActive


async def test_a_second_request_takes_the_place_of_the_first_without_an_event() -> None:
    bench = await solar()
    bench.adjust(LEAST_MW, 600, LOCAL)
    assert reason(bench) == Why.kLocalOptimizationAdjustment
    bench.heard.clear()
    bench.spend(20)
    bench.adjust(MOST_MW, 30, GRID)
    assert bench.heard == []
    assert reason(bench) == Why.kGridOptimizationAdjustment
    bench.spend(30)
    assert ended(bench) == (Cause.kNormalCompletion, 50, 0)


async def test_an_adjustment_ends_by_itself_with_its_energy() -> None:
    bench = await solar()
    bench.charger.charge(6_000)
    bench.spend(60, 100_000)
    bench.adjust(LEAST_MW, 60)
    bench.spend(59, 200_000)
    assert bench.management.state.esa_state == State.kPowerAdjustActive
    bench.spend(1, 5_000)
    assert ended(bench) == (Cause.kNormalCompletion, 60, 205_000)
    assert (bench.management.state.esa_state, reason(bench)) == (State.kOnline, Why.kNoAdjustment)
    ask = bench.ask(ADJUSTMENT)
    assert ask is not None
    assert not ask.permitted


async def test_cancel_ends_it_and_without_one_there_is_nothing_to_cancel() -> None:
    bench = await solar()
    assert bench.cancel() is StatusCode.INVALID_IN_STATE
    bench.adjust(LEAST_MW)
    bench.spend(7)
    assert bench.cancel() is StatusCode.SUCCESS
    assert ended(bench) == (Cause.kCancelled, 7, 0)
    assert bench.cancel() is StatusCode.INVALID_IN_STATE


async def test_every_other_end_has_its_cause() -> None:
    for act, cause in (
        (lambda bench: bench.charger.fault(Fault.OVER_TEMPERATURE), Cause.kFault),
        (lambda bench: bench.charger.pilot(PilotState.A), Cause.kOffline),
        (lambda bench: bench.charger.fall_silent(), Cause.kOffline),
        (lambda bench: (bench.evse.disable(), bench.spend(1)), Cause.kOffline),
        (lambda bench: bench.choose(ChargeMode.MANUAL), Cause.kUserOptOut),
        (lambda bench: bench.allowed.select(OptOut.kOptOut), Cause.kUserOptOut),
        (lambda bench: bench.allowed.select(OptOut.kLocalOptOut), Cause.kUserOptOut),
    ):
        bench = await solar()
        bench.adjust(LEAST_MW)
        act(bench)
        assert ended(bench)[0] == cause
        assert bench.charger.point._scheduling.adjustment is None


async def test_opting_out_of_the_other_cause_ends_nothing() -> None:
    bench = await solar()
    bench.adjust(LEAST_MW, cause=GRID)
    bench.allowed.select(OptOut.kLocalOptOut)
    assert bench.management.state.esa_state == State.kPowerAdjustActive
    assert bench.management.state.opt_out_state == OptOut.kLocalOptOut


async def test_attributes_are_published_before_the_event() -> None:
    bench = await solar()
    seen: list[Any] = []
    events = bench.management.events
    events.power_adjust_start.on(lambda _: seen.append(bench.management.state.esa_state))
    events.power_adjust_end.on(lambda _: seen.append(bench.management.state.esa_state))
    bench.adjust(LEAST_MW)
    bench.cancel()
    assert seen == [State.kPowerAdjustActive, State.kOnline]


def ended(bench: DeviceBench) -> tuple[Any, int, int]:
    name, payload = bench.heard[-1]
    assert name == "power_adjust_end"
    return payload.cause, payload.duration, payload.energyUse
