"""Events are numbered for ever and kept in bounded rings; quieter attributes are reported in measure."""

from __future__ import annotations

import asyncio

from evse_pi.matter.model.event_log import NUMBER_STEP, RING_SIZES, EventLog
from evse_pi.matter.storage import MemoryStore
from evse_pi.sim.harness.virtual_clock import VirtualClock
from tests.support.model_bench import Charger, attached
from tests.support.virtual_loop import virtual_time

PATH = (1, 0x99, 0)


@virtual_time
async def test_numbers_never_come_twice_and_the_store_is_written_in_steps() -> None:
    store = MemoryStore()
    log = EventLog(store, VirtualClock(unix_s=None))
    numbers = [log.append(PATH, 1, b"").number for _ in range(3)]
    assert numbers == [0, 1, 2]
    again = EventLog(store, VirtualClock(unix_s=None))
    assert again.append(PATH, 1, b"").number == NUMBER_STEP
    for _ in range(2 * NUMBER_STEP):
        again.append(PATH, 1, b"")
    assert EventLog(store, VirtualClock(unix_s=None)).next_number > again.next_number


@virtual_time
async def test_each_priority_has_a_ring_of_its_own() -> None:
    log = EventLog(MemoryStore(), VirtualClock(unix_s=None))
    first = log.append(PATH, 2, b"critical")
    for _ in range(10 * RING_SIZES[1]):
        log.append(PATH, 1, b"info")
    kept = log.since(0)
    assert kept[0] == first
    assert len(kept) == 1 + RING_SIZES[1]
    assert [record.number for record in kept] == sorted(record.number for record in kept)
    assert log.since(kept[-1].number) == [kept[-1]]


@virtual_time
async def test_events_carry_wall_time_when_it_is_known_and_system_time_always() -> None:
    clock = VirtualClock(unix_s=None)
    log = EventLog(MemoryStore(), clock)
    await asyncio.sleep(5)
    assert (log.append(PATH, 1, b"").epoch_ms, log.since(0)[0].system_ms) == (None, 5000)
    clock.set_unix_us(1_770_000_000_123_456)
    assert log.append(PATH, 1, b"").epoch_ms == 1_770_000_000_123


@virtual_time
async def test_events_of_a_fabric_go_with_it() -> None:
    log = EventLog(MemoryStore(), VirtualClock(unix_s=None))
    log.append(PATH, 1, b"", fabric_index=1)
    kept = log.append(PATH, 1, b"", fabric_index=2)
    log.forget_fabric(1)
    assert log.since(0) == [kept]


@virtual_time
async def test_a_quieter_attribute_is_reported_once_per_interval_with_its_last_value() -> None:
    class Quiet(Charger):
        quiet_interval_s = {"session_duration": 15.0}  # noqa: RUF012

    server = Quiet(session_duration=0)
    node = await attached(server)
    loop = asyncio.get_running_loop()
    reports: list[tuple[float, int]] = []
    node.changes.on(lambda _: reports.append((loop.time(), server.state.session_duration)))
    for second in range(1, 41):
        server.state.session_duration = second
        await asyncio.sleep(1)
    assert reports == [(0.0, 1), (15.0, 15), (30.0, 30)] or reports == [(0.0, 1), (15.0, 16), (30.0, 31)]
    await asyncio.sleep(10)
    assert reports[-1] == (45.0, 40)


@virtual_time
async def test_a_quieter_attribute_is_reported_at_once_to_and_from_null_and_when_published() -> None:
    server = Charger()
    node = await attached(server)
    reports: list[object] = []
    node.changes.on(lambda _: reports.append(server.state.session_duration))
    server.state.session_duration = 1
    server.state.session_duration = 2
    server.publish("session_duration")
    server.state.session_duration = None
    assert reports == [1, 2, None]
    await asyncio.sleep(5)
    assert reports == [1, 2, None]
    await node.close()
