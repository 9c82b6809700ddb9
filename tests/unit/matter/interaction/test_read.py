"""Reads: what is answered for every kind of path, how it is cut into messages, what a reader may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from chip.tlv import uint
from chip.tlv.tlvlist import TLVList

from evse_pi.matter.clusters.label import FixedLabelServer
from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.identity.acl import AclEntry, AclTarget, Privilege
from evse_pi.matter.interaction.messages import Path, ReadRequest
from evse_pi.matter.interaction.report import attribute_reports
from evse_pi.matter.model.endpoint import Endpoint
from evse_pi.matter.model.tree_interface import DeviceType
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.message import MAX_PAYLOAD_BYTES
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode
from tests.support.matter_authority import Authority
from tests.support.matter_bench import ADMIN_NODE_ID, Bench
from tests.support.matter_initiator import READ_REQUEST, REPORT_DATA, InteractionError
from tests.support.model_bench import Charger
from tests.support.virtual_loop import virtual_time

if TYPE_CHECKING:
    from evse_pi.matter.model.cluster_server import ClusterServer

EVSE, LABEL, BASIC, ACL, CREDENTIALS, DESCRIPTOR = 0x99, 0x40, 0x28, 0x1F, 0x3E, 0x1D
LABELS = [{"label": f"label {number:03}", "value": "x" * 16} for number in range(90)]


class Switchboard(Charger):
    """A charger with one attribute whose reader fails."""

    def read_supply_state(self, _accessor: Accessor | None) -> int:
        raise RuntimeError("meter on fire")


def bench(*servers: ClusterServer) -> Bench:
    return Bench([Endpoint(1, [DeviceType(0x0100, 3)], servers or [Charger(circuit_capacity=32_000)])])


def grant(device: Bench, *entries: AclEntry) -> None:
    admin = AclEntry(Privilege.ADMINISTER, AuthMode.CASE, (0xFFFF,), None, 1)
    device.node.ownership.access_control.replace(1, [admin, *entries], Accessor(AuthMode.CASE, 1, ADMIN_NODE_ID))


def entry(privilege: Privilege, **target: int) -> AclEntry:
    return AclEntry(privilege, AuthMode.CASE, (ADMIN_NODE_ID,), (AclTarget(**target),) if target else None, 1)


@virtual_time
async def test_every_kind_of_unknown_path_has_its_status() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        paths = [(9, EVSE, 5), (1, 0x1234, 0), (1, EVSE, 0x1234), (1, EVSE, 5)]
        report = await controller.read(session, *paths)
        assert report.attributes == {(1, EVSE, 5): 32_000}
        assert report.statuses == {
            (9, EVSE, 5): StatusCode.UNSUPPORTED_ENDPOINT,
            (1, 0x1234, 0): StatusCode.UNSUPPORTED_CLUSTER,
            (1, EVSE, 0x1234): StatusCode.UNSUPPORTED_ATTRIBUTE,
        }


@virtual_time
async def test_a_wildcard_is_silent_about_what_is_not_there() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        for path in [(9, None, None), (None, 0x1234, None), (1, EVSE, None), (None, None, 0xFFFD)]:
            report = await controller.read(session, path)
            assert not report.statuses
        assert {key[2] for key in report.attributes} == {0xFFFD}
        assert {key[0] for key in report.attributes} == {0, 1}


@virtual_time
async def test_all_clusters_with_one_ordinary_attribute_is_an_invalid_action() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        with pytest.raises(InteractionError) as refused:
            await controller.read(session, (None, None, 5))
        assert refused.value.status == StatusCode.INVALID_ACTION


@virtual_time
async def test_an_empty_read_is_answered_by_an_empty_report() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        report = await controller.read(session)
        assert (report.attributes, report.chunks) == ({}, 1)


@virtual_time
async def test_without_privilege_a_path_is_refused_and_a_wildcard_skips() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        grant(device, entry(Privilege.VIEW, cluster=EVSE))
        report = await controller.read(session, (0, BASIC, 0), (1, EVSE, 5), (0, ACL, 0))
        assert set(report.attributes) == {(1, EVSE, 5)}
        assert set(report.statuses.values()) == {StatusCode.UNSUPPORTED_ACCESS}
        everything = await controller.read(session, (None, None, None))
        assert {(key[0], key[1]) for key in everything.attributes} == {(1, EVSE)}
        grant(device, entry(Privilege.VIEW))
        everything = await controller.read(session, (None, None, None))
        assert (0, ACL, 0) not in everything.attributes
        assert (0, ACL, 2) in everything.attributes


@virtual_time
async def test_a_data_version_that_is_known_saves_the_cluster() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        first = await controller.read(session, (1, EVSE, None), (1, DESCRIPTOR, None))
        again = await controller.read(session, (1, None, None), versions=first.versions)
        assert not again.attributes
        wrong = {cluster: version + 1 for cluster, version in first.versions.items()}
        assert (await controller.read(session, (1, EVSE, None), versions=wrong)).attributes


@virtual_time
async def test_a_long_list_comes_entry_by_entry_over_several_messages() -> None:
    async with bench(FixedLabelServer(label_list=LABELS)) as device:
        controller, session = await device.commission()
        report = await controller.read(session, (1, LABEL, 0))
        assert [item[0] for item in report.attributes[1, LABEL, 0]] == [label["label"] for label in LABELS]
        assert report.chunks > 1


@virtual_time
async def test_every_message_of_a_report_fits_and_only_the_last_one_ends_it() -> None:
    async with bench(FixedLabelServer(label_list=LABELS), Charger()) as device:
        controller, session = await device.commission()
        request = tlv.encode({0: [TLVList([])], 3: False, 255: uint(12)})
        payloads: list[Any] = []
        async with controller.stack.initiate(session, 1) as exchange:
            await exchange.send(READ_REQUEST, request)
            while not payloads or tlv.decode(payloads[-1]).get(3):
                message = await exchange.receive()
                assert message.opcode == REPORT_DATA
                payloads.append(message.payload)
                if tlv.decode(message.payload).get(3):
                    await exchange.send(1, tlv.encode({0: uint(0), 255: uint(12)}))
        fields = [tlv.decode(payload) for payload in payloads]
        assert len(payloads) > 3
        assert max(map(len, payloads)) <= MAX_PAYLOAD_BYTES
        assert min(map(len, payloads[:-1])) > MAX_PAYLOAD_BYTES - 250
        assert [found.get(3, False) for found in fields] == [True] * (len(fields) - 1) + [False]
        assert [found.get(4, False) for found in fields] == [False] * (len(fields) - 1) + [True]
        assert all(found[255] == 12 for found in fields)


@virtual_time
async def test_a_report_that_the_reader_refuses_ends() -> None:
    async with bench(FixedLabelServer(label_list=LABELS)) as device:
        controller, session = await device.commission()
        async with controller.stack.initiate(session, 1) as exchange:
            await exchange.send(READ_REQUEST, tlv.encode({0: [TLVList([])], 3: False, 255: uint(12)}))
            await exchange.receive()
            await exchange.send(1, tlv.encode({0: uint(StatusCode.FAILURE), 255: uint(12)}))
        assert (await controller.read(session, (0, BASIC, 0))).attributes


@virtual_time
async def test_a_reader_that_fails_still_gets_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    async with bench(Switchboard()) as device:
        controller, session = await device.commission()
        with pytest.raises(InteractionError) as refused:
            await controller.read(session, (1, EVSE, 1))
        assert refused.value.status == StatusCode.FAILURE
        assert "interaction failed" in caplog.text


@virtual_time
async def test_fabric_scoped_lists_show_others_only_without_filter_and_only_whose_they_are() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        first = await controller.read(session, (0, ACL, 0), (0, CREDENTIALS, 1))
        assert len(first.attributes[0, ACL, 0]) == 1
        device.node.open_commissioning_window()
        other, other_session = await device.commission(Authority(0xFAB2, "other"), name="other")
        filtered = await other.read(other_session, (0, ACL, 0), (0, CREDENTIALS, 1), (0, CREDENTIALS, 5))
        assert [item[254] for item in filtered.attributes[0, ACL, 0]] == [2]
        assert filtered.attributes[0, CREDENTIALS, 5] == 2
        whole = await other.read(other_session, (0, ACL, 0), (0, CREDENTIALS, 1), fabric_filtered=False)
        assert whole.attributes[0, ACL, 0][0] == {254: 1}
        assert whole.attributes[0, ACL, 0][1][1] == Privilege.ADMINISTER
        assert [item[254] for item in whole.attributes[0, CREDENTIALS, 1]] == [1, 2]


SKIP = {
    "the root node": (0x1, lambda endpoint, cluster, attribute: endpoint == 0),
    "global attributes": (0x2, lambda endpoint, cluster, attribute: attribute >= 0xF000),
    "attribute lists": (0x4, lambda endpoint, cluster, attribute: attribute == 0xFFFB),
    "command lists": (0x10, lambda endpoint, cluster, attribute: attribute in (0xFFF8, 0xFFF9)),
    "fixed attributes": (0x40, lambda endpoint, cluster, attribute: (cluster, attribute) == (BASIC, 1)),
    "attributes whose changes are omitted": (
        0x80,
        lambda endpoint, cluster, attribute: (cluster, attribute) == (0x33, 2),
    ),
    "diagnostics": (0x100, lambda endpoint, cluster, attribute: cluster in (0x33, 0x34, 0x37)),
}


@pytest.mark.parametrize("what", SKIP)
def test_wildcard_flags_leave_out(what: str) -> None:
    flag, left_out = SKIP[what]

    @virtual_time
    async def run() -> tuple[set[Any], set[Any]]:
        async with bench() as device:
            controller, session = await device.commission()
            whole = await controller.read(session, (None, None, None))
            path = TLVList([(6, uint(flag))])
            message = {0: [path], 3: True, 255: uint(12)}
            async with controller.stack.initiate(session, 1) as exchange:
                await exchange.send(READ_REQUEST, tlv.encode(message))
                part = await controller._collect(exchange)
            return set(whole.attributes), set(part.attributes)

    whole, part = run()
    gone = whole - part
    assert part <= whole
    assert {key for key in whole if left_out(*key)} <= gone
    if flag not in (0x40, 0x80):
        assert all(left_out(*key) for key in gone)


@virtual_time
async def test_too_many_paths_are_refused_by_name() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        with pytest.raises(InteractionError) as refused:
            await controller.read(session, *[(1, EVSE, 5)] * 65)
        assert refused.value.status == StatusCode.PATHS_EXHAUSTED


def reports_of(device: Bench, paths: list[tuple[int | None, int | None, int | None]]) -> int:
    """Return how many reports answer one request of an administrator for `paths`."""
    request = ReadRequest(tuple(Path(*path) for path in paths), (), 0, fabric_filtered=False, data_versions={})
    reports, _ = attribute_reports(device.node.tree, request, Accessor(AuthMode.PASE, 0))
    return len(reports)


@virtual_time
async def test_8192_reports_answer_one_request_and_no_more() -> None:
    five = [Endpoint(number, [DeviceType(0x0100, 3)], [Charger()]) for number in range(1, 6)]
    async with Bench(five) as device:
        left, fitting = 8192, list[tuple[int | None, int | None, int | None]]()
        for path in ((None, None, None), (0, None, None), (1, None, None), (1, EVSE, None), (1, EVSE, 5)):
            times, left = divmod(left, reports_of(device, [path]))
            fitting += [path] * times
        assert len(fitting) < 64, "another bound comes first"
        assert reports_of(device, fitting) == 8192
        with pytest.raises(MatterStatus, match="more than 8192 reports"):
            reports_of(device, [*fitting, (1, EVSE, 5)])


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00",
        tlv.encode({}),
        tlv.encode({0: "x", 3: True}),
        tlv.encode({0: [5], 3: True}),
        tlv.encode({0: [TLVList([(2, "x")])], 3: True}),
        tlv.encode({0: [TLVList([(2, uint(1 << 20))])], 3: True}),
        tlv.encode({0: [TLVList([(5, uint(3))])], 3: True}),
        tlv.encode({2: [{}], 3: True}),
        tlv.encode({4: [{0: TLVList([])}], 3: True}),
    ],
)
@pytest.mark.parametrize("opcode", [2, 3, 6, 8, 10])
def test_a_malformed_request_is_an_invalid_action(payload: bytes, opcode: int) -> None:
    @virtual_time
    async def run() -> tuple[int, int]:
        async with bench() as device:
            controller = await device.controller()
            session = await controller.pase(20202021)
            message = await controller.request(session, opcode, payload)
            return message.opcode, int(tlv.decode(message.payload)[0])

    assert run() == (1, StatusCode.INVALID_ACTION)


@pytest.mark.parametrize(("opcode", "status"), [(4, 0x80), (5, 0x7D), (7, 0x80), (9, 0x80), (0x77, 0x80)])
def test_an_opcode_that_opens_nothing_is_refused(opcode: int, status: int) -> None:
    @virtual_time
    async def run() -> int:
        async with bench() as device:
            controller = await device.controller()
            session = await controller.pase(20202021)
            message = await controller.request(session, opcode, tlv.encode({255: uint(12)}))
            return int(tlv.decode(message.payload)[0])

    assert run() == status
