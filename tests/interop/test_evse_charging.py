"""A day of the wallbox as the CHIP SDK's controller sees it, with the car and the lines of the emulated plant."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.interop.evse_peer import (
    CHARGING,
    CHARGING_ENABLED,
    CONSTRAINT_ERROR,
    DISABLED,
    DISABLED_DIAGNOSTICS,
    DISABLED_ERROR,
    EV_CONNECTED,
    EV_NOT_DETECTED,
    EV_STOPPED,
    EVSE,
    EVSE_STOPPED,
    FAILURE,
    FAULT,
    GROUND_FAULT,
    NO_DEMAND,
    NO_ERROR,
    NOT_PLUGGED_IN,
    RESOURCE_EXHAUSTED,
    STARTED,
    STATE_FAULT,
    STEADY_PPM,
    STOPPED,
    SUCCESS,
    matter_time,
    schedule,
    target,
)

if TYPE_CHECKING:
    from tests.interop.controllers import ChipController
    from tests.interop.evse_peer import Peer
    from tests.interop.wallbox import Wallbox

PPM_PER_MA = 50 / 3


def test_a_box_that_was_just_commissioned_permits_nothing(peer: Peer) -> None:
    assert peer.states() == [NOT_PLUGGED_IN, DISABLED, NO_ERROR]
    assert peer.read("ChargingEnabledUntil", "MaximumChargeCurrent", "SessionID") == [0, 0, None]
    assert peer.read("CircuitCapacity", "UserMaximumChargeCurrent", "RandomizationDelayWindow") == [32_000, 32_000, 600]


def test_a_car_comes_charges_and_goes_and_the_controller_sees_it_all(peer: Peer, wallbox: Wallbox) -> None:
    wallbox.car("plug_in", cable_ma=32_000)
    assert peer.event(EV_CONNECTED) == {"sessionID": 0}
    assert peer.states() == [NO_DEMAND, DISABLED, NO_ERROR]
    assert peer.read("SessionID", "SessionEnergyCharged") == [0, 0]
    wallbox.car("auto")
    time.sleep(1.0)
    assert wallbox.plant["duty_ppm"] == STEADY_PPM, "nothing has permitted yet"

    assert peer.enable(maximum_ma=16_000) == SUCCESS
    assert peer.read("SupplyState", "MaximumChargeCurrent", "ChargingEnabledUntil") == [CHARGING_ENABLED, 16_000, None]
    started = peer.event(STARTED)
    assert started == {"sessionID": 0, "state": CHARGING, "maximumCurrent": 16_000}
    assert peer.states() == [CHARGING, CHARGING_ENABLED, NO_ERROR]
    lines = wallbox.plant
    assert (lines["duty_ppm"], lines["coil"] == "full", lines["poles"]) == (266_666, True, [True] * 3)

    assert peer.enable(maximum_ma=10_000) == SUCCESS
    assert peer.read("MaximumChargeCurrent") == 10_000
    wallbox.await_plant(lambda now: now["duty_ppm"] == 166_666)

    assert peer.write("UserMaximumChargeCurrent", 8_000) == SUCCESS
    assert peer.read("MaximumChargeCurrent", "UserMaximumChargeCurrent") == [8_000, 8_000]
    wallbox.await_plant(lambda now: now["duty_ppm"] == 133_333)
    assert peer.write("UserMaximumChargeCurrent", 4_000) == SUCCESS, "acts only down to the minimum of the command"
    assert peer.read("MaximumChargeCurrent") == 6_000
    wallbox.await_plant(lambda now: now["duty_ppm"] == 100_000)
    assert peer.write("UserMaximumChargeCurrent", -1) == CONSTRAINT_ERROR
    assert peer.write("UserMaximumChargeCurrent", 32_000) == SUCCESS
    assert peer.read("MaximumChargeCurrent") == 10_000
    wallbox.await_plant(lambda now: now["duty_ppm"] == 166_666)
    peer.quiet()

    wallbox.car("auto", on=False)
    wallbox.car("open_s2")
    stopped = peer.event(STOPPED)
    assert (stopped["sessionID"], stopped["state"], stopped["reason"]) == (0, CHARGING, EV_STOPPED)
    assert stopped["energyTransferred"] > 0
    assert peer.states() == [NO_DEMAND, CHARGING_ENABLED, NO_ERROR]
    assert wallbox.plant["coil"] == "off"

    wallbox.car("unplug")
    gone = peer.event(EV_NOT_DETECTED)
    assert (gone["sessionID"], gone["state"]) == (0, NO_DEMAND)
    assert gone["sessionEnergyCharged"] >= stopped["energyTransferred"]
    assert gone["sessionDuration"] > 0
    assert peer.states() == [NOT_PLUGGED_IN, CHARGING_ENABLED, NO_ERROR]
    assert peer.read("SessionID") == 0
    peer.quiet()


def test_charging_that_was_permitted_until_a_time_ends_then(peer: Peer, wallbox: Wallbox) -> None:
    wallbox.car("plug_in", cable_ma=20_000)
    wallbox.car("auto")
    peer.event(EV_CONNECTED)
    until = matter_time(20)
    assert peer.enable(until, maximum_ma=32_000) == SUCCESS
    started = peer.event(STARTED)
    assert started["maximumCurrent"] == 20_000, "the cable's limit"
    assert peer.read("ChargingEnabledUntil", "MaximumChargeCurrent") == [until, 20_000]
    stopped = peer.event(STOPPED, 40)
    assert stopped["reason"] == EVSE_STOPPED
    assert matter_time() >= until
    assert peer.read("ChargingEnabledUntil", "MinimumChargeCurrent", "MaximumChargeCurrent") == [0, 0, 0]
    assert peer.read("SupplyState", "FaultState") == [DISABLED, NO_ERROR]
    lines = wallbox.plant
    assert (lines["duty_ppm"], lines["coil"] == "full") == (STEADY_PPM, False)
    assert peer.enable(matter_time(-1)) == SUCCESS, "a time in the past disables"
    assert peer.read("SupplyState", "ChargingEnabledUntil") == [DISABLED, 0]
    wallbox.car("unplug")
    peer.event(EV_NOT_DETECTED)
    peer.quiet()


def test_a_fault_suspends_the_transfer_and_a_cleared_one_lets_it_go_on(peer: Peer, wallbox: Wallbox) -> None:
    wallbox.car("plug_in", cable_ma=32_000)
    wallbox.car("auto")
    session = peer.event(EV_CONNECTED)["sessionID"]
    assert peer.enable(maximum_ma=16_000) == SUCCESS
    peer.event(STARTED)
    wallbox.car("trip_rcd")
    assert peer.event(FAULT) == {
        "sessionID": session,
        "state": CHARGING,
        "faultStatePreviousState": NO_ERROR,
        "faultStateCurrentState": GROUND_FAULT,
    }
    assert peer.states() == [STATE_FAULT, DISABLED_ERROR, GROUND_FAULT]
    assert wallbox.plant["coil"] == "off"
    assert peer.enable(maximum_ma=8_000) == FAILURE
    assert peer.invoke("StartDiagnostics") == FAILURE
    wallbox.ask("clear")
    assert peer.event(FAULT) == {
        "sessionID": session,
        "state": STATE_FAULT,
        "faultStatePreviousState": GROUND_FAULT,
        "faultStateCurrentState": NO_ERROR,
    }
    assert peer.read("SupplyState", "FaultState", "MaximumChargeCurrent") == [CHARGING_ENABLED, NO_ERROR, 16_000]
    wallbox.await_plant(lambda now: now["coil"] == "full", 40)
    peer.quiet(2)
    assert peer.states() == [CHARGING, CHARGING_ENABLED, NO_ERROR]
    assert peer.invoke("Disable") == SUCCESS
    assert peer.event(STOPPED)["reason"] == EVSE_STOPPED
    wallbox.car("unplug")
    assert peer.event(EV_NOT_DETECTED)["sessionID"] == session
    peer.quiet()


def test_diagnostics_test_the_box_and_keep_the_supply_off_meanwhile(peer: Peer, wallbox: Wallbox) -> None:
    assert peer.enable() == SUCCESS
    assert peer.invoke("StartDiagnostics") == FAILURE, "only from Disabled"
    assert peer.invoke("Disable") == SUCCESS
    before = wallbox.ask("status")["safety"]["evidence"]
    peer.await_supply(DISABLED)
    assert peer.invoke("StartDiagnostics") == SUCCESS
    assert peer.read("SupplyState") == DISABLED_DIAGNOSTICS
    assert peer.enable() == FAILURE
    assert peer.invoke("Disable") == FAILURE
    peer.await_supply(DISABLED_DIAGNOSTICS)
    peer.await_supply(DISABLED)
    evidence = wallbox.ask("status")["safety"]["evidence"]
    assert {each["check"] for each in evidence} == {each["check"] for each in before}
    assert all(each["passed"] for each in evidence)
    assert peer.states() == [NOT_PLUGGED_IN, DISABLED, NO_ERROR]
    peer.quiet()


def test_targets_are_kept_as_they_were_set(peer: Peer) -> None:
    assert peer.set_targets(schedule(0x7F, target(420))) == SUCCESS
    assert peer.set_targets(schedule(0x41, target(600), target(900))) == SUCCESS
    kept = [(0x3E, [(420, 10_000_000, None)]), (0x41, [(600, 10_000_000, None), (900, 10_000_000, None)])]
    assert peer.targets() == kept
    assert peer.set_targets(schedule(1, target(1440))) == CONSTRAINT_ERROR
    assert peer.set_targets(schedule(1, target(1)), schedule(3, target(2))) == CONSTRAINT_ERROR
    assert peer.set_targets(schedule(1, *(target(minute) for minute in range(11)))) == RESOURCE_EXHAUSTED
    assert peer.targets() == kept
    assert peer.invoke("ClearTargets") == SUCCESS
    assert peer.targets() == []


def test_a_node_that_dies_interrupts_neither_current_nor_session(
    peer: Peer, wallbox: Wallbox, chip: ChipController, node_id: int
) -> None:
    wallbox.car("plug_in", cable_ma=32_000)
    wallbox.car("auto")
    session = peer.event(EV_CONNECTED)["sessionID"]
    assert peer.enable(maximum_ma=16_000) == SUCCESS
    peer.event(STARTED)
    closings = wallbox.await_plant(lambda now: all(now["poles"]), 1)["closings"]
    chip.call("unsubscribe")
    wallbox.kill_node()
    chip.call("expire_sessions", node_id)
    assert peer.states() == [CHARGING, CHARGING_ENABLED, NO_ERROR]
    assert peer.read("SessionID") == session
    lines = wallbox.plant
    assert (lines["closings"], lines["coil"] == "full", lines["duty_ppm"]) == (closings, True, 266_666)
    evse = [event["event"] for event in chip.call("read_events", node_id) if event["cluster"] == EVSE]
    assert evse == [], "what goes on does not begin again"
    chip.call("subscribe", node_id, 0, 30)
    chip.call("forget_updates")
    wallbox.until(lambda now: now["session"] is not None and now["session"]["energy_mwh"] > 0)  # the meter was read
    wallbox.car("unplug")
    assert peer.event(STOPPED)["energyTransferred"] > 0
    assert peer.event(EV_NOT_DETECTED)["sessionID"] == session
    assert peer.invoke("Disable") == SUCCESS


def test_charging_goes_on_after_a_power_cut(peer: Peer, wallbox: Wallbox, chip: ChipController, node_id: int) -> None:
    wallbox.car("plug_in", cable_ma=32_000)
    wallbox.car("auto")
    session = peer.event(EV_CONNECTED)["sessionID"]
    assert peer.enable(maximum_ma=16_000) == SUCCESS
    assert peer.write("UserMaximumChargeCurrent", 14_000) == SUCCESS
    peer.event(STARTED)
    chip.call("unsubscribe")
    wallbox.cut_power()
    wallbox.start()
    wallbox.car("plug_in", cable_ma=32_000)  # the plant is a new one as well: the car is where it was
    wallbox.car("auto")
    lines = wallbox.await_plant(lambda now: now["coil"] == "full", 40)
    assert lines["duty_ppm"] == int(14_000 * PPM_PER_MA)
    chip.call("expire_sessions", node_id)
    assert peer.states() == [CHARGING, CHARGING_ENABLED, NO_ERROR]
    assert peer.read("ChargingEnabledUntil", "UserMaximumChargeCurrent") == [None, 14_000]
    assert peer.read("SessionID") >= session
    wallbox.car("unplug")
    wallbox.await_plant(lambda now: now["coil"] == "off")
    assert peer.invoke("Disable") == SUCCESS
