"""What one member of a fabric can hold of a node, and what is left for others: a whole node over a network."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from chip.tlv import uint

from evse_pi.matter.channel.exchange import ExchangeTimeout
from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.identity.acl import AclEntry, Privilege
from evse_pi.matter.interaction import report
from evse_pi.matter.model.endpoint import Endpoint
from evse_pi.matter.model.tree_interface import DeviceType
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.message import PROTOCOL_INTERACTION_MODEL, PROTOCOL_SECURE_CHANNEL
from evse_pi.matter.wire.status_code import StatusCode
from tests.support.matter_authority import Authority
from tests.support.matter_bench import ADMIN_NODE_ID, NODE_ID, Bench
from tests.support.matter_initiator import (
    INVOKE_REQUEST,
    READ_REQUEST,
    TIMED_REQUEST,
    InteractionError,
    MatterInitiator,
    Member,
)
from tests.support.model_bench import Charger
from tests.support.virtual_loop import virtual_time

if TYPE_CHECKING:
    from evse_pi.matter.channel.exchange import Exchange
    from evse_pi.matter.channel.peer_session import PeerSession

EVSE = 0x99
CAPACITY = (1, EVSE, 5)
TIMED = tlv.encode({0: uint(60_000), 0xFF: uint(12)})


def bench() -> Bench:
    return Bench([Endpoint(1, [DeviceType(0x0100, 3)], [Charger()])])


async def members(device: Bench, node_id: int, count: int, privilege: Privilege | None = None) -> Any:
    """Return a controller on the owner's fabric with `count` sessions, and the privilege if any."""
    attacker = await device.controller(f"attacker {node_id}")
    if privilege is not None:
        access = device.node.ownership.access_control
        entry = AclEntry(privilege, AuthMode.CASE, (node_id,), None, 1)
        access.replace(1, [*access.entries(1), entry], Accessor(AuthMode.CASE, 1, ADMIN_NODE_ID))
    member = Member.of(Authority(), node_id, attacker.entropy)
    return attacker, [await attacker.case(member, NODE_ID, resume=False) for _ in range(count)]


async def opened(attacker: MatterInitiator, session: PeerSession, opcode: int, payload: bytes) -> Exchange | None:
    """Return an exchange that `attacker` begins and leaves open, None where it was told to come later."""
    exchange = attacker.stack.initiate(session, PROTOCOL_INTERACTION_MODEL)
    with suppress(ExchangeTimeout):
        await exchange.send(opcode, payload)
        answer = await exchange.receive(3)
        if answer.protocol != PROTOCOL_SECURE_CHANNEL:
            return exchange
    return None


@virtual_time
async def test_twelve_sessions_of_one_member_without_rights_keep_no_administrator_out() -> None:
    device = bench()
    async with device:
        owner, session = await device.commission()
        attacker, sessions = await members(device, 0xBAD, 12)
        tries = [opened(attacker, each, TIMED_REQUEST, TIMED) for each in sessions for _ in range(14)]
        held = [exchange for exchange in await asyncio.gather(*tries) if exchange is not None]
        assert len(held) == 16
        assert len([each for each in device.node.stack.sessions if each.peer_node_id == 0xBAD]) == 5
        assert (await owner.read(session, CAPACITY)).attributes[CAPACITY] == 0


@virtual_time
async def test_a_crowd_of_members_leaves_room_for_administrators_and_other_fabrics() -> None:
    device = bench()
    async with device:
        owner, session = await device.commission()
        crowd = [await members(device, 0xBAD0 + number, 1) for number in range(12)]
        tries = [opened(each, own, TIMED_REQUEST, TIMED) for each, (own,) in crowd for _ in range(14)]
        held = [exchange for exchange in await asyncio.gather(*tries) if exchange is not None]
        assert len(held) == 24
        assert (await owner.read(session, CAPACITY)).attributes[CAPACITY] == 0


@virtual_time
async def test_a_timed_window_that_nothing_follows_ends_soon_after_its_time() -> None:
    device = bench()
    async with device:
        owner, session = await device.commission()
        short = tlv.encode({0: uint(100), 0xFF: uint(12)})
        assert await opened(owner, session, TIMED_REQUEST, short) is not None
        await asyncio.sleep(7)
        assert device.node.stack.exchange_count == 0


@pytest.mark.parametrize(("after_s", "answered"), [(4.9, True), (5.2, False)])
@virtual_time
async def test_an_action_up_to_5_s_after_its_timed_window_is_told_that_it_came_late(
    after_s: float, answered: bool
) -> None:
    device = bench()
    async with device:
        owner, session = await device.commission()
        short = tlv.encode({0: uint(100), 0xFF: uint(12)})
        exchange = await opened(owner, session, TIMED_REQUEST, short)
        assert exchange is not None
        await asyncio.sleep(0.1 + after_s)
        told = None
        with suppress(ExchangeTimeout):
            await exchange.send(INVOKE_REQUEST, b"")
            told = tlv.decode((await exchange.receive(3)).payload)[0]
        assert told == (StatusCode.TIMEOUT if answered else None)


@virtual_time
async def test_one_viewing_node_leaves_subscriptions_for_administrators_of_its_fabric() -> None:
    device = bench()
    async with device:
        owner, session = await device.commission()
        viewers = [await members(device, 0xBAD0 + number, 1, Privilege.VIEW) for number in range(2)]
        (first, (of_first,)), (second, (of_second,)) = viewers
        for _ in range(5):
            await first.subscribe(of_first, CAPACITY, keep_subscriptions=True)
        assert await refusal(first, of_first) == StatusCode.RESOURCE_EXHAUSTED
        await second.subscribe(of_second, CAPACITY, keep_subscriptions=True)  # the sixth of its group
        assert await refusal(second, of_second) == StatusCode.RESOURCE_EXHAUSTED
        for _ in range(5):
            await owner.subscribe(session, CAPACITY, keep_subscriptions=True)


async def refusal(controller: MatterInitiator, session: PeerSession) -> int | None:
    with pytest.raises(InteractionError) as refused:
        await controller.subscribe(session, CAPACITY, keep_subscriptions=True)
    return refused.value.status


@virtual_time
async def test_long_reports_that_are_not_taken_fill_the_share_of_their_reader_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(report, "MEMORY_UNIT_BYTES", 1 << 9)  # a small node here, so that a read of it is a long one
    device = bench()
    async with device:
        owner, session = await device.commission()
        reader, (own,) = await members(device, 0xBAD, 1, Privilege.VIEW)
        everything = tlv.encode({0: [tlv.TLVList([])], 3: False, 0xFF: uint(12)})
        answers = []
        for _ in range(12):
            exchange = reader.stack.initiate(own, PROTOCOL_INTERACTION_MODEL)
            await exchange.send(READ_REQUEST, everything)
            answers.append((await exchange.receive(3)).opcode)
        assert set(answers) == {0x05, 0x01}, "reports first, then a status"
        assert len((await owner.read(session, (None, None, None))).attributes) > 100
        await asyncio.sleep(20)
        assert device.node.interaction.subscriptions.memory._shares.taken == 0
