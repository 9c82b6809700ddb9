"""What the box remembers from its former life, by name in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.charging.demand_arbiter import OWNER_DEFAULT, LimitRequest
from evse_pi.charging.history_rows import setting_row
from evse_pi.charging.transition_cursor import NOTHING_CONSUMED, TransitionCursor

if TYPE_CHECKING:
    from evse_pi.charging.history_rows import FaultRecord, Row
    from evse_pi.charging.session import SavedSession

OWNER = "owner"
CURSOR = "feed"
UNKNOWN_NUMBER = 1 << 30  # without file and clock; a history never grows that long


@dataclass(frozen=True, slots=True)
class StartupState:
    """The state that a start continues from; the defaults are those of a box that was never used."""

    owner: LimitRequest = OWNER_DEFAULT
    cursor: TransitionCursor = NOTHING_CONSUMED
    session: SavedSession | None = None
    open_faults: tuple[FaultRecord, ...] = ()
    next_session: int = 1
    next_fault: int = 1
    next_transition: int = 1


def owner_row(ask: LimitRequest) -> Row:
    """Return the owner's word as a row."""
    return setting_row(OWNER, {"permitted": ask.permitted, "limit_ma": ask.limit_ma})


def cursor_row(cursor: TransitionCursor) -> Row:
    """Return the place in the transitions as a row."""
    return setting_row(CURSOR, {"boot_id": cursor.boot_id, "number": cursor.number})
