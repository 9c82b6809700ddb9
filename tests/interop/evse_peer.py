"""What the CHIP SDK's controller sees of one wallbox, and what it tells it: words for the tests of the EVSE."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S
from tests.interop.controllers import ControllerError
from tests.interop.wallbox import ENABLE_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.interop.controllers import ChipController

EVSE = 0x99
EV_CONNECTED, EV_NOT_DETECTED, STARTED, STOPPED, FAULT, RFID = range(6)
NOT_PLUGGED_IN, NO_DEMAND, DEMAND, CHARGING = range(4)
STATE_FAULT = 6
DISABLED, CHARGING_ENABLED, DISABLED_ERROR, DISABLED_DIAGNOSTICS = 0, 1, 3, 4
NO_ERROR, GROUND_FAULT, OVER_TEMPERATURE = 0, 7, 15
EV_STOPPED, EVSE_STOPPED, OTHER = range(3)
SUCCESS, FAILURE = 0, 1
UNSUPPORTED_ACCESS, UNSUPPORTED_COMMAND, INVALID_COMMAND, CONSTRAINT_ERROR = 0x7E, 0x81, 0x85, 0x87
UNSUPPORTED_WRITE, RESOURCE_EXHAUSTED, NEEDS_TIMED_INTERACTION = 0x88, 0x89, 0xC6
STEADY_PPM = 1_000_000  # +12 V, no offer
SESSION_ID, SESSION_DURATION, SESSION_ENERGY = 0x40, 0x41, 0x42

BASIC, BASIC_CLEAR, PLUG_IN, UNPLUG, ASK, ASK_NO_MORE, TIME_OF_USE = range(7)
TRIP, HEAT, REPAIR, DIAGNOSED, TIME_OF_USE_CLEAR = 0x10, 0x11, 0x12, 0x20, 0x21
CHARGE_LOW, CHARGE_HIGH, CHARGE_CLEAR, VEHICLE_ID, CARD = 0x30, 0x31, 0x32, 0x40, 0x50
KEY = bytes.fromhex(ENABLE_KEY)
STATE_KNOWN_WITHIN_S = 10.0  # State is null until the safety process has been heard, which speaks once a second


def matter_time(delta_s: int = 0) -> int:
    """Return the time in s since 2000, some seconds from now."""
    return int(time.time()) - MATTER_EPOCH_UNIX_S + delta_s


def next_at(minutes: int) -> int:
    """Return when the local clock shows so many minutes past midnight next, in s since 2000."""
    now = datetime.now().astimezone()
    at = now.replace(hour=minutes // 60, minute=minutes % 60, second=0, microsecond=0)
    if at < now:
        at += timedelta(days=1)
    return round(at.timestamp()) - MATTER_EPOCH_UNIX_S


def target(minutes: int, added_mwh: int | None = 10_000_000, soc: int | None = None) -> dict[str, Any]:
    """Return a ChargingTargetStruct."""
    fields = {"targetTimeMinutesPastMidnight": minutes, "addedEnergy": added_mwh, "targetSoC": soc}
    known = {name: value for name, value in fields.items() if value is not None}
    return {"$": "EnergyEvse.Structs.ChargingTargetStruct", **known}


def schedule(days: int, *targets: dict[str, Any]) -> dict[str, Any]:
    """Return a ChargingTargetScheduleStruct."""
    fields = {"dayOfWeekForSequence": days, "chargingTargets": list(targets)}
    return {"$": "EnergyEvse.Structs.ChargingTargetScheduleStruct", **fields}


class Peer:
    """The controller's view of one wallbox, which it subscribes to."""

    def __init__(self, chip: ChipController, node_id: int, log: Callable[[], str]) -> None:
        self.chip = chip
        self.node_id = node_id
        self.log = log
        self.number = max((event["number"] for event in chip.call("read_events", node_id)), default=0)

    def read(self, *names: str) -> Any:
        values = self.chip.call("read", self.node_id, *((1, f"EnergyEvse.Attributes.{name}") for name in names))
        return values[0] if len(names) == 1 else values

    def states(self) -> list[int]:
        """Return State, SupplyState and FaultState; a node that has just started is asked until it knows its State."""
        deadline = time.monotonic() + STATE_KNOWN_WITHIN_S
        while True:
            states: list[int] = self.read("State", "SupplyState", "FaultState")
            if states[0] is not None or time.monotonic() > deadline:
                return states

    def next_charge(self) -> list[Any]:
        """Return start, target time, energy and state of charge of the next charge."""
        names = ("StartTime", "TargetTime", "RequiredEnergy", "TargetSoC")
        return self.read(*(f"NextCharge{name}" for name in names))

    def write(self, name: str, value: Any) -> int:
        return self.chip.call("write", self.node_id, 1, f"EnergyEvse.Attributes.{name}", value)[0]

    def invoke(self, name: str, timed_ms: int | None = 2000, **fields: Any) -> int:
        path = f"EnergyEvse.Commands.{name}"
        return self._status("invoke", self.node_id, 1, path, fields, timed_ms=timed_ms)

    def enable(self, until: int | None = None, minimum_ma: int = 6_000, maximum_ma: int = 32_000) -> int:
        return self.invoke(
            "EnableCharging",
            chargingEnabledUntil=until,
            minimumChargeCurrent=minimum_ma,
            maximumChargeCurrent=maximum_ma,
        )

    def set_targets(self, *schedules: dict[str, Any]) -> int:
        return self.invoke("SetTargets", chargingTargetSchedules=list(schedules))

    def targets(self) -> list[tuple[int, list[tuple[int, int | None, int | None]]]]:
        """Return the answer to GetTargets: for each entry its days, and its targets as minutes, energy, percent."""
        answer = self.chip.call("invoke", self.node_id, 1, "EnergyEvse.Commands.GetTargets", {}, timed_ms=2000)
        return [
            (
                one["dayOfWeekForSequence"],
                [
                    (each["targetTimeMinutesPastMidnight"], each.get("addedEnergy"), each.get("targetSoC"))
                    for each in one["chargingTargets"]
                ],
            )
            for one in answer["chargingTargetSchedules"]
        ]

    def trigger(self, code: int, key: bytes = KEY, endpoint: int = 0) -> int:
        """Send a test event trigger of the EVSE."""
        fields = {"enableKey": key, "eventTrigger": EVSE << 48 | endpoint << 32 | code}
        return self._status("invoke", self.node_id, 0, "GeneralDiagnostics.Commands.TestEventTrigger", fields)

    def _status(self, *arguments: Any, **named: Any) -> int:
        try:
            self.chip.call(*arguments, **named)
        except ControllerError as error:
            if error.code is None:
                raise
            return error.code
        return SUCCESS

    # What is reported.

    def event(self, number: int, within_s: float = 30.0) -> dict[str, Any]:
        """Return the payload of the next event of the EVSE, which must be `number`."""
        until = time.monotonic() + within_s
        while True:
            updates = self.chip.call("updates_until", "event", max(until - time.monotonic(), 0.1))
            found = updates[-1][2]
            if found["cluster"] == EVSE:
                assert found["event"] == number, f"{found}\n{self.log()[-2000:]}"
                self.number = found["number"]
                return found["data"]

    def no_more_events(self) -> None:
        """Be sure that the EVSE has told nothing beyond the last event that was taken."""
        assert self.later_events() == []

    def later_events(self) -> list[dict[str, Any]]:
        """Return the EVSE's events after the last one that was taken, with their headers."""
        later = self.chip.call("read_events", self.node_id, self.number + 1)
        return [event for event in later if event["cluster"] == EVSE and event["number"] > self.number]

    def await_supply(self, state: int) -> None:
        """Wait until SupplyState is reported as `state`."""
        self.chip.call("updates_until", "attribute", 20, (1, EVSE, 1, state))

    def take(self) -> list[Any]:
        """Return all that was reported since the last look, as it came, and forget it."""
        return self.chip.call("take_updates")

    def reports(self) -> dict[int, list[Any]]:
        """Return the values of each attribute of the EVSE that were reported since the last look, and forget them."""
        found: dict[int, list[Any]] = {}
        for update in self.take():
            if update[1] == "attribute" and update[2:4] == (1, EVSE):
                found.setdefault(update[4], []).append(update[5])
        return found

    def reports_of(self, wanted: set[int]) -> dict[int, list[Any]]:
        """Return what `reports` does once all of `wanted` have been reported. Raises: AssertionError."""
        return self.reports_until(lambda found: wanted <= found.keys())

    def reports_until(
        self, holds: Callable[[dict[int, list[Any]]], bool], within_s: float = 10.0
    ) -> dict[int, list[Any]]:
        """Return what `reports` does once `holds` is true of it. Raises: AssertionError."""
        found: dict[int, list[Any]] = {}
        deadline = time.monotonic() + within_s
        while True:
            for attribute, values in self.reports().items():
                found.setdefault(attribute, []).extend(values)
            if holds(found):
                return found
            assert time.monotonic() < deadline, f"reported was only {found}"
            time.sleep(0.05)

    def quiet(self, seconds: float = 1.0) -> None:
        """Be sure that no event comes."""
        with pytest.raises(ControllerError, match="Timeout"):
            self.event(-1, seconds)


def subscribe(chip: ChipController, node_id: int, log: Callable[[], str]) -> Peer:
    """Return the controller's view, subscribed to all that the wallbox has, at its pace."""
    chip.call("subscribe", node_id, 0, 30, keep=False)  # the node learns of an ended one only when it next reports
    chip.call("forget_updates")
    return Peer(chip, node_id, log)


@contextmanager
def subscribed(chip: ChipController, node_id: int, log: Callable[[], str]) -> Iterator[Peer]:
    """Give the controller's view while it subscribes to all that the wallbox has."""
    yield subscribe(chip, node_id, log)
    chip.call("unsubscribe")
