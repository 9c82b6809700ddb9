"""The rules of the Energy EVSE cluster one by one, as a controller sees them; docs/CERTIFICATION.md lists them."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.interop.evse_peer import (
    ASK,
    BASIC,
    BASIC_CLEAR,
    CHARGING,
    CHARGING_ENABLED,
    CONSTRAINT_ERROR,
    DEMAND,
    DISABLED,
    DISABLED_ERROR,
    EV_CONNECTED,
    EV_NOT_DETECTED,
    EVSE,
    EVSE_STOPPED,
    FAILURE,
    FAULT,
    GROUND_FAULT,
    HEAT,
    NEEDS_TIMED_INTERACTION,
    NO_ERROR,
    NOT_PLUGGED_IN,
    OTHER,
    OVER_TEMPERATURE,
    PLUG_IN,
    REPAIR,
    RESOURCE_EXHAUSTED,
    STARTED,
    STATE_FAULT,
    STOPPED,
    SUCCESS,
    TIME_OF_USE,
    TIME_OF_USE_CLEAR,
    TRIP,
    UNPLUG,
    UNSUPPORTED_ACCESS,
    UNSUPPORTED_COMMAND,
    UNSUPPORTED_WRITE,
    Peer,
    matter_time,
    next_at,
    schedule,
    target,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.interop.controllers import ChipController
    from tests.interop.wallbox import Wallbox

COMMANDS: dict[str, dict[str, Any]] = {
    "Disable": {},
    "EnableCharging": {"chargingEnabledUntil": None, "minimumChargeCurrent": 6_000, "maximumChargeCurrent": 16_000},
    "StartDiagnostics": {},
    "SetTargets": {"chargingTargetSchedules": []},
    "GetTargets": {},
    "ClearTargets": {},
}
GRANT = ("ChargingEnabledUntil", "MinimumChargeCurrent", "MaximumChargeCurrent")
CONTROLLER = 112233
VIEW, OPERATE, MANAGE, ADMINISTER = 1, 3, 4, 5
INFO, CRITICAL = 1, 2
THREE_PHASES_32_A_MW = 3 * 230 * 32_000
EFFICIENCY_PERCENT = 90


@pytest.fixture
def sound(peer: Peer) -> Iterator[Peer]:
    """A box without car, fault, permission or target, and so it is left."""
    assert peer.trigger(BASIC) == SUCCESS
    assert peer.invoke("ClearTargets") == SUCCESS
    for event in peer.later_events():
        peer.event(event["event"])
    yield peer
    peer.no_more_events()


@pytest.fixture
def charging(sound: Peer) -> Peer:
    """A car that charges with 16 A."""
    assert sound.trigger(PLUG_IN) == SUCCESS
    assert sound.enable(maximum_ma=16_000) == SUCCESS
    assert sound.trigger(ASK) == SUCCESS
    sound.event(EV_CONNECTED)
    sound.event(STARTED)
    return sound


def fault(before: int, now: int, state: int, session: int | None) -> dict[str, Any]:
    """Return the payload of a Fault event."""
    changed = {"faultStatePreviousState": before, "faultStateCurrentState": now}
    return {"state": state, **changed} | ({"sessionID": session} if session is not None else {"sessionID": None})


# Attributes.


def test_a_fresh_box_permits_nothing_knows_no_session_and_has_the_defaults(peer: Peer) -> None:
    assert peer.states() == [NOT_PLUGGED_IN, DISABLED, NO_ERROR]
    assert peer.read(*GRANT) == [0, 6_000, 0]
    assert peer.read("CircuitCapacity", "UserMaximumChargeCurrent", "RandomizationDelayWindow") == [32_000, 32_000, 600]
    assert peer.next_charge() == [None] * 4
    assert peer.read("ApproximateEVEfficiency", "SessionID") == [None, None]
    assert peer.read("SessionDuration", "SessionEnergyCharged") == [None, None]


def test_revisions_and_device_type_are_of_one_version(peer: Peer, chip: ChipController) -> None:
    paths = [(0, f"BasicInformation.Attributes.{name}") for name in ("SpecificationVersion", "DataModelRevision")]
    paths += [(1, f"{name}.Attributes.ClusterRevision") for name in ("EnergyEvse", "EnergyEvseMode")]
    assert chip.call("read", peer.node_id, *paths) == [0x01040200, 19, 3, 2]
    (types,) = chip.call("read", peer.node_id, (1, "Descriptor.Attributes.DeviceTypeList"))
    assert {"deviceType": 0x050C, "revision": 2} in types


def test_what_is_provisional_is_off(peer: Peer) -> None:
    assert peer.read("FeatureMap") == 0x1 | 0x8
    attributes, commands = peer.read("AttributeList", "AcceptedCommandList")
    assert {4, 8, 0x30, 0x31, 0x32, 0x43}.isdisjoint(attributes)
    assert commands == [1, 2, 4, 5, 6, 7]
    assert peer.invoke("EnableDischarging", maximumDischargeCurrent=6_000) == UNSUPPORTED_COMMAND


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("UserMaximumChargeCurrent", -1, CONSTRAINT_ERROR),
        ("RandomizationDelayWindow", 86_401, CONSTRAINT_ERROR),
        ("CircuitCapacity", 10_000, UNSUPPORTED_WRITE),
        ("MaximumChargeCurrent", 10_000, UNSUPPORTED_WRITE),
        ("State", CHARGING, UNSUPPORTED_WRITE),
        ("ChargingEnabledUntil", None, UNSUPPORTED_WRITE),
    ],
)
def test_a_write_that_cannot_be_changes_nothing(peer: Peer, name: str, value: int | None, status: int) -> None:
    before = peer.read(name)
    assert peer.write(name, value) == status
    assert peer.read(name) == before


def test_what_may_be_written_is_taken_up_to_its_limit(peer: Peer) -> None:
    for name, values in {
        "RandomizationDelayWindow": (86_400, 0, 600),
        "ApproximateEVEfficiency": (0xFFFE, 0, None),
        "UserMaximumChargeCurrent": (0, 80_000, 32_000),
    }.items():
        for value in values:
            assert peer.write(name, value) == SUCCESS
            assert peer.read(name) == value


# Commands.


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_not_timed_is_refused(peer: Peer, command: str) -> None:
    assert peer.invoke(command, timed_ms=None, **COMMANDS[command]) == NEEDS_TIMED_INTERACTION
    assert peer.states() == [NOT_PLUGGED_IN, DISABLED, NO_ERROR]


@pytest.mark.parametrize(("minimum_ma", "maximum_ma"), [(-1, 6_000), (6_000, -1), (10_000, 6_000)])
def test_currents_that_cannot_be_leave_the_last_permission(sound: Peer, minimum_ma: int, maximum_ma: int) -> None:
    assert sound.enable(None, 6_000, 16_000) == SUCCESS
    before = sound.read("SupplyState", *GRANT)
    assert sound.enable(matter_time(60), minimum_ma, maximum_ma) == CONSTRAINT_ERROR
    assert sound.read("SupplyState", *GRANT) == before == [CHARGING_ENABLED, None, 6_000, 16_000]


def test_disable_takes_times_and_currents_back(sound: Peer) -> None:
    assert sound.enable(None, 6_000, 16_000) == SUCCESS
    assert sound.invoke("Disable") == SUCCESS
    assert sound.read("SupplyState", *GRANT) == [DISABLED, 0, 0, 0]


@pytest.mark.parametrize("until", [0, -3_600], ids=["zero", "an hour ago"])
def test_a_permission_whose_end_has_passed_disables_at_once(sound: Peer, until: int) -> None:
    assert sound.enable() == SUCCESS
    assert sound.enable(until and matter_time(until)) == SUCCESS
    assert sound.read("SupplyState", *GRANT) == [DISABLED, 0, 0, 0]


def test_under_a_fault_nothing_can_be_permitted_and_nothing_is_half_done(sound: Peer) -> None:
    assert sound.enable(None, 6_000, 16_000) == SUCCESS
    before = sound.read(*GRANT)
    assert sound.trigger(TRIP) == SUCCESS
    sound.event(FAULT)
    assert sound.enable(matter_time(60), 8_000, 10_000) == FAILURE
    assert sound.invoke("StartDiagnostics") == FAILURE
    assert sound.read("SupplyState", *GRANT) == [DISABLED_ERROR, *before]
    assert sound.invoke("Disable") == FAILURE, "the supply cannot be Disabled now, but the permission is gone"
    assert sound.read("SupplyState", *GRANT) == [DISABLED_ERROR, 0, 0, 0]
    assert sound.trigger(REPAIR) == SUCCESS
    sound.event(FAULT)
    assert sound.states() == [NOT_PLUGGED_IN, DISABLED, NO_ERROR]


TARGETS_REFUSED = {
    "a minute beyond the day": (CONSTRAINT_ERROR, [schedule(1, target(1_440))]),
    "more than all of the battery": (CONSTRAINT_ERROR, [schedule(1, target(60, None, 101))]),
    "an unknown state of charge": (CONSTRAINT_ERROR, [schedule(1, target(60, None, 80))]),
    "less than no energy": (CONSTRAINT_ERROR, [schedule(1, target(60, -1))]),
    "a day twice": (CONSTRAINT_ERROR, [schedule(1, target(60)), schedule(3, target(90))]),
    "a day twice, one of them good": (CONSTRAINT_ERROR, [schedule(4, target(60)), schedule(1), schedule(1)]),
    "eleven targets": (RESOURCE_EXHAUSTED, [schedule(4, target(60)), schedule(1, *map(target, range(11)))]),
    "neither energy nor charge": (FAILURE, [schedule(4, target(60)), schedule(1, target(60, None))]),
}


@pytest.mark.parametrize("case", TARGETS_REFUSED)
def test_targets_that_cannot_be_leave_the_last_ones(peer: Peer, case: str) -> None:
    status, schedules = TARGETS_REFUSED[case]
    assert peer.set_targets(schedule(0x10, target(60))) == SUCCESS
    assert peer.set_targets(*schedules) == status
    assert (0x10, [(60, 10_000_000, None)]) in peer.targets()
    assert all(days & 0x05 == 0 for days, _ in peer.targets())


def test_new_targets_replace_their_days_alone_and_keep_the_order(sound: Peer) -> None:
    assert sound.set_targets(schedule(0x3E, target(420)), schedule(0x41, target(600), target(900))) == SUCCESS
    work, weekend = (0x3E, [(420, 10_000_000, None)]), (0x41, [(600, 10_000_000, None), (900, 10_000_000, None)])
    assert sound.targets() == [work, weekend]
    assert sound.set_targets(schedule(0x3E, target(480, None, 100))) == SUCCESS
    assert sound.targets() == [(0x3E, [(480, None, 100)]), weekend], "the same days: in the same place"
    assert sound.set_targets(schedule(0x03, target(0, 1))) == SUCCESS
    assert sound.targets() == [(0x3C, [(480, None, 100)]), (0x40, weekend[1]), (0x03, [(0, 1, None)])]
    assert sound.set_targets(schedule(0x7F)) == SUCCESS
    assert sound.targets() == [(0x7F, [])]
    assert sound.invoke("ClearTargets") == SUCCESS
    assert sound.targets() == []


@contextmanager
def privilege(chip: ChipController, node_id: int, granted: int) -> Iterator[None]:
    """Leave the controller no more than `granted` on the wallbox's endpoint."""

    def entry(privilege: int, targets: list[dict[str, Any]] | None) -> dict[str, Any]:
        fields = {"privilege": privilege, "authMode": 2, "subjects": [CONTROLLER], "targets": targets}
        return {"$": "AccessControl.Structs.AccessControlEntryStruct", **fields}

    def aim(**fields: Any) -> dict[str, Any]:
        nothing = {"cluster": None, "endpoint": None, "deviceType": None}
        return {"$": "AccessControl.Structs.AccessControlTargetStruct", **nothing, **fields}

    path = (0, "AccessControl.Attributes.Acl")
    less = [entry(ADMINISTER, [aim(endpoint=0)]), entry(granted, [aim(endpoint=1)])]
    assert chip.call("write", node_id, *path, less) == [SUCCESS]
    try:
        yield
    finally:
        assert chip.call("write", node_id, *path, [entry(ADMINISTER, None)]) == [SUCCESS]


