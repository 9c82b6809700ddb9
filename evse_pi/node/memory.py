"""What the box remembers from its former life, by name in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.core.states import LimitSource
from evse_pi.energy.demand import OWNER_DEFAULT, Ask
from evse_pi.energy.history import setting_row
from evse_pi.node.feed import NOTHING_CONSUMED, Feed

if TYPE_CHECKING:
    from evse_pi.energy.history import FaultRecord, Row
    from evse_pi.energy.session import SavedSession
    from evse_pi.energy.store import Store

OWNER = "owner"
FEED = "feed"
UNKNOWN_NUMBER = 1 << 30  # without file and clock; a history never grows that long


@dataclass(frozen=True, slots=True)
class Memory:
    """The state that a start continues from; the defaults are those of a box that was never used."""

    owner: Ask = OWNER_DEFAULT
    feed: Feed = NOTHING_CONSUMED
    session: SavedSession | None = None
    open_faults: tuple[FaultRecord, ...] = ()
    next_session: int = 1
    next_fault: int = 1
    next_transition: int = 1


def recall(store: Store, unix_s: int | None) -> Memory:
    """Return what `store` remembers; while its file cannot be read, numbers count on from the calendar."""
    unknown = UNKNOWN_NUMBER if unix_s is None else unix_s
    owner, feed, newest = store.setting(OWNER), store.setting(FEED), store.sessions(1)
    return Memory(
        owner=Ask(LimitSource.OWNER, owner["permitted"], owner["limit_ma"]) if owner else OWNER_DEFAULT,
        feed=Feed(feed["boot_id"], feed["number"]) if feed else NOTHING_CONSUMED,
        session=newest[0] if newest and newest[0].session.ended_ns is None else None,
        open_faults=tuple(record for record in store.faults() if record.cleared_ns is None),
        next_session=store.next_number("session", unknown),
        next_fault=store.next_number("fault", unknown),
        next_transition=store.next_number("transition", unknown),
    )


def owner_row(ask: Ask) -> Row:
    """Return the owner's word as a row."""
    return setting_row(OWNER, {"permitted": ask.permitted, "limit_ma": ask.limit_ma})


def feed_row(feed: Feed) -> Row:
    """Return the place in the transitions as a row."""
    return setting_row(FEED, {"boot_id": feed.boot_id, "number": feed.number})
