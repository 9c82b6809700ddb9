"""Home Assistant's Matter server and the client that Home Assistant itself uses, driven by JSON orders on stdin.

Runs in an environment of its own, see requirements.txt. Arguments: storage folder, test root certificate (DER).
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import sys
from asyncio.subprocess import DEVNULL
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from chip.clusters import Objects as Clusters
from chip.clusters.Types import NullValue
from matter_server.client import MatterClient
from matter_server.common.errors import MatterError
from matter_server.common.helpers.util import dataclass_to_dict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PORT = 5580
START_POLL_S = 0.1


class Orders:
    """What a test can ask of Home Assistant; answers are what its entities would show."""

    def __init__(self, client: MatterClient) -> None:
        self._client = client

    async def ping(self) -> bool:
        """Answer."""
        return True

    async def commission(self, code: str) -> dict[str, Any]:
        """Add the device that a pairing code names, as the companion app does."""
        node = await self._client.commission_with_code(code, network_only=True)
        return {"node": node.node_id, "attributes": len(node.attributes), "available": node.available}

    async def attributes(self, node: int, cluster: int) -> dict[str, Any]:
        """Return what the server holds of a cluster on endpoint 1, kept up to date by its subscription alone."""
        one = self._client.get_node(node)
        prefix = f"1/{cluster}/"
        names = [path.removeprefix(prefix) for path in one.node_data.attributes if path.startswith(prefix)]
        return {name: _plain(one.get_attribute_value(1, cluster, int(name))) for name in names}

    async def invoke(self, node: int, cluster: str, command: str, fields: dict[str, Any]) -> None:
        """Send a timed command to endpoint 1; None among the fields is null."""
        filled = {name: NullValue if value is None else value for name, value in fields.items()}
        one = getattr(getattr(Clusters, cluster).Commands, command)(**filled)
        await self._client.send_device_command(node, 1, one, timed_request_timeout_ms=3000)

    async def write(self, node: int, path: str, value: Any) -> Any:
        """Write an attribute, given as endpoint/cluster/attribute."""
        return await self._client.write_attribute(node, path, value)

    async def remove(self, node: int) -> None:
        """Take the device out of the fabric."""
        await self._client.remove_node(node)


@contextlib.asynccontextmanager
async def connected(storage: Path, root: Path) -> AsyncIterator[MatterClient]:
    """Start the server, connect Home Assistant's client to it and listen."""
    program = [str(Path(sys.executable).with_name("matter-server")), "--storage-path", str(storage)]
    program += ["--paa-root-cert-dir", str(_trusting(storage, root)), "--primary-interface", "eth0"]
    server = await asyncio.create_subprocess_exec(*program, stdin=DEVNULL, stdout=sys.stderr, stderr=sys.stderr)
    try:
        async with aiohttp.ClientSession() as session:
            await _until_up(session)
            client = MatterClient(f"ws://127.0.0.1:{PORT}/ws", session)
            ready = asyncio.Event()
            await client.connect()
            listening = asyncio.create_task(client.start_listening(ready))
            await ready.wait()
            yield client
            await client.disconnect()
            await listening
    finally:
        server.terminate()
        await server.wait()


def _trusting(storage: Path, root: Path) -> Path:
    """Return a folder with the one root certificate to trust, which the server takes for fetched today."""
    trusted = storage / "paa"
    trusted.mkdir(parents=True)
    (trusted / ".version").write_text("1")
    (trusted / "test.der").write_bytes(root.read_bytes())
    return trusted


async def _until_up(session: aiohttp.ClientSession) -> None:
    while True:
        with contextlib.suppress(aiohttp.ClientError):
            async with session.ws_connect(f"http://127.0.0.1:{PORT}/ws"):
                return
        await asyncio.sleep(START_POLL_S)


async def serve(storage: Path, root: Path) -> None:
    """Answer one JSON order per line until stdin ends."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with connected(storage, root) as client:
        orders = Orders(client)
        _tell({"value": True})
        while line := await lines.readline():
            order = json.loads(line)
            try:
                _tell({"value": await getattr(orders, order.pop("order"))(**order)})
            except MatterError as error:
                _tell({"kind": type(error).__name__, "error": str(error)})


def _plain(value: Any) -> Any:
    if value is NullValue:
        return None
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return dataclass_to_dict(value) if dataclasses.is_dataclass(value) else value


def _tell(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))