def test_reading_needs_view_commands_operate_and_writing_manage(peer: Peer, chip: ChipController) -> None:
    with privilege(chip, peer.node_id, VIEW):
        assert peer.states() == [NOT_PLUGGED_IN, DISABLED, NO_ERROR]
        for command, fields in COMMANDS.items():
            assert peer.invoke(command, **fields) == UNSUPPORTED_ACCESS, command
    with privilege(chip, peer.node_id, OPERATE):
        assert peer.invoke("ClearTargets") == SUCCESS
        for name in ("UserMaximumChargeCurrent", "RandomizationDelayWindow", "ApproximateEVEfficiency"):
            assert peer.write(name, 600) == UNSUPPORTED_ACCESS, name
    with privilege(chip, peer.node_id, MANAGE):
        assert peer.write("RandomizationDelayWindow", 600) == SUCCESS


# Currents.


def test_the_least_of_all_limits_is_offered_and_a_change_acts_at_once(sound: Peer, wallbox: Wallbox) -> None:
    def maximum() -> int:
        return sound.read("MaximumChargeCurrent")

    wallbox.car("plug_in", cable_ma=20_000)
    sound.event(EV_CONNECTED)
    wallbox.until(lambda now: now["cable_ma"] == 20_000)  # read a moment after the plug is seen
    assert sound.enable(None, 6_000, 60_000) == SUCCESS
    assert maximum() == 20_000, "the cable's"
    assert sound.write("UserMaximumChargeCurrent", 13_000) == SUCCESS
    assert maximum() == 13_000, "the user's"
    assert sound.enable(None, 6_000, 10_000) == SUCCESS
    assert maximum() == 10_000, "the command's"
    assert sound.trigger(UNPLUG) == SUCCESS
    sound.event(EV_NOT_DETECTED)
    assert sound.write("UserMaximumChargeCurrent", 80_000) == SUCCESS
    assert sound.enable(None, 6_000, 80_000) == SUCCESS
    time.sleep(0.5)  # the contact of the plug that is gone is believed after 200 ms
    assert maximum() == 32_000, "the circuit's"
    sound.take()
    assert sound.enable(None, 6_000, 79_000) == SUCCESS
    assert sound.write("UserMaximumChargeCurrent", 32_000) == SUCCESS
    assert 7 not in sound.reports(), "the current is the same, so nothing is to be reported"


