"""The behaviour class: what it is, what it keeps, how it lives."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.endpoint import AttributesChanged
from evse_pi.matter.model.event_source import Change
from evse_pi.matter.model.observable import Observable
from evse_pi.matter.model.transaction import transaction
from evse_pi.matter.storage import MemoryStore
from evse_pi.matter.wire.chip_objects import EnergyEvse
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode
from tests.support.model_bench import CHARGER, Charger, attached, model_node
from tests.support.virtual_loop import virtual_time

Feature = EnergyEvse.Bitmaps.Feature


def test_a_server_says_what_it_is() -> None:
    assert (Charger.id, Charger.name, Charger.schema) == ("energy_evse", "EnergyEvse", CHARGER)
    assert (Charger.cluster.id, Charger.cluster.revision) == (0x99, 3)
    assert Charger.features == Feature.kChargingPreferences
    assert Feature.kV2x not in Charger.with_features("PREF", "RFID").features
    assert Charger.defaults["circuit_capacity"] == 0
    assert [name for name in vars(Charger.Interface) if not name.startswith("_")] == [
        "disable",
        "enable_charging",
        "get_targets",
    ]
    assert Charger.Interface.enable_charging.__annotations__["request"] is EnergyEvse.Commands.EnableCharging  # type: ignore[attr-defined]


def test_state_is_typed_and_validated() -> None:
    server = Charger(circuit_capacity=32_000)
    assert server.state.circuit_capacity == 32_000
    assert server.state.state is None
    server.state.state = 3
    assert server.state.state is EnergyEvse.Enums.StateEnum.kPluggedInCharging
    with pytest.raises(MatterStatus, match="CircuitCapacity=-1: allowed is 0 to") as refused:
        server.state.circuit_capacity = -1
    assert refused.value.status is StatusCode.CONSTRAINT_ERROR
    assert server.state.circuit_capacity == 32_000
    with pytest.raises(AttributeError, match="no attribute 'speed'"):
        Charger(speed=1)
    with pytest.raises(AttributeError):
        server.state.speed = 1
    assert "circuit_capacity=32000" in repr(server.state)


def test_a_command_without_a_method_cannot_be_served() -> None:
    class Deaf(ClusterServer):
        schema = CHARGER

    with pytest.raises(TypeError, match="Deaf lacks the methods disable, enable_charging, get_targets of EnergyEvse"):
        Deaf()


def test_an_extension_has_to_be_provided() -> None:
    class Extended(Charger):
        class ExtensionInterface:
            def limit_current(self, current_ma: int) -> None: ...

    with pytest.raises(TypeError, match="lacks the methods limit_current"):
        Extended()
    provided = type("Provided", (Extended,), {"limit_current": lambda self, current_ma: None})
    provided()


@virtual_time
async def test_a_change_is_told_once_and_bumps_the_data_version() -> None:
    server = Charger()
    node = await attached(server)
    changes: list[AttributesChanged] = []
    seen: list[Change] = []
    node.changes.on(changes.append)
    server.events.circuit_capacity_changed.on(seen.append)
    version = server.data_version
    server.state.circuit_capacity = 16_000
    server.state.circuit_capacity = 16_000
    assert changes == [AttributesChanged(1, 0x99, frozenset({5}))]
    assert seen == [Change(0, 16_000)]
    assert server.data_version == (version + 1) % (1 << 32)


@virtual_time
async def test_the_data_version_wraps() -> None:
    server = Charger()
    await attached(server)
    server.data_version = 0xFFFF_FFFF
    server.state.circuit_capacity = 1
    assert server.data_version == 0


@virtual_time
async def test_non_volatile_state_survives_and_other_state_does_not() -> None:
    store = MemoryStore()
    kind = Charger.enable(attributes=("UserMaximumChargeCurrent",))
    first = kind()
    await attached(first, node=model_node(store))
    first.state.circuit_capacity = 20_000
    first.state.user_maximum_charge_current = 10_000
    first.state.supply_state = 1
    second = kind(circuit_capacity=5)
    await attached(second, node=model_node(store))
    assert second.state.circuit_capacity == 20_000
    assert second.state.user_maximum_charge_current == 10_000
    assert second.state.supply_state == 0
    second.reset()
    assert second.state.circuit_capacity == 5


@virtual_time
async def test_a_stored_value_that_no_longer_fits_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    first = Charger()
    await attached(first, node=model_node(store))
    first.state.circuit_capacity = 50_000
    tighter = Charger.alter(circuit_capacity={"constraint": "0 to 32000"})()
    await attached(tighter, node=model_node(store))
    assert tighter.state.circuit_capacity == 0
    assert "stored value dropped cluster=EnergyEvse attribute=CircuitCapacity" in caplog.text


@virtual_time
async def test_events_reach_log_and_listeners_with_a_checked_payload() -> None:
    server = Charger()
    node = await attached(server)
    heard: list[Any] = []
    server.events.ev_connected.on(heard.append)
    server.events.ev_connected.emit(sessionID=3)
    server.events.fault.emit(
        EnergyEvse.Events.Fault(sessionID=None, state=6, faultStatePreviousState=0, faultStateCurrentState=7)
    )
    assert [event.sessionID for event in heard] == [3]
    assert [(record.event, record.priority) for record in node.event_log.since(0)] == [(0, 1), (4, 2)]
    with pytest.raises(MatterStatus, match="sessionID"):
        server.events.ev_connected.emit(sessionID=-1)
    with pytest.raises(AttributeError, match="no event 'rfid'"):
        _ = server.events.rfid


@virtual_time
async def test_internal_state_belongs_to_one_server() -> None:
    class Counting(Charger):
        class Internal:
            def __init__(self) -> None:
                self.count = 0

    one, other = Counting(), Counting()
    one.internal.count = 5
    assert other.internal.count == 0


@virtual_time
async def test_the_endpoint_is_there_only_when_initialisation_is_done() -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    class Slow(Charger):
        async def initialize(self) -> None:
            begun.set()
            await may_end.wait()
            self.state.circuit_capacity = 1

    node = model_node()
    adding = asyncio.create_task(attached(Slow(), node=node))
    await begun.wait()
    assert list(node.endpoints) == [0]
    may_end.set()
    await adding
    assert list(node.endpoints) == [0, 1]


@virtual_time
async def test_servers_that_were_started_are_closed_when_a_later_one_fails() -> None:
    closed: list[str] = []

    class First(Charger):
        early = True

        async def close(self) -> None:
            closed.append("first")

    class Failing(ClusterServer):
        schema = __import__("evse_pi.matter.clusters.label", fromlist=["FIXED_SCHEMA"]).FIXED_SCHEMA

        def initialize(self) -> None:
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await attached(First(), Failing())
    assert closed == ["first"]


@virtual_time
async def test_reactors_run_as_transactions_and_end_with_the_server() -> None:
    source: Observable[int] = Observable()
    server = Charger()
    node = await attached(server)

    def reactor(value: int) -> None:
        server.state.circuit_capacity = value
        if value > 10:
            raise RuntimeError("too much")

    server.react_to(source, reactor)
    source.emit(5)
    source.emit(11)
    assert server.state.circuit_capacity == 5
    await node.close()
    source.emit(6)
    assert server._values[5] == 5


@virtual_time
async def test_an_async_reactor_commits_when_it_is_done_and_is_cancelled_at_close() -> None:
    source: Observable[int] = Observable()
    server = Charger()
    node = await attached(server)

    async def reactor(value: int) -> None:
        server.state.circuit_capacity = value
        await asyncio.sleep(value)

    server.react_to(source, reactor)
    source.emit(3)
    await asyncio.sleep(1)
    assert server.state.circuit_capacity == 0
    await asyncio.sleep(3)
    assert server.state.circuit_capacity == 3
    source.emit(1000)
    await asyncio.sleep(1)
    await node.close()
    assert server._values[5] == 3


@virtual_time
async def test_a_callback_does_nothing_after_close() -> None:
    server = Charger()
    node = await attached(server)
    calls: list[int] = []
    callback = server.callback(calls.append)
    callback(1)
    await node.close()
    callback(2)
    assert calls == [1]


@virtual_time
async def test_a_failing_task_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    server = Charger()
    await attached(server)

    async def work() -> None:
        raise RuntimeError("broken")

    server.spawn(work())
    await asyncio.sleep(0.1)
    assert "task failed cluster=EnergyEvse" in caplog.text


@virtual_time
async def test_attributes_are_published_before_the_events_of_the_same_change() -> None:
    server = Charger()
    node = await attached(server)
    order: list[str] = []
    node.changes.on(lambda _: order.append(f"attribute {server.state.supply_state}"))
    node.event_log.recorded.on(lambda _: order.append(f"event {server.state.supply_state}"))
    with transaction():
        server.events.ev_connected.emit(sessionID=1)
        server.state.supply_state = 1
    assert order == ["attribute 1", "event 1"]


@virtual_time
async def test_publish_reports_what_did_not_change() -> None:
    server = Charger()
    node = await attached(server)
    changes: list[AttributesChanged] = []
    node.changes.on(changes.append)
    version = server.data_version
    server.publish("session_duration", "session_id")
    assert changes == [AttributesChanged(1, 0x99, frozenset({0x40, 0x41}))]
    assert server.data_version == version


def test_one_listener_that_fails_does_not_keep_others_from_hearing(caplog: pytest.LogCaptureFixture) -> None:
    observable: Observable[int] = Observable("tap")
    heard: list[int] = []

    def broken(_value: int) -> None:
        raise ValueError("deaf")

    observable.on(broken)
    handle = observable.on(heard.append)
    observable.emit(1)
    handle.close()
    handle.close()
    observable.emit(2)
    assert heard == [1]
    assert "listener failed observable=tap" in caplog.text
    assert observable
