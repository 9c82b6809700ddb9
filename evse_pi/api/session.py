"""Charging sessions: from plugging in to unplugging."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from evse_pi.api.protocol import Command
from evse_pi.api.refusal import Allowed
from hal.units import MilliwattHours

MAX_PAGE = 1_000
MAX_NUMBER = 1 << 62


class SessionSummary(NamedTuple):
    """One session, running or ended; `estimated` says that no meter counted at least a part of its energy."""

    number: int
    started_unix_s: int | None
    ended_unix_s: int | None
    ended: bool
    duration_s: int
    charging_s: int
    energy_mwh: MilliwattHours
    estimated: bool


class Page(NamedTuple):
    """Which of many: at most `limit`, the newest first, those before number `before` where it is given."""

    limit: Annotated[int, Allowed(1, MAX_PAGE)] = 50
    before: Annotated[int, Allowed(1, MAX_NUMBER)] | None = None


SESSIONS: Command[Page, tuple[SessionSummary, ...]] = Command(
    "sessions", Page, tuple[SessionSummary, ...], "The sessions, the newest first."
)
