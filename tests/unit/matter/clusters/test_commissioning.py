"""Commissioning as a commissioner sees it: fail-safe, credentials, windows, and what a broken attempt leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from chip.tlv import uint

from evse_pi.matter.channel.secure_channel import SecureChannelCode
from evse_pi.matter.clusters.vendor_verification import data_to_sign
from evse_pi.matter.identity.certificate import MatterCertificate
from evse_pi.matter.identity.issuance import NocStatus
from evse_pi.matter.identity.signing import is_valid_signature
from evse_pi.matter.storage import MemoryStore
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.status_code import StatusCode
from tests.support.matter_authority import Authority
from tests.support.matter_bench import (
    ADMIN_NODE_ID,
    NODE_ID,
    PASSCODE,
    VERIFIER,
    Bench,
    add_fabric,
    requested_key,
)
from tests.support.matter_initiator import HandshakeError, InteractionError, Member
from tests.support.virtual_loop import virtual_time

GENERAL, CREDENTIALS, WINDOW, ACL, BASIC = 0x30, 0x3E, 0x3C, 0x1F, 0x28
OK, OUT_OF_RANGE, INVALID_AUTHENTICATION, NO_FAILSAFE, BUSY = range(5)
OTHER = Authority(0xFAB2, "other")


def open_window(timeout_s: int = 300, **changes: Any) -> dict[int, Any]:
    blob = VERIFIER.w0 + VERIFIER.l
    fields = {"verifier": blob, "discriminator": 0xABC, "iterations": 1000, "salt": b"SPAKE2P Key Salt"} | changes
    return {
        0: uint(timeout_s),
        1: fields["verifier"],
        2: uint(fields["discriminator"]),
        3: uint(fields["iterations"]),
        4: fields["salt"],
    }


@virtual_time
async def test_a_factory_fresh_node_waits_for_a_commissioner_for_fifteen_minutes() -> None:
    async with Bench() as device:
        assert device.discovery.window is not None
        assert (device.discovery.window.mode, device.discovery.window.discriminator) == (1, 3840)
        controller = await device.controller()
        session = await controller.pase(PASSCODE)
        status = await controller.read(session, (0, WINDOW, None))
        assert [status.attributes[0, WINDOW, number] for number in range(3)] == [0, None, None]
        await asyncio.sleep(901)
        assert device.discovery.window is None
        with pytest.raises(HandshakeError):
            await (await device.controller("late")).pase(PASSCODE)
        device.node.open_commissioning_window()
        await (await device.controller("later")).pase(PASSCODE)


@virtual_time
async def test_commissioning_ends_with_a_fabric_and_a_closed_door() -> None:
    async with Bench() as device:
        authority = Authority()
        controller, session = await device.commission(authority)
        report = await controller.read(session, (0, GENERAL, 0), (0, CREDENTIALS, None), (0, ACL, 0))
        assert report.attributes[0, GENERAL, 0] == 0
        assert report.attributes[0, CREDENTIALS, 3] == 1
        assert report.attributes[0, CREDENTIALS, 4] == [authority.root]
        assert report.attributes[0, CREDENTIALS, 5] == 1
        (fabric,) = report.attributes[0, CREDENTIALS, 1]
        assert (fabric[2], fabric[3], fabric[4], fabric[254]) == (0xFFF1, 0xFAB1, NODE_ID, 1)
        assert report.attributes[0, ACL, 0] == [{1: 5, 2: 2, 3: [ADMIN_NODE_ID], 4: None, 254: 1}]
        assert device.discovery.window is None
        assert [service.node_id for service in device.discovery.fabrics] == [NODE_ID]
        assert not device.node.stack.sessions.of_pase()


@virtual_time
async def test_the_operational_service_is_there_before_the_answer_to_add_noc() -> None:
    async with Bench() as device:
        controller = await device.controller()
        session = await controller.pase(PASSCODE)
        await add_fabric(controller, session, Authority())
        assert [service.node_id for service in device.discovery.fabrics] == [NODE_ID]
        report = await controller.read(session, (0, CREDENTIALS, 5))
        assert report.attributes[0, CREDENTIALS, 5] == 1


@virtual_time
async def test_what_is_not_completed_in_time_is_taken_back() -> None:
    async with Bench() as device:
        controller = await device.controller()
        session = await controller.pase(PASSCODE)
        await add_fabric(controller, session, Authority())
        mapping = {1: uint(5), 2: uint(0x1A3)}
        assert (await controller.write(session, ((0, 0x3F, 0), [mapping])))[0][1] == StatusCode.SUCCESS
        await asyncio.sleep(61)
        ownership = device.node.ownership
        assert not list(ownership.fabrics)
        assert not ownership.failsafe.is_armed
        assert device.discovery.fabrics == []
        assert not device.node.stack.sessions.of_pase()
        assert [key for key in device.store.keys("") if key.startswith("fabric/")] == []
        assert device.node.tree.root.servers[0x3F].state.group_key_map == ()
        assert device.discovery.window is not None
        await device.commission(name="second attempt")


@virtual_time
async def test_a_node_killed_in_the_middle_forgets_it_at_the_next_start() -> None:
    store = MemoryStore()
    device = Bench(store=store)
    await device.node.start()
    controller = await device.controller()
    session = await controller.pase(PASSCODE)
    await add_fabric(controller, session, Authority())
    mapping = {1: uint(5), 2: uint(0x1A3)}
    await controller.write(session, ((0, 0x3F, 0), [mapping]))
    survived = MemoryStore({key: store.get(key) or b"" for key in store.keys("")})
    async with Bench(store=survived) as again:
        assert not list(again.node.ownership.fabrics)
        assert again.node.tree.root.servers[0x3F].state.group_key_map == ()
        assert again.discovery.window is not None
        await again.commission()
    await device.__aexit__()


@virtual_time
async def test_a_commissioned_node_comes_back_as_it_was() -> None:
    store = MemoryStore()
    async with Bench(store=store) as device:
        controller, session = await device.commission()
        await controller.write(session, ((0, BASIC, 5), "garage"))
        identity = (await controller.read(session, (0, BASIC, 18), (0, 0x33, 1))).attributes
    async with Bench(store=store) as device:
        assert device.discovery.window is None
        assert [service.node_id for service in device.discovery.fabrics] == [NODE_ID]
        controller = await device.controller()
        session = await controller.case(Member.of(Authority(), ADMIN_NODE_ID, controller.entropy), NODE_ID)
        report = await controller.read(session, (0, BASIC, 5), (0, BASIC, 18), (0, 0x33, 1))
        assert report.attributes[0, BASIC, 5] == "garage"
        assert report.attributes[0, BASIC, 18] == identity[0, BASIC, 18]
        assert report.attributes[0, 0x33, 1] == identity[0, 0x33, 1] + 1


@virtual_time
async def test_the_fail_safe_can_be_given_up_by_who_armed_it_after_the_answer() -> None:
    async with Bench() as device:
        controller = await device.controller()
        session = await controller.pase(PASSCODE)
        await add_fabric(controller, session, Authority())
        answer = await controller.invoke(session, 0, GENERAL, 0, {0: uint(0), 1: uint(9)})
        assert answer.fields[0] == OK
        await asyncio.sleep(1)
        assert not list(device.node.ownership.fabrics)
        assert not device.node.stack.sessions.of_pase()


@virtual_time
async def test_two_do_not_hold_the_fail_safe() -> None:
    async with Bench() as device:
        controller, session = await device.commission()
        device.node.open_commissioning_window()
        refused = await controller.invoke(session, 0, GENERAL, 0, {0: uint(60), 1: uint(1)})
        assert refused.fields[0] == BUSY
        other = await device.controller("other")
        pase = await other.pase(PASSCODE)
        refused = await controller.invoke(session, 0, GENERAL, 0, {0: uint(60), 1: uint(1)})
        assert refused.fields[0] == BUSY
        await add_fabric(other, pase, OTHER)
        complete = await controller.invoke(session, 0, GENERAL, 4)
        assert complete.fields[0] == INVALID_AUTHENTICATION
        assert (
            await controller.invoke(session, 0, CREDENTIALS, 4, {0: bytes(32)})
        ).status == StatusCode.FAILSAFE_REQUIRED


@virtual_time
async def test_commissioning_is_completed_over_case_only() -> None:
    async with Bench() as device:
        controller = await device.controller()
        session = await controller.pase(PASSCODE)
        assert (await controller.invoke(session, 0, GENERAL, 4)).status == StatusCode.UNSUPPORTED_ACCESS
        await add_fabric(controller, session, Authority())
        assert (await controller.invoke(session, 0, GENERAL, 4)).fields[0] == INVALID_AUTHENTICATION
        case = await controller.case(Member.of(Authority(), ADMIN_NODE_ID, controller.entropy), NODE_ID)
        assert (await controller.invoke(case, 0, GENERAL, 4)).fields[0] == OK
        assert (await controller.invoke(case, 0, GENERAL, 4)).fields[0] == NO_FAILSAFE


@virtual_time
async def test_the_regulatory_place_is_checked_and_kept() -> None:
    async with Bench() as device:
        controller, session = await device.commission()
        bad = await controller.invoke(session, 0, GENERAL, 2, {0: uint(0), 1: "DEU", 2: uint(1)})
        assert bad.fields[0] == OUT_OF_RANGE
        good = await controller.invoke(session, 0, GENERAL, 2, {0: uint(1), 1: "DE", 2: uint(7)})
        assert good.fields[0] == OK
        report = await controller.read(session, (0, GENERAL, 0), (0, GENERAL, 2), (0, BASIC, 6))
        assert list(report.attributes.values()) == [7, 1, "DE"]
        wrong = await controller.invoke(session, 0, GENERAL, 2, {0: uint(9), 1: "DE", 2: uint(7)})
        assert wrong.fields[0] == OUT_OF_RANGE


@virtual_time
async def test_attestation_is_signed_over_the_sessions_challenge() -> None:
    async with Bench() as device:
        from cryptography.x509 import load_der_x509_certificate

        controller = await device.controller()
        session = await controller.pase(PASSCODE)
        nonce = bytes(range(32))
        dac, pai = [(await controller.invoke(session, 0, CREDENTIALS, 2, {0: uint(kind)})).fields[0] for kind in (1, 2)]
        load_der_x509_certificate(dac).verify_directly_issued_by(load_der_x509_certificate(pai))
        answer = await controller.invoke(session, 0, CREDENTIALS, 0, {0: nonce})
        elements = tlv.decode(answer.fields[0])
        assert elements[2] == nonce
        key = load_der_x509_certificate(dac).public_key().public_numbers()  # type: ignore[union-attr]
        public = b"\x04" + key.x.to_bytes(32, "big") + key.y.to_bytes(32, "big")  # type: ignore[union-attr]
        assert is_valid_signature(public, answer.fields[0] + session.attestation_challenge, answer.fields[1])
        assert not is_valid_signature(public, answer.fields[0] + bytes(16), answer.fields[1])
        for command, fields, status in (
            (0, {0: bytes(31)}, StatusCode.INVALID_COMMAND),
            (4, {0: bytes(33)}, StatusCode.INVALID_COMMAND),
            (2, {0: uint(3)}, StatusCode.INVALID_COMMAND),
        ):
            assert (await controller.invoke(session, 0, CREDENTIALS, command, fields)).status == status


@virtual_time
async def test_add_noc_refuses_what_is_out_of_order_or_wrong() -> None:
    async with Bench() as device:
        controller = await device.controller()
        session = await controller.pase(PASSCODE)
        authority = Authority()
        noc = authority.issue(NODE_ID, authority.root_key.public_key)
        fields = {0: noc, 2: authority.ipk, 3: uint(ADMIN_NODE_ID), 4: uint(0xFFF1)}

        async def add(**changes: Any) -> Any:
            given = {**fields, **{int(key[1:]): value for key, value in changes.items()}}
            answer = await controller.invoke(session, 0, CREDENTIALS, 6, given)
            return answer.fields[0] if answer.command else StatusCode(answer.status)

        assert await add() == NocStatus.MISSING_CSR
        key = await requested_key(controller, session)
        assert await add() == NocStatus.INVALID_NOC
        assert (
            await controller.invoke(session, 0, CREDENTIALS, 11, {0: b"no certificate"})
        ).status == StatusCode.INVALID_COMMAND
        assert (await controller.invoke(session, 0, CREDENTIALS, 11, {0: authority.root})).status == StatusCode.SUCCESS
        roots = await controller.read(session, (0, CREDENTIALS, 4))
        assert roots.attributes[0, CREDENTIALS, 4] == [authority.root]
        again = await controller.invoke(session, 0, CREDENTIALS, 11, {0: authority.root})
        assert again.status == StatusCode.CONSTRAINT_ERROR
        assert await add() == NocStatus.INVALID_PUBLIC_KEY
        good = authority.issue(NODE_ID, key)
        assert await add(_0=good, _3=uint(0)) == NocStatus.INVALID_ADMIN_SUBJECT
        assert await add(_0=good, _2=bytes(15)) == StatusCode.INVALID_COMMAND
        assert await add(_0=good) == NocStatus.OK
        assert await add(_0=good) == StatusCode.CONSTRAINT_ERROR


@virtual_time
async def test_an_administrator_lets_another_one_in() -> None:
    async with Bench() as device:
        controller, session = await device.commission()
        opened = await controller.invoke(session, 0, WINDOW, 0, open_window(), timed_ms=1000)
        assert opened.status == StatusCode.SUCCESS
        state = (await controller.read(session, (0, WINDOW, None))).attributes
        assert [state[0, WINDOW, number] for number in range(3)] == [1, 1, 0xFFF1]
        assert device.discovery.window is not None
        assert (device.discovery.window.mode, device.discovery.window.discriminator) == (2, 0xABC)
        other, other_session = await device.commission(OTHER, name="other")
        assert (await other.read(other_session, (0, CREDENTIALS, 5))).attributes[0, CREDENTIALS, 5] == 2
        state = (await controller.read(session, (0, WINDOW, None))).attributes
        assert [state[0, WINDOW, number] for number in range(3)] == [0, None, None]


@pytest.mark.parametrize(
    ("fields", "status", "cluster_status"),
    [
        (open_window(179), StatusCode.INVALID_COMMAND, None),
        (open_window(901), StatusCode.INVALID_COMMAND, None),
        (open_window(verifier=bytes(96)), StatusCode.FAILURE, 3),
        (open_window(verifier=bytes(97)), StatusCode.FAILURE, 3),
        (open_window(iterations=999), StatusCode.FAILURE, 3),
        (open_window(iterations=100_001), StatusCode.FAILURE, 3),
        (open_window(salt=bytes(15)), StatusCode.FAILURE, 3),
        (open_window(salt=bytes(33)), StatusCode.FAILURE, 3),
        (open_window(discriminator=4096), StatusCode.FAILURE, 3),
    ],
)
def test_a_window_is_not_opened_with_bad_parameters(fields: Any, status: int, cluster_status: int | None) -> None:
    @virtual_time
    async def run() -> Any:
        async with Bench() as device:
            controller, session = await device.commission()
            answer = await controller.invoke(session, 0, WINDOW, 0, fields, timed_ms=1000)
            assert device.discovery.window is None
            return answer.status, answer.cluster_status

    assert run() == (status, cluster_status)


@virtual_time
async def test_windows_are_timed_exclusive_and_can_be_revoked() -> None:
    async with Bench() as device:
        controller, session = await device.commission()

        async def call(command: int, fields: Any = None, timed_ms: int | None = 1000) -> Any:
            answer = await controller.invoke(session, 0, WINDOW, command, fields, timed_ms=timed_ms)
            return answer.status, answer.cluster_status

        assert await call(0, open_window(), None) == (StatusCode.NEEDS_TIMED_INTERACTION, None)
        assert await call(2) == (StatusCode.FAILURE, 4)
        assert await call(0, open_window(180)) == (StatusCode.SUCCESS, None)
        assert await call(0, open_window()) == (StatusCode.FAILURE, 2)
        assert await call(2) == (StatusCode.SUCCESS, None)
        assert device.discovery.window is None
        assert await call(0, open_window(180)) == (StatusCode.SUCCESS, None)
        await asyncio.sleep(181)
        assert device.discovery.window is None
        armed = await controller.invoke(session, 0, GENERAL, 0, {0: uint(60), 1: uint(1)})
        assert armed.fields[0] == OK
        assert await call(0, open_window()) == (StatusCode.FAILURE, 2)


@virtual_time
async def test_revoking_takes_back_what_was_begun_behind_the_window() -> None:
    async with Bench() as device:
        controller, session = await device.commission()
        await controller.invoke(session, 0, WINDOW, 0, open_window(), timed_ms=1000)
        other = await device.controller("other")
        pase = await other.pase(PASSCODE)
        await add_fabric(other, pase, OTHER)
        revoked = await controller.invoke(session, 0, WINDOW, 2, timed_ms=1000)
        assert revoked.status == StatusCode.SUCCESS
        assert [fabric.index for fabric in device.node.ownership.fabrics] == [1]
        assert not device.node.stack.sessions.of_pase()


@virtual_time
async def test_twenty_wrong_passcodes_close_the_window() -> None:
    async with Bench() as device:
        controller = await device.controller()
        for _ in range(20):
            with pytest.raises(HandshakeError) as refused:
                await controller.pase(12_341_234)
            assert refused.value.report.protocol_code == SecureChannelCode.INVALID_PARAMETER
        assert device.discovery.window is None
        with pytest.raises(HandshakeError):
            await controller.pase(PASSCODE)


@virtual_time
async def test_a_new_certificate_keeps_the_session_that_brought_it_and_ends_the_others() -> None:
    async with Bench() as device:
        controller, first = await device.commission()
        authority = Authority()
        session = await controller.case(Member.of(authority, ADMIN_NODE_ID, controller.entropy), NODE_ID)
        await controller.invoke(session, 0, GENERAL, 0, {0: uint(60), 1: uint(1)})
        key = await requested_key(controller, session, for_update=True)
        answer = await controller.invoke(session, 0, CREDENTIALS, 7, {0: authority.issue(0x0E0F, key)})
        assert answer.fields[0] == NocStatus.OK
        assert [service.node_id for service in device.discovery.fabrics] == [0x0E0F]
        assert len(device.node.stack.sessions.of_fabric(1)) == 1
        again = await controller.case(Member.of(authority, ADMIN_NODE_ID, controller.entropy), 0x0E0F, resume=False)
        assert (await controller.invoke(again, 0, GENERAL, 4)).fields[0] == OK
        assert first is not session


@virtual_time
async def test_an_update_that_is_not_completed_is_taken_back() -> None:
    async with Bench() as device:
        controller, session = await device.commission()
        await controller.invoke(session, 0, GENERAL, 0, {0: uint(60), 1: uint(1)})
        key = await requested_key(controller, session, for_update=True)
        await controller.invoke(session, 0, CREDENTIALS, 7, {0: Authority().issue(0x0E0F, key)})
        await asyncio.sleep(61)
        assert [service.node_id for service in device.discovery.fabrics] == [NODE_ID]
        assert [fabric.node_id for fabric in device.node.ownership.fabrics] == [NODE_ID]


@virtual_time
async def test_labels_of_fabrics_do_not_collide() -> None:
    async with Bench() as device:
        controller, session = await device.commission()
        device.node.open_commissioning_window()
        other, other_session = await device.commission(OTHER, name="other")

        async def name(who: Any, where: Any, label: str) -> Any:
            answer = await who.invoke(where, 0, CREDENTIALS, 9, {0: label})
            return answer.fields.get(0, answer.status)

        assert await name(controller, session, "home") == NocStatus.OK
        assert await name(other, other_session, "home") == NocStatus.LABEL_CONFLICT
        assert await name(controller, session, "home") == NocStatus.OK
        assert await name(other, other_session, "x" * 33) == StatusCode.CONSTRAINT_ERROR


@virtual_time
async def test_a_fabric_that_is_removed_leaves_nothing() -> None:
    async with Bench() as device:
        controller, session = await device.commission()
        device.node.open_commissioning_window()
        other, other_session = await device.commission(OTHER, name="other")
        unknown = await controller.invoke(session, 0, CREDENTIALS, 10, {0: uint(9)})
        assert unknown.fields[0] == NocStatus.INVALID_FABRIC_INDEX
        gone = await other.invoke(other_session, 0, CREDENTIALS, 10, {0: uint(2)})
        assert gone.fields[0] == NocStatus.OK
        await asyncio.sleep(1)
        assert not device.node.stack.sessions.of_fabric(2)
        assert not [key for key in device.store.keys("") if key.startswith("fabric/2/")]
        assert [service.node_id for service in device.discovery.fabrics] == [NODE_ID]
        events = await controller.read(session, events=[(0, BASIC, 2)])
        assert [event[7] for event in events.events] == [{0: 2}]
        assert (await controller.read(session, (0, CREDENTIALS, 3))).attributes[0, CREDENTIALS, 3] == 1


@virtual_time
async def test_leaving_the_last_fabric_is_a_factory_reset() -> None:
    async with Bench() as device:
        controller, session = await device.commission()
        await controller.write(session, ((0, BASIC, 5), "garage"))
        unique = (await controller.read(session, (0, BASIC, 18))).attributes[0, BASIC, 18]
        gone = await controller.invoke(session, 0, CREDENTIALS, 10, {0: uint(1)})
        assert gone.fields[0] == NocStatus.OK
        await asyncio.sleep(1)
        assert not list(device.node.stack.sessions)
        assert device.discovery.window is not None
        assert device.discovery.fabrics == []
        controller, session = await device.commission(OTHER, name="new owner")
        report = await controller.read(session, (0, BASIC, 5), (0, BASIC, 18))
        assert report.attributes[0, BASIC, 5] == ""
        assert report.attributes[0, BASIC, 18] != unique


@virtual_time
async def test_a_node_proves_its_fabrics_vendor() -> None:
    async with Bench() as device:
        controller, session = await device.commission()

        async def declare(fields: Any) -> int:
            return (await controller.invoke(session, 0, CREDENTIALS, 12, fields)).status

        assert await declare({}) == StatusCode.INVALID_COMMAND
        assert await declare({0: uint(0)}) == StatusCode.CONSTRAINT_ERROR
        assert await declare({1: bytes(84)}) == StatusCode.CONSTRAINT_ERROR
        assert await declare({0: uint(0xFFF2), 1: bytes(85), 2: b"signer"}) == StatusCode.SUCCESS
        report = await controller.read(session, (0, CREDENTIALS, 0), (0, CREDENTIALS, 1))
        assert report.attributes[0, CREDENTIALS, 1][0][6] == bytes(85)
        assert report.attributes[0, CREDENTIALS, 1][0][2] == 0xFFF2
        assert report.attributes[0, CREDENTIALS, 0][0][3] == b"signer"
        challenge = bytes(range(32))
        answer = await controller.invoke(session, 0, CREDENTIALS, 13, {0: uint(1), 1: challenge})
        (fabric,) = device.node.ownership.fabrics
        signed = data_to_sign(fabric, challenge, session.attestation_challenge, bytes(85))
        assert is_valid_signature(MatterCertificate.decode(fabric.noc).public_key, signed, answer.fields[2])
        unknown = await controller.invoke(session, 0, CREDENTIALS, 13, {0: uint(7), 1: challenge})
        assert unknown.status == StatusCode.CONSTRAINT_ERROR
        assert await declare({1: b"", 2: b""}) == StatusCode.SUCCESS
        assert 6 not in (await controller.read(session, (0, CREDENTIALS, 1))).attributes[0, CREDENTIALS, 1][0]


@virtual_time
async def test_a_stopped_node_says_goodbye() -> None:
    device = Bench()
    async with device:
        controller, session = await device.commission()
        subscription = await controller.subscribe(session, events=[(0, BASIC, 1)])
        await asyncio.sleep(1)
        await device.node.stop()
        assert device.discovery.window is None
        assert not device.discovery.running
        await asyncio.sleep(0.1)
        assert not list(controller.stack.sessions)[1:]
        assert subscription.reports.empty()


@virtual_time
async def test_an_urgent_subscriber_receives_the_shutdown() -> None:
    from tests.support.matter_initiator import event_path

    device = Bench()
    async with device:
        controller, session = await device.commission()
        subscription = await controller.subscribe(session, events=[event_path(0, BASIC, 1, urgent=True)])
        await asyncio.sleep(1)
        await device.node.stop()
        report = subscription.reports.get_nowait()
        assert [dict(iter(event[0]))[3] for event in report.events] == [1]


@virtual_time
async def test_more_fabrics_than_fit_are_refused() -> None:
    async with Bench() as device:
        assert device.node.ownership.fabrics.capacity >= 5
        for number in range(device.node.ownership.fabrics.capacity):
            device.node.open_commissioning_window()
            await device.commission(Authority(0x1000 + number, f"home {number}"), name=f"controller {number}")
        device.node.open_commissioning_window()
        controller = await device.controller("one too many")
        session = await controller.pase(PASSCODE)
        with pytest.raises(AssertionError) as refused:
            await add_fabric(controller, session, OTHER)
        assert f"fields={{0: {int(NocStatus.TABLE_FULL)}" in str(refused.value)


def test_interaction_errors_name_their_status() -> None:
    assert "0x89" in str(InteractionError(1, StatusCode.RESOURCE_EXHAUSTED))
