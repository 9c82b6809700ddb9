"""The lamp example as a process: it starts, prints its codes, is commissioned over UDP, survives a kill."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from typing import TYPE_CHECKING

import pytest
from chip.tlv import uint

from evse_pi.matter.channel.transport import UdpTransport
from evse_pi.matter.environment import SystemEntropy
from tests.support.matter_authority import Authority
from tests.support.matter_bench import ADMIN_NODE_ID, GENERAL_COMMISSIONING, NODE_ID, add_fabric
from tests.support.matter_initiator import MatterInitiator, Member

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ON_OFF, DIAGNOSTICS, NIGHT_LIGHT = 0x06, 0x33, 0xFFF1FC01
KEY = bytes(range(16))


def free_port() -> int:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def lamp(store: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    options = ["--store", str(store), "--port", str(port), "--passcode", "34567890", "--discriminator", "1234"]
    command = [sys.executable, "-m", "examples.matter_lamp", *options, "--enable-key", KEY.hex(), "--night-light"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def line_with(process: asyncio.subprocess.Process, text: str) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(20):
        while True:
            line = (await process.stdout.readline()).decode()
            assert line, "the lamp has ended"
            if text in line:
                return line


async def test_the_lamp_is_a_node_that_survives(tmp_path: Path) -> None:
    store, port = tmp_path / "lamp.db", free_port()
    authority, entropy = Authority(), SystemEntropy()
    async with (
        lamp(store, port) as process,
        MatterInitiator(UdpTransport(0), ("::1", port, 0, 0), entropy=entropy) as controller,
    ):
        assert "QR code MT:" in await line_with(process, "manual code")
        session = await controller.pase(34_567_890)
        await add_fabric(controller, session, authority)
        case = await controller.case(Member.of(authority, ADMIN_NODE_ID, entropy), NODE_ID)
        assert (await controller.invoke(case, 0, GENERAL_COMMISSIONING, 4)).fields[0] == 0
        assert (await controller.invoke(case, 1, ON_OFF, 2)).status == 0
        await line_with(process, "lamp on")
        assert (await controller.invoke(case, 1, 3, 0, {0: uint(2)})).status == 0
        await line_with(process, "lamp blinks for 2 s")
        assert (await controller.invoke(case, 1, 3, 0x40, {0: uint(2), 1: uint(0)})).status == 0
        await line_with(process, "lamp shows kOkay")
        assert (await controller.invoke(case, 1, NIGHT_LIGHT, 1)).status == 0
        await line_with(process, "night light on")
        assert (await controller.invoke(case, 1, ON_OFF, 0x42, {0: uint(0), 1: uint(5), 2: uint(0)})).status == 0
        await line_with(process, "lamp off")
        trigger = {0: KEY, 1: uint(0x0006_0000_0000_0001)}
        assert (await controller.invoke(case, 0, DIAGNOSTICS, 0, trigger)).status == 0
        process.kill()
        await process.wait()
    async with (
        lamp(store, port) as process,
        MatterInitiator(UdpTransport(0), ("::1", port, 0, 0), entropy=entropy) as controller,
    ):
        await line_with(process, "lamp off")
        await line_with(process, "night light on")
        await line_with(process, "manual code")
        case = await controller.case(Member.of(authority, ADMIN_NODE_ID, entropy), NODE_ID)
        assert (await controller.read(case, (1, ON_OFF, 0))).attributes == {(1, ON_OFF, 0): False}
        process.terminate()
        async with asyncio.timeout(20):
            assert await process.wait() == 0


def test_the_lamp_shows_the_model() -> None:
    from evse_pi.matter.clusters.identify import IdentifyServer
    from evse_pi.matter.model.cluster_server import ClusterServer
    from evse_pi.matter.wire.status_code import MatterStatus
    from examples.matter_lamp import ON_OFF as SCHEMA
    from examples.matter_lamp import Lamp, LightingServer, NightLight, OnOffServer

    assert issubclass(Lamp, ClusterServer)
    assert Lamp.schema.name == SCHEMA.name == "OnOff"
    assert Lamp.supports(OnOffServer)
    assert Lamp.features == LightingServer.features != OnOffServer.features
    assert Lamp.dependencies == (IdentifyServer,)
    assert (NightLight.id, NightLight.cluster.id) == ("night_light", 0xFFF1FC01)
    assert not NightLight.supports(OnOffServer)
    with pytest.raises(TypeError, match="show"):
        LightingServer()
    with pytest.raises(MatterStatus, match="OnTime=36001"):
        Lamp(on_time=36_001)
