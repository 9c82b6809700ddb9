"""Code that runs for a requester has its privileges, and elevation ends with the call it was made for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from evse_pi.matter.clusters.label import UserLabelServer
from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.identity.acl import Privilege
from evse_pi.matter.model.request import PeerRequest, acting_accessor, as_admin, current_request, serving
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode
from tests.support.model_bench import Charger, Permissive, attached, model_node
from tests.support.virtual_loop import virtual_time

VISITOR = Accessor(AuthMode.CASE, 1, 0xB0B)
CHARGER = Charger.enable(attributes=("UserMaximumChargeCurrent",))


async def bench() -> tuple[UserLabelServer, Any, Permissive]:
    access = Permissive()
    server, charger = UserLabelServer(), CHARGER()
    await attached(server, charger, node=model_node(access=access))
    return server, server.peer(CHARGER), access


@virtual_time
async def test_a_peer_server_gives_a_requester_what_its_privileges_allow() -> None:
    _, peer, access = await bench()
    with serving(PeerRequest(VISITOR)):
        assert peer.state.circuit_capacity == 0
        peer.state.user_maximum_charge_current = 6_000
        with pytest.raises(MatterStatus) as refused:
            peer.state.circuit_capacity = 5
        assert refused.value.status is StatusCode.UNSUPPORTED_WRITE
        access.refused = {int(Privilege.MANAGE)}
        with pytest.raises(MatterStatus) as denied:
            peer.state.user_maximum_charge_current = 7_000
        assert denied.value.status is StatusCode.UNSUPPORTED_ACCESS
        access.refused = {int(Privilege.VIEW)}
        with pytest.raises(MatterStatus):
            _ = peer.state.circuit_capacity


@virtual_time
async def test_commands_of_a_peer_server_are_guarded_too() -> None:
    _, peer, access = await bench()
    fields = {"chargingEnabledUntil": None, "minimumChargeCurrent": 6_000, "maximumChargeCurrent": 16_000}
    with serving(PeerRequest(VISITOR)):
        await peer.invoke("enable_charging", **fields)
        access.refused = {int(Privilege.OPERATE)}
        with pytest.raises(MatterStatus, match="UNSUPPORTED_ACCESS"):
            await peer.invoke("enable_charging", **fields)
        with pytest.raises(MatterStatus, match="UNSUPPORTED_COMMAND"):
            await peer.invoke("fly")
    await peer.invoke("disable")
    assert peer.state.supply_state == 0


@virtual_time
async def test_the_node_itself_may_do_everything() -> None:
    _, peer, access = await bench()
    access.refused = set(range(6))
    peer.state.circuit_capacity = 5
    assert peer.state.circuit_capacity == 5


@virtual_time
async def test_as_admin_lifts_access_control_for_one_call() -> None:
    server, peer, access = await bench()
    access.refused = set(range(6))
    with serving(PeerRequest(VISITOR)):
        assert server.as_admin(lambda: peer.state.circuit_capacity) == 0
        server.as_admin(lambda: setattr(peer.state, "circuit_capacity", 9))
        with pytest.raises(MatterStatus):
            _ = peer.state.circuit_capacity
    assert peer.state.circuit_capacity == 9


@virtual_time
async def test_elevation_does_not_leak_into_a_task_or_callback() -> None:
    loop = asyncio.get_running_loop()
    seen: list[Accessor | None] = []

    async def later() -> None:
        seen.append(acting_accessor())

    def start() -> asyncio.Task[None]:
        loop.call_soon(lambda: seen.append(acting_accessor()))
        assert acting_accessor() is None
        return loop.create_task(later())

    with serving(PeerRequest(VISITOR)):
        tasks: list[Any] = []
        as_admin(lambda: tasks.append(start()))
        await tasks[0]
    assert seen == [VISITOR, VISITOR]


@virtual_time
async def test_elevation_ends_when_the_call_raises() -> None:
    with serving(PeerRequest(VISITOR)):
        with pytest.raises(ZeroDivisionError):
            as_admin(lambda: 1 // 0)
        assert acting_accessor() == VISITOR


def test_asynchronous_work_cannot_be_elevated() -> None:
    ran: list[int] = []

    async def work() -> None:
        ran.append(1)

    def generate() -> Any:
        ran.append(1)
        yield

    for action in (work, generate):
        with pytest.raises(TypeError, match="synchronous"):
            as_admin(action)
    assert not ran


def test_nested_elevation_ends_in_order() -> None:
    with serving(PeerRequest(VISITOR)):
        assert as_admin(lambda: (as_admin(acting_accessor), acting_accessor())) == (None, None)
        assert acting_accessor() == VISITOR
        assert current_request() is not None
    assert current_request() is None


@virtual_time
async def test_a_request_that_has_ended_is_not_current_but_still_limits_what_it_started() -> None:
    seen: list[object] = []

    async def later() -> None:
        await asyncio.sleep(1)
        seen.extend((current_request(), acting_accessor()))

    with serving(PeerRequest(VISITOR)):
        task = asyncio.create_task(later())
    await task
    assert seen == [None, VISITOR]
