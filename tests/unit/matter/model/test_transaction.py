"""Changes become visible together or not at all."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.matter.model.transaction import current_transaction, independent, transaction
from evse_pi.matter.storage import MemoryStore
from tests.support.model_bench import Charger, attached, model_node
from tests.support.virtual_loop import virtual_time

if TYPE_CHECKING:
    from collections.abc import Iterator


@virtual_time
async def test_a_refusal_takes_everything_back() -> None:
    store = MemoryStore()
    server = Charger(circuit_capacity=1)
    node = await attached(server, node=model_node(store))
    told: list[Any] = []
    node.changes.on(told.append)
    before, version = store.keys(), server.data_version

    def refused() -> None:
        with transaction():
            server.state.circuit_capacity = 2
            server.state.supply_state = 1
            server.events.ev_connected.emit(sessionID=1)
            assert server.state.circuit_capacity == 2
            raise RuntimeError

    with pytest.raises(RuntimeError):
        refused()
    assert (server.state.circuit_capacity, server.state.supply_state) == (1, 0)
    assert (told, node.event_log.since(0), store.keys(), server.data_version) == ([], [], before, version)


@virtual_time
async def test_others_see_the_state_of_before_until_the_commit() -> None:
    server = Charger()
    await attached(server)
    seen: list[int] = []

    async def change() -> None:
        with transaction():
            server.state.circuit_capacity = 5
            await asyncio.sleep(2)

    async def look() -> None:
        await asyncio.sleep(1)
        seen.append(server.state.circuit_capacity)
        await asyncio.sleep(2)
        seen.append(server.state.circuit_capacity)

    await asyncio.gather(change(), look())
    assert seen == [0, 5]


@virtual_time
async def test_several_changes_of_one_cluster_bump_its_version_once() -> None:
    server = Charger()
    node = await attached(server)
    told: list[Any] = []
    node.changes.on(told.append)
    version = server.data_version
    with transaction():
        server.state.circuit_capacity = 5
        server.state.supply_state = 1
        with transaction():
            server.state.circuit_capacity = 6
    assert server.data_version == version + 1
    assert len(told) == 1
    assert told[0].attributes == {1, 5}


@virtual_time
async def test_what_cannot_be_stored_does_not_happen() -> None:
    class FullStore(MemoryStore):
        full = False

        @contextmanager
        def transaction(self) -> Iterator[Any]:
            if self.full:
                raise OSError(28, "No space left on device")
            with super().transaction() as changes:
                yield changes

    store = FullStore()
    server = Charger()
    await attached(server, node=model_node(store))
    store.full = True
    with pytest.raises(OSError, match="No space"):
        server.state.circuit_capacity = 5
    assert server.state.circuit_capacity == 0


@virtual_time
async def test_a_task_that_outlives_a_transaction_is_not_part_of_it() -> None:
    server = Charger()
    await attached(server)

    async def later() -> None:
        await asyncio.sleep(1)
        assert current_transaction() is None
        server.state.circuit_capacity = 7

    with transaction():
        task = asyncio.create_task(later())
    await task
    assert server.state.circuit_capacity == 7


@virtual_time
async def test_a_cancelled_unit_of_work_leaves_nothing() -> None:
    server = Charger()
    await attached(server)

    async def work() -> None:
        with transaction():
            server.state.circuit_capacity = 9
            await asyncio.sleep(10)

    task = asyncio.create_task(work())
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert server.state.circuit_capacity == 0


@virtual_time
async def test_work_that_is_started_is_a_transaction_of_its_own() -> None:
    server = Charger()
    await attached(server)

    async def work() -> None:
        server.state.supply_state = 1
        await asyncio.sleep(1)

    async def handler() -> None:
        with transaction():
            server.state.circuit_capacity = 5
            server.spawn(work())
            await asyncio.sleep(2)
            assert server.state.supply_state == 1
            raise RuntimeError

    await asyncio.gather(handler(), return_exceptions=True)
    assert (server.state.circuit_capacity, server.state.supply_state) == (0, 1)


@virtual_time
async def test_independent_changes_are_seen_at_once() -> None:
    server = Charger()
    node = await attached(server)
    told: list[Any] = []
    node.changes.on(told.append)
    with transaction():
        server.state.supply_state = 1
        with independent():
            server.state.circuit_capacity = 5
            assert len(told) == 1
        server.state.supply_state = 2
    assert len(told) == 2