# Sessions and transfers.


def test_a_permission_starts_the_transfer_and_a_plug_pulled_under_load_ends_it_before_the_session(sound: Peer) -> None:
    assert sound.trigger(PLUG_IN) == SUCCESS
    session = sound.event(EV_CONNECTED)["sessionID"]
    assert sound.trigger(ASK) == SUCCESS
    assert sound.states() == [DEMAND, DISABLED, NO_ERROR]
    sound.no_more_events()
    sound.take()
    assert sound.enable(maximum_ma=10_000) == SUCCESS
    assert sound.event(STARTED) == {"sessionID": session, "state": CHARGING, "maximumCurrent": 10_000}
    assert sound.states() == [CHARGING, CHARGING_ENABLED, NO_ERROR]
    assert sound.trigger(UNPLUG) == SUCCESS
    stopped = sound.event(STOPPED)
    assert (stopped["sessionID"], stopped["state"], stopped["reason"]) == (session, CHARGING, OTHER)
    gone = sound.event(EV_NOT_DETECTED)
    assert (gone["sessionID"], gone["state"]) == (session, CHARGING), "the transfer ended first"
    assert sound.states() == [NOT_PLUGGED_IN, CHARGING_ENABLED, NO_ERROR], "the permission is not the car's"
    figures = [gone["sessionDuration"], gone["sessionEnergyCharged"]]
    assert sound.read("SessionID", "SessionDuration", "SessionEnergyCharged") == [session, *figures]


