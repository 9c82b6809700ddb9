"""The spreadsheet of all sessions, more of them than one answer holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evse_pi.api.history import MAX_PAGE, SESSIONS, PageRequest
from evse_pi.api.session_summary import SessionSummary
from evse_pi.web.application import Application
from evse_pi.web.page_admission import PinSessions
from hal.units import MilliwattHours

if TYPE_CHECKING:
    from evse_pi.api.protocol import Command

STORED = 2 * MAX_PAGE + 345


class Answers:
    """A box with many sessions, whose answers hold at most a page."""

    async def pin_set(self) -> bool:
        return False

    async def ask(self, command: Command[Any, Any], request: Any = None) -> Any:
        assert command is SESSIONS
        assert isinstance(request, PageRequest)
        assert request.limit <= MAX_PAGE
        newest = STORED if request.before is None else request.before - 1
        return tuple(
            SessionSummary(number, None, None, True, 60, 59, MilliwattHours(1), False)
            for number in range(newest, max(newest - request.limit, 0), -1)
        )

    async def changed(self) -> None: ...

    async def check_pin(self, pin: str, who: str) -> None: ...


async def test_the_spreadsheet_has_every_session_and_is_not_cut_at_a_page() -> None:
    application = Application(Answers(), PinSessions(lambda: 0, lambda: ""), frozenset())
    response = await application._csv(None)  # type: ignore[arg-type]
    body = response.body
    rows = (body if isinstance(body, str) else body.decode()).splitlines()
    assert len(rows) == 1 + STORED
    assert rows[-1].startswith("1,")
