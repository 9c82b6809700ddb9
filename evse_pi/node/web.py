"""The page of the box: gives it the answers of the command socket, checks PINs for it, and keeps it served.

Nothing that fails here reaches the box: `trouble` says what does.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from evse_pi.api.client import BoxError, BoxRefused, ask_async
from evse_pi.api.installer import CHECK_PIN, ByPin
from evse_pi.api.refusal import Refusal
from evse_pi.api.server import answered
from evse_pi.api.service import Caller, ParsedRequest
from evse_pi.api.status import WebPage
from evse_pi.api.texts.catalogue import tr
from evse_pi.installer.pin import PIN_FILE, Pin, PinError, delay_after
from evse_pi.paths import INSTALLER_SOCKET
from evse_pi.web.application import Application
from evse_pi.web.http_server import HttpServer, listen
from evse_pi.web.page_admission import PinSessions
from hal.units import SECOND

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from evse_pi.api.protocol import Command
    from evse_pi.api.service import Service
    from evse_pi.charging.clock import Clock
    from evse_pi.node.commands import ChangeNotifier
    from evse_pi.node.web_options import WebOptions

log = logging.getLogger(__name__)

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")

BROWSER = Caller(uid=-1, installer=False)
"""The user of a browser: no user of this machine."""
RETRY_S = 10.0
SERVICE_WITHIN_S = 15.0
SECRET_BYTES = 24
CARD_WITHIN_S = 0.5  # a page without news of the PIN file is better than one that comes when the card answers
ANY_ROUTE = ("192.0.2.1", 9)  # nothing is sent there; the kernel says from which address it would be


class PinUnchecked(Refusal):
    """The PIN could not be compared: it is neither right nor wrong."""


class OwnPin:
    """The PIN of a box whose installer's files are this user's own."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._pin = Pin(folder, clock)

    async def __call__(self, pin: str, _who: str) -> None:
        """Return if this is the PIN. Raises: Refusal."""
        try:
            await asyncio.to_thread(self._pin.verify, pin)
        except (PinError, OSError) as error:
            raise Refusal(str(error)) from error


class PinService:
    """The PIN of an installed box, which root's installer service compares and puts refusals on record for."""

    def __init__(self, address: Path) -> None:
        self._address = address

    async def __call__(self, pin: str, who: str) -> None:
        """Return if this is the PIN. Raises: Refusal, PinUnchecked when the service does not answer."""
        try:
            await ask_async(self._address, CHECK_PIN, ByPin(who, pin), within_s=SERVICE_WITHIN_S)
        except BoxRefused as refusal:
            raise Refusal(str(refusal)) from refusal
        except BoxError as error:
            raise PinUnchecked(tr("the PIN cannot be checked: {error}").format(error=error)) from error


class PinChecker:
    """Takes PINs one at a time, and none while an earlier failure makes everybody wait.

    So a flood of guesses costs neither the service nor the record of refusals more than a few lines an hour.
    """

    def __init__(self, verify: Callable[[str, str], Awaitable[None]], clock: Clock) -> None:
        self._verify = verify
        self._clock = clock
        self._failures = 0
        self._failed_ns = 0
        self._busy = asyncio.Lock()

    async def check(self, pin: str, who: str) -> None:
        """Return if this is the PIN. Raises: Refusal when it is not, or it is too early to try again."""
        if self._busy.locked():
            raise Refusal(tr("another PIN is being checked; try again"))
        async with self._busy:
            left_ns = self._failed_ns + delay_after(self._failures) * SECOND - self._clock.monotonic_ns()
            if self._failures and left_ns > 0:
                told = tr("{failures} wrong PINs; try again in {value} s")
                raise Refusal(told.format(failures=self._failures, value=-(-left_ns // SECOND)))
            before = self._failures, self._failed_ns
            self._failures, self._failed_ns = self._failures + 1, self._clock.monotonic_ns()
            try:
                await self._verify(pin, who)
            except PinUnchecked:
                self._failures, self._failed_ns = before
                raise
            self._failures = 0


class BoxAnswers:
    """The box as its page asks it: without the rights of an installer."""

    def __init__(self, service: Service, notifier: ChangeNotifier, folder: Path, clock: Clock) -> None:
        """Answer by `service`; `folder` holds the installer's files. It may wait for the card: not for the loop."""
        self._service = service
        self._notifier = notifier
        self._pin_file = folder / PIN_FILE
        self._pin_known = False
        self._look_for_pin()
        self._pin_look: asyncio.Task[None] | None = None
        own = os.access(folder, os.W_OK)
        self._pin_checker = PinChecker(OwnPin(folder, clock) if own else PinService(INSTALLER_SOCKET), clock)

    async def ask(self, command: Command[Asked, Answered], request: Asked | None = None) -> Answered:
        """Return the answer to a command. Raises: Refusal in the box's own words."""
        offer = self._service.offers[command.name]
        found: Answered = await answered(
            ParsedRequest(offer, command.request() if request is None else request, BROWSER)
        )
        return found

    async def changed(self) -> None:
        """Return when there may be something new."""
        await self._notifier.next_change().wait()

    async def pin_set(self) -> bool:
        """Return whether the box has an installer PIN; as far as was known before while the card does not answer."""
        look = self._pin_look
        if look is None:
            look = self._pin_look = asyncio.create_task(asyncio.to_thread(self._look_for_pin), name="pin file")
            look.add_done_callback(self._pin_looked)
        await asyncio.wait({look}, timeout=CARD_WITHIN_S)
        return self._pin_known

    def _look_for_pin(self) -> None:
        with suppress(OSError):
            self._pin_known = self._pin_file.exists()

    def _pin_looked(self, _look: asyncio.Task[None]) -> None:
        self._pin_look = None

    async def check_pin(self, pin: str, who: str) -> None:
        """Return if this is the installer PIN. Raises: Refusal when it is not."""
        await self._pin_checker.check(pin, who)


class WebServer:
    """Serves the page until cancelled; a port that is taken is tried again."""

    def __init__(self, options: WebOptions, answers: BoxAnswers, *, retry_s: float = RETRY_S) -> None:
        self.trouble: str | None = None
        self.serving = False
        self._options = options
        self._answers = answers
        self._retry_s = retry_s

    async def run(self) -> None:
        """Serve."""
        names = frozenset((socket.gethostname().lower(), *self._options.names))
        sessions = PinSessions(time.monotonic_ns, lambda: secrets.token_urlsafe(SECRET_BYTES))
        application = await asyncio.to_thread(Application, self._answers, sessions, names)  # it reads its files
        while True:
            try:
                door = HttpServer(listen(self._options.address, self._options.port), application.microdot)
            except OSError as error:
                if self.trouble is None:
                    log.warning("no web page port=%d problem=%s", self._options.port, error)
                self.trouble = f"port {self._options.port}: {error.strerror or error}"
                await asyncio.sleep(self._retry_s)
                continue
            self.trouble, self.serving = None, True
            log.info("web page address=%s", self.address)
            await door.serve()

    @property
    def address(self) -> str:
        """Return where a browser finds the page."""
        host = self._options.address or _own_address()
        return f"http://{f'[{host}]' if ':' in host else host}:{self._options.port}/"

    def describe(self) -> WebPage:
        """Return how the page stands."""
        return WebPage(self.serving, self.address, self.trouble)


def _own_address() -> str:
    """Return the address by which others reach this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ANY_ROUTE)
        except OSError:
            return "localhost"
        return str(probe.getsockname()[0])
