"""What happens at the box, as the Energy EVSE cluster tells it: attributes, events and reports, and what it stores."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evse_pi.charging.evse_status import EvseStatus
from evse_pi.charging.vehicle_data import VehicleData
from evse_pi.core.faults import Fault
from evse_pi.core.states import FaultState, LimitSource, MatterState, PilotState, SupplyState
from evse_pi.device.energy_evse import EnergyEvseServer
from evse_pi.matter.storage import MemoryStore
from evse_pi.matter.wire.chip_objects import EnergyEvse
from evse_pi.matter.wire.status_code import StatusCode
from evse_pi.sim.harness.virtual_clock import UNIX_S, VirtualClock
from hal.units import Milliamps, MilliwattHours
from tests.support.evse_bench import NOW_S, EvseBench

A, B, C = PilotState.A, PilotState.B, PilotState.C
Reason = EnergyEvse.Enums.EnergyTransferStoppedReasonEnum


async def bench(**given: Any) -> EvseBench:
    return await EvseBench(**given).start()


async def charging(**given: Any) -> EvseBench:
    """Return a cluster whose box charges a vehicle."""
    made = await bench(**given)
    made.charger.pilot(B)
    made.enable(None, 6_000, 32_000)
    made.charger.charge(32_000)
    made.heard.clear()
    made.reports.clear()
    return made


# Sessions and transfers.


async def test_events_come_in_the_order_of_a_charge_with_what_they_must_say() -> None:
    evse = await bench()
    evse.charger.pilot(B)
    evse.enable(None, 6_000, 16_000)
    evse.charger.charge(16_000)
    evse.charger.spend(60, 3_000)
    evse.charger.pilot(B, offered_ma=16_000)
    evse.charger.spend(60)
    evse.charger.pilot(A)
    told = [(name, {key: value for key, value in vars(one).items() if value is not None}) for name, one in evse.heard]
    assert told == [
        ("ev_connected", {"sessionID": 0}),
        ("energy_transfer_started", {"sessionID": 0, "state": 3, "maximumCurrent": 16_000}),
        (
            "energy_transfer_stopped",
            {"sessionID": 0, "state": 3, "reason": Reason.kEVStopped, "energyTransferred": 3_000},
        ),
        (
            "ev_not_detected",
            {"sessionID": 0, "state": 1, "sessionDuration": 120, "sessionEnergyCharged": 3_000},
        ),
    ]
    assert evse.state.supply_state == SupplyState.CHARGING_ENABLED, "plugging out permits and forbids nothing"


async def test_no_charge_passes_through_session_ending_and_every_state_follows_the_pilot() -> None:
    evse = await bench()
    seen: list[Any] = []
    evse.server.events.state_changed.on(lambda change: seen.append(change.value))
    evse.enable()
    for state, closed in ((B, False), (C, False), (C, True), (B, False), (C, True), (A, False)):
        evse.charger.pilot(state, closed=closed, offered_ma=16_000)
    evse.charger.pilot(PilotState.INVALID)
    states = MatterState
    assert seen == [
        states.PLUGGED_IN_NO_DEMAND, states.PLUGGED_IN_DEMAND, states.PLUGGED_IN_CHARGING,
        states.PLUGGED_IN_NO_DEMAND, states.PLUGGED_IN_CHARGING, states.NOT_PLUGGED_IN, None,
    ]  # fmt: skip
    assert states.SESSION_ENDING not in seen


async def test_who_looks_at_the_box_while_an_event_is_told_tells_nothing_twice() -> None:
    evse = await bench()
    evse.server.events.ev_connected.on(lambda _event: evse.charger.adapter.refresh_soon())
    evse.server.events.state_changed.on(lambda _change: evse.charger.adapter.refresh_soon())
    evse.charger.pilot(B)
    evse.charger.pilot(A)
    evse.charger.settle()
    assert evse.names == ["ev_connected", "ev_not_detected"]
    assert evse.state.state == MatterState.NOT_PLUGGED_IN


async def test_what_changes_while_an_event_is_told_is_told_right_after_it() -> None:
    evse = await bench()
    evse.enable()
    order: list[Any] = []
    evse.server.events.supply_state_changed.on(lambda change: order.append(change.value))

    def forbid(_event: Any) -> None:
        evse.charger.adapter.apply(evse.charger.view().settings.disabled())
        order.append("connected")

    evse.server.events.ev_connected.on(forbid)
    evse.charger.pilot(B)
    assert order == ["connected", SupplyState.DISABLED]
    assert evse.state.state == MatterState.PLUGGED_IN_NO_DEMAND


async def test_what_happens_is_shown_though_the_disk_takes_nothing_and_is_stored_later() -> None:
    evse = await bench()
    evse.enable()
    evse.charger.writer.trouble = "disk is full"
    evse.charger.pilot(B)
    evse.charger.charge()
    assert evse.state.state == MatterState.PLUGGED_IN_CHARGING
    assert evse.names == ["ev_connected", "energy_transfer_started"]
    evse.charger.writer.trouble = None
    evse.charger.spend(1)
    again = await evse.restart()
    assert again.names == []
    assert again.state.session_id == 0


async def test_session_numbers_begin_at_0_and_rise_by_one() -> None:
    evse = await bench()
    assert evse.state.session_id is None
    for number in range(3):
        evse.charger.pilot(B)
        assert evse.state.session_id == number
        evse.charger.pilot(A)
        assert evse.state.session_id == number


async def test_attributes_are_published_before_the_event_that_reports_them() -> None:
    evse = await bench()
    evse.enable()
    order: list[Any] = []
    evse.node.changes.on(lambda change: order.append(("report", evse.state.state)))
    evse.node.event_log.recorded.on(lambda record: order.append(("event", evse.state.state)))
    evse.charger.pilot(B)
    assert order[-1] == ("event", MatterState.PLUGGED_IN_NO_DEMAND)
    assert {kind for kind, _ in order[:-1]} == {"report"}


@pytest.mark.parametrize(
    ("pilot", "offered_ma", "disabled", "reason"),
    [
        (B, 16_000, False, Reason.kEVStopped),
        (B, 0, False, Reason.kEVSEStopped),
        (C, 0, False, Reason.kEVSEStopped),
        (B, 0, True, Reason.kEVSEStopped),
        (A, 0, False, Reason.kOther),
        (PilotState.INVALID, 0, False, Reason.kOther),
    ],
)
async def test_who_ended_a_transfer_follows_from_the_offer(
    pilot: PilotState, offered_ma: int, disabled: bool, reason: Any
) -> None:
    evse = await charging()
    if disabled:
        assert evse.disable() is StatusCode.SUCCESS
        assert evse.state.state == MatterState.PLUGGED_IN_CHARGING, "the vehicle is given time to stop"
    evse.charger.pilot(pilot, offered_ma=offered_ma)
    assert evse.heard[0][0] == "energy_transfer_stopped"
    assert evse.heard[0][1].reason == reason


async def test_an_event_names_the_last_state_that_was_known() -> None:
    evse = await bench()
    evse.charger.pilot(C)
    evse.charger.pilot(PilotState.INVALID)
    assert evse.state.state is None
    evse.charger.pilot(A)
    assert evse.heard[-1][1].state == MatterState.PLUGGED_IN_DEMAND


async def test_a_vehicle_that_was_exchanged_unseen_is_told_as_two() -> None:
    evse = await charging()
    evse.charger.safety.show(pilot_state=A, close_ordered=False)
    evse.charger.pilot(B)
    assert evse.names == ["energy_transfer_stopped", "ev_not_detected", "ev_connected"]
    assert evse.state.session_id == 1


# Faults.


async def test_a_fault_suspends_a_transfer_and_resuming_makes_no_events() -> None:
    evse = await charging()
    evse.charger.fault(Fault.RCD_TRIPPED)
    evse.charger.pilot(PilotState.F)
    evse.charger.fault()
    evse.charger.pilot(B)
    evse.charger.spend(20)
    evse.charger.pilot(C, offered_ma=16_000)
    evse.charger.charge()
    assert evse.names == ["fault", "fault"]
    assert evse.state.state == MatterState.PLUGGED_IN_CHARGING


async def test_a_suspended_transfer_that_is_not_resumed_ends_after_a_minute() -> None:
    evse = await charging()
    evse.charger.fault(Fault.RCD_TRIPPED)
    evse.charger.spend(3_600)
    assert evse.names == ["fault"], "while the fault lasts it is suspended, not ended"
    evse.charger.fault()
    evse.charger.pilot(B, offered_ma=16_000)
    evse.charger.spend(59)
    assert evse.names == ["fault"]
    evse.charger.spend(1)
    assert [(name, one.reason) for name, one in evse.heard] == [("energy_transfer_stopped", Reason.kEVStopped)]


@pytest.mark.parametrize("ends", ["unplugged", "disabled", "expired"])
async def test_a_transfer_ends_in_a_fault_when_vehicle_or_permission_go(ends: str) -> None:
    evse = await charging()
    evse.enable(NOW_S + 30)
    evse.charger.fault(Fault.OVER_TEMPERATURE)
    evse.heard.clear()
    if ends == "unplugged":
        evse.charger.pilot(A)
        assert evse.names == ["energy_transfer_stopped", "ev_not_detected"]
        return
    if ends == "disabled":
        assert evse.disable() is StatusCode.FAILURE
    else:
        evse.charger.spend(30)
    assert [(name, one.reason, one.state) for name, one in evse.heard] == [
        ("energy_transfer_stopped", Reason.kEVSEStopped, MatterState.FAULT)
    ]
    evse.charger.fault()
    assert evse.state.supply_state == SupplyState.DISABLED


async def test_a_fault_that_only_stops_ends_a_disabled_transfer_when_the_contactor_opens() -> None:
    evse = await charging()
    evse.charger.fault(Fault.OVER_TEMPERATURE, closed=True)
    evse.disable()
    assert evse.names == ["fault"], "the vehicle is given time to let go"
    evse.charger.open()
    assert [(name, one.reason) for name, one in evse.heard] == [("energy_transfer_stopped", Reason.kEVSEStopped)]


async def test_of_several_faults_the_worst_is_published_and_each_change_is_one_event() -> None:
    evse = await bench()
    evse.charger.pilot(B)
    evse.enable()
    evse.heard.clear()
    for faults in (
        (Fault.OVER_TEMPERATURE,),
        (Fault.OVER_TEMPERATURE, Fault.RCD_TRIPPED),
        (Fault.OVER_TEMPERATURE, Fault.RCD_TRIPPED, Fault.METER_STALE),
        (Fault.METER_STALE, Fault.OVER_TEMPERATURE),
        (),
    ):
        evse.charger.fault(*faults)
    steps = [(one.faultStatePreviousState, one.faultStateCurrentState, one.state) for _, one in evse.heard]
    none, hot, ground = FaultState.NO_ERROR, FaultState.OVER_TEMPERATURE, FaultState.GROUND_FAULT
    fault, idle = MatterState.FAULT, MatterState.PLUGGED_IN_NO_DEMAND
    assert steps == [(none, hot, idle), (hot, ground, fault), (ground, hot, fault), (hot, none, fault)]
    assert [evse.state.state, evse.state.supply_state] == [idle, SupplyState.CHARGING_ENABLED]


async def test_after_a_fault_the_state_is_what_the_pilot_says_now() -> None:
    evse = await charging()
    evse.charger.fault(Fault.RCD_TRIPPED)
    evse.charger.pilot(A)
    evse.charger.fault()
    assert evse.state.state == MatterState.NOT_PLUGGED_IN
    assert evse.names == ["fault", "energy_transfer_stopped", "ev_not_detected", "fault"]


@pytest.mark.parametrize("still", [True, False])
async def test_a_fault_is_told_once_though_the_process_restarts_meanwhile(still: bool) -> None:
    evse = await bench()
    evse.enable()
    evse.charger.fault(Fault.RCD_TRIPPED)
    again = await evse.restart(hears=False)
    hidden = [MatterState.FAULT, SupplyState.DISABLED_ERROR, FaultState.GROUND_FAULT]
    assert [again.state.state, again.state.supply_state, again.state.fault_state] == hidden
    again.charger.fault(*([Fault.RCD_TRIPPED] if still else []))
    assert again.names == ([] if still else ["fault"])
    assert again.state.fault_state == (FaultState.GROUND_FAULT if still else FaultState.NO_ERROR)


async def test_after_a_restart_in_silence_the_planner_goes_by_the_fault_that_controllers_see() -> None:
    """SupplyState is DisabledError while FaultState is not NoError. Source: Matter 1.4.2, 9.3.8.2."""
    evse = await bench()
    evse.charger.pilot(B)
    evse.enable()
    evse.charger.fault(Fault.RCD_TRIPPED)
    again = await evse.restart(hears=False)
    for _ in range(2):
        decided, shown = again.charger.point.status, again.state
        assert decided == EvseStatus(MatterState.FAULT, SupplyState.DISABLED_ERROR, FaultState.GROUND_FAULT)
        assert (shown.state, shown.supply_state, shown.fault_state) == (decided.state, decided.supply, decided.fault)
        again.charger.fall_silent()
    assert again.names == [], "controllers know of it"


async def test_a_fault_that_the_safety_process_falls_silent_with_is_not_cleared() -> None:
    evse = await bench()
    evse.charger.fault(Fault.RCD_TRIPPED)
    evse.heard.clear()
    evse.charger.fall_silent()
    assert [evse.state.state, evse.state.fault_state] == [MatterState.FAULT, FaultState.GROUND_FAULT]
    assert evse.names == []


async def test_a_fault_before_any_session_names_none() -> None:
    evse = await bench()
    evse.charger.fault(Fault.INSTALLATION_INVALID)
    assert evse.heard[0][1].sessionID is None


async def test_a_silent_safety_process_makes_the_state_unknown_and_ends_nothing() -> None:
    evse = await charging()
    evse.charger.fall_silent()
    assert evse.state.state is None
    evse.charger.hear()
    assert evse.state.state == MatterState.PLUGGED_IN_CHARGING
    assert evse.names == []


# Currents.


@pytest.mark.parametrize(
    ("command_ma", "user_ma", "cable_ma", "other", "expected_ma"),
    [
        (32_000, None, None, None, 32_000),
        (80_000, None, None, None, 32_000),
        (16_000, 20_000, 20_000, None, 16_000),
        (32_000, 20_000, 13_000, None, 13_000),
        (32_000, 8_000, 20_000, None, 8_000),
        (32_000, 3_000, 20_000, None, 7_000),
        (32_000, None, 20_000, (LimitSource.TEMPERATURE, 10_000), 10_000),
        (32_000, None, 20_000, (LimitSource.OWNER, 9_999), 9_999),
        (32_000, None, 20_000, (LimitSource.STALE_SENSOR, 0), 0),
        (32_000, None, None, (LimitSource.SENSOR_DOUBT, 5_999), 0),
    ],
)
async def test_the_maximum_is_the_least_of_all_limits_as_the_pilot_can_offer_it(
    command_ma: int, user_ma: int | None, cable_ma: int | None, other: tuple[LimitSource, int] | None, expected_ma: int
) -> None:
    evse = await bench()
    evse.enable(None, 7_000, command_ma)
    if user_ma is not None:
        evse.server.write_user_maximum_charge_current(user_ma)
    if cable_ma is not None:
        evse.charger.cable(cable_ma)
    if other is not None:
        evse.charger.limit(*other)
    assert evse.state.maximum_charge_current == expected_ma
    evse.disable()
    assert [evse.state.maximum_charge_current, evse.state.minimum_charge_current] == [0, 0]


@pytest.mark.parametrize(
    ("minimum_ma", "limit_ma", "expected_ma"),
    [(10_000, 8_000, 8_000), (10_000, 5_000, 0), (0, 8_000, 8_000), (32_000, 20_000, 20_000)],
)
async def test_the_minimum_raises_nothing_above_a_limit_and_stops_nothing_below_it(
    minimum_ma: int, limit_ma: int, expected_ma: int
) -> None:
    evse = await bench()
    evse.enable(None, minimum_ma, 32_000)
    evse.server.write_user_maximum_charge_current(6_000)
    evse.charger.cable(limit_ma)
    assert evse.state.minimum_charge_current == minimum_ma
    assert evse.state.maximum_charge_current == min(expected_ma, max(minimum_ma, 6_000))


async def test_the_user_maximum_acts_between_the_last_command_s_minimum_and_maximum() -> None:
    evse = await bench()
    evse.enable(None, 8_000, 16_000)
    shown = []
    for user_ma in (6_000, 8_000, 12_000, 16_000, 20_000):
        evse.server.write_user_maximum_charge_current(user_ma)
        shown.append((evse.state.user_maximum_charge_current, evse.state.maximum_charge_current))
    assert shown == [(6_000, 8_000), (8_000, 8_000), (12_000, 12_000), (16_000, 16_000), (20_000, 16_000)]
    evse.enable(None, 6_000, 32_000)
    assert evse.state.maximum_charge_current == 20_000, "the wish was kept and acts within the new command"
    again = await evse.restart()
    assert [again.state.user_maximum_charge_current, again.state.maximum_charge_current] == [20_000, 20_000]


async def test_only_the_installer_sets_the_capacity() -> None:
    cluster = EnergyEvseServer.cluster
    written = {attribute.name for attribute in cluster.attributes.values() if attribute.access.write is not None}
    assert written == {"UserMaximumChargeCurrent", "RandomizationDelayWindow", "ApproximateEVEfficiency"}


async def test_the_user_maximum_is_the_capacity_until_it_is_set() -> None:
    evse = await bench()
    assert evse.state.user_maximum_charge_current == 32_000
    evse.charger.install(circuit_capacity_ma=Milliamps(20_000))
    assert evse.state.user_maximum_charge_current == 20_000
    evse.server.write_user_maximum_charge_current(16_000)
    evse.charger.install(circuit_capacity_ma=Milliamps(25_000))
    assert evse.state.user_maximum_charge_current == 16_000
    assert evse.state.circuit_capacity == 25_000


async def test_enabling_for_good_without_a_current_permits_and_leaves_every_other_limit() -> None:
    evse = await bench()
    evse.server.write_user_maximum_charge_current(11_000)
    assert evse.enable(None, 0, 0) is StatusCode.SUCCESS
    shown = evse.state
    assert (shown.supply_state, shown.minimum_charge_current) == (SupplyState.CHARGING_ENABLED, 0)
    assert shown.maximum_charge_current == 11_000, "the user's"


async def test_enabling_until_an_end_without_a_current_is_a_pause() -> None:
    evse = await bench()
    assert evse.enable(NOW_S + 100, 0, 0) is StatusCode.SUCCESS
    assert (evse.state.supply_state, evse.state.maximum_charge_current) == (SupplyState.CHARGING_ENABLED, 0)


async def test_commands_become_asks_in_their_own_names() -> None:
    evse = await bench()
    assert evse.charger.asks[LimitSource.ENABLE_CHARGING].permitted is False
    evse.enable(NOW_S + 100, 6_000, 90_000)
    evse.server.write_user_maximum_charge_current(11_000)
    wanted, user = evse.charger.asks[LimitSource.ENABLE_CHARGING], evse.charger.asks[LimitSource.USER_MAXIMUM]
    now_ns = evse.charger.view().now_ns
    assert (wanted.permitted, wanted.limit_ma, wanted.until_ns) == (True, 80_000, now_ns + 100_000_000_000)
    assert wanted.permits(now_ns + 99_000_000_000)
    assert not wanted.permits(now_ns + 101_000_000_000), "it ends by itself, should the cluster be gone by then"
    assert user.limit_ma == 11_000


# Until when.


async def test_a_permission_ends_at_its_second_as_disable_would() -> None:
    evse = await charging()
    evse.enable(NOW_S + 10)
    evse.charger.spend(9)
    assert evse.state.supply_state == SupplyState.CHARGING_ENABLED
    evse.charger.spend(1)
    state = evse.state
    assert [state.supply_state, state.charging_enabled_until] == [SupplyState.DISABLED, 0]
    assert [state.minimum_charge_current, state.maximum_charge_current] == [0, 0]
    assert evse.charger.asks[LimitSource.ENABLE_CHARGING].permitted is False
    evse.charger.pilot(C)
    assert [(name, one.reason) for name, one in evse.heard] == [("energy_transfer_stopped", Reason.kEVSEStopped)]


async def test_a_permission_that_ran_out_while_the_power_was_gone_is_over() -> None:
    evse = await bench()
    evse.enable(NOW_S + 10)
    evse.clock.set_unix_s(UNIX_S + 3_600)
    again = await evse.restart()
    assert [again.state.supply_state, again.state.charging_enabled_until] == [SupplyState.DISABLED, 0]


async def test_an_end_that_no_clock_can_tell_has_not_come() -> None:
    evse = await bench()
    evse.enable(NOW_S + 10, 6_000, 16_000)
    evse.clock.set_unix_s(None)
    again = await evse.restart()
    assert [again.state.supply_state, again.state.charging_enabled_until] == [
        SupplyState.CHARGING_ENABLED,
        NOW_S + 10,
    ]
    ask = again.charger.asks[LimitSource.ENABLE_CHARGING]
    assert (ask.permitted, ask.until_ns) == (True, None)
    again.clock.set_unix_s(UNIX_S + 10)
    again.charger.spend(1)
    assert again.state.supply_state == SupplyState.DISABLED


async def test_a_clock_that_is_set_moves_the_end_with_it() -> None:
    evse = await bench()
    evse.enable(NOW_S + 100)
    before = evse.charger.asks[LimitSource.ENABLE_CHARGING].until_ns
    evse.charger.spend(1)
    assert evse.charger.asks[LimitSource.ENABLE_CHARGING].until_ns == before
    evse.clock.set_unix_s(UNIX_S + 51)
    evse.charger.spend(0)
    assert evse.charger.asks[LimitSource.ENABLE_CHARGING].until_ns == (before or 0) - 50_000_000_000


# What survives.


async def test_a_car_that_was_charging_goes_on_with_its_session_after_a_restart() -> None:
    evse = await charging()
    evse.server.write_user_maximum_charge_current(20_000)
    evse.server.write_randomization_delay_window(1_200)
    evse.targets((0x7F, [(420, None, 5_000)]))
    evse.charger.spend(40, 2_000)
    again = await evse.restart()
    state = again.state
    assert [state.state, state.supply_state] == [MatterState.PLUGGED_IN_CHARGING, SupplyState.CHARGING_ENABLED]
    assert [state.session_id, state.session_duration, state.session_energy_charged] == [0, 40, 2_000]
    assert [state.user_maximum_charge_current, state.randomization_delay_window] == [20_000, 1_200]
    assert again.server.get_targets() == evse.server.get_targets()
    assert again.names == [], "the transfer that goes on does not begin again"
    again.charger.pilot(B, offered_ma=20_000)
    assert again.heard[0][1].energyTransferred == 2_000


def cut(evse: EvseBench, pilot: PilotState) -> EvseBench:
    """Return a cluster after a power cut of a second, on the store of this moment, whose safety process shows this."""
    box = evse.charger.restarted(outage_s=1)
    box.safety.show(pilot_state=pilot)
    return EvseBench(evse.clock, MemoryStore(evse.store._values), charger=box)


async def test_a_transfer_that_the_power_cut_ended_is_told_to_have_ended() -> None:
    evse = await cut(await charging(), PilotState.F).start()
    assert [record.event for record in evse.node.event_log.since(0)] == [3]
    evse.charger.pilot(B)
    evse.charger.charge()
    assert evse.names == ["energy_transfer_started"]
    assert evse.state.session_id == 0


async def test_a_car_that_left_while_the_node_was_gone_is_told_to_have_left() -> None:
    evse = await cut(await charging(), A).start()
    assert [record.event for record in evse.node.event_log.since(0)] == [3, 1]


async def test_the_figures_of_the_last_session_outlast_it_and_a_restart() -> None:
    evse = await charging()
    evse.charger.spend(100, 7_000)
    evse.charger.pilot(A)
    again = await evse.restart()
    state = again.state
    assert [state.session_id, state.session_duration, state.session_energy_charged] == [0, 100, 7_000]


async def test_a_factory_reset_forgets_what_was_set_and_keeps_the_car() -> None:
    evse = await charging()
    evse.server.write_user_maximum_charge_current(20_000)
    evse.targets((0x7F, [(420, None, 5_000)]))
    evse.server.reset()
    state = evse.state
    assert [state.charging_enabled_until, state.user_maximum_charge_current] == [0, 32_000]
    assert evse.server.get_targets().chargingTargetSchedules == []
    assert evse.names == []
    again = await evse.restart()
    assert again.state.charging_enabled_until == 0


async def test_a_record_of_what_peers_know_that_cannot_be_read_ends_no_permission_and_tells_from_the_start() -> None:
    evse = await charging()
    evse.store._values["energy-evse/1"] = b"{}"
    again = await evse.restart()
    assert again.state.supply_state == SupplyState.CHARGING_ENABLED
    assert [record.event for record in again.node.event_log.since(0)] == [0, 2]


async def test_after_a_reset_an_empty_box_speaks_of_no_session_even_after_a_restart() -> None:
    evse = await charging()
    evse.charger.pilot(PilotState.A)
    assert evse.state.session_id == 0
    evse.server.reset()
    assert evse.state.session_id is None
    again = await evse.restart()
    assert again.state.session_id is None
    again.charger.pilot(PilotState.B)
    assert again.state.session_id == 1


async def test_a_command_that_cannot_be_stored_fails_and_changes_nothing() -> None:
    evse = await bench()
    evse.charger.writer.trouble = "disk is full"
    assert evse.enable() is StatusCode.FAILURE
    assert evse.state.supply_state == SupplyState.DISABLED
    assert evse.charger.asks[LimitSource.ENABLE_CHARGING].permitted is False
    assert evse.targets((1, [(1, None, 1)])) is StatusCode.FAILURE
    assert evse.server.get_targets().chargingTargetSchedules == []


async def test_of_what_controllers_set_the_cluster_stores_no_copy() -> None:
    evse = await charging()
    evse.server.write_user_maximum_charge_current(20_000)
    evse.server.write_randomization_delay_window(1_200)
    evse.targets((0x7F, [(420, None, 5_000)]))
    stored = {key for key in evse.store._values if key.startswith(("state/1/00000099/", "energy-evse/"))}
    assert stored == {"energy-evse/1"}, "what peers know by events, from which SessionID follows"
    record = json.loads(evse.store._values["energy-evse/1"])
    assert set(record) == {"session", "transfer", "latest", "fault", "figures"}


# Reports.


async def test_session_figures_are_reported_at_boundaries_and_every_20_s_while_energy_flows() -> None:
    evse = await charging()

    def reported() -> bool:
        found = any({"session_duration", "session_energy_charged"} <= report for report in evse.reports)
        evse.reports.clear()
        return found

    flows = []
    for _ in range(60):
        evse.charger.spend(1, 100)
        flows.append(reported())
    assert sum(flows) == 3
    evse.charger.pilot(B, offered_ma=32_000)
    assert reported()
    evse.charger.spend(600)
    assert not reported(), "nothing flows"
    assert evse.state.session_duration == 660, "a read tells it all the same"
    evse.charger.pilot(A)
    assert reported()
    evse.charger.spend(60)
    assert evse.reports == []


@pytest.mark.parametrize("pilot", [B, A])
async def test_what_was_discharged_is_reported_with_the_other_figures_of_a_session(pilot: PilotState) -> None:
    """At plug-in and unplug all three, also where none of them has changed. Source: TC-EEVSE-2.6."""
    evse = await bench(features=("SOC", "V2X"))
    for state in (B, A, B) if pilot is A else (B, A):
        evse.charger.pilot(state)
    evse.reports.clear()
    evse.charger.pilot(pilot)
    figures = {"session_duration", "session_energy_charged", "session_energy_discharged"}
    assert any(figures <= report for report in evse.reports)


async def test_a_boundary_reports_figures_that_did_not_change() -> None:
    evse = await bench()
    evse.charger.pilot(B)
    evse.reports.clear()
    evse.charger.pilot(A)
    assert any({"session_duration", "session_energy_charged"} <= report for report in evse.reports)
    assert not any("session_id" in report for report in evse.reports), "only a new session has a new number"


async def test_nothing_is_reported_while_nothing_happens() -> None:
    evse = await charging()
    evse.charger.pilot(B, offered_ma=32_000)
    evse.reports.clear()
    for _ in range(100):
        evse.charger.spend(1)
    assert evse.reports == []


# Who governs.


async def test_without_a_controller_the_owner_governs_and_the_cluster_asks_for_nothing() -> None:
    evse = await bench(commissioned=False)
    assert evse.state.supply_state == SupplyState.CHARGING_ENABLED
    assert set(evse.charger.asks) == {LimitSource.OWNER}
    assert evse.state.maximum_charge_current == 32_000
    evse.charger.point.set_owner_permission(permitted=False, limit_ma=None)
    evse.charger.spend(1)
    assert [evse.state.supply_state, evse.state.maximum_charge_current] == [SupplyState.DISABLED, 0]
    evse.charger.point.set_owner_permission(permitted=True, limit_ma=None)
    evse.charger.point.commission(commissioned=True)
    evse.charger.spend(1)
    assert evse.state.supply_state == SupplyState.DISABLED, "a new controller has permitted nothing yet"
    evse.charger.point.commission(commissioned=False)
    evse.charger.spend(1)
    assert set(evse.charger.asks) == {LimitSource.OWNER}


async def test_what_the_owner_permits_or_stops_is_shown_as_any_other_change() -> None:
    evse = await bench()
    evse.enable(NOW_S + 10, 6_000, 8_000)
    evse.charger.apply(evse.charger.view().settings.enabled())
    evse.charger.spend(0)
    assert [evse.state.charging_enabled_until, evse.state.maximum_charge_current] == [None, 32_000]
    evse.charger.fault(Fault.RCD_TRIPPED)
    evse.charger.apply(evse.charger.view().settings.disabled())
    evse.charger.fault()
    assert evse.state.supply_state == SupplyState.DISABLED, "a stop counts in a fault as well"


# Diagnostics.


async def test_diagnostics_last_until_the_box_has_been_tested() -> None:
    evse = await bench()
    evse.server.start_diagnostics()
    assert (evse.charger.self_test_ordered, evse.state.supply_state) == (True, SupplyState.DISABLED_DIAGNOSTICS)
    for received, running, passed in ((False, False, True), (True, False, False), (True, True, False)):
        evse.charger.test(received=received, running=running, passed=passed)
        assert evse.state.supply_state == SupplyState.DISABLED_DIAGNOSTICS
    evse.charger.test(passed=True)
    assert evse.state.supply_state == SupplyState.DISABLED
    assert evse.names == []


async def test_diagnostics_wait_for_the_contactor_to_open() -> None:
    evse = await charging()
    evse.disable()
    evse.server.start_diagnostics()
    assert not evse.charger.self_test_ordered
    evse.charger.pilot(C)
    assert evse.charger.self_test_ordered


async def test_diagnostics_that_find_a_fault_end_with_it() -> None:
    evse = await bench()
    evse.server.start_diagnostics()
    evse.charger.test(passed=False)
    evse.charger.fault(Fault.RCD_TEST_FAILED)
    assert evse.state.supply_state == SupplyState.DISABLED_ERROR
    evse.charger.fault()
    assert evse.state.supply_state == SupplyState.DISABLED


async def test_diagnostics_that_never_begin_are_given_up() -> None:
    evse = await bench()
    evse.server.start_diagnostics()
    evse.charger.test(passed=False)
    evse.charger.spend(59)
    assert evse.state.supply_state == SupplyState.DISABLED_DIAGNOSTICS
    evse.charger.spend(1)
    assert evse.state.supply_state == SupplyState.DISABLED


# Targets and features.


@pytest.mark.parametrize(
    ("features", "schedules", "status"),
    [
        ((), [(1, [(1_440, None, 1)])], StatusCode.CONSTRAINT_ERROR),
        ((), [(1, [(0, 101, None)])], StatusCode.CONSTRAINT_ERROR),
        ((), [(1, [(0, 80, None)])], StatusCode.CONSTRAINT_ERROR),
        ((), [(1, [(0, 100, None)])], StatusCode.SUCCESS),
        ((), [(1, [(0, None, -1)])], StatusCode.CONSTRAINT_ERROR),
        ((), [(0, [(0, None, 1)])], StatusCode.CONSTRAINT_ERROR),
        ((), [(0x80, [(0, None, 1)])], StatusCode.CONSTRAINT_ERROR),
        ((), [(3, [(0, None, 1)]), (2, [(0, None, 1)])], StatusCode.CONSTRAINT_ERROR),
        ((), [(1, [(minute, None, 1) for minute in range(10)])], StatusCode.SUCCESS),
        ((), [(1, [(minute, None, 1) for minute in range(11)])], StatusCode.RESOURCE_EXHAUSTED),
        ((), [(1 << day, [(0, None, 1)]) for day in range(7)], StatusCode.SUCCESS),
        ((), [(1, [(0, None, None)])], StatusCode.FAILURE),
        ((), [(1, [])], StatusCode.SUCCESS),
        (("SOC",), [(1, [(0, 80, None)])], StatusCode.SUCCESS),
        (("SOC",), [(1, [(0, None, 1)])], StatusCode.INVALID_COMMAND),
        (("SOC",), [(1, [(0, None, None)])], StatusCode.INVALID_COMMAND),
        (("SOC",), [(1, [(0, 101, None)])], StatusCode.CONSTRAINT_ERROR),
    ],
)
async def test_targets_that_cannot_be_are_refused_by_the_rule_they_break(
    features: tuple[str, ...], schedules: list[Any], status: StatusCode
) -> None:
    evse = await bench(features=features)
    codec = next(command for command in evse.server.cluster.commands.values() if command.key == "set_targets").request
    structs = EnergyEvse.Structs
    made = [
        structs.ChargingTargetScheduleStruct(days, [structs.ChargingTargetStruct(*target) for target in targets])
        for days, targets in schedules
    ]

    async def ask() -> None:
        await evse.server.set_targets(codec.cast(EnergyEvse.Commands.SetTargets(made)))

    assert evse.status(ask) is status
    assert bool(evse.server.get_targets().chargingTargetSchedules) is (status is StatusCode.SUCCESS)


async def test_new_targets_replace_the_days_they_name_and_no_others() -> None:
    evse = await bench()
    evse.targets((0b0111110, [(420, None, 1)]), (0b1000001, [(600, None, 2)]))
    evse.targets((0b0000110, [(300, None, 3)]))
    evse.targets((0b1000001, []))
    answered = evse.server.get_targets().chargingTargetSchedules
    assert [(one.dayOfWeekForSequence, [t.addedEnergy for t in one.chargingTargets]) for one in answered] == [
        (0b0111000, [1]),
        (0b1000001, []),
        (0b0000110, [3]),
    ]
    evse.targets((0b1111111, [(1, None, 4)]))
    assert [one.dayOfWeekForSequence for one in evse.server.get_targets().chargingTargetSchedules] == [0x7F]


async def test_what_the_vehicle_tells_stands_in_the_attributes_of_its_features() -> None:
    evse = await bench(features=("SOC", "PNC", "RFID", "V2X"))
    assert [evse.state.state_of_charge, evse.state.battery_capacity, evse.state.vehicle_id] == [None, None, None]
    evse.charger.adapter.set_vehicle(VehicleData(20, MilliwattHours(70_000_000), "WVW-1"))
    evse.charger.settle()
    assert [evse.state.state_of_charge, evse.state.battery_capacity] == [20, 70_000_000]
    assert evse.state.vehicle_id == "WVW-1"
    evse.server.card_read(bytes.fromhex("00112233445566778899"))
    assert evse.heard[-1][1].uid == bytes.fromhex("00112233445566778899")
    with pytest.raises(ValueError, match="uid of 3 bytes"):
        evse.server.card_read(b"abc")
    evse.charger.pilot(B)
    evse.enable()
    evse.charger.charge()
    evse.charger.pilot(A)
    extra = {name: vars(one) for name, one in evse.heard}
    assert extra["energy_transfer_started"]["maximumDischargeCurrent"] == 0
    assert extra["energy_transfer_stopped"]["energyDischarged"] == 0
    assert extra["ev_not_detected"]["sessionEnergyDischarged"] == 0
    assert evse.state.session_energy_discharged == 0


async def test_a_box_that_cannot_discharge_permits_it_and_says_that_nothing_will_come() -> None:
    evse = await bench(features=("V2X",))
    evse.charger.pilot(C)
    evse.heard.clear()
    await evse.server.enable_discharging(EnergyEvse.Commands.EnableDischarging(None, 12_000))
    assert evse.state.discharging_enabled_until is None
    assert [evse.state.supply_state, evse.state.state] == [
        SupplyState.DISCHARGING_ENABLED,
        MatterState.PLUGGED_IN_DEMAND,
    ]
    assert evse.state.maximum_discharge_current == 0
    assert evse.charger.asks[LimitSource.ENABLE_CHARGING].permitted is False
    assert evse.names == []


async def test_discharging_ends_at_its_time_and_leaves_charging_alone() -> None:
    evse = await bench(features=("V2X",))
    evse.charger.adapter.rated_discharge_ma = Milliamps(16_000)
    evse.enable()
    request = EnergyEvse.Commands.EnableDischarging(NOW_S + 10, 12_000)
    await evse.server.enable_discharging(request)
    assert [evse.state.supply_state, evse.state.maximum_discharge_current] == [SupplyState.ENABLED, 12_000]
    evse.charger.spend(10)
    assert [evse.state.supply_state, evse.state.discharging_enabled_until] == [SupplyState.CHARGING_ENABLED, 0]
    assert evse.state.maximum_discharge_current == 0


def test_features_that_are_provisional_are_off_unless_asked_for() -> None:
    assert EnergyEvseServer.cluster.feature_map == 1
    assert not {"vehicle_id", "state_of_charge", "discharging_enabled_until"} & set(EnergyEvseServer.defaults)


async def test_without_a_clock_time_is_taken_as_unknown() -> None:
    evse = await bench(clock=VirtualClock(unix_s=None))
    assert evse.enable(5) is StatusCode.SUCCESS
    assert evse.state.supply_state == SupplyState.CHARGING_ENABLED


# The rules of limits and states, as the cluster shows them (Matter 1.4.2, Energy EVSE, 9.3.8.1 and 9.3.8.9).


@pytest.mark.parametrize(
    ("source", "limit_ma", "expected_ma"),
    [
        (LimitSource.LEASE, 0, 32_000),  # the safety process waits for the next demand
        (LimitSource.CABLE, 0, 32_000),  # none is plugged in
        (LimitSource.TEMPERATURE, 6_000, 6_000),  # IEC 61851-1 Annex A: 6 A is the least that can be offered
        (LimitSource.TEMPERATURE, 5_999, 0),
    ],
)
async def test_what_the_safety_process_limits_by_is_shown_as_far_as_it_is_a_current(
    source: LimitSource, limit_ma: int, expected_ma: int
) -> None:
    evse = await bench()
    evse.enable()
    evse.charger.limit(source, limit_ma)
    assert evse.state.maximum_charge_current == expected_ma


async def test_the_circuit_s_capacity_limits_at_once_and_an_echo_of_the_node_s_own_limit_does_not() -> None:
    evse = await bench()
    evse.enable()
    evse.charger.safety.say(limit_source=LimitSource.OWNER, limit_ma=Milliamps(7_000))
    evse.charger.hear()
    assert evse.state.maximum_charge_current == 32_000
    evse.charger.install(circuit_capacity_ma=Milliamps(20_000))
    assert evse.state.maximum_charge_current == 20_000


@pytest.mark.parametrize(
    ("pilot", "state"),
    [
        (A, MatterState.NOT_PLUGGED_IN),
        (B, MatterState.PLUGGED_IN_NO_DEMAND),
        (C, MatterState.PLUGGED_IN_DEMAND),
        (PilotState.D, MatterState.PLUGGED_IN_DEMAND),
    ],
)
async def test_at_the_minus_12_v_of_the_box_the_vehicle_is_what_it_was(pilot: PilotState, state: MatterState) -> None:
    evse = await bench()
    evse.charger.pilot(pilot)
    assert evse.state.state == state
    evse.charger.pilot(PilotState.F)
    assert evse.state.state == state


async def test_at_the_minus_12_v_of_the_box_nothing_is_known_of_a_vehicle_that_charged() -> None:
    evse = await charging()
    evse.charger.pilot(PilotState.F)
    assert evse.state.state is None


async def test_contacts_that_are_closed_make_no_charging_of_a_vehicle_that_does_not_ask() -> None:
    evse = await bench()
    evse.charger.pilot(B, closed=True)
    assert evse.state.state == MatterState.PLUGGED_IN_NO_DEMAND


async def test_the_circuit_s_capacity_limits_without_a_controller_too() -> None:
    evse = await bench(commissioned=False)
    evse.charger.install(circuit_capacity_ma=Milliamps(20_000))
    assert evse.state.maximum_charge_current == 20_000
