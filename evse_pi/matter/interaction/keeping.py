"""No request is answered with success before what it changed would survive a power cut."""

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

    Raises: MatterStatus FAILURE where it is not within bounded time; what the block changed stays in force.
    """
    before = store.revision
    yield
    changed = store.revision
    if changed != before and not await store.settled(changed):
        raise MatterStatus(StatusCode.FAILURE, NOT_STORED)