# Faults.


def test_a_fault_is_critical_and_told_after_its_attributes(charging: Peer, wallbox: Wallbox) -> None:
    before = charging.number
    wallbox.car("trip_rcd")
    session = charging.event(FAULT)["sessionID"]
    assert charging.states() == [STATE_FAULT, DISABLED_ERROR, GROUND_FAULT], "published when the event comes"
    told = charging.chip.call("read_events", charging.node_id, before + 1)
    assert {event["priority"] for event in told if event["cluster"] == EVSE and event["number"] > before} == {CRITICAL}

    assert charging.trigger(UNPLUG) == SUCCESS
    assert {event["priority"] for event in charging.later_events()} == {INFO}
    assert charging.event(STOPPED)["reason"] == OTHER, "the car is gone, so the transfer will not go on"
    assert charging.event(EV_NOT_DETECTED)["sessionID"] == session
    assert charging.states() == [STATE_FAULT, DISABLED_ERROR, GROUND_FAULT]
    assert charging.trigger(REPAIR) == SUCCESS
    assert charging.event(FAULT) == fault(GROUND_FAULT, NO_ERROR, STATE_FAULT, session)
    assert charging.states() == [NOT_PLUGGED_IN, CHARGING_ENABLED, NO_ERROR]


def test_a_fault_that_is_there_already_is_not_told_again_and_one_is_published(sound: Peer) -> None:
    session = sound.read("SessionID")
    assert sound.trigger(HEAT) == SUCCESS
    assert sound.event(FAULT) == fault(NO_ERROR, OVER_TEMPERATURE, NOT_PLUGGED_IN, session)
    assert sound.trigger(HEAT) == SUCCESS
    sound.no_more_events()
    assert sound.trigger(TRIP) == SUCCESS
    assert sound.event(FAULT) == fault(OVER_TEMPERATURE, GROUND_FAULT, STATE_FAULT, session)
    assert sound.trigger(REPAIR) == SUCCESS
    told = [event["data"]["faultStateCurrentState"] for event in sound.later_events()]
    assert told[-1] == NO_ERROR
    for _ in told:
        sound.event(FAULT)
    assert sound.states() == [NOT_PLUGGED_IN, DISABLED, NO_ERROR]


