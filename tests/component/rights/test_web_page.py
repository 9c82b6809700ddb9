"""Every route of the web page by HTTP at the real listener, from every kind of visitor; a refusal orders nothing."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

import pytest

from evse_pi.api.commissioning import COMMISSION, Codes, CommissionAnswer
from evse_pi.api.diagnosis import SCOPE
from evse_pi.api.history import FAULTS, SESSIONS
from evse_pi.api.matter_status import MatterDeviceStatus, Window
from evse_pi.api.orders import PERMIT, SELF_TEST, SET, START, STOP
from evse_pi.api.refusal import Refusal
from evse_pi.api.status import STATUS
from evse_pi.api.why import WHY
from evse_pi.diagnostics.explanation import why
from evse_pi.web.application import Application
from evse_pi.web.http_server import HttpServer, Limits, listen
from evse_pi.web.page_admission import PinSessions
from tests.support.diagnosed_box import DiagnosedBox
from tests.support.rights import (
    HIDDEN,
    NAME_ASKED,
    NO_PIN,
    ORIGIN_ASKED,
    PIN_ASKED,
    TOKEN_ASKED,
    WEB,
    YES,
    Outcome,
    Visitor,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from evse_pi.api.protocol import Command

PIN, HOST = "480213", "127.0.0.1"
MATTER = MatterDeviceStatus(
    running=True, trouble=None, commissioned=False, window=Window.BASIC, fabrics=(), port=5540, test_credentials=True
)
CODES = Codes("MT:Y.K9042C00KA0648G00", "34970112332", 3840, 20202021)
QUESTIONS = {STATUS.name, WHY.name, SCOPE.name, SESSIONS.name, FAULTS.name}
LIMITS = Limits(pace_s=0.001)


class Box:
    """A box that answers the page and remembers what it was told to do."""

    def __init__(self, folder: Path) -> None:
        self._status = DiagnosedBox(folder).status()._replace(matter=MATTER)
        self.orders: list[str] = []

    async def pin_set(self) -> bool:
        return True

    async def ask(self, command: Command[Any, Any], request: Any = None) -> Any:
        if command.name not in QUESTIONS:
            self.orders.append(command.name)
            assert command.name in {each.name for each in (SELF_TEST, PERMIT, STOP, START, SET, COMMISSION)}
            return CommissionAnswer(*MATTER[:7], codes=CODES) if command is COMMISSION else request
        if command is SCOPE:
            raise Refusal("there is no picture yet")
        return {STATUS.name: self._status, WHY.name: why(self._status)}.get(command.name, ())

    async def changed(self) -> None:
        await asyncio.Event().wait()

    async def check_pin(self, pin: str, who: str) -> None:
        assert who == f"web page, {HOST}"
        if pin != PIN:
            raise Refusal("the PIN is wrong")


class Door(NamedTuple):
    """The page at its port."""

    port: int
    box: Box

    async def ask(self, route: str, form: dict[str, str], fields: dict[str, str]) -> tuple[int, str]:
        """Return status and text of the answer, of a stream its first piece."""
        body = urlencode(form) if route.startswith("POST") else ""
        told = {"Host": f"{HOST}:{self.port}", **fields}
        if body or route.startswith("POST"):
            told |= {"Content-Length": str(len(body)), "Content-Type": "application/x-www-form-urlencoded"}
        head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        reader, writer = await asyncio.open_connection(HOST, self.port)
        writer.write(f"{route} HTTP/1.1\r\n{head}\r\n{body}".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        stream = b"event-stream" in answer
        answer += await (reader.readuntil(b"\n\n") if stream else reader.read())
        writer.close()
        return int(answer.split(maxsplit=2)[1]), answer.decode()


@asynccontextmanager
async def page(folder: Path) -> AsyncIterator[Door]:
    box, number = Box(folder), iter(range(1 << 30))
    application = Application(box, PinSessions(lambda: 0, lambda: f"secret{next(number)}"), frozenset())
    listener = listen(HOST, 0)
    server = asyncio.create_task(HttpServer(listener, application.microdot, LIMITS).serve())
    try:
        yield Door(int(listener.getsockname()[1]), box)
    finally:
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)


async def entered(door: Door) -> tuple[dict[str, str], str]:
    """Return the cookie of a session that knew the PIN, and the token of its forms."""
    origin = {"Origin": f"http://{HOST}:{door.port}"}
    status, told = await door.ask("POST /pin", {"pin": PIN}, origin)
    assert status == 303
    cookie = {"Cookie": re.findall("Set-Cookie: ([^;]+);", told)[0]}
    _, shown = await door.ask("GET /control", {}, cookie)
    return cookie, re.findall(r'name="token" value="([\w-]+)"', shown)[0]


async def outcome(door: Door, route: str, visitor: Visitor) -> Outcome:
    fields, form = {"Origin": f"http://{HOST}:{door.port}"}, {"amps": "10", "pin": PIN}
    if visitor is Visitor.READER:
        form["pin"] = "111222"
    else:
        cookie, token = await entered(door)
        fields |= cookie
        if visitor is not Visitor.FORGED:
            form["token"] = token
    match visitor:
        case Visitor.SITE:
            fields["Origin"] = "http://another.example"
        case Visitor.REBOUND:
            fields |= {"Host": "another.example", "Origin": "http://another.example"}
    door.box.orders.clear()
    status, told = await door.ask(route.replace("<name>", "page.css"), form, fields)
    refusals = (
        (421, "no name of this box", NAME_ASKED),
        (403, "origin: a form must come from this page", ORIGIN_ASKED),
        (403, "token: this form is not of the present session", TOKEN_ASKED),
        (403, "This needs the installer PIN", PIN_ASKED),
        (403, "the PIN is wrong", NO_PIN),
    )
    for refused, words, found in refusals:
        if status == refused and words in told:
            return found
    assert status in (200, 303), told
    if route == "GET /codes" and CODES.qr not in told:
        return HIDDEN
    if route == "POST /leave" and "Cookie" in fields:
        _, shown = await door.ask("GET /control", {}, fields)
        return TOKEN_ASKED if 'name="token"' in shown else YES
    return YES


async def test_every_route_of_the_page_is_in_the_table(tmp_path: Path) -> None:
    application = Application(Box(tmp_path), PinSessions(lambda: 0, lambda: ""), frozenset())
    served = {
        f"{method} {path.url_pattern}" for methods, path, *_ in application.microdot.url_map for method in methods
    }
    assert served == set(WEB)


@pytest.mark.parametrize("visitor", Visitor, ids=lambda visitor: visitor.name)
async def test_what_a_visitor_may(tmp_path: Path, visitor: Visitor) -> None:
    async with page(tmp_path) as door:
        for route, told in WEB.items():
            assert await outcome(door, route, visitor) is told.row[visitor], route
            assert tuple(door.box.orders) == (told.orders if told.row[visitor] is YES else ()), route
