"""The CHIP SDK's controller, with full attestation, against the lamp."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evse_pi.matter.discovery.onboarding import OnboardingPayload, manual_code, qr_code
from tests.interop.controllers import ChipController, ControllerError
from tests.interop.lamp import PASSCODE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.interop.lamp import Lamp
    from tests.interop.namespaces import Namespaces

ON_OFF, ON_OFF_CLUSTER = "OnOff.Attributes.OnOff", 6
BASIC_INFORMATION, GENERAL_DIAGNOSTICS, ACCESS_CONTROL = 0x28, 0x33, 0x1F
CONSTRAINT_ERROR, UNSUPPORTED_WRITE, RESOURCE_EXHAUSTED = 0x87, 0x88, 0x89
FABRICS = "OperationalCredentials.Attributes.CommissionedFabrics"


def test_wildcard_read_gives_every_attribute_that_is_listed(chip: ChipController, lamp: Lamp, node_id: int) -> None:
    everything = chip.call("read_all", node_id)["attributes"]
    assert set(everything) == {0, 1}
    for endpoint, clusters in everything.items():
        assert set(clusters[0x1D][1]) == set(clusters), f"ServerList of endpoint {endpoint}"
        for cluster, attributes in clusters.items():
            assert sorted(attributes[0xFFFB]) == sorted(attributes), f"AttributeList of {endpoint}/{cluster}"


def test_a_command_changes_what_is_read(chip: ChipController, lamp: Lamp, node_id: int) -> None:
    chip.call("invoke", node_id, 1, "OnOff.Commands.On")
    assert chip.call("read", node_id, (1, ON_OFF)) == [True]
    lamp.wait_for_line("lamp on")
    chip.call("invoke", node_id, 1, "OnOff.Commands.Toggle")
    assert chip.call("read", node_id, (1, ON_OFF)) == [False]


def test_writes_are_kept_or_refused_by_the_rule_they_break(chip: ChipController, lamp: Lamp, node_id: int) -> None:
    label = "BasicInformation.Attributes.NodeLabel"
    assert chip.call("write", node_id, 0, label, "Küche") == [0]
    assert chip.call("write", node_id, 0, label, "x" * 33) == [CONSTRAINT_ERROR]
    assert chip.call("write", node_id, 0, "BasicInformation.Attributes.VendorName", "Nobody") == [UNSUPPORTED_WRITE]
    assert chip.call("read", node_id, (0, label)) == ["Küche"]


def test_lists_are_written_as_a_whole(chip: ChipController, lamp: Lamp, node_id: int) -> None:
    entry = "AccessControl.Structs.AccessControlEntryStruct"
    admin = {"$": entry, "privilege": 5, "authMode": 2, "subjects": [112233], "targets": None}
    viewer = {**admin, "privilege": 1, "subjects": [7], "targets": [
        {"$": "AccessControl.Structs.AccessControlTargetStruct", "cluster": None, "endpoint": 1, "deviceType": None},
    ]}  # fmt: skip
    acl = "AccessControl.Attributes.Acl"
    assert set(chip.call("write", node_id, 0, acl, [admin, viewer])) == {0}
    (found,) = chip.call("read", node_id, (0, acl))
    assert [(one["privilege"], one["subjects"]) for one in found] == [(5, [112233]), (1, [7])]
    group_admin = {**admin, "authMode": 3, "subjects": [1]}
    assert CONSTRAINT_ERROR in chip.call("write", node_id, 0, acl, [admin, group_admin])
    assert chip.call("read", node_id, (0, acl)) == [found]
    assert set(chip.call("write", node_id, 0, acl, [admin])) == {0}


def test_a_long_list_is_written_and_read_in_chunks(chip: ChipController, lamp: Lamp, node_id: int) -> None:
    label = "UserLabel.Structs.LabelStruct"
    labels = [{"$": label, "label": f"room {number}", "value": "x" * 16} for number in range(60)]
    statuses = chip.call("write", node_id, 1, "UserLabel.Attributes.LabelList", labels)
    (found,) = chip.call("read", node_id, (1, "UserLabel.Attributes.LabelList"))
    if set(statuses) == {0}:
        assert [one["label"] for one in found] == [f"room {number}" for number in range(60)]
    else:  # more than the node keeps: refused, and nothing half-applied
        assert RESOURCE_EXHAUSTED in statuses or CONSTRAINT_ERROR in statuses
        few = labels[:8]
        assert set(chip.call("write", node_id, 1, "UserLabel.Attributes.LabelList", few)) == {0}
        (found,) = chip.call("read", node_id, (1, "UserLabel.Attributes.LabelList"))
        assert len(found) == 8


def test_timed_and_untimed_commands(chip: ChipController, lamp: Lamp, node_id: int) -> None:
    chip.call("invoke", node_id, 1, "OnOff.Commands.Off", timed_ms=1000)
    assert chip.call("read", node_id, (1, ON_OFF)) == [False]
    chip.call("open_window", node_id, 3000)  # a timed command
    status = "AdministratorCommissioning.Attributes.WindowStatus"
    assert chip.call("read", node_id, (0, status)) == [1]
    chip.call("invoke", node_id, 0, "AdministratorCommissioning.Commands.RevokeCommissioning", timed_ms=1000)
    assert chip.call("read", node_id, (0, status)) == [0]


def test_subscription_reports_changes_and_events(chip: ChipController, lamp: Lamp, node_id: int) -> None:
    subscription = chip.call("subscribe", node_id, 0, 60)
    assert subscription["intervals"][1] <= 60
    assert {(event["cluster"], event["event"]) for event in subscription["events"]} >= {
        (BASIC_INFORMATION, 0),
        (GENERAL_DIAGNOSTICS, 3),
        (ACCESS_CONTROL, 0),
    }
    for expected in (True, False):
        chip.call("invoke", node_id, 1, "OnOff.Commands.Toggle")
        chip.call("updates_until", "attribute", 5.0, (1, ON_OFF_CLUSTER, 0, expected))
    admin = {
        "$": "AccessControl.Structs.AccessControlEntryStruct",
        "privilege": 5,
        "authMode": 2,
        "subjects": [112233],
        "targets": None,
    }
    chip.call("write", node_id, 0, "AccessControl.Attributes.Acl", [admin])
    event = chip.call("updates_until", "event", 5.0)[-1][2]
    assert (event["cluster"], event["event"], event["data"]["changeType"]) == (ACCESS_CONTROL, 0, 0)
    chip.call("unsubscribe")


def test_a_session_is_resumed_and_again_after_a_power_cut(chip: ChipController, lamp: Lamp, node_id: int) -> None:
    def resumptions() -> int:
        return lamp.log().count("CASE resumes")

    before, stored = resumptions(), lamp.stored("fabric/1/resumption/")
    chip.call("expire_sessions", node_id)
    assert chip.call("read", node_id, (1, ON_OFF))
    assert resumptions() == before + 1
    lamp.wait_until_stored_differs("fabric/1/resumption/", stored)
    lamp.kill()
    lamp.start()
    chip.call("expire_sessions", node_id)
    assert chip.call("read", node_id, (1, ON_OFF))
    assert resumptions() == before + 2


@pytest.mark.parametrize("confirm", [True, False], ids=["confirmed", "taken back"])
def test_a_renewed_certificate_is_used_until_it_is_taken_back(
    chip: ChipController, lamp: Lamp, node_id: int, confirm: bool
) -> None:
    nocs = "OperationalCredentials.Attributes.NOCs"
    (before,) = chip.call("read", node_id, (0, nocs))
    renewed = chip.call("renew_credentials", node_id, confirm)
    assert renewed["status"] == 0
    expected = renewed["noc"] if confirm else before[0]["noc"]
    lamp.kill()
    lamp.start()
    chip.call("expire_sessions", node_id)
    (after,) = chip.call("read", node_id, (0, nocs))
    assert after[0]["noc"] == expected
    assert renewed["noc"] != before[0]["noc"]


def test_a_killed_lamp_comes_back_with_all_it_knew(chip: ChipController, lamp: Lamp, node_id: int) -> None:
    label = "BasicInformation.Attributes.NodeLabel"
    chip.call("write", node_id, 0, label, "Keller")
    chip.call("invoke", node_id, 1, "OnOff.Commands.On")
    numbers = [event["number"] for event in chip.call("read_events", node_id)]
    (boots,) = chip.call("read", node_id, (0, "GeneralDiagnostics.Attributes.RebootCount"))
    lamp.kill()
    lamp.start()
    chip.call("expire_sessions", node_id)
    assert chip.call("read", node_id, (0, label), (1, ON_OFF)) == ["Keller", True]
    assert chip.call("read", node_id, (0, "GeneralDiagnostics.Attributes.RebootCount")) == [boots + 1]
    fresh = [event["number"] for event in chip.call("read_events", node_id)]
    assert max(numbers) < min(fresh), "event numbers go on after a restart"


def test_a_subscription_heals_after_a_power_cut(chip: ChipController, lamp: Lamp, node_id: int) -> None:
    chip.call("subscribe", node_id, 0, 3)
    lamp.kill()
    lamp.start()
    chip.call("updates_until", "resubscribed", 45.0)
    chip.call("invoke", node_id, 1, "OnOff.Commands.Off")
    chip.call("invoke", node_id, 1, "OnOff.Commands.On")
    chip.call("updates_until", "attribute", 5.0, (1, ON_OFF_CLUSTER, 0, True))
    chip.call("unsubscribe")


def test_codes_agree_with_the_chip_sdk(chip: ChipController) -> None:
    payload = OnboardingPayload(0xFFF1, 0x8001, 0xABC, 12340000)
    parsed = chip.call("parse_codes", qr_code(payload), manual_code(payload))
    assert parsed == {"scanned": (0xFFF1, 0x8001, 0xABC, 12340000), "typed": (0xA, 12340000)}


def test_a_power_cut_during_commissioning_leaves_a_fresh_node(chip: ChipController, lamps: Callable[..., Lamp]) -> None:
    lamp = lamps()
    chip.call("stop_before", 1)
    chip.call("commission", 2001, PASSCODE, lamp.discriminator)
    assert chip.call("read", 2001, (0, FABRICS)) == [1]
    chip.call("stop_before", None)
    lamp.kill()
    lamp.start()
    assert "fabrics=0" in lamp.log().rsplit("matter node started", 1)[1].splitlines()[0]
    chip.call("commission", 2002, PASSCODE, lamp.discriminator)
    assert chip.call("read", 2002, (0, FABRICS)) == [1]


def test_a_node_that_left_its_only_fabric_can_be_commissioned_again(
    chip: ChipController, lamps: Callable[..., Lamp]
) -> None:
    lamp = lamps()
    chip.call("commission", 2003, PASSCODE, lamp.discriminator)
    chip.call("unpair", 2003)
    assert chip.call("find_commissionable", lamp.discriminator)
    chip.call("commission", 2004, PASSCODE, lamp.discriminator)
    assert chip.call("read", 2004, (1, ON_OFF)) == [False]


def test_a_wrong_passcode_is_refused(
    chip: ChipController, lamps: Callable[..., Lamp], namespaces: Namespaces, tmp_path: Path
) -> None:
    lamp = lamps()
    with ChipController(namespaces, tmp_path, fabric_id=2) as stranger, pytest.raises(ControllerError):
        stranger.call("commission", 2005, PASSCODE + 1, lamp.discriminator)
    chip.call("commission", 2006, PASSCODE, lamp.discriminator)
    assert chip.call("read", 2006, (0, FABRICS)) == [1]
    assert str(PASSCODE) not in lamp.log()
