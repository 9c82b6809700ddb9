"""When a request is answered, by what the card has taken of it by then."""

from __future__ import annotations

import asyncio

import pytest

from evse_pi.matter.interaction.keeping import keeping
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode
from tests.support.virtual_loop import virtual_time

PATIENCE_S = 2.0


class Card:
    """A store of which the test says when the card takes what was put, as far as it can be waited for."""

    def __init__(self) -> None:
        self.revision = 7
        self.has_taken = asyncio.Event()

    def put(self) -> None:
        self.revision += 1

    async def settled(self, revision: int) -> bool:
        assert revision == self.revision
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self.has_taken.wait()
        except TimeoutError:
            return False
        return True


def refuse(status: StatusCode | None) -> None:
    if status is not None:
        raise MatterStatus(status, "a fault is present")


async def answered(card: Card, *, changes: bool, refusal: StatusCode | None) -> StatusCode:
    """Run one command and return its status."""
    try:
        async with keeping(card):  # type: ignore[arg-type]
            if changes:
                card.put()
            refuse(refusal)
    except MatterStatus as status:
        return status.status
    return StatusCode.SUCCESS


@pytest.mark.hazard("H-18")
@pytest.mark.parametrize("refusal", [None, StatusCode.FAILURE])
@virtual_time
async def test_what_changed_something_is_answered_once_that_is_stored(refusal: StatusCode | None) -> None:
    """Of the refused ones: Disable while a fault is present, after which the permission is gone all the same."""
    card = Card()
    answer = asyncio.create_task(answered(card, changes=True, refusal=refusal))
    await asyncio.sleep(PATIENCE_S / 2)
    assert not answer.done()
    card.has_taken.set()
    assert await answer is (refusal or StatusCode.SUCCESS)


@pytest.mark.parametrize("refusal", [None, StatusCode.CONSTRAINT_ERROR])
@virtual_time
async def test_what_changed_nothing_waits_for_no_card(refusal: StatusCode | None) -> None:
    answer = asyncio.create_task(answered(Card(), changes=False, refusal=refusal))
    await asyncio.sleep(0.001)
    assert answer.done()
    assert answer.result() is (refusal or StatusCode.SUCCESS)


@pytest.mark.parametrize("refusal", [None, StatusCode.BUSY])
@virtual_time
async def test_a_card_that_takes_nothing_makes_no_success_and_changes_no_refusal(refusal: StatusCode | None) -> None:
    assert await answered(Card(), changes=True, refusal=refusal) is (refusal or StatusCode.FAILURE)
