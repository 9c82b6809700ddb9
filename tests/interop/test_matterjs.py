"""matter.js as the second administrator of a lamp that the CHIP SDK's controller has commissioned."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.interop.controllers import ControllerError
from tests.interop.lamp import PASSCODE
from tests.interop.shared import lent_node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.interop.controllers import ChipController, JsonProgram
    from tests.interop.lamp import Lamp
    from tests.support.kept import Kept

ON_OFF = "OnOff.attributes.onOff"
FABRICS = "OperationalCredentials.Attributes.CommissionedFabrics"
WINDOW = "AdministratorCommissioning.Attributes.WindowStatus"


@pytest.fixture(scope="module")
def commissioned() -> dict[tuple[int, int], int]:
    """The lamp's node id for matter.js, by the process of matter.js and the lamp's discriminator."""
    return {}


@pytest.fixture
def lamp(
    lamps_of_module: Kept[Lamp],
    chip: ChipController,
    matterjs: JsonProgram,
    commissioned: dict[tuple[int, int], int],
    request: pytest.FixtureRequest,
) -> Iterator[Lamp]:
    """A lamp that no other process of matter.js has known: its fabric would still be there."""
    if any(process != matterjs.pid for process, _ in commissioned):
        lamps_of_module.discard()
        commissioned.clear()
    with lent_node(lamps_of_module, chip, request) as one:
        yield one


@pytest.fixture
def peer(
    chip: ChipController,
    matterjs: JsonProgram,
    lamp: Lamp,
    node_id: int,
    commissioned: dict[tuple[int, int], int],
) -> int:
    """The lamp's node id for matter.js, which came in through a window that the first administrator opened."""
    key = (matterjs.pid, lamp.discriminator)
    if key not in commissioned:
        opened = chip.call("open_window", node_id, lamp.discriminator + 1000)
        commissioned[key] = matterjs.call("commission", code=opened["manual"])
    return commissioned[key]


def test_both_administrators_see_both_fabrics(
    chip: ChipController, matterjs: JsonProgram, lamp: Lamp, node_id: int, peer: int
) -> None:
    assert chip.call("read", node_id, (0, FABRICS), (0, WINDOW)) == [2, 0]
    fabrics = matterjs.call("read", node=peer, endpoint=0, name="OperationalCredentials.attributes.fabrics")
    assert "matter.js" in {fabric["label"] for fabric in fabrics}


def test_wildcard_read_with_events(matterjs: JsonProgram, lamp: Lamp, peer: int) -> None:
    paths = {tuple(path[:2]) for path in matterjs.call("read_all", node=peer)}
    assert {(0, 0x1D), (0, 0x28), (1, 0x1D), (1, 6)} <= paths
    assert {tuple(event[:3]) for event in matterjs.call("read_events", node=peer)} >= {(0, 0x28, 0), (0, 0x33, 3)}


def test_writes_and_refusals(matterjs: JsonProgram, lamp: Lamp, peer: int) -> None:
    label = "BasicInformation.attributes.nodeLabel"
    matterjs.call("write", node=peer, endpoint=0, name=label, value="Flur")
    assert matterjs.call("read", node=peer, endpoint=0, name=label) == "Flur"
    matterjs.call("write", node=peer, endpoint=0, name=label, value="Flur 2", timed=True)
    assert matterjs.call("read", node=peer, endpoint=0, name=label) == "Flur 2"


def test_commands_timed_and_untimed(matterjs: JsonProgram, lamp: Lamp, peer: int) -> None:
    matterjs.call("invoke", node=peer, endpoint=1, name="OnOff.commands.on")
    assert matterjs.call("read", node=peer, endpoint=1, name=ON_OFF) is True
    matterjs.call("invoke", node=peer, endpoint=1, name="OnOff.commands.off", timed=True)
    assert matterjs.call("read", node=peer, endpoint=1, name=ON_OFF) is False


def test_each_administrator_is_told_what_the_other_does(
    chip: ChipController, matterjs: JsonProgram, lamp: Lamp, node_id: int, peer: int
) -> None:
    matterjs.call("subscribe", node=peer)
    chip.call("subscribe", node_id, 0, 60)
    chip.call("forget_updates")
    chip.call("invoke", node_id, 1, "OnOff.Commands.On")
    assert matterjs.call("update", endpoint=1, cluster=6, attribute=0, timeout_ms=5000) is True
    matterjs.call("invoke", node=peer, endpoint=1, name="OnOff.commands.off")
    chip.call("updates_until", "attribute", 5.0, (1, 6, 0, False))
    assert matterjs.call("update", endpoint=1, cluster=6, attribute=0, timeout_ms=5000) is False
    chip.call("unsubscribe")


def test_it_goes_on_after_a_power_cut(
    chip: ChipController, matterjs: JsonProgram, lamp: Lamp, node_id: int, peer: int
) -> None:
    lamp.kill()
    lamp.start()
    with suppress(ControllerError):  # it finds out that its session is gone
        matterjs.call("invoke", node=peer, endpoint=1, name="OnOff.commands.on")
    matterjs.call("invoke", node=peer, endpoint=1, name="OnOff.commands.on")
    assert matterjs.call("read", node=peer, endpoint=1, name=ON_OFF) is True
    chip.call("expire_sessions", node_id)


def test_it_can_let_another_administrator_in(
    chip: ChipController, matterjs: JsonProgram, lamps: Callable[..., Lamp]
) -> None:
    lamp = lamps()
    own = matterjs.call("commission", passcode=PASSCODE, discriminator=lamp.discriminator)
    matterjs.call("subscribe", node=own)
    code = matterjs.call("open_window", node=own)["manualPairingCode"]
    chip.call("commission_with_code", 3001, code)
    assert chip.call("read", 3001, (0, FABRICS)) == [2]
    chip.call("unpair", 3001)
    matterjs.call("invoke", node=own, endpoint=1, name="OnOff.commands.toggle")
    matterjs.call("remove", node=own)


def test_removing_one_fabric_leaves_the_other_alone(
    chip: ChipController, matterjs: JsonProgram, lamp: Lamp, node_id: int, peer: int
) -> None:
    chip.call("expire_sessions", node_id)
    matterjs.call("remove", node=peer)
    assert chip.call("read", node_id, (0, FABRICS)) == [1]
    lamp.kill()
    lamp.start()
    chip.call("expire_sessions", node_id)
    assert chip.call("read", node_id, (0, FABRICS)) == [1]
