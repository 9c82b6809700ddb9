"""Subscriptions: when reports come, to whom, and that nothing is lost before it is confirmed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from chip.tlv import uint

from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.identity.acl import AclEntry, Privilege
from evse_pi.matter.interaction.subscribe import MAX_PER_PEER
from evse_pi.matter.model.endpoint import Endpoint
from evse_pi.matter.model.transaction import transaction
from evse_pi.matter.model.tree_interface import DeviceType
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.status_code import StatusCode
from tests.support.matter_authority import Authority
from tests.support.matter_bench import ADMIN_NODE_ID, NODE_ID, Bench
from tests.support.matter_initiator import InteractionError, MatterInitiator, Member, event_path
from tests.support.model_bench import Charger
from tests.support.virtual_loop import virtual_time

if TYPE_CHECKING:
    from evse_pi.matter.channel.peer_session import PeerSession

EVSE = 0x99
STATE, CAPACITY, DURATION = (1, EVSE, 0), (1, EVSE, 5), (1, EVSE, 0x41)


def bench(**options: Any) -> tuple[Bench, Charger]:
    server = Charger()
    return Bench([Endpoint(1, [DeviceType(0x0100, 3)], [server])], **options), server


def now() -> float:
    return asyncio.get_running_loop().time()


@virtual_time
async def test_a_change_is_reported_at_once_and_alone() -> None:
    device, server = bench()
    async with device:
        controller, session = await device.commission()
        subscription = await controller.subscribe(session, (1, EVSE, None), min_s=0, max_s=60)
        assert subscription.priming.attributes[CAPACITY] == 0
        assert subscription.max_interval_s == 60
        start = now()
        server.state.circuit_capacity = 7
        report = await subscription.next_report()
        assert report.attributes == {CAPACITY: 7}
        assert report.versions[1, EVSE] == server.data_version
        assert now() - start < 0.1


@virtual_time
async def test_changes_of_one_moment_come_in_one_report_with_the_last_value() -> None:
    device, server = bench()
    async with device:
        controller, session = await device.commission()
        subscription = await controller.subscribe(session, (1, EVSE, None))
        for value in range(5):
            server.state.circuit_capacity = value
        server.state.state = 1
        report = await subscription.next_report()
        assert report.attributes == {CAPACITY: 4, STATE: 1}
        await asyncio.sleep(5)
        assert subscription.reports.empty()


@virtual_time
async def test_reports_keep_the_least_interval() -> None:
    device, server = bench()
    async with device:
        controller, session = await device.commission()
        subscription = await controller.subscribe(session, CAPACITY, min_s=10, max_s=60)
        start = now()
        server.state.circuit_capacity = 1
        await subscription.next_report()
        assert 9.9 < now() - start < 10.2
        server.state.circuit_capacity = 2
        await asyncio.sleep(5)
        server.state.circuit_capacity = 3
        report = await subscription.next_report()
        assert report.attributes == {CAPACITY: 3}
        assert 19.8 < now() - start < 20.3


@virtual_time
async def test_a_sign_of_life_comes_before_the_greatest_interval_and_says_nothing() -> None:
    device, _ = bench()
    async with device:
        controller, session = await device.commission()
        subscription = await controller.subscribe(session, CAPACITY, min_s=0, max_s=60)
        for _ in range(3):
            start = now()
            report = await subscription.next_report()
            assert (report.attributes, report.events) == ({}, [])
            assert 40 < now() - start < 60


@pytest.mark.parametrize(("asked", "given"), [(5, 5), (60, 60), (3600, 3600), (40_000, 3600), (0, 1)])
def test_the_greatest_interval_is_bounded(asked: int, given: int) -> None:
    @virtual_time
    async def run() -> int:
        device, _ = bench()
        async with device:
            controller, session = await device.commission()
            return (await controller.subscribe(session, CAPACITY, max_s=asked)).max_interval_s

    assert run() == given


@virtual_time
async def test_a_change_during_the_first_report_is_not_lost() -> None:
    device, server = bench()
    async with device:
        controller, session = await device.commission()
        subscribing = asyncio.create_task(controller.subscribe(session, (1, EVSE, None)))
        while not device.node.interaction.subscriptions:  # noqa: ASYNC110
            await asyncio.sleep(0.0002)
        server.state.circuit_capacity = 99
        subscription = await subscribing
        report = await subscription.next_report()
        assert report.attributes == {CAPACITY: 99}


@virtual_time
async def test_a_report_that_gets_lost_is_made_up_for() -> None:
    device, server = bench()
    async with device:
        controller, session = await device.commission()
        subscription = await controller.subscribe(session, (1, EVSE, None), events=[(1, EVSE, None)], max_s=60)
        device.network.passes = lambda sent: sent.source != "device"
        server.state.circuit_capacity = 5
        with transaction():
            server.state.state = 1
            server.events.ev_connected.emit(sessionID=1)
        await asyncio.sleep(10)
        server.state.state = 2
        device.network.passes = lambda _: True
        report = await subscription.next_report()
        assert report.attributes == {CAPACITY: 5, STATE: 2}
        assert [event[7] for event in report.events] == [{0: 1}]
        await asyncio.sleep(5)
        assert subscription.reports.empty()


@virtual_time
async def test_a_subscriber_that_stays_silent_is_given_up() -> None:
    device, _ = bench()
    async with device:
        controller, session = await device.commission()
        await controller.subscribe(session, CAPACITY, max_s=60)
        device.network.detach("controller")
        await asyncio.sleep(50)
        assert len(device.node.interaction.subscriptions) == 1
        await asyncio.sleep(100)
        assert len(device.node.interaction.subscriptions) == 0


@virtual_time
async def test_a_subscriber_that_no_longer_wants_it_ends_it() -> None:
    device, server = bench()
    async with device:
        controller, session = await device.commission()
        await controller.subscribe(session, CAPACITY, max_s=60)

        async def refuse(exchange: Any, _message: Any) -> None:
            await exchange.send(1, tlv.encode({0: uint(StatusCode.INVALID_SUBSCRIPTION), 255: uint(12)}))

        controller.stack.serve(1, refuse)
        server.state.circuit_capacity = 1
        await asyncio.sleep(1)
        assert len(device.node.interaction.subscriptions) == 0


@virtual_time
async def test_a_subscription_belongs_to_the_peer_and_not_to_its_session() -> None:
    device, server = bench()
    async with device:
        controller, session = await device.commission()
        subscription = await controller.subscribe(session, CAPACITY, max_s=60)
        newer = await controller.case(Member.of(Authority(), ADMIN_NODE_ID, controller.entropy), NODE_ID)
        for old in device.node.stack.sessions.of_fabric(1)[:-1]:
            device.node.stack.sessions.close(old, notify=False)
        server.state.circuit_capacity = 5
        assert (await subscription.next_report()).attributes == {CAPACITY: 5}
        assert newer is not session


@virtual_time
async def test_without_a_session_reports_wait_for_the_next_one() -> None:
    device, server = bench()
    async with device:
        controller, session = await device.commission()
        subscription = await controller.subscribe(session, CAPACITY, max_s=60)
        await asyncio.sleep(1)
        for old in device.node.stack.sessions:
            device.node.stack.sessions.close(old, notify=False)
        server.state.circuit_capacity = 5
        await asyncio.sleep(5)
        await controller.case(Member.of(Authority(), ADMIN_NODE_ID, controller.entropy), NODE_ID, resume=False)
        assert (await subscription.next_report()).attributes == {CAPACITY: 5}


@virtual_time
async def test_a_new_subscription_replaces_the_old_ones_unless_they_are_kept() -> None:
    device, server = bench()
    async with device:
        controller, session = await device.commission()
        first = await controller.subscribe(session, CAPACITY)
        second = await controller.subscribe(session, CAPACITY, keep_subscriptions=True)
        server.state.circuit_capacity = 1
        await asyncio.gather(first.next_report(), second.next_report())
        third = await controller.subscribe(session, CAPACITY)
        server.state.circuit_capacity = 2
        await third.next_report()
        await asyncio.sleep(1)
        assert first.reports.empty()
        assert second.reports.empty()
        assert len({first.subscription_id, second.subscription_id, third.subscription_id}) == 3


@virtual_time
async def test_a_fabric_has_a_bounded_number_of_subscriptions() -> None:
    device, _ = bench()
    async with device:
        controller, session = await device.commission()
        for _ in range(MAX_PER_PEER):
            await controller.subscribe(session, CAPACITY, keep_subscriptions=True)
        with pytest.raises(InteractionError) as refused:
            await controller.subscribe(session, CAPACITY, keep_subscriptions=True)
        assert refused.value.status == StatusCode.RESOURCE_EXHAUSTED
        await controller.subscribe(session, CAPACITY)
        assert len(device.node.interaction.subscriptions) == 1


async def refusal(controller: MatterInitiator, session: PeerSession, *paths: Any, **options: Any) -> int | None:
    with pytest.raises(InteractionError) as refused:
        await controller.subscribe(session, *paths, **options)
    return refused.value.status


@virtual_time
async def test_what_can_never_be_reported_is_refused() -> None:
    device, _ = bench()
    async with device:
        controller, session = await device.commission()
        assert await refusal(controller, session, (9, EVSE, 0)) == StatusCode.INVALID_ACTION
        assert await refusal(controller, session, (9, None, None)) == StatusCode.INVALID_ACTION
        assert await refusal(controller, session, events=[(9, EVSE, 0)]) == StatusCode.INVALID_ACTION
        assert await refusal(controller, session, CAPACITY, min_s=5, max_s=4) == StatusCode.INVALID_ACTION
        mixed = await controller.subscribe(session, (9, EVSE, 0), CAPACITY)
        assert mixed.priming.statuses == {(9, EVSE, 0): StatusCode.UNSUPPORTED_ENDPOINT}
        assert len(device.node.interaction.subscriptions) == 1


@virtual_time
async def test_access_is_judged_at_every_report() -> None:
    device, server = bench()
    async with device:
        controller, session = await device.commission()
        subscription = await controller.subscribe(
            session, (1, EVSE, None), events=[event_path(1, EVSE, None, urgent=True)]
        )
        of_another_node = AclEntry(Privilege.ADMINISTER, AuthMode.CASE, (0xFFFF,), None, 1)
        device.node.ownership.access_control.replace(1, [of_another_node], Accessor(AuthMode.CASE, 1, ADMIN_NODE_ID))
        server.state.circuit_capacity = 3
        server.events.ev_connected.emit(sessionID=1)
        report = await subscription.next_report()
        assert (report.attributes, report.events) == ({}, [])


@virtual_time
async def test_urgent_events_come_at_once_and_others_with_the_next_report() -> None:
    device, server = bench()
    async with device:
        controller, session = await device.commission()
        urgent = await controller.subscribe(session, events=[event_path(1, EVSE, None, urgent=True)])
        patient = await controller.subscribe(session, CAPACITY, events=[(1, EVSE, None)], keep_subscriptions=True)
        start = now()
        server.events.ev_connected.emit(sessionID=1)
        server.events.ev_connected.emit(sessionID=2)
        report = await urgent.next_report()
        assert [event[7][0] for event in report.events] == [1, 2]
        assert now() - start < 0.1
        await asyncio.sleep(2)
        assert patient.reports.empty()
        server.state.circuit_capacity = 1
        late = await patient.next_report()
        assert [event[7][0] for event in late.events] == [1, 2]
        assert late.attributes == {CAPACITY: 1}
        server.events.ev_connected.emit(sessionID=3)
        assert [event[7][0] for event in (await urgent.next_report()).events] == [3]


@virtual_time
async def test_attributes_stand_before_the_events_of_the_same_change_and_are_not_newer() -> None:
    device, _server = bench()
    async with device:
        controller, session = await device.commission()
        subscription = await controller.subscribe(
            session, (1, EVSE, None), events=[event_path(1, EVSE, None, urgent=True)]
        )
        await controller.invoke(session, 1, EVSE, 2, {0: None, 1: 6_000, 2: 16_000}, timed_ms=1000)
        report = await subscription.next_report()
        assert report.attributes[1, EVSE, 1] == 1
        assert [event[7] for event in report.events] == [{0: 7}]


@virtual_time
async def test_quieter_and_omitted_attributes_are_reported_in_measure() -> None:
    device, server = bench()
    async with device:
        controller, session = await device.commission()
        subscription = await controller.subscribe(session, DURATION, (0, 0x33, 2), max_s=600)
        server.state.session_duration = 0
        assert (await subscription.next_report()).attributes == {DURATION: 0}
        for second in range(1, 11):
            server.state.session_duration = second
            await asyncio.sleep(0.1)
        assert (await subscription.next_report()).attributes == {DURATION: 10}
        await asyncio.sleep(60)
        assert subscription.reports.empty()


@virtual_time
async def test_subscriptions_of_a_fabric_end_with_it() -> None:
    device, _ = bench()
    async with device:
        controller, session = await device.commission()
        device.node.open_commissioning_window()
        other, other_session = await device.commission(Authority(0xFAB2, "other"), name="other")
        await controller.subscribe(session, CAPACITY)
        await other.subscribe(other_session, CAPACITY)
        assert (await controller.invoke(session, 0, 0x3E, 10, {0: uint(2)})).fields[0] == 0
        await asyncio.sleep(0.1)
        assert len(device.node.interaction.subscriptions) == 1


@virtual_time
async def test_a_commissioners_subscription_ends_with_its_session() -> None:
    device, server = bench()
    async with device:
        controller = await device.controller()
        session = await controller.pase(20202021)
        subscription = await controller.subscribe(session, CAPACITY)
        server.state.circuit_capacity = 5
        assert (await subscription.next_report()).attributes == {CAPACITY: 5}
        for held in device.node.stack.sessions.of_pase():
            device.node.stack.sessions.close(held, notify=False)
        assert len(device.node.interaction.subscriptions) == 0


@virtual_time
async def test_a_subscription_survives_a_bad_network() -> None:
    device, server = bench()
    async with device:
        controller, session = await device.commission()
        subscription = await controller.subscribe(session, CAPACITY, max_s=60)
        device.network.loss, device.network.duplication, device.network.reordering = 0.1, 0.1, 0.1
        for value in range(1, 60):
            server.state.circuit_capacity = value
            await asyncio.sleep(3)
        device.network.loss = 0.0
        await asyncio.sleep(30)
        last = 0
        while not subscription.reports.empty():
            last = subscription.reports.get_nowait().attributes.get(CAPACITY, last)
        assert last == 59
        assert len(device.node.interaction.subscriptions) == 1


@virtual_time
async def test_a_new_endpoint_is_reported_to_who_subscribed_to_all() -> None:
    device, _ = bench()
    async with device:
        controller, session = await device.commission()
        subscription = await controller.subscribe(session, (None, None, None))
        await device.node.tree.add(Endpoint(2, [DeviceType(0x0100, 3)], [Charger(circuit_capacity=77)]))
        report = await subscription.next_report()
        assert report.attributes[0, 0x1D, 3] == [1, 2]
        assert report.attributes[2, EVSE, 5] == 77
