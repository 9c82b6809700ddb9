from __future__ import annotations

import asyncio
import json
import os
import stat
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from evse_pi.api.admission import owners_and_installer
from evse_pi.api.protocol import MAX_REQUEST_BYTES, Command
from evse_pi.api.refusal import Allowed, Refusal
from evse_pi.api.refusal import refuse as refuse_value
from evse_pi.api.server import Server
from evse_pi.api.service import Caller, CommandHandler, PeerProcess, Service
from tests.support.virtual_loop import virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from evse_pi.api.admission import Admission


class Echo(NamedTuple):
    text: str | int | None = None


class Unit(NamedTuple):
    """Nothing is asked."""


async def echo(request: Echo, caller: Caller) -> Any:
    return request.text


async def refuse(request: Unit, caller: Caller) -> Any:
    raise refuse_value("text", 3, Allowed(words=("1", "2")))


async def fail(request: Unit, caller: Caller) -> Any:
    raise ZeroDivisionError("oops")


async def hang(request: Unit, caller: Caller) -> None:
    await asyncio.Event().wait()


async def count(request: Unit, caller: Caller) -> AsyncIterator[Any]:
    for number in range(3):
        yield number
    await asyncio.Event().wait()


async def flood(request: Unit, caller: Caller) -> AsyncIterator[Any]:
    while True:
        yield "x" * 10_000


def offered(name: str, request: Any, answer: Any, **more: bool) -> CommandHandler:
    return CommandHandler(Command(name, request, Any, "", **more), answer)


SERVICE = Service(
    offered("echo", Echo, echo),
    offered("refuse", Unit, refuse),
    offered("fail", Unit, fail),
    offered("hang", Unit, hang),
    offered("secret", Unit, echo, installer=True),
    offered("count", Unit, count, streams=True),
    offered("flood", Unit, flood, streams=True),
)


@asynccontextmanager
async def serving(folder: Path, admission: Admission = owners_and_installer) -> AsyncIterator[Path]:
    path = folder / "control.sock"
    server = Server(path, SERVICE, admission)
    await server.start()
    try:
        yield path
    finally:
        await server.stop()
        assert not path.exists()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connected(cls, path: Path) -> Client:
        return cls(*await asyncio.open_unix_connection(path))

    async def line(self) -> Any:
        line = await asyncio.wait_for(self.reader.readline(), 5)
        return json.loads(line) if line else None

    async def ask(self, request: Any) -> Any:
        self.writer.write((request if isinstance(request, bytes) else json.dumps(request).encode()) + b"\n")
        await self.writer.drain()
        return await self.line()

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


async def test_requests_of_one_connection_are_answered_one_after_the_other(tmp_path: Path) -> None:
    async with serving(tmp_path) as path:
        client = await Client.connected(path)
        for text in ("a", "b"):
            assert await client.ask({"command": "echo", "text": text}) == {"ok": True, "result": text}
        await client.close()


