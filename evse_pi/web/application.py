"""The routes: which address shows what, and what a form does."""

from __future__ import annotations

import re
from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from microdot import Microdot, Request, Response

from evse_pi.api.commissioning import COMMISSION, Commission, CommissionAction
from evse_pi.api.diagnosis import SCOPE
from evse_pi.api.history import FAULTS, SESSIONS, PageRequest
from evse_pi.api.orders import PERMIT, SELF_TEST, SET, START, STOP, SetOwner
from evse_pi.api.refusal import Refusal
from evse_pi.api.status import STATUS
from evse_pi.api.texts.catalogue import tr
from evse_pi.api.texts.quantities import current_refused
from evse_pi.api.why import WHY
from evse_pi.web import layout
from evse_pi.web.event_stream import EventStreams
from evse_pi.web.page_admission import SESSION_COOKIE, SESSION_NS, PinSession, PinSessions, is_own_name
from evse_pi.web.pages import history_page, protected_pages, scope_page, status_page
from hal.units import Milliamps

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from evse_pi.api.protocol import Command, Nothing
    from evse_pi.api.session_summary import SessionSummary
    from evse_pi.web.answers import Answers
    from evse_pi.web.layout import Page

    Build = Callable[[PinSession | None], Awaitable[Page]]

HTML = "text/html; charset=utf-8"
ASSETS = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
LIVE = {"/": "/live/status", "/why": "/live/why", "/scope": "/live/scope", "/selftest": "/live/selftest"}
ASSET_CACHED = "public, max-age=31536000, immutable"  # its address names its content
MAX_FIELDS = 8  # the longest form has three
_AMPS = re.compile(r"[0-9]{1,3}([.,][0-9]{1,3})?")


