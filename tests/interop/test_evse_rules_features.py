"""A box with every feature of the Energy EVSE cluster: state of charge, plug and charge, and discharging."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.interop.evse_peer import (
    ASK,
    BASIC,
    BASIC_CLEAR,
    CHARGE_CLEAR,
    CHARGE_HIGH,
    CHARGE_LOW,
    CHARGING_ENABLED,
    CONSTRAINT_ERROR,
    DISABLED,
    EV_CONNECTED,
    EV_NOT_DETECTED,
    EVSE_STOPPED,
    INVALID_COMMAND,
    NEEDS_TIMED_INTERACTION,
    NO_DEMAND,
    NO_ERROR,
    NOT_PLUGGED_IN,
    PLUG_IN,
    STARTED,
    STOPPED,
    SUCCESS,
    UNPLUG,
    VEHICLE_ID,
    Peer,
    matter_time,
    next_at,
    schedule,
    target,
)

DISCHARGING_ENABLED, ENABLED = 2, 5
SHORT_OF_MIDNIGHT = 1_439
NOTHING_PLANNED = [None] * 4
ADDED = 25_000_000


@pytest.fixture(scope="module")
def features() -> str:
    return "pref,soc,pnc,rfid,v2x"


def discharge(peer: Peer, until: int | None, maximum_ma: int, timed_ms: int | None = 2_000) -> int:
    fields = {"dischargingEnabledUntil": until, "maximumDischargeCurrent": maximum_ma}
    return peer.invoke("EnableDischarging", timed_ms=timed_ms, **fields)


def test_every_feature_shows_its_attributes_and_commands(peer: Peer) -> None:
    assert peer.read("FeatureMap") == 0x1F
    attributes, commands = peer.read("AttributeList", "AcceptedCommandList")
    assert {4, 8, 0x30, 0x31, 0x32, 0x43} <= set(attributes)
    assert commands == [1, 2, 3, 4, 5, 6, 7]
    assert peer.read("StateOfCharge", "BatteryCapacity", "VehicleID") == [None, None, None]
    assert peer.read("DischargingEnabledUntil", "MaximumDischargeCurrent", "SessionEnergyDischarged") == [0, 0, None]


def test_a_run_of_the_state_of_charge(peer: Peer) -> None:
    assert peer.invoke("Disable") == SUCCESS
    assert peer.trigger(BASIC) == SUCCESS
    assert peer.read("State") == NOT_PLUGGED_IN
    assert peer.trigger(PLUG_IN) == SUCCESS
    peer.event(EV_CONNECTED)
    assert peer.trigger(CHARGE_LOW) == SUCCESS
    assert peer.read("StateOfCharge", "BatteryCapacity") == [20, 70_000_000]
    assert peer.invoke("ClearTargets") == SUCCESS
    assert peer.next_charge() == NOTHING_PLANNED
    assert peer.set_targets(schedule(0x7F, target(SHORT_OF_MIDNIGHT, ADDED, 80))) == SUCCESS
    assert peer.next_charge() == NOTHING_PLANNED
    due = next_at(SHORT_OF_MIDNIGHT)

    assert peer.enable(None, 6_000, 60_000) == SUCCESS
    start, *others = peer.next_charge()
    assert start < due
    assert others == [due, None, 80]
    assert peer.invoke("Disable") == SUCCESS
    assert peer.next_charge() == NOTHING_PLANNED

    assert peer.trigger(CHARGE_HIGH) == SUCCESS
    assert peer.read("StateOfCharge", "BatteryCapacity") == [95, 70_000_000]
    assert peer.enable(None, 6_000, 60_000) == SUCCESS
    assert peer.next_charge() == [None, due, None, 80], "it is fuller than it has to be"
    assert peer.invoke("Disable") == SUCCESS
    assert peer.next_charge() == NOTHING_PLANNED

    assert peer.trigger(CHARGE_CLEAR) == SUCCESS
    assert peer.read("StateOfCharge", "BatteryCapacity") == [None, None]
    assert peer.enable(None, 6_000, 60_000) == SUCCESS
    start, *others = peer.next_charge()
    assert start < due
    assert others == [due, ADDED, None], "without a state of charge it goes by the energy"
    assert peer.invoke("Disable") == SUCCESS
    assert peer.set_targets(schedule(1, target(60, ADDED))) == INVALID_COMMAND, (
        "with the feature a target needs a charge"
    )
    assert peer.trigger(UNPLUG) == SUCCESS
    peer.event(EV_NOT_DETECTED)
    peer.no_more_events()


def test_a_run_of_plug_and_charge(peer: Peer) -> None:
    assert peer.trigger(VEHICLE_ID) == SUCCESS
    assert peer.read("VehicleID") == "Test-Vehicle-ID-012345789-ABCDEF"
    assert peer.trigger(BASIC_CLEAR) == SUCCESS
    assert peer.read("VehicleID") is None


def test_discharging_is_permitted_and_taken_back_without_an_event(peer: Peer) -> None:
    assert discharge(peer, None, 16_000, timed_ms=None) == NEEDS_TIMED_INTERACTION
    assert discharge(peer, None, -1) == CONSTRAINT_ERROR
    assert peer.read("SupplyState", "DischargingEnabledUntil") == [DISABLED, 0]
    assert discharge(peer, None, 16_000) == SUCCESS
    assert peer.read("SupplyState", "DischargingEnabledUntil") == [DISCHARGING_ENABLED, None]
    assert peer.read("MaximumDischargeCurrent") == 0, "the least of all limits, and the board takes no current"
    assert peer.enable() == SUCCESS
    assert peer.read("SupplyState") == ENABLED
    assert discharge(peer, matter_time(-1), 16_000) == SUCCESS
    assert peer.read("SupplyState", "DischargingEnabledUntil") == [CHARGING_ENABLED, 0]
    assert discharge(peer, None, 16_000) == SUCCESS
    assert peer.invoke("Disable") == SUCCESS
    assert peer.read("SupplyState", "MaximumChargeCurrent", "MaximumDischargeCurrent") == [DISABLED, 0, 0]
    peer.no_more_events()


def test_a_run_of_discharging(peer: Peer) -> None:
    def supply() -> list[Any]:
        return peer.read("SupplyState", "ChargingEnabledUntil", "DischargingEnabledUntil")

    def currents() -> list[int]:
        return peer.read("MinimumChargeCurrent", "MaximumChargeCurrent", "MaximumDischargeCurrent")

    assert peer.trigger(BASIC) == SUCCESS
    assert peer.trigger(PLUG_IN) == SUCCESS
    peer.event(EV_CONNECTED)
    assert peer.states() == [NO_DEMAND, DISABLED, NO_ERROR]
    until, sooner = matter_time(14), matter_time(9)
    assert peer.enable(until, 6_000, 60_000) == discharge(peer, sooner, 32_000) == SUCCESS
    assert supply() == [ENABLED, until, sooner]
    assert currents() == [6_000, 32_000, 32_000]
    assert peer.trigger(ASK) == SUCCESS
    started = peer.event(STARTED)
    assert (started["maximumCurrent"], started["maximumDischargeCurrent"]) == (32_000, 32_000)
    time.sleep(max(sooner + 1 - matter_time(), 0))
    assert supply() == [CHARGING_ENABLED, until, 0]
    assert currents() == [6_000, 32_000, 0]
    stopped = peer.event(STOPPED)
    assert (stopped["reason"], stopped["energyDischarged"]) == (EVSE_STOPPED, 0)
    assert (supply(), currents()) == ([DISABLED, 0, 0], [0, 0, 0])
    assert discharge(peer, None, 12_000) == SUCCESS
    assert (supply(), currents()) == ([DISCHARGING_ENABLED, 0, None], [0, 0, 12_000])
    assert peer.invoke("Disable") == SUCCESS
    assert (supply(), currents()) == ([DISABLED, 0, 0], [0, 0, 0])
    assert peer.trigger(UNPLUG) == SUCCESS
    peer.event(EV_NOT_DETECTED)
    assert peer.trigger(BASIC_CLEAR) == SUCCESS
    peer.no_more_events()


def test_events_name_what_was_discharged(peer: Peer) -> None:
    assert peer.enable() == SUCCESS
    assert peer.trigger(PLUG_IN) == SUCCESS
    assert peer.trigger(ASK) == SUCCESS
    peer.event(EV_CONNECTED)
    assert peer.event(STARTED)["maximumDischargeCurrent"] == 0
    assert peer.read("SessionEnergyDischarged") == 0
    assert peer.trigger(UNPLUG) == SUCCESS
    assert peer.event(STOPPED)["energyDischarged"] == 0
    assert peer.event(EV_NOT_DETECTED)["sessionEnergyDischarged"] == 0
    assert peer.invoke("Disable") == SUCCESS
    peer.no_more_events()