@pytest.mark.parametrize(
    ("request_line", "said"),
    [
        (b"nonsense", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[1]", "must be an object"),
        (b"[" * 4_000, "more opening brackets than allowed; at most 32"),
        (b'{"a":' * 600, "more opening brackets than allowed; at most 32"),
        (b'{"command": 5}', "must be an object"),
        (b"{}", "must be an object"),
        (b'{"command": "dance"}', "command: 'dance' is unknown; one of count, echo"),
        (b'{"command": "echo", "txt": 1}', "txt: unknown field; allowed are text"),
        (b'{"command": "refuse"}', "text: 3 is not allowed; one of 1, 2"),
        (b'{"command": "echo", "text": true}', "text: True is not allowed; a text, or a whole number, or null"),
        (b'{"command": "fail"}', "fail: the command failed: ZeroDivisionError: oops"),
        (b'{"command": "count", "x": 1}', "x: unknown field; allowed are none"),
    ],
)
async def test_a_bad_request_is_refused_by_name_and_the_box_goes_on(
    tmp_path: Path, request_line: bytes, said: str
) -> None:
    async with serving(tmp_path) as path:
        client = await Client.connected(path)
        answer = await client.ask(request_line)
        assert answer["ok"] is False
        assert said in answer["error"]
        await client.close()
        other = await Client.connected(path)
        assert (await other.ask({"command": "echo"}))["ok"]
        await other.close()


async def test_a_line_without_end_is_cut_off(tmp_path: Path) -> None:
    async with serving(tmp_path) as path:
        client = await Client.connected(path)
        client.writer.write(b"x" * (MAX_REQUEST_BYTES + 1))
        assert "at most" in (await client.line())["error"]
        assert await client.line() is None
        await client.close()


async def test_a_stream_sends_until_the_client_closes(tmp_path: Path) -> None:
    async with serving(tmp_path) as path:
        client = await Client.connected(path)
        assert (await client.ask({"command": "count"}))["result"] == 0
        assert [(await client.line())["result"] for _ in range(2)] == [1, 2]
        await client.close()


async def test_a_client_that_does_not_read_costs_one_buffer_and_no_other_client(tmp_path: Path) -> None:
    async with serving(tmp_path) as path:
        deaf = await Client.connected(path)
        deaf.writer.write(b'{"command": "flood"}\n')
        await deaf.writer.drain()
        other = await Client.connected(path)
        assert (await other.ask({"command": "echo", "text": 1}))["result"] == 1
        await other.close()
        await deaf.close()


async def test_a_request_has_4096_bytes_and_32_brackets_and_none_more(tmp_path: Path) -> None:
    """The figures of docs/SECURITY.md; a bracket too many is told, a byte too many ends the connection."""
    head = b'{"command": "echo", "text": "'
    async with serving(tmp_path) as path:
        client = await Client.connected(path)
        assert (await client.ask(head + b"x" * (4_096 - len(head) - 2) + b'"}'))["ok"]
        nested = head + b"[" * 31 + b'"}'
        assert (await client.ask(nested))["ok"]
        assert "at most 32" in (await client.ask(head + b"[" * 32 + b'"}'))["error"]
        assert (await client.ask({"command": "echo"}))["ok"]
        assert "at most 4096 bytes" in (await client.ask(head + b"x" * (4_096 - len(head) - 1) + b'"}'))["error"]
        assert await client.line() is None
        await client.close()


@virtual_time
async def test_a_connection_that_asks_nothing_makes_room_after_half_a_minute(tmp_path: Path) -> None:
    now = asyncio.get_running_loop().time
    async with serving(tmp_path) as path:
        began = now()
        reader, writer = await asyncio.open_unix_connection(path)
        assert await reader.read() == b""
        assert 30 <= now() - began < 31
        writer.close()


@virtual_time
async def test_a_reader_that_does_not_read_is_cut_off_after_five_seconds(tmp_path: Path) -> None:
    now = asyncio.get_running_loop().time
    server = Server(tmp_path / "control.sock", SERVICE)
    await server.start()
    began = now()
    _, writer = await asyncio.open_unix_connection(tmp_path / "control.sock", limit=1)
    writer.write(b'{"command": "flood"}\n')
    while not server._users:  # noqa: ASYNC110 (it rings no bell)
        await asyncio.sleep(0)
    while server._users:  # noqa: ASYNC110 (it rings no bell)
        await asyncio.sleep(0.1)
    assert 5 <= now() - began < 6
    writer.close()
    await server.stop()


@virtual_time
async def test_a_command_that_does_not_answer_is_told_so_after_eight_seconds(tmp_path: Path) -> None:
    """A client waits for ten."""
    now = asyncio.get_running_loop().time
    async with serving(tmp_path) as path:
        began = now()
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"command": "hang"}\n')
        assert "no answer within 8 s" in json.loads(await reader.readline())["error"]
        assert 8 <= now() - began < 9
        writer.close()


