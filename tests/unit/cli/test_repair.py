"""What `evse-pi repair` tells of damage."""

from __future__ import annotations

from pathlib import Path

from evse_pi.api.repair import DamagedFabric, LeftOut, RepairAnswer, SetAside
from evse_pi.cli.repair import lines
from evse_pi.paths import Paths

BOX = Paths(Path("/state"), Path("/run"))


def test_a_box_without_damage_says_so() -> None:
    assert lines(RepairAnswer((), (), 0, (), None, None), BOX) == ["nothing is damaged"]


def test_every_damage_is_told_with_what_to_do() -> None:
    answer = RepairAnswer(
        set_aside=(SetAside("evse.db.damaged-1", 4096, 0),),
        left_out=(LeftOut("fault", "7"),),
        given_up=2,
        damaged_fabrics=(DamagedFabric(3, "stored value of 'fabric/3/acl' is damaged"),),
        matter_trouble="DamagedRecord",
        forbidden="the owner's permission was lost with the database",
    )
    told = " ".join(" ".join(lines(answer, BOX)).split())
    for part in (
        "/state/evse.db.damaged-1: a damaged database of 4096 bytes",
        "fault 7: stored, and cannot be read",
        "2 entries could not be stored",
        "controller 3: stored value of 'fabric/3/acl' is damaged",
        "evse-pi repair --reset-fabrics",
        "Matter does not run: DamagedRecord",
        "charging is forbidden until: evse-pi permit",
    ):
        assert part in told


def test_after_a_reset_the_way_back_in_is_told() -> None:
    told = " ".join(lines(RepairAnswer((), (), 0, (), "DamagedRecord", None, (3, 4)), BOX))
    assert "thrown out: controller 3, 4" in told
    assert "evse-pi commission --open" in told
