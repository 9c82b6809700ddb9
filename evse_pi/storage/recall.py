"""What a start reads from the database: where the charge point and its wall clock continue."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from evse_pi.api.troubles import DoubtKind, PermissionDoubt
from evse_pi.charging.charging_plan_memory import PLAN, plan_of
from evse_pi.charging.charging_plan_memory import UNREADABLE as PLAN_UNREADABLE
from evse_pi.charging.settings import NOTHING_SET, SETTINGS, settings_of
from evse_pi.charging.startup_state import (
    ABSENT,
    CURSOR,
    FORBIDDEN,
    OWNER,
    UNKNOWN_NUMBER,
    UNREADABLE,
    StartupState,
    cursor_of,
    doubt_of,
    owner_of,
)
from evse_pi.charging.transition_cursor import NOTHING_CONSUMED
from evse_pi.matter.storage import holds_fabric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evse_pi.storage.database import Store


def load_startup_state(store: Store, unix_s: int | None, *, first_start: bool = True) -> StartupState:
    """Return what `store` remembers; while its file cannot be read, numbers count on from the calendar.

    What cannot be read is left out, except what may have forbidden charging. That is the owner's permission: until a
    person permits again, charging is forbidden then, and so it is where an empty database is no `first_start` but a
    loss. And it is what controllers set: nothing is permitted in their name then.
    """
    owner = store.read_setting(OWNER, owner_of, absent=ABSENT, unreadable=UNREADABLE)
    doubt = None
    if owner is UNREADABLE:
        doubt = PermissionDoubt(DoubtKind.UNREADABLE)
    elif owner is ABSENT and not first_start:
        doubt = PermissionDoubt(DoubtKind.LOST)
    lost = doubt is not None
    if not lost and not owner.permitted:
        doubt = store.read_setting(OWNER, doubt_of, absent=None, unreadable=None)
    settings = store.read_setting(SETTINGS, settings_of, absent=NOTHING_SET, unreadable=NOTHING_SET)
    unknown = UNKNOWN_NUMBER if unix_s is None else unix_s
    newest, next_session = store.sessions(1), store.next_number("session", unknown)
    # A session goes on only if it has the last number there was: with a later one lost, this one had ended.
    goes_on = newest and newest[0].session.ended_ns is None and newest[0].session.number == next_session - 1
    return StartupState(
        owner=FORBIDDEN if lost else owner,
        cursor=store.read_setting(CURSOR, cursor_of, absent=NOTHING_CONSUMED, unreadable=NOTHING_CONSUMED),
        session=newest[0] if goes_on else None,
        open_faults=tuple(record for record in store.faults() if record.cleared_ns is None),
        next_session=next_session,
        next_fault=store.next_number("fault", unknown),
        next_transition=store.next_number("transition", unknown),
        settings=settings.disabled() if lost else settings,
        plan=store.read_setting(PLAN, plan_of, absent=None, unreadable=PLAN_UNREADABLE),
        commissioned=_commissioned(store),
        latest_unix_s=max(_newest_dates(store), default=None),
        owner_stored=owner is not ABSENT and not lost,
        doubt=doubt,
    )


def _newest_dates(store: Store) -> Iterator[int]:
    """Yield the newest dates of the history; what was written without a clock has none."""
    for record in store.transitions():
        if record.unix_s is not None:
            yield record.unix_s
            break
    for saved in store.sessions():
        dates = [date for date in (saved.session.started_unix_s, saved.session.ended_unix_s) if date is not None]
        if dates:
            yield max(dates)
            break


def _commissioned(store: Store) -> bool:
    """Return whether a controller decides; one may where that cannot be read."""
    try:
        return holds_fabric(store.key_values())
    except (sqlite3.Error, OSError):
        return True


def latest_before(store: Store, kernel_boot_id: str) -> int | None:
    """Return when the last row of an earlier boot was written, None where that is unknown."""
    former = (change for change in store.transitions() if change.kernel_boot_id != kernel_boot_id)
    return next((change.unix_s for change in former if change.unix_s is not None), None)
