"""The checks of certification over what the CHIP SDK's controller reads from the lamp."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.matter_certification import EXAMPLE_LAMP_FINDINGS, findings

if TYPE_CHECKING:
    from tests.interop.controllers import ChipController
    from tests.interop.lamp import Lamp


def test_certification_finds_nothing(chip: ChipController, lamp: Lamp, node_id: int) -> None:
    everything = chip.call("read_all", node_id)["attributes"]
    assert set(findings(everything)) - EXAMPLE_LAMP_FINDINGS == set()


def test_the_checks_notice_what_is_wrong(chip: ChipController, lamp: Lamp, node_id: int) -> None:
    everything = chip.call("read_all", node_id)["attributes"]
    everything[0][0x28][0x7777] = 1
    everything[1][0x06][0xFFFD] = 4
    del everything[1][0x06][0]
    everything[0][0x1D][3] = [2]
    del everything[0][0x3F]
    everything[1][0x03][0xFFFC] = 0x8000
    everything[0][0x30][0xFFF8] = [1]
    found = "\n".join(findings(everything))
    for expected in (
        "cluster 0x0028: attribute 0x7777 is unknown",
        "cluster 0x0006: ClusterRevision is 4",
        "cluster 0x0006: mandatory attribute 0x0000",
        "PartsList of endpoint 0",
        "requires cluster 0x003F",
        "FeatureMap 0x8000 has unknown bits",
        "cluster 0x0030: GeneratedCommandList [1]",
    ):
        assert expected in found


def test_events_that_are_mandatory_at_start_are_there(chip: ChipController, lamp: Lamp, node_id: int) -> None:
    seen = {(event["cluster"], event["event"], event["priority"]) for event in chip.call("read_events", node_id)}
    assert {(0x28, 0, 2), (0x33, 3, 2), (0x1F, 0, 1)} <= seen
