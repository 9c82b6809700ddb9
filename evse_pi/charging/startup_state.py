"""The state that a start continues from, by name in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evse_pi.api.troubles import DoubtKind, PermissionDoubt
from evse_pi.charging.demand_arbiter import OWNER_DEFAULT, LimitRequest
from evse_pi.charging.history_rows import setting_row
from evse_pi.charging.settings import NOTHING_SET, ChargingSettings
from evse_pi.charging.stored_fields import StoredFields
from evse_pi.charging.transition_cursor import NOTHING_CONSUMED, TransitionCursor
from evse_pi.core.duty import MAX_OFFER_MA
from evse_pi.core.states import LimitSource
from hal.units import Milliamps

if TYPE_CHECKING:
    from evse_pi.charging.charging_plan_memory import PersistedPlan
    from evse_pi.charging.history_rows import FaultRecord, Row
    from evse_pi.charging.session import SavedSession

OWNER = "owner"
CURSOR = "feed"
DOUBT = "doubt"
DOUBT_DETAIL = "doubt_detail"
FORBIDDEN = LimitRequest(LimitSource.OWNER, permitted=False)
"""What holds where the owner's permission was stored and is lost or cannot be read: it may have been a stop."""
ABSENT = LimitRequest(LimitSource.OWNER)
UNREADABLE = LimitRequest(LimitSource.OWNER, permitted=False)
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
    settings: ChargingSettings = NOTHING_SET
    plan: PersistedPlan | None = None
    commissioned: bool = False
    """Whether a controller decides who may charge, and not the owner."""
    latest_unix_s: int | None = None
    """The newest date in the history: it is no earlier now."""
    owner_stored: bool = True
    doubt: PermissionDoubt | None = None
    """Why charging is forbidden until a person permits it, None where what the owner permits is known."""


def owner_of(stored: Any) -> LimitRequest:
    """Return what the owner permits, as stored. Raises: UnknownRecord."""
    fields = StoredFields(stored)
    limit_ma = fields.optional_integer("limit_ma", 0, MAX_OFFER_MA)
    return LimitRequest(
        LimitSource.OWNER, fields.boolean("permitted"), None if limit_ma is None else Milliamps(limit_ma)
    )


def doubt_of(stored: Any) -> PermissionDoubt | None:
    """Return why the owner's permission was taken back by no person, None where it was not. Raises: UnknownRecord."""
    fields = StoredFields(stored)
    if DOUBT not in stored:
        return None
    told, detail = fields.text(DOUBT), fields.text(DOUBT_DETAIL) if DOUBT_DETAIL in stored else ""
    kind = DoubtKind.__members__.get(told)  # a version before this one stored the sentence itself
    return PermissionDoubt(DoubtKind.AS_TOLD, told) if kind is None else PermissionDoubt(kind, detail)


def cursor_of(stored: Any) -> TransitionCursor:
    """Return the stored place in the transitions. Raises: UnknownRecord."""
    fields = StoredFields(stored)
    return TransitionCursor(fields.optional_integer("boot_id", 0, (1 << 64) - 1), fields.integer("number"))


def owner_row(request: LimitRequest, doubt: PermissionDoubt | None = None) -> Row:
    """Return the owner's request as a row; `doubt` says why it forbids where no person forbade."""
    told = {}
    if doubt is not None:
        told = {DOUBT: doubt.detail} if doubt.kind is DoubtKind.AS_TOLD else {DOUBT: doubt.kind.name}
        if doubt.detail and doubt.kind is not DoubtKind.AS_TOLD:
            told[DOUBT_DETAIL] = doubt.detail
    return setting_row(OWNER, {"permitted": request.permitted, "limit_ma": request.limit_ma, **told})


def cursor_row(cursor: TransitionCursor) -> Row:
    """Return the place in the transitions as a row."""
    return setting_row(CURSOR, {"boot_id": cursor.safety_run_id, "number": cursor.number})
