"""Writes: the order of checks, values, lists in pieces, fabrics, and two writers at once."""

from __future__ import annotations

from typing import Any

import pytest
from chip.tlv import uint
from chip.tlv.tlvlist import TLVList

from evse_pi.matter.clusters.label import UserLabelServer
from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.identity.acl import AclEntry, Privilege
from evse_pi.matter.model.declaration import Attribute
from evse_pi.matter.model.endpoint import Endpoint
from evse_pi.matter.model.tree_interface import DeviceType
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.status_code import StatusCode
from tests.support.matter_bench import ADMIN_NODE_ID, Bench
from tests.support.matter_initiator import WRITE_REQUEST, InteractionError, attribute_path
from tests.support.model_bench import Charger
from tests.support.virtual_loop import virtual_time

EVSE, LABEL, BASIC, ACL, KEYS, COMMISSIONING = 0x99, 0x41, 0x28, 0x1F, 0x3F, 0x30
KIND = Charger.enable(attributes=("UserMaximumChargeCurrent", "RandomizationDelayWindow")).alter(
    randomization_delay_window={"access": "RW T VM", "constraint": "max 86400"}
)
USER_MAXIMUM, WINDOW = (1, EVSE, 9), (1, EVSE, 10)


class Picky(KIND):  # type: ignore[misc, valid-type]
    """Refuses odd currents, breaks on 13."""

    def write_user_maximum_charge_current(self, value: int) -> None:
        if value == 13:
            raise ZeroDivisionError
        self.state.user_maximum_charge_current = value


def bench() -> Bench:
    return Bench([Endpoint(1, [DeviceType(0x0100, 3)], [Picky(), UserLabelServer()])])


def label(number: int) -> dict[int, str]:
    return {0: f"label {number}", 1: "value"}


def item(path: tuple[int, int, int], value: Any, *, append: bool = False, version: int | None = None) -> dict[int, Any]:
    location = attribute_path(*path)
    if append:
        location.append(5, None)
    return {1: location, 2: value} | ({} if version is None else {0: uint(version)})


def request(*items: dict[int, Any], more: bool = False, timed: bool = False, suppress: bool = False) -> bytes:
    return tlv.encode({0: suppress, 1: timed, 2: list(items), 3: more, 255: uint(12)})


def statuses(message: Any) -> list[int]:
    assert message.opcode == 7, message
    return [int(answer[1][0]) for answer in tlv.decode(message.payload)[0]]


@virtual_time
async def test_the_first_check_that_fails_gives_the_status() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        answers = await controller.write(
            session,
            ((9, EVSE, 9), uint(1)),
            ((1, 0x1234, 9), uint(1)),
            ((1, EVSE, 0x1234), uint(1)),
            ((1, EVSE, 5), 1),
            ((1, EVSE, 0xFFFD), uint(1)),
            (WINDOW, uint(1)),
            (USER_MAXIMUM, "x"),
            (USER_MAXIMUM, -1),
            (USER_MAXIMUM, 6_000),
        )
        assert [status for _, status in answers] == [
            StatusCode.UNSUPPORTED_ENDPOINT,
            StatusCode.UNSUPPORTED_CLUSTER,
            StatusCode.UNSUPPORTED_ATTRIBUTE,
            StatusCode.UNSUPPORTED_WRITE,
            StatusCode.UNSUPPORTED_WRITE,
            StatusCode.NEEDS_TIMED_INTERACTION,
            StatusCode.INVALID_DATA_TYPE,
            StatusCode.CONSTRAINT_ERROR,
            StatusCode.SUCCESS,
        ]
        assert (await controller.read(session, USER_MAXIMUM)).attributes == {USER_MAXIMUM: 6_000}


@virtual_time
async def test_a_writer_needs_the_privilege() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        operate = AclEntry(Privilege.OPERATE, AuthMode.CASE, (ADMIN_NODE_ID,), None, 1)
        device.node.ownership.access_control.replace(1, [operate], Accessor(AuthMode.CASE, 1, ADMIN_NODE_ID))
        answers = await controller.write(session, (USER_MAXIMUM, 6_000), ((1, EVSE, 5), 1))
        assert [status for _, status in answers] == [StatusCode.UNSUPPORTED_ACCESS, StatusCode.UNSUPPORTED_WRITE]


@virtual_time
async def test_a_rule_that_breaks_is_a_failure_and_changes_nothing() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        assert await controller.write(session, (USER_MAXIMUM, 13)) == [(USER_MAXIMUM, StatusCode.FAILURE)]
        assert (await controller.read(session, USER_MAXIMUM)).attributes == {USER_MAXIMUM: 80_000}


