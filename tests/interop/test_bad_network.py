"""10 % loss each way with duplicates and reordering, and floods of junk, under real controllers."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.interop.lamp import PASSCODE, ROOT
from tests.interop.namespaces import DEVICE_IPV4

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.interop.controllers import ChipController, JsonProgram
    from tests.interop.lamp import Lamp

ON_OFF = "OnOff.Attributes.OnOff"
BAD_NETWORK = "tests.interop.bad_network_lamp"
FLOOD_DATAGRAMS = 20_000
ALLOWED_GROWTH_BYTES = 6 << 20  # for allocator noise and the tables of sessions and handshakes, which are full then


def test_every_operation_of_the_chip_sdk_completes(chip: ChipController, lamps: Callable[..., Lamp]) -> None:
    lamp = lamps(BAD_NETWORK)
    chip.call("commission", 4001, PASSCODE, lamp.discriminator)
    chip.call("subscribe", 4001, 0, 60)
    for number in range(12):
        chip.call("invoke", 4001, 1, "OnOff.Commands.Toggle")
        expected = number % 2 == 0
        assert chip.call("read", 4001, (1, ON_OFF)) == [expected]
        chip.call("updates_until", "attribute", 20.0, (1, 6, 0, expected))
        assert chip.call("write", 4001, 0, "BasicInformation.Attributes.NodeLabel", f"label {number}") == [0]
    assert len(chip.call("read_all", 4001)["attributes"]) == 2
    for _ in range(3):
        chip.call("expire_sessions", 4001)
        assert chip.call("read", 4001, (1, ON_OFF)) == [False]
    chip.call("unsubscribe")
    chip.call("unpair", 4001)


def test_every_operation_of_matter_js_completes(matterjs: JsonProgram, lamps: Callable[..., Lamp]) -> None:
    lamp = lamps(BAD_NETWORK)
    node = matterjs.call("commission", passcode=PASSCODE, discriminator=lamp.discriminator)
    for number in range(6):
        matterjs.call("invoke", node=node, endpoint=1, name="OnOff.commands.toggle")
        assert matterjs.call("read", node=node, endpoint=1, name="OnOff.attributes.onOff") is (number % 2 == 0)
    assert len(matterjs.call("read_all", node=node)) > 100
    matterjs.call("remove", node=node)


def flood(lamp: Lamp, count: int, seed: int) -> None:
    """Send noise, handshake openers under random node ids, and mutated real messages, as fast as the network takes."""
    program = [sys.executable, "-m", "tests.interop.flood", DEVICE_IPV4, str(lamp.port), str(count), str(seed)]
    subprocess.run(lamp.namespaces.inside(lamp.namespaces.controller, *program), cwd=ROOT, check=True)


def test_a_flood_of_junk_costs_no_memory_and_no_commissioning(chip: ChipController, lamps: Callable[..., Lamp]) -> None:
    lamp = lamps()
    flood(lamp, FLOOD_DATAGRAMS, seed=1)
    settled = lamp.resident_bytes()
    flood(lamp, FLOOD_DATAGRAMS, seed=2)
    assert lamp.resident_bytes() - settled < ALLOWED_GROWTH_BYTES
    chip.call("commission", 4002, PASSCODE, lamp.discriminator)
    flood(lamp, FLOOD_DATAGRAMS, seed=3)
    assert chip.call("read", 4002, (1, ON_OFF)) == [False]
    assert lamp.resident_bytes() - settled < ALLOWED_GROWTH_BYTES
    lines = [line for line in lamp.log().splitlines() if "datagrams dropped" in line]
    assert 1 <= len(lines) <= 20, "dropped datagrams are told of at a bounded rate"


def test_a_node_serves_its_controller_during_a_flood(chip: ChipController, lamps: Callable[..., Lamp]) -> None:
    lamp = lamps()
    chip.call("commission", 4003, PASSCODE, lamp.discriminator)
    program = [sys.executable, "-m", "tests.interop.flood", DEVICE_IPV4, str(lamp.port), "1000000", "9", "3000"]
    with subprocess.Popen(lamp.namespaces.inside(lamp.namespaces.controller, *program), cwd=ROOT) as flooding:
        try:
            while "datagrams dropped" not in lamp.log():
                time.sleep(0.05)
            for number in range(20):
                chip.call("invoke", 4003, 1, "OnOff.Commands.Toggle")
                assert chip.call("read", 4003, (1, ON_OFF)) == [number % 2 == 0]
            chip.call("expire_sessions", 4003)
            assert chip.call("read", 4003, (1, ON_OFF)) == [False]
        finally:
            flooding.terminate()
