"""A day of the wallbox as the CHIP SDK's controller sees it, with the car and the lines of the emulated plant."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.matter.world import MATTER_EPOCH_UNIX_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.matter_real.controllers import ChipController
    from tests.matter_real.wallbox import Wallbox

EVSE = 0x99
EV_CONNECTED, EV_NOT_DETECTED, STARTED, STOPPED, FAULT = range(5)
NOT_PLUGGED_IN, NO_DEMAND, DEMAND, CHARGING = range(4)
STATE_FAULT = 6
DISABLED, CHARGING_ENABLED, DISABLED_ERROR, DISABLED_DIAGNOSTICS = 0, 1, 3, 4
NO_ERROR, GROUND_FAULT = 0, 7
EV_STOPPED, EVSE_STOPPED, OTHER = range(3)
SUCCESS, FAILURE, CONSTRAINT_ERROR = 0, 1, 0x87
PPM_PER_MA = 50 / 3
STEADY_PPM = 1_000_000  # +12 V, no offer


class Peer:
    """The controller's view of one wallbox."""

    def __init__(self, chip: ChipController, node_id: int, log: Callable[[], str]) -> None:
        self.chip = chip
        self.node_id = node_id
        self.log = log

    def read(self, *names: str) -> Any:
        values = self.chip.call("read", self.node_id, *((1, f"EnergyEvse.Attributes.{name}") for name in names))
        return values[0] if len(names) == 1 else values

    def states(self) -> list[int]:
        return self.read("State", "SupplyState", "FaultState")

    def write(self, name: str, value: Any) -> int:
        return self.chip.call("write", self.node_id, 1, f"EnergyEvse.Attributes.{name}", value)[0]

    def invoke(self, name: str, **fields: Any) -> int:
        from tests.matter_real.controllers import ControllerError

        try:
            self.chip.call("invoke", self.node_id, 1, f"EnergyEvse.Commands.{name}", fields, timed_ms=2000)
        except ControllerError as error:
            if error.code is None:
                raise
            return error.code
        return SUCCESS

    def enable(self, until: int | None = None, minimum_ma: int = 6_000, maximum_ma: int = 32_000) -> int:
        return self.invoke(
            "EnableCharging",
            chargingEnabledUntil=until,
            minimumChargeCurrent=minimum_ma,
            maximumChargeCurrent=maximum_ma,
        )

    def event(self, number: int, within_s: float = 30.0) -> dict[str, Any]:
        """Return the payload of the next event of the EVSE, which must be `number`."""
        until = time.monotonic() + within_s
        while True:
            updates = self.chip.call("updates_until", "event", max(until - time.monotonic(), 0.1))
            found = updates[-1][2]
            if found["cluster"] == EVSE:
                assert found["event"] == number, f"{found}\n{self.log()[-2000:]}"
                return found["data"]

    def await_supply(self, state: int) -> None:
        """Wait until SupplyState is reported as `state`."""
        self.chip.call("updates_until", "attribute", 20, (1, EVSE, 1, state))

    def quiet(self, seconds: float = 1.0) -> None:
        """Be sure that no event comes."""
        with pytest.raises(Exception, match="Timeout"):
            self.event(-1, seconds)


