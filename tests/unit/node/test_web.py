"""The node's side of its page: options, PINs, answers."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.api.history import PageRequest
from evse_pi.api.protocol import Command
from evse_pi.api.refusal import Refusal
from evse_pi.api.service import Caller, CommandHandler, Service
from evse_pi.api.status import WebPage
from evse_pi.installer.pin import FIRST_DELAY_S, FREE_FAILURES, Pin
from evse_pi.node.commands import ChangeNotifier
from evse_pi.node.matter_options import OptionError
from evse_pi.node.web import BoxAnswers, OwnPin, PinChecker, PinService, PinUnchecked, WebServer
from evse_pi.node.web_options import WebOptions, add_web_arguments, check, web_options_of
from evse_pi.sim.harness.virtual_clock import VirtualClock
from evse_pi.web.http_server import listen

if TYPE_CHECKING:
    from pathlib import Path


PIN = "480213"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def installer(tmp_path: Path, clock: VirtualClock) -> PinChecker:
    Pin(tmp_path, clock).choose(PIN)
    return PinChecker(OwnPin(tmp_path, clock), clock)


async def refused(installer: PinChecker, pin: str) -> str:
    with pytest.raises(Refusal) as refusal:
        await installer.check(pin, "a phone")
    return str(refusal.value)


async def test_the_right_pin_is_taken_and_wrong_ones_make_everybody_wait(
    installer: PinChecker, clock: VirtualClock
) -> None:
    await installer.check(PIN, "a phone")
    for _ in range(FREE_FAILURES):
        assert "the PIN is wrong" in await refused(installer, "111222")
    assert f"try again in {FIRST_DELAY_S} s" in await refused(installer, PIN)
    clock.advance_s(FIRST_DELAY_S)
    await installer.check(PIN, "a phone")
    assert "the PIN is wrong" in await refused(installer, "111222")


async def test_who_must_wait_costs_the_one_that_compares_nothing(clock: VirtualClock) -> None:
    asked: list[str] = []

    async def never(pin: str, _who: str) -> None:
        asked.append(pin)
        raise Refusal("the PIN is wrong")

    installer = PinChecker(never, clock)
    for _ in range(50):
        await refused(installer, "111222")
    assert len(asked) == FREE_FAILURES


async def test_pins_are_compared_one_at_a_time(clock: VirtualClock) -> None:
    going_on = asyncio.Event()

    async def slow(_pin: str, _who: str) -> None:
        await going_on.wait()

    installer = PinChecker(slow, clock)
    first = asyncio.create_task(installer.check(PIN, "a phone"))
    await asyncio.sleep(0)
    assert "another PIN is being checked" in await refused(installer, PIN)
    going_on.set()
    await first


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b'{"ok": true, "result": {"right": "PIN"}}\n', None),
        (b'{"ok": false, "error": "the PIN is wrong"}\n', "wrong"),
        (b"", "cannot"),
    ],
)
async def test_an_installed_box_has_its_service_compare(tmp_path: Path, answer: bytes, words: str | None) -> None:
    heard: list[dict[str, Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(json.loads(await reader.readline()))
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(serve, tmp_path / "socket"):
        service = PinService(tmp_path / "socket")
        if words is None:
            await service(PIN, "a phone")
        else:
            with pytest.raises(Refusal, match=words):
                await service(PIN, "a phone")
    assert heard == [{"command": "check_pin", "name": "a phone", "pin": PIN}]
    with pytest.raises(Refusal, match="cannot be checked"):
        await PinService(tmp_path / "nobody")(PIN, "a phone")


async def test_the_page_asks_without_the_rights_of_an_installer(tmp_path: Path, clock: VirtualClock) -> None:
    async def tell(request: PageRequest, caller: Caller) -> tuple[bool, PageRequest]:
        if request.limit > 50:
            raise Refusal("limit: too much")
        return caller.installer, request

    command: Command[PageRequest, tuple[bool, PageRequest]] = Command("tell", PageRequest, Any, "")
    answers = BoxAnswers(Service(CommandHandler(command, tell)), ChangeNotifier(), tmp_path, clock)
    assert await answers.ask(command, PageRequest(before=1)) == (False, PageRequest(before=1))
    with pytest.raises(Refusal, match="too much"):
        await answers.ask(command, PageRequest(100))
    assert await answers.pin_set() is False


@pytest.mark.hazard("H-10")
async def test_a_page_says_what_is_known_of_the_pin_while_the_card_does_not_answer(
    tmp_path: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers_again, looks = threading.Event(), []

    def hang(file: Path) -> bool:
        looks.append(file)
        answers_again.wait()
        return os.access(file, os.F_OK)

    answers = BoxAnswers(Service(), ChangeNotifier(), tmp_path, clock)
    Pin(tmp_path, clock).choose(PIN)
    monkeypatch.setattr("evse_pi.node.web.CARD_WITHIN_S", 0.02)
    monkeypatch.setattr(type(tmp_path), "exists", hang)
    assert [await answers.pin_set(), await answers.pin_set()] == [False, False]
    assert len(looks) == 1  # one thread waits for the card, however many pages are asked for
    answers_again.set()
    while not await answers.pin_set():
        pass


async def test_a_port_in_use_is_named_and_taken_once_it_is_free(tmp_path: Path, clock: VirtualClock) -> None:
    with listen("127.0.0.1", 0) as first:
        port = int(first.getsockname()[1])
        answers = BoxAnswers(Service(), ChangeNotifier(), tmp_path, clock)
        server = WebServer(WebOptions(port, "127.0.0.1"), answers, retry_s=0.02)
        task = asyncio.create_task(server.run())
        while server.trouble is None:  # noqa: ASYNC110 (it rings no bell)
            await asyncio.sleep(0.01)
        assert str(port) in server.trouble
        assert "in use" in server.trouble
    while not server.serving:  # noqa: ASYNC110 (it rings no bell)
        await asyncio.sleep(0.01)
    assert server.describe() == WebPage(serving=True, address=f"http://127.0.0.1:{port}/", trouble=None)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        ([], WebOptions()),
        (["--no-web"], None),
        (["--web-port=0"], None),
        (
            ["--web-port=9000", "--web-address=::1", "--web-name=Box.home.arpa"],
            WebOptions(9000, "::1", ("box.home.arpa",)),
        ),
    ],
)
def test_options_say_where_the_page_is(arguments: list[str], chosen: WebOptions | None) -> None:
    parser = argparse.ArgumentParser()
    add_web_arguments(parser)
    assert web_options_of(parser.parse_args(arguments)) == chosen


@pytest.mark.parametrize("argument", ["--web-port=80", "--web-port=x", "--web-address=here", "--web-name=a b"])
def test_a_wrong_option_is_named_with_its_value(argument: str) -> None:
    name, value = argument.removeprefix("--").split("=")
    with pytest.raises(OptionError, match=f"{name}: '{value}'"):
        check([argument])


async def test_a_service_that_is_not_there_is_told_and_is_no_wrong_pin(tmp_path: Path, clock: VirtualClock) -> None:
    installer = PinChecker(PinService(tmp_path / "absent.sock"), clock)
    for _ in range(10):
        with pytest.raises(PinUnchecked, match="the PIN cannot be checked"):
            await installer.check("480213", "somebody")