def test_disable_during_a_fault_ends_the_transfer(charging: Peer) -> None:
    assert charging.trigger(TRIP) == SUCCESS
    charging.event(FAULT)
    charging.no_more_events()
    assert charging.invoke("Disable") == FAILURE
    assert charging.event(STOPPED)["reason"] == EVSE_STOPPED
    assert charging.trigger(REPAIR) == SUCCESS
    charging.event(FAULT)
    assert charging.states() == [DEMAND, DISABLED, NO_ERROR]
    assert charging.trigger(UNPLUG) == SUCCESS
    assert charging.event(EV_NOT_DETECTED)["state"] == DEMAND


# The next charge.


def test_the_next_charge_is_planned_while_a_car_is_there_and_charging_is_permitted(sound: Peer) -> None:
    now = datetime.now().astimezone()
    minutes = (now.hour * 60 + now.minute + 360) % 1_440
    due = next_at(minutes)
    lasts_s = 10_000_000 * 3_600 * 100 // (THREE_PHASES_32_A_MW * EFFICIENCY_PERCENT)
    assert sound.trigger(TIME_OF_USE) == SUCCESS
    assert sound.set_targets(schedule(0x7F, target((minutes + 180) % 1_440), target(minutes))) == SUCCESS
    assert sound.enable(None, 6_000, 32_000) == SUCCESS
    assert sound.next_charge() == [None] * 4, "no car"
    assert sound.trigger(PLUG_IN) == SUCCESS
    sound.event(EV_CONNECTED)
    start, *others = sound.next_charge()
    assert others == [due, 10_000_000, None], "the earlier of the two targets"
    assert due - lasts_s - 900 - 5 <= start <= due - lasts_s - 900 + 5, "as late as possible, with 15 minutes to spare"
    assert sound.write("UserMaximumChargeCurrent", 16_000) == SUCCESS
    slower = sound.next_charge()[0]
    assert due - 2 * lasts_s - 900 - 5 <= slower <= due - 2 * lasts_s - 900 + 5, "half the current takes twice as long"
    assert sound.set_targets(schedule(0x7F, target(minutes, 0))) == SUCCESS
    assert sound.next_charge() == [None, due, 0, None], "nothing is wanted, so nothing starts"
    assert sound.set_targets(schedule(0x7F, target(minutes, None, 100))) == SUCCESS
    start, *others = sound.next_charge()
    assert others == [due, None, 100]
    assert start <= matter_time() + 1, "how much it takes is not known"
    assert sound.invoke("Disable") == SUCCESS
    assert sound.next_charge() == [None] * 4, "not permitted"
    assert sound.trigger(TIME_OF_USE_CLEAR) == sound.trigger(UNPLUG) == SUCCESS
    sound.event(EV_NOT_DETECTED)


# The store; last, because the box is another one afterwards.


def test_what_was_set_outlasts_a_power_cut(sound: Peer, wallbox: Wallbox, chip: ChipController) -> None:
    assert sound.trigger(BASIC_CLEAR) == SUCCESS
    written = {"UserMaximumChargeCurrent": 20_000, "RandomizationDelayWindow": 120, "ApproximateEVEfficiency": 3_100}
    for name, value in written.items():
        assert sound.write(name, value) == SUCCESS
    assert sound.set_targets(schedule(0x41, target(600)), schedule(0x3E)) == SUCCESS
    until = matter_time(3_600)
    assert sound.enable(until, 8_000, 16_000) == SUCCESS
    names = (*written, "CircuitCapacity", *GRANT, "SessionID", "SessionDuration", "SessionEnergyCharged", "SupplyState")
    before, targets = sound.read(*names), sound.targets()
    wallbox.cut_power()
    wallbox.start()
    chip.call("expire_sessions", sound.node_id)
    assert sound.read(*names) == before
    assert before[:8] == [20_000, 120, 3_100, 32_000, until, 8_000, 16_000, sound.read("SessionID")]
    assert sound.targets() == targets == [(0x41, [(600, 10_000_000, None)]), (0x3E, [])]
    assert sound.invoke("Disable") == SUCCESS
    sound.number = max(event["number"] for event in chip.call("read_events", sound.node_id))