async def test_connections_of_a_user_are_bounded_and_room_is_made_again(tmp_path: Path) -> None:
    async with serving(tmp_path) as path:
        clients = [await Client.connected(path) for _ in range(8)]
        for client in clients:
            assert (await client.ask({"command": "echo"}))["ok"]
        late = await Client.connected(path)
        assert "more than 8 connections of a user" in (await late.line())["error"]
        await late.close()
        for client in clients:
            await client.close()
        await asyncio.sleep(0.05)
        again = await Client.connected(path)
        assert (await again.ask({"command": "echo"}))["ok"]
        await again.close()


async def test_users_who_open_all_they_can_leave_room_for_an_installer(tmp_path: Path) -> None:
    """The sixteen connections that there are, whatever users of the group open; `users` stands for the kernel."""
    users = iter([1001] * 8 + [1002] * 8 + [0] * 5)

    def admitted(_peer: PeerProcess) -> Caller:
        uid = next(users)
        return Caller(uid, installer=uid == 0)

    async with serving(tmp_path, admission=admitted) as path:
        clients, served = [], []
        for _ in range(8 + 8 + 5):
            client = await Client.connected(path)
            clients.append(client)
            try:
                served.append((await client.ask({"command": "echo"}))["ok"])
            except (OSError, AssertionError):
                served.append(False)
        assert served == [True] * 12 + [False] * 4 + [True] * 4 + [False]
        for client in clients:
            with suppress(OSError):
                await client.close()


async def test_the_socket_is_for_the_group_and_takes_the_place_of_a_stale_one(tmp_path: Path) -> None:
    (tmp_path / "control.sock").touch()
    async with serving(tmp_path) as path:
        mode = path.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert mode & 0o777 == 0o660


async def test_the_user_of_the_process_counts_as_installer_and_admission_says_otherwise(tmp_path: Path) -> None:
    seen: list[bool] = []

    async def who(request: Unit, caller: Caller) -> None:
        seen.append(caller.installer)

    def strangers(peer: PeerProcess) -> Caller:
        if peer.uid != os.geteuid():
            raise Refusal("not you")
        return Caller(peer.uid, installer=False)

    def refuse(peer: PeerProcess) -> Caller:
        raise Refusal(f"uid {peer.uid}: not let in")

    service = Service(offered("who", Unit, who), offered("secret", Unit, who, installer=True))
    for admission in (owners_and_installer, strangers):
        server = Server(tmp_path / "control.sock", service, admission)
        await server.start()
        client = await Client.connected(tmp_path / "control.sock")
        assert (await client.ask({"command": "who"}))["ok"]
        answer = await client.ask({"command": "secret"})
        assert answer["ok"] is (admission is owners_and_installer)
        assert answer["ok"] or "only root" in answer["error"]
        await client.close()
        await server.stop()
    assert seen == [True, True, False]
    server = Server(tmp_path / "control.sock", service, refuse)
    await server.start()
    client = await Client.connected(tmp_path / "control.sock")
    assert "not let in" in (await client.line())["error"]
    assert await client.line() is None
    await client.close()
    await server.stop()


async def test_a_refusal_names_the_field_its_value_and_what_is_allowed(tmp_path: Path) -> None:
    async with serving(tmp_path) as path:
        client = await Client.connected(path)
        answer = await client.ask({"command": "refuse"})
        assert answer["at"] == {
            "field": "text", "value": 3, "allowed": {"lowest": None, "highest": None, "unit": "", "words": ["1", "2"]}
        }  # fmt: skip
        await client.close()


async def test_stopping_cuts_a_stream(tmp_path: Path) -> None:
    async with serving(tmp_path) as path:
        client = await Client.connected(path)
        await client.ask({"command": "count"})
    while await client.line() is not None:
        pass
    await client.close()
