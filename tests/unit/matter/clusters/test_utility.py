"""The smaller utility clusters, each by what a controller can tell of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from chip.tlv import uint

from evse_pi.matter.clusters.ethernet_network_diagnostics import EthernetNetworkDiagnosticsServer
from evse_pi.matter.clusters.general_diagnostics import GeneralDiagnosticsServer
from evse_pi.matter.clusters.identify import IdentifyServer
from evse_pi.matter.clusters.label import FixedLabelServer, UserLabelServer
from evse_pi.matter.clusters.network_interface import is_wireless
from evse_pi.matter.clusters.software_diagnostics import SoftwareDiagnosticsServer
from evse_pi.matter.clusters.time_synchronization import SynchronizedClock, TimeSynchronizationServer
from evse_pi.matter.clusters.wifi_network_diagnostics import WiFiNetworkDiagnosticsServer
from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S
from evse_pi.matter.model.endpoint import Endpoint
from evse_pi.matter.model.tree_interface import DeviceType
from evse_pi.matter.storage import MemoryStore
from evse_pi.matter.wire.chip_objects import TimeSynchronization
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode
from evse_pi.sim.harness.virtual_clock import VirtualClock
from tests.support.matter_authority import Authority
from tests.support.matter_bench import ADMIN_NODE_ID, INTERFACE, NOON_US, Bench
from tests.support.model_bench import attached
from tests.support.virtual_loop import virtual_time

if TYPE_CHECKING:
    from pathlib import Path

ACL, KEYS, DIAGNOSTICS, TIME, IDENTIFY, NETWORK = 0x1F, 0x3F, 0x33, 0x38, 0x03, 0x31
KEY = bytes(range(16))
EPOCH_US = MATTER_EPOCH_UNIX_S * 1_000_000


def acl_entry(privilege: int, subjects: list[int]) -> dict[int, Any]:
    return {1: uint(privilege), 2: uint(2), 3: [uint(subject) for subject in subjects], 4: None}


def key_set(number: int, *starts: int, policy: int = 0, key: bytes = KEY) -> dict[int, Any]:
    fields: dict[int, Any] = {0: uint(number), 1: uint(policy)}
    for index in range(3):
        present = index < len(starts)
        fields[2 + 2 * index] = key if present else None
        fields[3 + 2 * index] = uint(starts[index]) if present else None
    return {0: fields}


@virtual_time
async def test_every_change_of_access_control_is_an_event_with_its_author() -> None:
    async with Bench() as device:
        controller, session = await device.commission()
        mine, friend, guest = acl_entry(5, [ADMIN_NODE_ID]), acl_entry(1, [0xF]), acl_entry(3, [0xE])
        for entries in ([mine, friend], [mine, guest], [mine]):
            answer = await controller.write(session, ((0, ACL, 0), entries))
            assert answer[0][1] == StatusCode.SUCCESS
        events = (await controller.read(session, events=[(0, ACL, 0)])).events
        told = [(event[7][1], event[7][2], event[7][3], event[7][4][1]) for event in events]
        added, changed, removed = 1, 0, 2
        assert told == [
            (None, 0, added, 5),
            (ADMIN_NODE_ID, None, changed, 5),
            (ADMIN_NODE_ID, None, added, 1),
            (ADMIN_NODE_ID, None, changed, 5),
            (ADMIN_NODE_ID, None, changed, 3),
            (ADMIN_NODE_ID, None, changed, 5),
            (ADMIN_NODE_ID, None, removed, 3),
        ]


@pytest.mark.parametrize(
    ("entries", "status"),
    [
        ([{**acl_entry(5, [1]), 2: uint(1)}], StatusCode.CONSTRAINT_ERROR),
        ([{**acl_entry(5, [1]), 2: uint(3)}], StatusCode.CONSTRAINT_ERROR),
        ([acl_entry(5, [0])], StatusCode.CONSTRAINT_ERROR),
        ([{**acl_entry(5, [1]), 4: [{0: None, 1: None, 2: None}]}], StatusCode.CONSTRAINT_ERROR),
        ([{**acl_entry(5, [1]), 4: [{0: None, 1: uint(0), 2: uint(22)}]}], StatusCode.CONSTRAINT_ERROR),
        ([acl_entry(5, list(range(1, 10)))], StatusCode.RESOURCE_EXHAUSTED),
        ([acl_entry(1, [5])] * 9, StatusCode.RESOURCE_EXHAUSTED),
        ([{**acl_entry(9, [1])}], StatusCode.CONSTRAINT_ERROR),
        ([{1: uint(5)}], StatusCode.INVALID_DATA_TYPE),
    ],
)
def test_a_bad_access_control_entry_leaves_the_list_alone(entries: list[Any], status: int) -> None:
    @virtual_time
    async def run() -> tuple[int, int]:
        async with Bench() as device:
            controller, session = await device.commission()
            answer = await controller.write(session, ((0, ACL, 0), entries))
            kept = (await controller.read(session, (0, ACL, 0))).attributes[0, ACL, 0]
            return answer[0][1], len(kept)

    assert run() == (status, 1)


@virtual_time
async def test_group_keys_go_in_and_never_come_out() -> None:
    async with Bench() as device:
        controller, session = await device.commission()

        async def call(command: int, fields: Any = None) -> Any:
            answer = await controller.invoke(session, 0, KEYS, command, fields)
            return answer.fields if answer.command is not None else StatusCode(answer.status)

        assert await call(4) == {0: [0]}
        assert await call(0, key_set(0x1A3, 1, 2)) == StatusCode.SUCCESS
        assert await call(4) == {0: [0, 0x1A3]}
        found = (await call(1, {0: uint(0x1A3)}))[0]
        assert [found[tag] for tag in range(8)] == [0x1A3, 0, None, 1, None, 2, None, None]
        assert await call(1, {0: uint(9)}) == StatusCode.NOT_FOUND
        assert await call(0, key_set(5, 2, 1)) == StatusCode.INVALID_COMMAND
        assert await call(0, key_set(5, 0)) == StatusCode.INVALID_COMMAND
        assert await call(0, key_set(5)) == StatusCode.INVALID_COMMAND
        assert await call(0, key_set(5, 1, policy=1)) == StatusCode.INVALID_COMMAND
        assert await call(0, key_set(5, 1, key=bytes(15))) == StatusCode.CONSTRAINT_ERROR
        gap = key_set(5, 1, 2)
        gap[0][4] = None
        assert await call(0, gap) == StatusCode.INVALID_COMMAND
        mapping = {1: uint(7), 2: uint(0x1A3)}
        assert (await controller.write(session, ((0, KEYS, 0), [mapping, mapping])))[0][
            1
        ] == StatusCode.CONSTRAINT_ERROR
        assert (await controller.write(session, ((0, KEYS, 0), [{1: uint(7), 2: uint(0)}])))[0][
            1
        ] == StatusCode.CONSTRAINT_ERROR
        many = [{1: uint(number), 2: uint(5)} for number in range(1, 6)]
        assert (await controller.write(session, ((0, KEYS, 0), many)))[0][1] == StatusCode.RESOURCE_EXHAUSTED
        assert (await controller.write(session, ((0, KEYS, 0), [mapping])))[0][1] == StatusCode.SUCCESS
        assert await call(3, {0: uint(0)}) == StatusCode.INVALID_COMMAND
        assert await call(3, {0: uint(0x1A3)}) == StatusCode.SUCCESS
        assert (await controller.read(session, (0, KEYS, 0))).attributes[0, KEYS, 0] == []
        assert await call(3, {0: uint(0x1A3)}) == StatusCode.NOT_FOUND


@virtual_time
async def test_a_new_identity_protection_key_is_used_at_once() -> None:
    from dataclasses import replace

    from evse_pi.matter.identity.group_keys import operational_group_key
    from tests.support.matter_bench import NODE_ID
    from tests.support.matter_initiator import Member

    async with Bench() as device:
        authority = Authority()
        controller, session = await device.commission(authority)
        answer = await controller.invoke(session, 0, KEYS, 0, key_set(0, 1, key=bytes(16)))
        assert answer.status == StatusCode.SUCCESS
        member = Member.of(authority, ADMIN_NODE_ID, controller.entropy)
        renewed = replace(member, operational_ipk=operational_group_key(bytes(16), authority.compressed_id))
        assert await controller.case(renewed, NODE_ID, resume=False)


@virtual_time
async def test_test_event_triggers_are_behind_a_key() -> None:
    fired: list[int] = []
    seen: list[str] = []

    async def slowly(code: int) -> bool:
        device.node.basic_information.state.node_label = "others see this at once"
        await asyncio.sleep(3)
        return code == 2 and seen == ["others see this at once"]

    async def look() -> None:
        await asyncio.sleep(1)
        seen.append(device.node.basic_information.state.node_label)

    async with Bench(enable_key=KEY) as device:
        device.node.general_diagnostics.on_trigger(lambda code: code == 1 and not fired.append(code))  # type: ignore[func-returns-value]
        device.node.general_diagnostics.on_trigger(slowly)
        controller, session = await device.commission()
        assert (await controller.read(session, (0, DIAGNOSTICS, 8))).attributes[0, DIAGNOSTICS, 8] is True

        async def trigger(key: bytes, code: int) -> int:
            return (await controller.invoke(session, 0, DIAGNOSTICS, 0, {0: key, 1: uint(code)})).status

        assert await trigger(KEY, 1) == StatusCode.SUCCESS
        looking = asyncio.create_task(look())
        assert await trigger(KEY, 2) == StatusCode.SUCCESS
        await looking
        assert await trigger(KEY, 3) == StatusCode.INVALID_COMMAND
        assert await trigger(bytes(16), 1) == StatusCode.CONSTRAINT_ERROR
        assert await trigger(KEY[:15], 1) == StatusCode.CONSTRAINT_ERROR
        assert await trigger(KEY[::-1], 1) == StatusCode.CONSTRAINT_ERROR
        assert fired == [1]


@virtual_time
async def test_without_a_key_no_trigger_works() -> None:
    async with Bench() as device:
        device.node.general_diagnostics.on_trigger(lambda _: True)
        controller, session = await device.commission()
        assert (await controller.read(session, (0, DIAGNOSTICS, 8))).attributes[0, DIAGNOSTICS, 8] is False
        answer = await controller.invoke(session, 0, DIAGNOSTICS, 0, {0: bytes(16), 1: uint(1)})
        assert answer.status == StatusCode.CONSTRAINT_ERROR


@pytest.mark.parametrize("key", [bytes(16), bytes(15), b""])
def test_a_key_that_can_be_guessed_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match="enable_key"):
        GeneralDiagnosticsServer(list, VirtualClock(unix_s=None), enable_key=key)


@virtual_time
async def test_general_diagnostics_tell_of_the_machine() -> None:
    async with Bench() as device:
        controller, session = await device.commission()
        await asyncio.sleep(100)
        report = await controller.read(session, (0, DIAGNOSTICS, None), (0, NETWORK, None))
        (interface,) = report.attributes[0, DIAGNOSTICS, 0]
        assert (interface[0], interface[1], interface[4]) == ("eth0", True, INTERFACE.hardware_address)
        assert (interface[5], interface[6], interface[7]) == ([INTERFACE.addresses[0]], [INTERFACE.addresses[1]], 2)
        assert 100 <= report.attributes[0, DIAGNOSTICS, 2] < 110
        assert report.attributes[0, NETWORK, 1] == [{0: b"eth0", 1: True}]
        snapshot = await controller.invoke(session, 0, DIAGNOSTICS, 1)
        assert 100_000 <= snapshot.fields[0] < 110_000
        assert snapshot.fields[1] == NOON_US // 1000
        switch_off = await controller.write(session, ((0, NETWORK, 4), False), ((0, NETWORK, 4), True))
        assert [status for _, status in switch_off] == [StatusCode.INVALID_ACTION, StatusCode.SUCCESS]


@virtual_time
async def test_an_administrator_tells_the_time_only_to_a_node_that_does_not_know_it() -> None:
    clock = VirtualClock(unix_s=None)
    async with Bench(clock=clock) as device:
        controller, session = await device.commission()

        async def state() -> list[Any]:
            found = (await controller.read(session, (0, TIME, None))).attributes
            return [found[0, TIME, number] for number in range(3)]

        async def tell(microseconds: int, granularity: int) -> Any:
            answer = await controller.invoke(session, 0, TIME, 0, {0: uint(microseconds), 1: uint(granularity)})
            return answer.status, answer.cluster_status

        assert await state() == [None, 0, 0]
        assert await tell(1_000_000, 4) == (StatusCode.SUCCESS, None)
        await asyncio.sleep(10)
        told_us, granularity, source = await state()
        assert (granularity, source) == (2, 2)
        assert 10_900_000 < told_us < 11_200_000
        assert await tell(5_000_000, 1) == (StatusCode.FAILURE, 2)
        clock.set_unix_us(NOON_US)
        assert await state() == [NOON_US - EPOCH_US, 3, 5]
        assert await tell(5_000_000, 4) == (StatusCode.FAILURE, 2)


@virtual_time
async def test_an_administrator_knows_better_than_a_clock_that_no_network_keeps() -> None:
    """A clock chip's time is told as what it is, and gives way. Source: Matter core 11.17.8.1, 11.17.9.1."""
    synchronized = False
    clock = SynchronizedClock(VirtualClock(unix_s=NOON_US // 1_000_000), is_synchronized=lambda: synchronized)
    server = TimeSynchronizationServer(clock)
    await attached(server)
    enums = TimeSynchronization.Enums
    told = (server.read_granularity(None), server.read_time_source(None))
    assert told == (enums.GranularityEnum.kSecondsGranularity, enums.TimeSourceEnum.kUnknown)
    better = TimeSynchronization.Commands.SetUTCTime(5_000_000, enums.GranularityEnum.kMinutesGranularity)
    server.set_utc_time(better)
    assert server.read_utc_time(None) == 5_000_000
    assert server.read_time_source(None) == enums.TimeSourceEnum.kAdmin
    synchronized = True
    assert server.read_time_source(None) == enums.TimeSourceEnum.kNonMatterNTP
    with pytest.raises(MatterStatus, match="a better time is known"):
        server.set_utc_time(better)


@virtual_time
async def test_the_told_time_dates_events() -> None:
    clock = SynchronizedClock(VirtualClock(unix_s=None))
    server = TimeSynchronizationServer(clock)
    await attached(server)
    assert clock.unix_us() is None
    clock.tell(5_000_000)
    await asyncio.sleep(1)
    assert clock.unix_us() == 6_000_000


@virtual_time
async def test_identify_counts_down_and_is_reported_at_start_and_end() -> None:
    server = IdentifyServer()
    async with Bench([Endpoint(1, [DeviceType(0x0100, 3)], [server])]) as device:
        controller, session = await device.commission()
        blinks: list[int] = []
        server.events.identify_time_changed.on(lambda change: blinks.append(change.value))
        subscription = await controller.subscribe(session, (1, IDENTIFY, 0))
        assert (await controller.invoke(session, 1, IDENTIFY, 0, {0: uint(3)})).status == StatusCode.SUCCESS
        assert (await subscription.next_report()).attributes == {(1, IDENTIFY, 0): 3}
        assert (await subscription.next_report()).attributes == {(1, IDENTIFY, 0): 0}
        assert blinks == [3, 2, 1, 0]
        await controller.write(session, ((1, IDENTIFY, 0), uint(100)))
        await asyncio.sleep(5)
        await controller.write(session, ((1, IDENTIFY, 0), uint(0)))
        assert blinks[-1] == 0
        await asyncio.sleep(5)
        assert server.state.identify_time == 0


@virtual_time
async def test_labels_are_kept() -> None:
    store = MemoryStore()
    endpoint = Endpoint(
        1, [DeviceType(0x0100, 3)], [UserLabelServer(), FixedLabelServer(label_list=[{"label": "a", "value": "b"}])]
    )
    async with Bench([endpoint], store=store) as device:
        controller, session = await device.commission()
        path = (1, 0x41, 0)
        assert (await controller.write(session, (path, [{0: "room", 1: "garage"}])))[0][1] == StatusCode.SUCCESS
        assert (await controller.write(session, ((1, 0x40, 0), [])))[0][1] == StatusCode.UNSUPPORTED_WRITE
        assert (await controller.read(session, (1, 0x40, 0))).attributes[1, 0x40, 0] == [{0: "a", 1: "b"}]
    again = UserLabelServer()
    async with Bench([Endpoint(1, [DeviceType(0x0100, 3)], [again])], store=store):
        assert [(label.label, label.value) for label in again.state.label_list] == [("room", "garage")]


def make_interface(folder: Path, name: str, **files: str) -> None:
    for file, text in files.items():
        path = folder / name / file.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


@virtual_time
async def test_ethernet_diagnostics_read_the_kernel(tmp_path: Path) -> None:
    counters = {"statistics__rx_packets": "1000", "statistics__tx_packets": "50", "statistics__tx_errors": "3"}
    make_interface(tmp_path, "end0", speed="1000", duplex="full", carrier="1", **counters)
    server = EthernetNetworkDiagnosticsServer("end0", tmp_path)
    await attached(server)
    state = server.state
    assert (state.phy_rate, state.full_duplex, state.carrier_detect) == (2, True, True)
    assert (state.packet_rx_count, state.packet_tx_count, state.tx_err_count) == (1000, 50, 3)
    assert (state.collision_count, state.overrun_count) == (0, 0)
    server.reset_counts()
    make_interface(tmp_path, "end0", statistics__rx_packets="1007", speed="unknown!", duplex="half")
    await asyncio.sleep(5)
    assert (state.packet_rx_count, state.time_since_reset) == (7, 5)
    assert (state.phy_rate, state.full_duplex) == (None, False)
    gone = EthernetNetworkDiagnosticsServer("gone", tmp_path)
    assert (gone.state.phy_rate, gone.state.carrier_detect, gone.state.packet_rx_count) == (None, None, 0)


def test_wifi_diagnostics_read_the_signal(tmp_path: Path) -> None:
    table = tmp_path / "wireless"
    header = "Inter-| sta-|   Quality\n face | tus | link level noise\n"
    table.write_text(header + " wlan0: 0000   54.  -56.  -256        0      0      0      0     17        0\n")
    assert WiFiNetworkDiagnosticsServer("wlan0", table).state.rssi == -56
    assert WiFiNetworkDiagnosticsServer("wlan1", table).state.rssi is None
    assert WiFiNetworkDiagnosticsServer("wlan0", tmp_path / "none").state.rssi is None
    make_interface(tmp_path, "wlan0", wireless__x="")
    assert is_wireless("wlan0", tmp_path)
    assert not is_wireless("end0", tmp_path)


def test_software_diagnostics_tell_of_memory() -> None:
    assert 10_000_000 < SoftwareDiagnosticsServer().state.current_heap_used < 10_000_000_000
