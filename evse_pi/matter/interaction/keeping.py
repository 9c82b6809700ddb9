"""No request is answered before what it changed would survive a power cut, be it with success or a refusal."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from evse_pi.matter.storage import KeyValueStore

NOT_STORED = "it is in force, and not stored: the disk does not answer or takes nothing"


@asynccontextmanager
async def keeping(store: KeyValueStore) -> AsyncIterator[None]:
    """Run the block and wait until what it changed is stored.

    A refused command may have changed something, too: Disable takes the permission back while a fault is present, and
    EnableCharging takes back what was written of it. Raises: MatterStatus FAILURE where it is not stored within bounded
    time; what the block changed stays in force. The block's own MatterStatus, once that is over.
    """
    before = store.revision
    try:
        yield
    except MatterStatus:
        if store.revision != before:
            await store.settled(store.revision)
        raise
    changed = store.revision
    if changed != before and not await store.settled(changed):
        raise MatterStatus(StatusCode.FAILURE, NOT_STORED)