@virtual_time
async def test_a_timed_attribute_is_written_timed() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        assert await controller.write(session, (WINDOW, uint(5)), timed_ms=500) == [(WINDOW, StatusCode.SUCCESS)]
        assert await controller.write(session, (WINDOW, uint(90_000)), timed_ms=500) == [
            (WINDOW, StatusCode.CONSTRAINT_ERROR)
        ]


@virtual_time
async def test_a_data_version_guards_against_a_change_in_between() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        version = (await controller.read(session, USER_MAXIMUM)).versions[1, EVSE]
        first = item(USER_MAXIMUM, 7_000, version=version)
        second = item(USER_MAXIMUM, 8_000, version=version)
        assert statuses(await controller.request(session, WRITE_REQUEST, request(first, second))) == [0, 0]
        late = statuses(await controller.request(session, WRITE_REQUEST, request(first)))
        assert late == [StatusCode.DATA_VERSION_MISMATCH]


@virtual_time
async def test_a_wildcard_cannot_be_written() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        for path in ((None, EVSE, 9), (1, None, 9), (1, EVSE, None)):
            with pytest.raises(InteractionError) as refused:
                await controller.write(session, (path, 1))
            assert refused.value.status == StatusCode.INVALID_ACTION


@virtual_time
async def test_a_list_is_replaced_or_grows_and_is_told_once() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        told: list[Any] = []
        device.node.tree.changes.on(lambda changed: told.append(changed) if changed.cluster == LABEL else None)
        path = (1, LABEL, 0)
        pieces = [item(path, []), *(item(path, label(number), append=True) for number in range(4))]
        assert statuses(await controller.request(session, WRITE_REQUEST, request(*pieces))) == [0] * 5
        assert len(told) == 1
        assert (await controller.read(session, path)).attributes[path] == [label(number) for number in range(4)]
        assert statuses(
            await controller.request(session, WRITE_REQUEST, request(item(path, label(9), append=True)))
        ) == [0]
        assert (await controller.read(session, path)).attributes[path][-1] == label(9)
        assert statuses(await controller.request(session, WRITE_REQUEST, request(item(path, [label(5)])))) == [0]
        assert (await controller.read(session, path)).attributes[path] == [label(5)]


@virtual_time
async def test_a_list_with_one_bad_entry_is_not_written_at_all() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        path = (1, LABEL, 0)
        bad = {0: "much too long a label", 1: "value"}
        pieces = [item(path, [label(1)]), item(path, bad, append=True), item(path, label(2), append=True)]
        found = statuses(await controller.request(session, WRITE_REQUEST, request(*pieces)))
        assert found == [0, StatusCode.CONSTRAINT_ERROR, StatusCode.CONSTRAINT_ERROR]
        assert (await controller.read(session, path)).attributes[path] == []


@virtual_time
async def test_a_list_that_is_refused_as_a_whole_is_refused_in_every_piece() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        path = (1, LABEL, 0)
        pieces = [item(path, []), *(item(path, label(number), append=True) for number in range(9))]
        found = statuses(await controller.request(session, WRITE_REQUEST, request(*pieces, item(USER_MAXIMUM, 6_001))))
        assert found == [StatusCode.RESOURCE_EXHAUSTED] * 10 + [StatusCode.SUCCESS]
        assert (await controller.read(session, path)).attributes[path] == []


@virtual_time
async def test_appending_to_what_is_no_list_is_a_wrong_type() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        answer = await controller.request(session, WRITE_REQUEST, request(item(USER_MAXIMUM, 1, append=True)))
        assert statuses(answer) == [StatusCode.INVALID_DATA_TYPE]
        answer = await controller.request(session, WRITE_REQUEST, request(item((1, LABEL, 0), 5)))
        assert statuses(answer) == [StatusCode.INVALID_DATA_TYPE]


@virtual_time
async def test_a_write_over_several_messages_is_one_change_and_a_second_writer_waits() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        path = (1, LABEL, 0)
        async with controller.stack.initiate(session, 1) as exchange:
            await exchange.send(WRITE_REQUEST, request(item(path, []), item(path, label(0), append=True), more=True))
            assert statuses(await exchange.receive()) == [0, 0]
            assert (await controller.read(session, path)).attributes[path] == []
            other = await controller.request(session, WRITE_REQUEST, request(item(path, [label(7)])))
            assert statuses(other) == [StatusCode.BUSY]
            await exchange.send(WRITE_REQUEST, request(item(path, label(1), append=True)))
            assert statuses(await exchange.receive()) == [0]
        assert (await controller.read(session, path)).attributes[path] == [label(0), label(1)]
        assert statuses(await controller.request(session, WRITE_REQUEST, request(item(path, [label(7)])))) == [0]


