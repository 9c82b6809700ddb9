"""The wallbox as a device: what certification objects to, who may permit, how it is found, opened and reset."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.matter_real.wallbox import PASSCODE
from tests.support.matter_certification import findings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.matter_real.controllers import ChipController
    from tests.matter_real.wallbox import Wallbox

EVSE = "EnergyEvse.Attributes"
SUPPLY, UNTIL = (1, f"{EVSE}.SupplyState"), (1, f"{EVSE}.ChargingEnabledUntil")
DISABLED, CHARGING_ENABLED = 0, 1
FABRICS = (0, "OperationalCredentials.Attributes.CommissionedFabrics")


def evse_pi(box: Wallbox, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "evse_pi.cli", "--state-dir", str(box.places.state_dir), *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_certification_finds_nothing(chip: ChipController, wallbox: Wallbox, node_id: int) -> None:
    everything = chip.call("read_all", node_id)["attributes"]
    assert findings(everything) == []
    assert everything[1][0x99][0xFFFC] == 0b1001, "charging preferences and RFID"


def test_all_features_together_are_objected_to_for_being_provisional_alone(
    chip: ChipController, wallboxes: Callable[..., Wallbox]
) -> None:
    box = wallboxes("--features=pref,soc,pnc,rfid,v2x")
    chip.call("commission", 3100, PASSCODE, box.discriminator)
    everything = chip.call("read_all", 3100)["attributes"]
    assert findings(everything) == ["endpoint 1 cluster 0x0099: FeatureMap 0x1F has provisional features"]
    present = everything[1][0x99]
    assert {4, 8, 0x30, 0x31, 0x32, 0x43} <= set(present)
    assert 3 in present[0xFFF9], "EnableDischarging"
    fields = {"dischargingEnabledUntil": None, "maximumDischargeCurrent": 10_000}
    chip.call("invoke", 3100, 1, "EnergyEvse.Commands.EnableDischarging", fields, timed_ms=2000)
    assert chip.call("read", 3100, SUPPLY, (1, f"{EVSE}.MaximumDischargeCurrent")) == [2, 10_000]
    box.stop()


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
    assert (fresh["commissioned"], fresh["window"], fresh["fabrics"]) == (False, "basic", [])
    parsed = chip.call("parse_codes", fresh["codes"]["qr"], fresh["codes"]["manual"])
    assert parsed["scanned"] == (0xFFF1, 0x8000, box.discriminator, PASSCODE)
    assert parsed["typed"] == (box.discriminator >> 8, PASSCODE)
    box.until(lambda now: now["permitted"])  # plug and charge: nobody owns the box but its owner
    chip.call("commission_with_code", 3200, fresh["codes"]["manual"])
    box.until(lambda now: not now["permitted"])
    owned = evse_pi(box, "commission")
    assert (owned["commissioned"], owned["window"], len(owned["fabrics"]), owned["codes"]) == (True, None, 1, None)
    assert evse_pi(box, "commission", "--codes")["codes"] == fresh["codes"]
    assert evse_pi(box, "commission", "--open")["window"] == "basic"
    assert chip.call("find_commissionable", box.discriminator)
    assert chip.call("read", 3200, FABRICS) == [1]
    (fabric,) = owned["fabrics"]
    reset = evse_pi(box, "commission", "--remove", str(fabric["fabric"]))
    assert (reset["commissioned"], reset["fabrics"]) == (False, [])
    box.until(lambda now: now["permitted"])  # the owner's word counts again
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
    box.until(lambda now: now["permitted"])  # what the owner had forbidden was forbidden until somebody permitted it
    gone = evse_pi(box, "commission", "--factory-reset")
    assert (gone["commissioned"], gone["fabrics"], gone["window"]) == (False, [], "basic")
    chip.call("commission", 3202, PASSCODE, box.discriminator)
    assert chip.call("read", 3202, SUPPLY, UNTIL) == [DISABLED, 0]
    assert str(PASSCODE) not in box.log().replace(f"--passcode={PASSCODE}", "")


def test_a_taken_port_is_a_warning_and_the_box_charges(wallboxes: Callable[..., Wallbox], wallbox: Wallbox) -> None:
    box = wallboxes(f"--port={wallbox.port}", wait=False)
    now = box.until(lambda now: any("Address already in use" in text for text in now["warnings"]))
    assert now["matter"]["running"] is False
    box.until(lambda now: now["permitted"])
    box.car("plug_in", cable_ma=32_000)
    box.car("auto")
    box.await_plant(lambda now: now["drives"]["contactor"], 40)
