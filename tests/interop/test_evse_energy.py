"""Modes, plans, power adjustments and measurements of the wallbox at the CHIP SDK's controller."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.interop.controllers import ControllerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.interop.controllers import ChipController
    from tests.interop.wallbox import Wallbox

DEM = 0x98
ADJUST_START, ADJUST_END = 0, 1
ONLINE, ADJUSTING = 1, 3
CANCELLED = 4
CONSTRAINT_ERROR, INVALID_IN_STATE = 0x87, 0xCB
MANUAL, TIME_OF_USE, SOLAR = range(3)
STEADY_PPM = 1_000_000
NEXT_CHARGE = ("NextChargeStartTime", "NextChargeTargetTime", "NextChargeRequiredEnergy", "NextChargeTargetSoC")


class Manager:
    """An energy manager: the controller's view of the clusters beside the EVSE."""

    def __init__(self, chip: ChipController, node_id: int) -> None:
        self.chip = chip
        self.node_id = node_id

    def read(self, cluster: str, *names: str) -> list[Any]:
        values: list[Any] = self.chip.call(
            "read", self.node_id, *((1, f"{cluster}.Attributes.{name}") for name in names)
        )
        return values

    def invoke(self, command: str, **fields: Any) -> Any:
        cluster, name = command.split(".")
        return self.chip.call("invoke", self.node_id, 1, f"{cluster}.Commands.{name}", fields, timed_ms=10_000)

    def refusal(self, command: str, **fields: Any) -> int | None:
        with pytest.raises(ControllerError) as refused:
            self.invoke(command, **fields)
        return refused.value.code

    def choose(self, mode: int) -> None:
        assert self.invoke("EnergyEvseMode.ChangeToMode", newMode=mode)["status"] == 0

    def event(self) -> tuple[int, Any]:
        """Return the next event of Device Energy Management."""
        while True:
            found = self.chip.call("updates_until", "event", 30)[-1][2]
            if found["cluster"] == DEM:
                return found["event"], found["data"]


@pytest.fixture
def manager(chip: ChipController, wallbox: Wallbox, node_id: int) -> Iterator[Manager]:
    """An energy manager of a box at which a car that wants to charge may."""
    chip.call("subscribe", node_id, 0, 30)
    chip.call("forget_updates")
    found = Manager(chip, node_id)
    found.choose(MANUAL)
    wallbox.car("plug_in", cable_ma=32_000)
    wallbox.car("auto")
    fields = {"chargingEnabledUntil": None, "minimumChargeCurrent": 6_000, "maximumChargeCurrent": 32_000}
    found.invoke("EnergyEvse.EnableCharging", **fields)
    yield found
    found.choose(MANUAL)
    wallbox.car("unplug")
    wallbox.await_plant(lambda now: now["coil"] == "off")
    chip.call("unsubscribe")


def test_a_power_adjustment_in_solar_mode_is_what_the_pilot_offers(manager: Manager, wallbox: Wallbox) -> None:
    wallbox.await_plant(lambda now: now["coil"] == "full", 40)
    request = {"power": 7_590_000, "duration": 300, "cause": 0}
    assert manager.read("DeviceEnergyManagement", "PowerAdjustmentCapability") == [None]
    assert manager.refusal("DeviceEnergyManagement.PowerAdjustRequest", **request) == CONSTRAINT_ERROR

    manager.choose(SOLAR)
    wallbox.await_plant(lambda now: now["duty_ppm"] == STEADY_PPM and now["coil"] == "off")
    state, capability = manager.read("DeviceEnergyManagement", "ESAState", "PowerAdjustmentCapability")
    assert (state, capability["cause"]) == (ONLINE, 0)
    offers = [(one["minPower"], one["maxPower"]) for one in capability["powerAdjustCapability"]]
    assert offers == [(4_140_000, 22_080_000), (0, 0)]
    assert manager.refusal("DeviceEnergyManagement.CancelPowerAdjustRequest") == INVALID_IN_STATE
    assert manager.refusal("DeviceEnergyManagement.PowerAdjustRequest", **request | {"power": 22_080_001}) == 0x87

    manager.invoke("DeviceEnergyManagement.PowerAdjustRequest", **request)
    assert manager.event() == (ADJUST_START, {})
    assert manager.read("DeviceEnergyManagement", "ESAState") == [ADJUSTING]
    assert manager.read("EnergyEvse", "MaximumChargeCurrent") == [11_000]
    wallbox.await_plant(lambda now: now["duty_ppm"] == 183_333 and now["coil"] == "full", 40)

    manager.invoke("DeviceEnergyManagement.CancelPowerAdjustRequest")
    number, payload = manager.event()
    assert (number, payload["cause"]) == (ADJUST_END, CANCELLED)
    wallbox.await_plant(lambda now: now["duty_ppm"] == STEADY_PPM and now["coil"] == "off")