@virtual_time
async def test_a_write_that_breaks_off_changes_nothing_and_frees_the_list() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        path = (1, LABEL, 0)
        async with controller.stack.initiate(session, 1) as exchange:
            await exchange.send(WRITE_REQUEST, request(item(path, [label(0)]), more=True))
            await exchange.receive()
            await exchange.send(2, tlv.encode({3: True, 255: uint(12)}))
            answer = await exchange.receive()
            assert int(tlv.decode(answer.payload)[0]) == StatusCode.INVALID_ACTION
        assert (await controller.read(session, path)).attributes[path] == []
        assert statuses(await controller.request(session, WRITE_REQUEST, request(item(path, [label(7)])))) == [0]


@virtual_time
async def test_a_chunked_write_wants_its_responses_and_a_lone_one_may_do_without() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        answer = await controller.request(
            session, WRITE_REQUEST, request(item(USER_MAXIMUM, 1), more=True, suppress=True)
        )
        assert int(tlv.decode(answer.payload)[0]) == StatusCode.INVALID_ACTION
        async with controller.stack.initiate(session, 1) as exchange:
            await exchange.send(WRITE_REQUEST, request(item(USER_MAXIMUM, 6_500), suppress=True))
        assert (await controller.read(session, USER_MAXIMUM)).attributes[USER_MAXIMUM] == 6_500


@virtual_time
async def test_a_fabric_scoped_list_is_written_for_the_writers_fabric_whatever_it_says() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        mapping = {1: uint(0x10), 2: uint(0x1A3), 254: uint(77)}
        assert await controller.write(session, ((0, KEYS, 0), [mapping])) == [((0, KEYS, 0), StatusCode.SUCCESS)]
        found = (await controller.read(session, (0, KEYS, 0))).attributes[0, KEYS, 0]
        assert found == [{1: 0x10, 2: 0x1A3, 254: 1}]


@virtual_time
async def test_a_fabric_scoped_list_cannot_be_written_without_a_fabric() -> None:
    async with bench() as device:
        controller = await device.controller()
        session = await controller.pase(20202021)
        answers = await controller.write(session, ((0, ACL, 0), []), ((0, COMMISSIONING, 0), uint(4)))
        assert [status for _, status in answers] == [StatusCode.UNSUPPORTED_ACCESS, StatusCode.SUCCESS]


def acl_entry(privilege: int = 5, auth_mode: int = 2, subjects: Any = None) -> dict[int, Any]:
    return {1: uint(privilege), 2: uint(auth_mode), 3: subjects, 4: None}


@virtual_time
async def test_the_access_control_list_is_replaced_in_one_step_even_if_the_administrator_changes_place() -> None:
    async with bench() as device:
        controller, session = await device.commission()
        path = (0, ACL, 0)
        view = acl_entry(1, subjects=[uint(0xB0B)])
        mine = acl_entry(5, subjects=[uint(ADMIN_NODE_ID)])
        pieces = [item(path, []), item(path, view, append=True), item(path, mine, append=True)]
        assert statuses(await controller.request(session, WRITE_REQUEST, request(*pieces))) == [0, 0, 0]
        found = (await controller.read(session, path)).attributes[path]
        assert [entry[1] for entry in found] == [1, 5]
        bad = acl_entry(5, auth_mode=3, subjects=[uint(1)])
        refused = statuses(
            await controller.request(session, WRITE_REQUEST, request(item(path, []), item(path, bad, append=True)))
        )
        assert refused == [StatusCode.CONSTRAINT_ERROR] * 2
        assert (await controller.read(session, path)).attributes[path] == found


def test_only_whole_lists_and_new_entries_can_be_addressed() -> None:
    @virtual_time
    async def run() -> int:
        async with bench() as device:
            controller, session = await device.commission()
            path = TLVList([(2, uint(1)), (3, uint(LABEL)), (4, uint(0)), (5, uint(0))])
            answer = await controller.request(session, WRITE_REQUEST, request({1: path, 2: label(1)}))
            return int(tlv.decode(answer.payload)[0])

    assert run() == StatusCode.INVALID_ACTION
    assert Attribute("LabelList", "list", "RW VM").name == "LabelList"