@pytest.fixture
def peer(chip: ChipController, wallbox: Wallbox, node_id: int) -> Iterator[Peer]:
    chip.call("subscribe", node_id, 0, 30)
    chip.call("forget_updates")
    yield Peer(chip, node_id, wallbox.log)
    chip.call("unsubscribe")


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
    assert wallbox.plant["duty_ppm"] == STEADY_PPM, "nobody has permitted anything"

    assert peer.enable(maximum_ma=16_000) == SUCCESS
    assert peer.read("SupplyState", "MaximumChargeCurrent", "ChargingEnabledUntil") == [CHARGING_ENABLED, 16_000, None]
    started = peer.event(STARTED)
    assert started == {"sessionID": 0, "state": CHARGING, "maximumCurrent": 16_000}
    assert peer.states() == [CHARGING, CHARGING_ENABLED, NO_ERROR]
    lines = wallbox.plant
    assert (lines["duty_ppm"], lines["drives"]["contactor"], lines["poles"]) == (266_666, True, [True] * 3)

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
    assert not wallbox.plant["drives"]["contactor"]

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
    until = int(time.time()) - MATTER_EPOCH_UNIX_S + 20
    assert peer.enable(until, maximum_ma=32_000) == SUCCESS
    started = peer.event(STARTED)
    assert started["maximumCurrent"] == 20_000, "the cable's limit"
    assert peer.read("ChargingEnabledUntil", "MaximumChargeCurrent") == [until, 20_000]
    stopped = peer.event(STOPPED, 40)
    assert stopped["reason"] == EVSE_STOPPED
    assert int(time.time()) - MATTER_EPOCH_UNIX_S >= until
    assert peer.read("ChargingEnabledUntil", "MinimumChargeCurrent", "MaximumChargeCurrent") == [0, 0, 0]
    assert peer.read("SupplyState", "FaultState") == [DISABLED, NO_ERROR]
    lines = wallbox.plant
    assert (lines["duty_ppm"], lines["drives"]["contactor"]) == (STEADY_PPM, False)
    assert peer.enable(int(time.time()) - MATTER_EPOCH_UNIX_S - 1) == SUCCESS, "a time in the past disables"
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
    assert not wallbox.plant["drives"]["contactor"]
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
    wallbox.await_plant(lambda now: now["drives"]["contactor"], 40)
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
    structs = "EnergyEvse.Structs"

    def schedule(days: int, *minutes: int) -> dict[str, Any]:
        target = {"$": f"{structs}.ChargingTargetStruct", "addedEnergy": 10_000_000}
        return {
            "$": f"{structs}.ChargingTargetScheduleStruct",
            "dayOfWeekForSequence": days,
            "chargingTargets": [{**target, "targetTimeMinutesPastMidnight": minute} for minute in minutes],
        }

    def targets() -> list[tuple[int, list[int]]]:
        path = "EnergyEvse.Commands.GetTargets"
        answer = peer.chip.call("invoke", peer.node_id, 1, path, {}, timed_ms=2000)["chargingTargetSchedules"]
        return [
            (one["dayOfWeekForSequence"], [each["targetTimeMinutesPastMidnight"] for each in one["chargingTargets"]])
            for one in answer
        ]

    assert peer.invoke("SetTargets", chargingTargetSchedules=[schedule(0x7F, 420)]) == SUCCESS
    assert peer.invoke("SetTargets", chargingTargetSchedules=[schedule(0x41, 600, 900)]) == SUCCESS
    assert targets() == [(0x3E, [420]), (0x41, [600, 900])]
    assert peer.invoke("SetTargets", chargingTargetSchedules=[schedule(1, 1440)]) == CONSTRAINT_ERROR
    assert peer.invoke("SetTargets", chargingTargetSchedules=[schedule(1, 1), schedule(3, 2)]) == CONSTRAINT_ERROR
    assert peer.invoke("SetTargets", chargingTargetSchedules=[schedule(1, *range(11))]) == 0x89
    assert targets() == [(0x3E, [420]), (0x41, [600, 900])]
    assert peer.invoke("ClearTargets") == SUCCESS
    assert targets() == []


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
    assert (lines["closings"], lines["drives"]["contactor"], lines["duty_ppm"]) == (closings, True, 266_666)
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
    lines = wallbox.await_plant(lambda now: now["drives"]["contactor"], 40)
    assert lines["duty_ppm"] == int(14_000 * PPM_PER_MA)
    chip.call("expire_sessions", node_id)
    assert peer.states() == [CHARGING, CHARGING_ENABLED, NO_ERROR]
    assert peer.read("ChargingEnabledUntil", "UserMaximumChargeCurrent") == [None, 14_000]
    assert peer.read("SessionID") >= session
    wallbox.car("unplug")
    wallbox.await_plant(lambda now: not now["drives"]["contactor"])
    assert peer.invoke("Disable") == SUCCESS