class Application:
    """The page of one box."""

    def __init__(self, answers: Answers, sessions: PinSessions, own_names: frozenset[str]) -> None:
        self._answers = answers
        self._sessions = sessions
        self._own_names = own_names
        self._streams = EventStreams(answers.changed)
        self._assets = {name: files(__package__).joinpath("static", name).read_bytes() for name in ASSETS}
        self._version = sha256(b"".join(self._assets.values())).hexdigest()[:12]
        self.microdot = self._routes()

    def _routes(self) -> Microdot:
        routes = Microdot()
        routes.before_request(self._check)
        for path, build in self._pages.items():
            routes.route(path, methods=["GET"])(self._shown(build))
        for path, address in LIVE.items():
            routes.route(address, methods=["GET"])(self._streamed(self._pages[path]))
        for path, act in self._acts.items():
            routes.route(path, methods=["POST"])(self._done(act))
        routes.route("/static/<name>", methods=["GET"])(self._asset)
        routes.route("/sessions.csv", methods=["GET"])(self._csv)
        routes.route("/pin", methods=["GET"])(self._pin_form)
        routes.route("/pin", methods=["POST"])(self._pin)
        routes.route("/leave", methods=["POST"])(self._leave)
        for status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.INTERNAL_SERVER_ERROR):
            routes.errorhandler(status.value)(self._failed(status))
        return routes

    @property
    def _pages(self) -> dict[str, Build]:
        return {
            "/": self._status,
            "/why": self._why,
            "/scope": self._scope,
            "/sessions": self._history,
            "/faults": self._faults,
            "/selftest": self._self_test,
            "/codes": self._codes,
            "/control": self._control,
        }

    @property
    def _acts(self) -> dict[str, Callable[[dict[str, str]], Awaitable[str]]]:
        """What a form with the PIN's session does; each returns where to go on."""
        return {
            "/selftest": self._start_self_test,
            "/permit": lambda _form: self._own(PERMIT),
            "/stop": lambda _form: self._own(STOP),
            "/start": lambda _form: self._own(START),
            "/limit": self._set_limit,
        }

    # Who is let in.

    async def _check(self, request: Request) -> Response | None:
        """Refuse names that are not ours and forms that are not from our own page."""
        host = request.headers.get("host", "")
        if not is_own_name(host, self._own_names):
            told = tr("host: {host!r} is no name of this box; use its address, or start it with --web-name\n").format(
                host=host
            )
            return Response(told, HTTPStatus.MISDIRECTED_REQUEST)
        if request.method != "POST":
            return None
        if request.headers.get("origin") != f"http://{host}":
            return Response(tr("origin: a form must come from this page itself\n"), HTTPStatus.FORBIDDEN)
        try:
            _form(request)
        except ValueError:
            return Response(
                tr("form: more fields than allowed; at most {max_fields}\n").format(max_fields=MAX_FIELDS),
                HTTPStatus.BAD_REQUEST,
            )
        return None

    def _session(self, request: Request) -> PinSession | None:
        return self._sessions.find(request.cookies.get(SESSION_COOKIE))

    # Pages.

    def _shown(self, build: Build) -> Callable[[Request], Awaitable[Response]]:
        async def handler(request: Request) -> Response:
            session = self._session(request)
            try:
                page = await build(session)
            except Refusal as refusal:
                return await self._document(protected_pages.refused_page(tr("No answer"), str(refusal)), session, 503)
            return await self._document(page, session)

        return handler

    def _streamed(self, build: Build) -> Callable[[Request], Awaitable[Response]]:
        async def handler(request: Request) -> Response:
            address = request.client_addr[0]
            if not self._streams.has_room(address):
                return Response(tr("too many live pages; close one\n"), HTTPStatus.SERVICE_UNAVAILABLE)
            key = request.cookies.get(SESSION_COOKIE)

            async def render() -> str:
                try:
                    return layout.fragments(await build(self._sessions.find(key)))
                except Refusal as refusal:
                    return layout.fragments(protected_pages.refused_page(tr("No answer"), str(refusal)))

            news = self._streams.of(address, render)
            headers = {"Content-Type": "text/event-stream; charset=utf-8"}
            return Response(news, 200, headers)  # type: ignore[arg-type] # microdot takes generators, its types do not say so

        return handler

    async def _document(self, page: Page, session: PinSession | None, status: int = 200) -> Response:
        try:
            box = (await self._answers.ask(STATUS)).board.title
        except Refusal:
            box = "evse-pi"
        told = layout.document(page, box, session, self._version)
        return Response(told, status, {"Content-Type": HTML})

    async def _status(self, _session: PinSession | None) -> Page:
        return status_page.status_page(await self._answers.ask(STATUS), await self._answers.ask(WHY))

    async def _why(self, _session: PinSession | None) -> Page:
        return status_page.why_page(await self._answers.ask(WHY))

    async def _scope(self, _session: PinSession | None) -> Page:
        try:
            return scope_page.scope_page(await self._answers.ask(SCOPE))
        except Refusal as refusal:
            return scope_page.no_scope_page(str(refusal))

    async def _history(self, _session: PinSession | None) -> Page:
        return history_page.sessions_page(await self._answers.ask(SESSIONS, PageRequest(history_page.SESSIONS_SHOWN)))

    async def _faults(self, _session: PinSession | None) -> Page:
        return history_page.faults_page(await self._answers.ask(FAULTS, PageRequest(history_page.FAULTS_SHOWN)))

    async def _self_test(self, session: PinSession | None) -> Page:
        return protected_pages.self_test_page(await self._answers.ask(STATUS), session)

    async def _codes(self, session: PinSession | None) -> Page:
        status = await self._answers.ask(STATUS)
        matter, codes = status.matter, None
        if matter is not None and session is not None and protected_pages.lets_in(matter):
            codes = (await self._answers.ask(COMMISSION, Commission(CommissionAction.CODES))).codes
        return protected_pages.codes_page(status, codes, session, pin_set=await self._answers.pin_set())

    async def _control(self, session: PinSession | None) -> Page:
        return protected_pages.control_page(await self._answers.ask(STATUS), session)

    # Files.

    async def _asset(self, _request: Request, name: str) -> Response:
        if name not in ASSETS:
            return Response(tr("{name}: there is no such file\n").format(name=name), HTTPStatus.NOT_FOUND)
        return Response(self._assets[name], 200, {"Content-Type": ASSETS[name], "Cache-Control": ASSET_CACHED})

    async def _csv(self, _request: Request) -> Response:
        try:
            sessions = await self._all_sessions()
        except Refusal as refusal:
            return Response(f"{refusal}\n", HTTPStatus.SERVICE_UNAVAILABLE)
        headers = {
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": 'attachment; filename="sessions.csv"',
        }
        return Response(history_page.sessions_csv(sessions), 200, headers)

    async def _all_sessions(self) -> tuple[SessionSummary, ...]:
        """Return every session that is stored, the newest first, page by page. Raises: Refusal."""
        sessions: tuple[SessionSummary, ...] = ()
        while True:
            before = sessions[-1].number if sessions else None
            page = await self._answers.ask(SESSIONS, PageRequest(history_page.CSV_PAGE, before))
            if not page:
                return sessions
            sessions += page

    def _failed(self, status: HTTPStatus) -> Callable[[Request], Awaitable[Response]]:
        async def handler(request: Request) -> Response:
            told = f"{request.method} {request.path}: {status.phrase.lower()}"
            return await self._document(protected_pages.refused_page(status.phrase, told), None, status.value)

        return handler

    # Acts.

    def _done(self, act: Callable[[dict[str, str]], Awaitable[str]]) -> Callable[[Request], Awaitable[Response]]:
        async def handler(request: Request) -> Response:
            session, form = self._session(request), _form(request)
            if session is None:
                told = tr("This needs the installer PIN; it is asked again after 15 minutes.")
                page = protected_pages.pin_page(told, pin_set=await self._answers.pin_set())
                return await self._document(page, None, HTTPStatus.FORBIDDEN)
            if form.get("token") != session.token:
                page = protected_pages.refused_page(
                    tr("Refused"), tr("token: this form is not of the present session; load the page again")
                )
                return await self._document(page, session, HTTPStatus.FORBIDDEN)
            try:
                return _see_other(await act(form))
            except Refusal as refusal:
                page = protected_pages.refused_page(tr("Refused"), str(refusal))
                return await self._document(page, session, HTTPStatus.CONFLICT)

        return handler

    async def _start_self_test(self, _form: dict[str, str]) -> str:
        contactor = (await self._answers.ask(STATUS)).contactor
        if contactor is not None and contactor.close_ordered:
            raise Refusal(tr("The box is charging, and a self-test needs an open contactor: stop charging first."))
        await self._answers.ask(SELF_TEST)
        return "/selftest"

    async def _own(self, command: Command[Nothing, Any]) -> str:
        await self._answers.ask(command)
        return "/control"

    async def _set_limit(self, form: dict[str, str]) -> str:
        amps = form.get("amps", "").strip()
        if amps and not _AMPS.fullmatch(amps):
            raise Refusal(
                tr("limit: {amps!r} is not allowed; a number of A such as 16 or 10.5, or nothing for no limit").format(
                    amps=amps
                )
            )
        limit_ma = Milliamps(round(float(amps.replace(",", ".")) * 1000)) if amps else None
        try:
            await self._answers.ask(SET, SetOwner(limit_ma=limit_ma))
        except Refusal as refusal:
            raise Refusal(current_refused("limit", refusal.at) or str(refusal)) from refusal
        return "/control"

    # The PIN.

    async def _pin_form(self, request: Request) -> Response:
        page = protected_pages.pin_page(None, pin_set=await self._answers.pin_set(), to=request.args.get("to", ""))
        return await self._document(page, self._session(request))

    async def _pin(self, request: Request) -> Response:
        form = _form(request)
        to = form.get("to", "")
        try:
            await self._answers.check_pin(form.get("pin", ""), f"web page, {request.client_addr[0]}")
        except Refusal as refusal:
            page = protected_pages.pin_page(str(refusal), pin_set=await self._answers.pin_set(), to=to)
            return await self._document(page, None, HTTPStatus.FORBIDDEN)
        key, lasts_s = self._sessions.open(), SESSION_NS // 1_000_000_000
        response = _see_other(f"/{to}" if to and f"/{to}" in self._pages else "/control")
        response.headers["Set-Cookie"] = f"{SESSION_COOKIE}={key}; Path=/; Max-Age={lasts_s}; HttpOnly; SameSite=Strict"
        return response

    async def _leave(self, request: Request) -> Response:
        session = self._session(request)
        if session is not None and _form(request).get("token") == session.token:
            self._sessions.close(request.cookies.get(SESSION_COOKIE))
        return _see_other("/")


def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form, each once. Raises: ValueError for too many, which `_check` refuses."""
    body = (request.body or b"").decode("ascii", "replace")
    told = parse_qs(body, max_num_fields=MAX_FIELDS, keep_blank_values=True)
    return {name: values[0] for name, values in told.items()}


def _see_other(path: str) -> Response:
    return Response("", HTTPStatus.SEE_OTHER, {"Location": path})