def test_in_time_of_use_mode_the_car_waits_for_its_start(manager: Manager, wallbox: Wallbox) -> None:
    wallbox.await_plant(lambda now: now["coil"] == "full", 40)
    due = datetime.now(UTC) + timedelta(hours=6)
    target = {"$": "EnergyEvse.Structs.ChargingTargetStruct", "addedEnergy": 10_000_000}
    target["targetTimeMinutesPastMidnight"] = due.hour * 60 + due.minute
    schedule = {"$": "EnergyEvse.Structs.ChargingTargetScheduleStruct", "dayOfWeekForSequence": 0x7F}
    set_s = time.time()
    manager.invoke("EnergyEvse.SetTargets", chargingTargetSchedules=[schedule | {"chargingTargets": [target]}])
    start, end, energy_mwh, percent = manager.read("EnergyEvse", *NEXT_CHARGE)
    assert (energy_mwh, percent) == (10_000_000, None)
    assert abs(start + 946_684_800 - set_s) < 5, "by hand it charges at once, and the target only informs"
    assert wallbox.plant["coil"] == "full"

    manager.choose(TIME_OF_USE)
    start, end, energy_mwh, percent = manager.read("EnergyEvse", *NEXT_CHARGE)
    assert (energy_mwh, percent) == (10_000_000, None)
    assert abs(end + 946_684_800 - due.timestamp()) < 60
    assert 2_600 < end - start < 2_800, "1,812 s at 22 kW with the losses, and 900 s"
    wallbox.await_plant(lambda now: now["duty_ppm"] == STEADY_PPM and now["coil"] == "off")
    waiting = next(one for one in wallbox.ask("status")["limits"] if one["source"] == "SCHEDULE")
    assert not waiting["permitted"]
    assert waiting["in_s"] > 17_000

    manager.invoke("EnergyEvse.ClearTargets")
    assert manager.read("EnergyEvse", *NEXT_CHARGE) == [None] * 4
    wallbox.await_plant(lambda now: now["coil"] == "full", 60)


def test_a_car_that_waits_for_its_start_waits_through_a_power_cut(manager: Manager, wallbox: Wallbox) -> None:
    due = datetime.now(UTC) + timedelta(hours=6)
    target = {"$": "EnergyEvse.Structs.ChargingTargetStruct", "addedEnergy": 10_000_000}
    target["targetTimeMinutesPastMidnight"] = due.hour * 60 + due.minute
    schedule = {"$": "EnergyEvse.Structs.ChargingTargetScheduleStruct", "dayOfWeekForSequence": 0x7F}
    manager.invoke("EnergyEvse.SetTargets", chargingTargetSchedules=[schedule | {"chargingTargets": [target]}])
    manager.choose(TIME_OF_USE)
    wallbox.await_plant(lambda now: now["coil"] == "off")
    wallbox.cut_power()
    wallbox.start(wait=False)
    wallbox.car("plug_in", cable_ma=32_000)
    wallbox.car("auto")
    deadline, ran_s = time.monotonic() + 40, 0.0
    while time.monotonic() < min(deadline, ran_s + 5 if ran_s else deadline):
        lines = wallbox.plant
        assert (lines["duty_ppm"], lines["coil"] == "full") == (STEADY_PPM, False)
        if not ran_s and (wallbox.ask("status")["matter"] or {}).get("running"):
            ran_s = time.monotonic()
        time.sleep(0.05)
    assert ran_s
    wallbox.forgive_a_busy_machine()  # a fault, also that of a busy machine, leaves nothing planned
    manager.chip.call("expire_sessions", manager.node_id)
    assert manager.read("EnergyEvse", "NextChargeRequiredEnergy") == [10_000_000]
    manager.invoke("EnergyEvse.ClearTargets")
    wallbox.await_plant(lambda now: now["coil"] == "full", 60)


def test_what_flows_is_measured_and_counted(manager: Manager, wallbox: Wallbox) -> None:
    wallbox.await_plant(lambda now: now["coil"] == "full", 60)
    deadline = time.monotonic() + 30
    while (manager.read("ElectricalPowerMeasurement", "ActivePower")[0] or 0) < 1_000_000:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    accuracy, types = manager.read("ElectricalPowerMeasurement", "Accuracy", "NumberOfMeasurementTypes")
    assert len(accuracy) == types
    assert all(one["measured"] for one in accuracy)
    before = manager.read("ElectricalEnergyMeasurement", "CumulativeEnergyImported")[0]
    time.sleep(5)
    after = manager.read("ElectricalEnergyMeasurement", "CumulativeEnergyImported")[0]
    assert after["energy"] > before["energy"]
    assert after["endTimestamp"] >= before["endTimestamp"]
    assert manager.read("PowerSource", "Status", "EndpointList") == [1, [1]]
