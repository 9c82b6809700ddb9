"""Events as they are read: which, in what form, to whom, and that their numbers outlive a restart."""

from __future__ import annotations

from evse_pi.matter.model.endpoint import Endpoint
from evse_pi.matter.model.tree_interface import DeviceType
from evse_pi.matter.storage import MemoryStore
from evse_pi.matter.wire.status_code import StatusCode
from evse_pi.sim.harness.virtual_clock import VirtualClock
from tests.support.matter_authority import Authority
from tests.support.matter_bench import NOON_US, Bench
from tests.support.model_bench import Charger
from tests.support.virtual_loop import virtual_time

EVSE, BASIC, DIAGNOSTICS, ACL = 0x99, 0x28, 0x33, 0x1F
ALL = (None, None, None)


def bench(**options: object) -> tuple[Bench, Charger]:
    server = Charger()
    return Bench([Endpoint(1, [DeviceType(0x0100, 3)], [server])], **options), server  # type: ignore[arg-type]


@virtual_time
async def test_events_come_in_order_with_number_priority_and_time() -> None:
    device, server = bench()
    async with device:
        controller, session = await device.commission()
        server.events.fault.emit(sessionID=None, state=6, faultStatePreviousState=0, faultStateCurrentState=7)
        report = await controller.read(session, events=[ALL])
        paths = [dict(iter(event[0])) for event in report.events]
        assert [(path[1], path[2], path[3]) for path in paths] == [
            (0, BASIC, 0),
            (0, DIAGNOSTICS, 3),
            (0, ACL, 0),
            (1, EVSE, 4),
        ]
        numbers = [event[1] for event in report.events]
        assert numbers == sorted(set(numbers))
        assert [event[2] for event in report.events] == [2, 2, 1, 2]
        assert all(event[3] == NOON_US // 1000 and 4 not in event for event in report.events)
        assert report.events[-1][7] == {0: None, 1: 6, 2: 0, 4: 7}


@virtual_time
async def test_without_wall_time_events_carry_system_time() -> None:
    device, _ = bench(clock=VirtualClock(unix_s=None))
    async with device:
        controller, session = await device.commission()
        report = await controller.read(session, events=[(0, BASIC, 0)])
        assert 4 in report.events[0]
        assert 3 not in report.events[0]


@virtual_time
async def test_a_filter_leaves_out_what_is_known() -> None:
    device, server = bench()
    async with device:
        controller, session = await device.commission()
        server.events.ev_connected.emit(sessionID=1)
        first = await controller.read(session, events=[ALL])
        last = int(first.events[-1][1])
        assert not (await controller.read(session, events=[ALL], event_min=last + 1)).events
        assert len((await controller.read(session, events=[ALL], event_min=last)).events) == 1


@virtual_time
async def test_an_unknown_event_path_has_its_status() -> None:
    device, _ = bench()
    async with device:
        controller, session = await device.commission()
        report = await controller.read(session, events=[(9, EVSE, 0), (1, 0x1234, 0), (1, EVSE, 77), (1, EVSE, 0)])
        assert [int(status[1][0]) for status in report.event_statuses] == [
            StatusCode.UNSUPPORTED_ENDPOINT,
            StatusCode.UNSUPPORTED_CLUSTER,
            StatusCode.UNSUPPORTED_EVENT,
        ]
        assert not (await controller.read(session, events=[(9, None, None)])).event_statuses


@virtual_time
async def test_events_of_a_fabric_are_for_that_fabric() -> None:
    device, _ = bench()
    async with device:
        controller, session = await device.commission()
        device.node.open_commissioning_window()
        other, other_session = await device.commission(Authority(0xFAB2, "other"), name="other")
        mine = await controller.read(session, events=[(0, ACL, None)], fabric_filtered=False)
        theirs = await other.read(other_session, events=[(0, ACL, None)], fabric_filtered=False)
        assert [event[7][254] for event in mine.events] == [1]
        assert [event[7][254] for event in theirs.events] == [2]


@virtual_time
async def test_numbers_go_on_after_a_restart() -> None:
    store = MemoryStore()
    device, _ = bench(store=store)
    async with device:
        before = device.node.tree.event_log.next_number
    device, _ = bench(store=store)
    async with device:
        assert device.node.tree.event_log.since(0)[0].number > before
