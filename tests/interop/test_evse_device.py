"""The wallbox as a device: what certification objects to, who may permit, how it is found, opened and reset."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S
from tests.interop.controllers import ControllerError
from tests.interop.shared import kept_wallbox, lent_node
from tests.interop.wallbox import PASSCODE
from tests.support.matter_certification import findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.interop.controllers import ChipController
    from tests.interop.namespaces import Namespaces
    from tests.interop.wallbox import Wallbox
    from tests.support.kept import Kept

EVSE = "EnergyEvse.Attributes"
SUPPLY, UNTIL = (1, f"{EVSE}.SupplyState"), (1, f"{EVSE}.ChargingEnabledUntil")
NOT_PLUGGED_IN, CHARGING = 0, 3
DISABLED, CHARGING_ENABLED, DISCHARGING, BOTH = 0, 1, 2, 5
SUCCESS, INVALID_COMMAND, CONSTRAINT_ERROR, UNSUPPORTED_WRITE = 0, 0x85, 0x87, 0x88
FABRICS = (0, "OperationalCredentials.Attributes.CommissionedFabrics")


def evse_pi(box: Wallbox, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "evse_pi.cli", "--state-dir", str(box.paths.state_dir), *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_certification_finds_nothing(chip: ChipController, wallbox: Wallbox, node_id: int) -> None:
    everything = chip.call("read_all", node_id)["attributes"]
    assert findings(everything) == []
    assert everything[1][0x99][0xFFFC] == 0b1001, "charging preferences and RFID"


class Bidirectional:
    """A box with all features, as its controller sees it."""

    NODE = 3100

    def __init__(self, chip: ChipController) -> None:
        self.chip = chip

    def read(self, *names: str) -> list[Any]:
        values: list[Any] = self.chip.call("read", self.NODE, *((1, f"{EVSE}.{name}") for name in names))
        return values

    def write(self, name: str, value: Any) -> int:
        status: int = self.chip.call("write", self.NODE, 1, f"{EVSE}.{name}", value)[0]
        return status

    def invoke(self, name: str, **fields: Any) -> int:
        try:
            self.chip.call("invoke", self.NODE, 1, f"EnergyEvse.Commands.{name}", fields, timed_ms=5000)
        except ControllerError as error:
            if error.code is None:
                raise
            return error.code
        return SUCCESS

    def charge(self) -> int:
        limits = {"minimumChargeCurrent": 6_000, "maximumChargeCurrent": 16_000}
        return self.invoke("EnableCharging", chargingEnabledUntil=None, **limits)

    def discharge(self, until: int | None) -> int:
        return self.invoke("EnableDischarging", dischargingEnabledUntil=until, maximumDischargeCurrent=10_000)

    def events(self) -> list[tuple[int, dict[str, Any]]]:
        found = self.chip.call("read_events", self.NODE)
        return [(one["event"], one["data"]) for one in found if one["cluster"] == 0x99]


@pytest.fixture(scope="module")
def bidirectional_boxes(namespaces: Namespaces, chips: Kept[ChipController]) -> Iterator[Kept[Wallbox]]:
    with kept_wallbox(namespaces, chips, Bidirectional.NODE, "pref,soc,pnc,rfid,v2x") as kept:
        yield kept


@pytest.fixture
def bidirectional(
    bidirectional_boxes: Kept[Wallbox], chip: ChipController, request: pytest.FixtureRequest
) -> Iterator[tuple[Bidirectional, Wallbox]]:
    with lent_node(bidirectional_boxes, chip, request) as box:
        yield Bidirectional(chip), box


def test_all_features_together_are_objected_to_for_being_provisional_alone(
    chip: ChipController, bidirectional: tuple[Bidirectional, Wallbox]
) -> None:
    everything = chip.call("read_all", Bidirectional.NODE)["attributes"]
    assert findings(everything) == ["endpoint 1 cluster 0x0099: FeatureMap 0x1F has provisional features"]
    present = everything[1][0x99]
    assert {4, 8, 0x30, 0x31, 0x32, 0x43} <= set(present)
    assert 3 in present[0xFFF9], "EnableDischarging"


def test_what_the_pilot_does_not_show_is_null(bidirectional: tuple[Bidirectional, Wallbox]) -> None:
    peer, _ = bidirectional
    assert peer.read("StateOfCharge", "BatteryCapacity", "VehicleID", "SessionEnergyDischarged") == [None] * 4
    assert peer.read("DischargingEnabledUntil", "MaximumDischargeCurrent") == [0, 0]


def test_a_box_that_cannot_discharge_permits_it_and_moves_nothing(bidirectional: tuple[Bidirectional, Wallbox]) -> None:
    peer, box = bidirectional
    box.car("plug_in", cable_ma=32_000)
    box.car("auto")
    assert peer.discharge(None) == SUCCESS
    assert peer.read("SupplyState", "DischargingEnabledUntil", "MaximumDischargeCurrent") == [DISCHARGING, None, 0]
    assert peer.charge() == SUCCESS
    assert peer.read("SupplyState", "MaximumChargeCurrent") == [BOTH, 16_000]
    box.await_plant(lambda now: all(now["poles"]), 40)
    box.until(lambda _now: peer.read("State", "SupplyState") == [CHARGING, BOTH])  # told some 20 ms after the poles
    until = int(time.time()) - MATTER_EPOCH_UNIX_S + 3
    assert peer.discharge(until) == SUCCESS
    box.until(lambda _now: peer.read("SupplyState") == [CHARGING_ENABLED])
    assert peer.read("State", "DischargingEnabledUntil", "ChargingEnabledUntil") == [CHARGING, 0, None]
    assert peer.discharge(None) == SUCCESS
    assert peer.invoke("Disable") == SUCCESS
    assert peer.read("SupplyState", "DischargingEnabledUntil", "ChargingEnabledUntil") == [DISABLED, 0, 0]
    box.await_plant(lambda now: now["coil"] == "off")
    box.car("unplug")
    box.until(lambda _now: peer.read("State") == [NOT_PLUGGED_IN])
    told = peer.events()
    assert [number for number, _ in told] == [0, 2, 3, 1]
    assert (told[1][1]["maximumCurrent"], told[1][1]["maximumDischargeCurrent"]) == (16_000, 0)
    assert (told[2][1]["energyDischarged"], told[3][1]["sessionEnergyDischarged"]) == (0, 0)
    assert peer.read("SessionEnergyDischarged") == [0]


def test_with_the_state_of_charge_a_target_needs_one(bidirectional: tuple[Bidirectional, Wallbox]) -> None:
    peer, _ = bidirectional

    def targets(**fields: int) -> list[dict[str, Any]]:
        target = {"$": "EnergyEvse.Structs.ChargingTargetStruct", "targetTimeMinutesPastMidnight": 420, **fields}
        schedule = {"$": "EnergyEvse.Structs.ChargingTargetScheduleStruct", "dayOfWeekForSequence": 0x7F}
        return [schedule | {"chargingTargets": [target]}]

    assert peer.invoke("SetTargets", chargingTargetSchedules=targets(addedEnergy=1)) == INVALID_COMMAND
    assert peer.invoke("SetTargets", chargingTargetSchedules=targets(targetSoC=101)) == CONSTRAINT_ERROR
    assert peer.invoke("SetTargets", chargingTargetSchedules=targets(targetSoC=80)) == SUCCESS


def test_a_controller_may_write_what_is_its_to_write(bidirectional: tuple[Bidirectional, Wallbox]) -> None:
    peer, _ = bidirectional
    assert peer.write("ApproximateEVEfficiency", 4_800) == SUCCESS
    assert peer.write("RandomizationDelayWindow", 86_400) == SUCCESS
    assert peer.write("RandomizationDelayWindow", 86_401) == CONSTRAINT_ERROR
    assert peer.write("UserMaximumChargeCurrent", 10_000) == SUCCESS
    assert peer.write("CircuitCapacity", 80_000) == UNSUPPORTED_WRITE
    names = ("ApproximateEVEfficiency", "RandomizationDelayWindow", "UserMaximumChargeCurrent", "CircuitCapacity")
    assert peer.read(*names) == [4_800, 86_400, 10_000, 32_000]


def test_the_owner_permits_and_stops_through_the_cluster(chip: ChipController, wallbox: Wallbox, node_id: int) -> None:
    assert chip.call("read", node_id, SUPPLY, UNTIL) == [DISABLED, 0]
    assert wallbox.ask("permit")["permitted"] is True
    assert chip.call("read", node_id, SUPPLY, UNTIL) == [CHARGING_ENABLED, None]
    wallbox.until(lambda now: now["owner"]["permitted"] and now["permitted"])
    assert wallbox.ask("stop")["permitted"] is False
    assert chip.call("read", node_id, SUPPLY, UNTIL) == [DISABLED, 0]
    wallbox.until(lambda now: not now["owner"]["permitted"] and not now["permitted"])


def test_identify_blinks_the_status_led(chip: ChipController, wallbox: Wallbox, node_id: int) -> None:
    def seen() -> set[bool]:
        return {wallbox.plant["drives"]["led"] for _ in range(60)}

    chip.call("invoke", node_id, 1, "Identify.Commands.Identify", {"identifyTime": 30})
    shining = wallbox.await_plant(lambda now: now["drives"]["led"])
    assert shining["drives"]["led"]
    wallbox.await_plant(lambda now: not now["drives"]["led"])
    wallbox.await_plant(lambda now: now["drives"]["led"])
    chip.call("invoke", node_id, 1, "Identify.Commands.Identify", {"identifyTime": 0})
    wallbox.await_plant(lambda now: not now["drives"]["led"])
    assert seen() == {False}


def test_controllers_are_listed_let_in_and_thrown_out(chip: ChipController, wallboxes: Callable[..., Wallbox]) -> None:
    box = wallboxes()
    fresh = evse_pi(box, "commission")
    assert (fresh["commissioned"], fresh["window"], fresh["fabrics"]) == (False, "BASIC", [])
    parsed = chip.call("parse_codes", fresh["codes"]["qr"], fresh["codes"]["manual"])
    assert parsed["scanned"] == (0xFFF1, 0x8000, box.discriminator, PASSCODE)
    assert parsed["typed"] == (box.discriminator >> 8, PASSCODE)
    box.until(lambda now: now["permitted"])  # plug and charge: the box has no controller
    chip.call("commission_with_code", 3200, fresh["codes"]["manual"])
    box.until(lambda now: not now["permitted"])
    owned = evse_pi(box, "commission")
    assert (owned["commissioned"], owned["window"], len(owned["fabrics"]), owned["codes"]) == (True, None, 1, None)
    assert evse_pi(box, "commission", "--codes")["codes"] == fresh["codes"]
    assert evse_pi(box, "commission", "--open")["window"] == "BASIC"
    assert chip.call("find_commissionable", box.discriminator)
    assert chip.call("read", 3200, FABRICS) == [1]
    (fabric,) = owned["fabrics"]
    reset = evse_pi(box, "commission", "--remove", str(fabric["fabric"]))
    assert (reset["commissioned"], reset["fabrics"]) == (False, [])
    told = box.until(lambda now: any("evse-pi permit" in each["text"] for each in now["notices"]))
    assert not told["permitted"]  # what the controller had not permitted may have been a stop
    box.ask("permit")
    box.until(lambda now: now["permitted"])  # the owner decides again
    box.ask("stop")
    chip.call("commission", 3201, PASSCODE, box.discriminator)
    chip.call(
        "invoke",
        3201,
        1,
        "EnergyEvse.Commands.EnableCharging",
        {"chargingEnabledUntil": None, "minimumChargeCurrent": 6_000, "maximumChargeCurrent": 9_000},
        timed_ms=2000,
    )
    box.until(lambda now: now["permitted"])  # what the owner had forbidden was forbidden until it was permitted
    gone = evse_pi(box, "commission", "--factory-reset")
    assert (gone["commissioned"], gone["fabrics"], gone["window"]) == (False, [], "BASIC")
    chip.call("commission", 3202, PASSCODE, box.discriminator)
    assert chip.call("read", 3202, SUPPLY, UNTIL) == [DISABLED, 0]
    assert str(PASSCODE) not in box.log().replace(f"--passcode={PASSCODE}", "")


def test_a_taken_port_is_a_warning_and_the_box_charges(wallboxes: Callable[..., Wallbox], wallbox: Wallbox) -> None:
    box = wallboxes(f"--port={wallbox.port}", wait=False)
    now = box.until(lambda now: any("Address already in use" in each["text"] for each in now["notices"]))
    assert now["matter"]["running"] is False
    box.until(lambda now: now["permitted"])
    box.car("plug_in", cable_ma=32_000)
    box.car("auto")
    box.await_plant(lambda now: now["coil"] == "full", 40)
