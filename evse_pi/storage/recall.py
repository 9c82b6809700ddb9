"""What a start reads from the database: where the charge point and its wall clock continue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.charging.demand_arbiter import OWNER_DEFAULT, LimitRequest
from evse_pi.charging.startup_state import CURSOR, OWNER, UNKNOWN_NUMBER, StartupState
from evse_pi.charging.transition_cursor import NOTHING_CONSUMED, TransitionCursor
from evse_pi.core.states import LimitSource

if TYPE_CHECKING:
    from evse_pi.storage.database import Store


def load_startup_state(store: Store, unix_s: int | None) -> StartupState:
    """Return what `store` remembers; while its file cannot be read, numbers count on from the calendar."""
    unknown = UNKNOWN_NUMBER if unix_s is None else unix_s
    owner, cursor, newest = store.setting(OWNER), store.setting(CURSOR), store.sessions(1)
    return StartupState(
        owner=LimitRequest(LimitSource.OWNER, owner["permitted"], owner["limit_ma"]) if owner else OWNER_DEFAULT,
        cursor=TransitionCursor(cursor["boot_id"], cursor["number"]) if cursor else NOTHING_CONSUMED,
        session=newest[0] if newest and newest[0].session.ended_ns is None else None,
        open_faults=tuple(record for record in store.faults() if record.cleared_ns is None),
        next_session=store.next_number("session", unknown),
        next_fault=store.next_number("fault", unknown),
        next_transition=store.next_number("transition", unknown),
    )


def latest_before(store: Store, machine_boot: str) -> int | None:
    """Return when the last thing was written in a former life of the machine, None where nobody knows."""
    former = (change for change in store.transitions() if change.machine_boot != machine_boot)
    return next((change.unix_s for change in former if change.unix_s is not None), None)
