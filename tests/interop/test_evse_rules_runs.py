"""Certification runs of the Energy EVSE from beginning to end: a run takes every event in its order, none too many.

Each test is the sequence of one test case of the specification's test plan, told by what happens.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.interop.evse_peer import (
    ASK,
    ASK_NO_MORE,
    BASIC,
    BASIC_CLEAR,
    CARD,
    CHARGING,
    CHARGING_ENABLED,
    CONSTRAINT_ERROR,
    DEMAND,
    DIAGNOSED,
    DISABLED,
    DISABLED_DIAGNOSTICS,
    DISABLED_ERROR,
    EV_CONNECTED,
    EV_NOT_DETECTED,
    EV_STOPPED,
    EVSE_STOPPED,
    FAILURE,
    FAULT,
    GROUND_FAULT,
    HEAT,
    NO_DEMAND,
    NO_ERROR,
    NOT_PLUGGED_IN,
    OVER_TEMPERATURE,
    PLUG_IN,
    REPAIR,
    RESOURCE_EXHAUSTED,
    RFID,
    SESSION_DURATION,
    SESSION_ENERGY,
    SESSION_ID,
    STARTED,
    STATE_FAULT,
    STOPPED,
    SUCCESS,
    TIME_OF_USE,
    TIME_OF_USE_CLEAR,
    TRIP,
    UNPLUG,
    Peer,
    matter_time,
    next_at,
    schedule,
    target,
)

if TYPE_CHECKING:
    from tests.interop.controllers import ChipController
    from tests.interop.wallbox import Wallbox

NOTHING_PLANNED = [None, None, None, None]
A_DAY_OF_TARGETS = range(60, 1_141, 120)
ADDED = 25_000_000
UNSUPPORTED_MODE = 1


def begin(peer: Peer) -> None:
    """Begin as every run does."""
    assert peer.trigger(BASIC) == SUCCESS
    assert peer.states() == [NOT_PLUGGED_IN, DISABLED, NO_ERROR]


def connect(peer: Peer) -> int:
    """Let a car come, and return its session."""
    assert peer.trigger(PLUG_IN) == SUCCESS
    session = peer.event(EV_CONNECTED)["sessionID"]
    assert peer.read("State", "SessionID") == [NO_DEMAND, session]
    return session


def disconnect(peer: Peer, session: int) -> None:
    """Let the car go that asked for no more, and end as every run does."""
    assert peer.trigger(UNPLUG) == SUCCESS
    gone = peer.event(EV_NOT_DETECTED)
    assert (gone["sessionID"], gone["state"]) == (session, NO_DEMAND)
    assert peer.trigger(BASIC_CLEAR) == SUCCESS
    peer.no_more_events()


def stopped(peer: Peer, session: int, reason: int) -> None:
    """Take the end of a transfer that came for that reason."""
    told = peer.event(STOPPED)
    assert (told["sessionID"], told["state"], told["reason"]) == (session, CHARGING, reason)


def test_a_run_of_the_primary_functions(peer: Peer) -> None:
    begin(peer)
    session = connect(peer)
    until = matter_time(9)
    assert peer.enable(until, 6_000, 60_000) == SUCCESS
    assert peer.trigger(ASK) == SUCCESS
    assert peer.event(STARTED) == {"sessionID": session, "state": CHARGING, "maximumCurrent": 32_000}
    assert peer.read("State", "SupplyState", "ChargingEnabledUntil") == [CHARGING, CHARGING_ENABLED, until]
    assert peer.read("MinimumChargeCurrent", "MaximumChargeCurrent") == [6_000, 32_000]
    stopped(peer, session, EVSE_STOPPED)
    time.sleep(max(until + 3 - matter_time(), 0))  # it lets go, and asks again
    assert peer.states() == [DEMAND, DISABLED, NO_ERROR]

    assert peer.enable(None, 6_000, 12_000) == SUCCESS
    assert peer.event(STARTED, 10) == {"sessionID": session, "state": CHARGING, "maximumCurrent": 12_000}
    assert peer.read("State", "SupplyState", "ChargingEnabledUntil") == [CHARGING, CHARGING_ENABLED, None]
    assert peer.read("MinimumChargeCurrent", "MaximumChargeCurrent") == [6_000, 12_000]
    assert peer.write("UserMaximumChargeCurrent", 6_000) == SUCCESS
    assert peer.read("MaximumChargeCurrent") == 6_000
    assert peer.trigger(ASK_NO_MORE) == SUCCESS
    stopped(peer, session, EV_STOPPED)
    assert peer.read("State") == NO_DEMAND

    assert peer.trigger(ASK) == SUCCESS
    assert peer.enable(None, 6_000, 12_000) == SUCCESS
    assert peer.event(STARTED) == {"sessionID": session, "state": CHARGING, "maximumCurrent": 6_000}
    assert peer.read("State") == CHARGING
    assert peer.trigger(ASK_NO_MORE) == SUCCESS
    stopped(peer, session, EV_STOPPED)
    assert peer.read("State") == NO_DEMAND
    assert peer.trigger(UNPLUG) == SUCCESS
    assert peer.event(EV_NOT_DETECTED)["state"] == NO_DEMAND
    assert peer.read("State", "SupplyState", "SessionID") == [NOT_PLUGGED_IN, CHARGING_ENABLED, session]
    assert peer.read("SessionDuration") >= 5

    assert connect(peer) == session + 1
    assert peer.trigger(ASK) == SUCCESS
    assert peer.event(STARTED) == {"sessionID": session + 1, "state": CHARGING, "maximumCurrent": 6_000}
    assert peer.invoke("Disable") == SUCCESS
    stopped(peer, session + 1, EVSE_STOPPED)
    assert peer.read("SupplyState") == DISABLED
    assert peer.trigger(ASK_NO_MORE) == SUCCESS
    disconnect(peer, session + 1)


def test_a_run_of_the_charging_preferences(peer: Peer) -> None:
    begin(peer)
    assert peer.trigger(TIME_OF_USE) == SUCCESS
    session = connect(peer)
    assert peer.invoke("ClearTargets") == SUCCESS
    assert (peer.next_charge(), peer.targets()) == (NOTHING_PLANNED, [])
    assert peer.set_targets(schedule(0x7F, target(1439, ADDED))) == SUCCESS
    assert peer.next_charge() == NOTHING_PLANNED, "nothing is permitted"
    assert peer.enable(None, 6_000, 60_000) == SUCCESS
    start, due, energy, percent = peer.next_charge()
    assert start < due == next_at(1439)
    assert (energy, percent) == (ADDED, None)
    assert peer.targets() == [(0x7F, [(1439, ADDED, None)])]

    assert peer.set_targets(schedule(0x7F, target(1, None, 100))) == SUCCESS
    start, due, energy, percent = peer.next_charge()
    assert start < due == next_at(1)
    assert (energy, percent) == (None, 100)
    assert peer.targets() == [(0x7F, [(1, None, 100)])]
    assert peer.set_targets(schedule(0x40, *(target(minute, ADDED) for minute in A_DAY_OF_TARGETS))) == SUCCESS
    assert peer.set_targets(schedule(0x01)) == SUCCESS
    assert peer.targets() == [
        (0x3E, [(1, None, 100)]),
        (0x40, [(minute, ADDED, None) for minute in A_DAY_OF_TARGETS]),
        (0x01, []),
    ]

    assert peer.invoke("ClearTargets") == SUCCESS
    assert (peer.next_charge(), peer.targets()) == (NOTHING_PLANNED, [])
    twice = schedule(0x01, target(60, ADDED))
    assert peer.set_targets(twice, twice) == CONSTRAINT_ERROR
    eleven = (target(minute, ADDED) for minute in (*A_DAY_OF_TARGETS, 1_260))
    assert peer.set_targets(schedule(0x40, *eleven)) == RESOURCE_EXHAUSTED
    assert peer.targets() == []
    disconnect(peer, session)
    assert peer.trigger(TIME_OF_USE_CLEAR) == SUCCESS


def test_a_run_of_the_faults(peer: Peer, wallbox: Wallbox) -> None:
    def contacts() -> set[bool]:
        return set(wallbox.plant["poles"])

    def fault(state: int, before: int, now: int) -> None:
        assert peer.event(FAULT) == {
            "sessionID": session,
            "state": state,
            "faultStatePreviousState": before,
            "faultStateCurrentState": now,
        }

    begin(peer)
    session = connect(peer)
    assert peer.enable(None, 6_000, 60_000) == SUCCESS
    assert peer.trigger(ASK) == SUCCESS
    peer.event(STARTED)
    assert (contacts(), peer.states()) == ({True}, [CHARGING, CHARGING_ENABLED, NO_ERROR])
    assert peer.trigger(TRIP) == SUCCESS
    assert contacts() == {False}
    fault(CHARGING, NO_ERROR, GROUND_FAULT)
    assert peer.states() == [STATE_FAULT, DISABLED_ERROR, GROUND_FAULT]
    assert peer.trigger(HEAT) == SUCCESS
    fault(STATE_FAULT, GROUND_FAULT, OVER_TEMPERATURE)
    assert peer.states() == [STATE_FAULT, DISABLED_ERROR, OVER_TEMPERATURE]
    assert peer.trigger(REPAIR) == SUCCESS
    fault(STATE_FAULT, OVER_TEMPERATURE, NO_ERROR)
    assert (contacts(), peer.states()) == ({True}, [CHARGING, CHARGING_ENABLED, NO_ERROR])
    assert peer.trigger(ASK_NO_MORE) == SUCCESS
    stopped(peer, session, EV_STOPPED)
    disconnect(peer, session)


def test_a_run_of_the_diagnostics(peer: Peer) -> None:
    begin(peer)
    assert peer.enable(None, 6_000, 60_000) == SUCCESS
    assert peer.read("State", "SupplyState") == [NOT_PLUGGED_IN, CHARGING_ENABLED]
    assert peer.invoke("StartDiagnostics") == FAILURE
    assert peer.invoke("Disable") == SUCCESS
    assert peer.read("State", "SupplyState") == [NOT_PLUGGED_IN, DISABLED]
    assert peer.invoke("StartDiagnostics") == SUCCESS
    time.sleep(1)  # a test bench takes its time, and the box tests itself as slowly as its parts may be
    assert peer.read("SupplyState") == DISABLED_DIAGNOSTICS
    assert peer.enable(None, 6_000, 60_000) == FAILURE
    assert peer.read("SupplyState") == DISABLED_DIAGNOSTICS
    assert peer.trigger(DIAGNOSED) == SUCCESS
    assert peer.read("State", "SupplyState") == [NOT_PLUGGED_IN, DISABLED]
    assert peer.trigger(BASIC_CLEAR) == SUCCESS
    peer.no_more_events()


def test_a_run_of_quieter_reporting(peer: Peer) -> None:
    figures = {SESSION_DURATION, SESSION_ENERGY}
    begin(peer)
    session = connect(peer)
    assert peer.enable(None, 6_000, 12_000) == SUCCESS
    peer.reports()
    time.sleep(2)
    assert figures.isdisjoint(peer.reports()), "nothing happens"
    assert peer.trigger(ASK) == SUCCESS
    peer.event(STARTED)
    assert peer.read("State") == CHARGING
    peer.reports_of(figures)  # though no energy has flowed
    time.sleep(6)
    reports = peer.reports()
    assert SESSION_ID not in reports
    assert len(reports.get(SESSION_DURATION, ())) <= 1
    assert len(reports.get(SESSION_ENERGY, ())) <= 1

    assert peer.invoke("Disable") == SUCCESS
    stopped(peer, session, EVSE_STOPPED)
    assert peer.trigger(ASK_NO_MORE) == SUCCESS
    peer.reports_of(figures)
    assert peer.trigger(UNPLUG) == SUCCESS
    peer.event(EV_NOT_DETECTED)
    reports = peer.reports_of(figures)
    assert SESSION_ID not in reports, "it changes with the next car"

    connect(peer)
    # what flowed last into the car before may have been reported after it had gone
    reports = peer.reports_until(
        lambda found: {SESSION_ID, *figures} <= found.keys() and found[SESSION_ENERGY][-1] == 0
    )
    assert reports[SESSION_ID] == [session + 1]
    assert reports[SESSION_DURATION][-1] == 0
    disconnect(peer, session + 1)


def test_a_run_of_the_modes(peer: Peer, chip: ChipController) -> None:
    def read(name: str) -> Any:
        return chip.call("read", peer.node_id, (1, f"EnergyEvseMode.Attributes.{name}"))[0]

    def change(mode: int) -> int:
        answer = chip.call("invoke", peer.node_id, 1, "EnergyEvseMode.Commands.ChangeToMode", {"newMode": mode})
        return answer["status"]

    before = read("CurrentMode")
    modes = [option["mode"] for option in read("SupportedModes")]
    assert len(modes) >= 2
    assert before in modes
    assert change(before) == SUCCESS
    for mode in modes:
        assert change(mode) == SUCCESS
        assert read("CurrentMode") == mode
    assert change(max(modes) + 1) == UNSUPPORTED_MODE
    assert read("CurrentMode") == modes[-1]
    assert change(before) == SUCCESS


def test_a_run_of_the_card_reader(peer: Peer) -> None:
    assert peer.trigger(CARD) == SUCCESS
    assert 0 < len(peer.event(RFID, 5)["uid"]) <= 10
    peer.no_more_events()
