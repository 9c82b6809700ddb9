from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.matter.channel import pase, spake2p
from evse_pi.matter.channel.crypto import GROUP_ORDER
from evse_pi.matter.channel.pase import PaseVerifier
from evse_pi.matter.channel.secure_channel import INVALID_PARAMETER, SecureChannelOpcode, busy
from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.message import PROTOCOL_SECURE_CHANNEL, MessageHeader, ProtocolHeader
from evse_pi.matter.wire.status_code import DecodeError
from evse_pi.matter.wire.tlv import uint
from tests.support.channel_device import PASSCODE, VERIFIER, ChannelDevice
from tests.support.datagram_pipe import Network, Sent
from tests.support.matter_authority import CountingEntropy
from tests.support.matter_initiator import HandshakeError, MatterInitiator
from tests.support.virtual_loop import virtual_time

if TYPE_CHECKING:
    from evse_pi.matter.channel.exchange import Exchange, Message

WRONG_PASSCODE = 20202022
REQUEST_FIELDS: dict[int, Any] = {1: bytes(32), 2: uint(7), 3: uint(0), 4: False}


def device_of(network: Network) -> ChannelDevice:
    device = ChannelDevice(network.endpoint("device"))
    device.pase.open(VERIFIER)
    return device


def client_of(network: Network, name: str = "client") -> MatterInitiator:
    return MatterInitiator(network.endpoint(name), "device", entropy=CountingEntropy(name))


async def refusal(client: MatterInitiator, passcode: int = PASSCODE) -> object:
    with pytest.raises(HandshakeError) as refused:
        await client.pase(passcode)
    return refused.value.report


def open_handshake(client: MatterInitiator) -> Exchange:
    return client.stack.initiate(client.handshake_session(), PROTOCOL_SECURE_CHANNEL)


async def ask(exchange: Exchange, opcode: SecureChannelOpcode, fields: dict[int, Any]) -> Message:
    await exchange.send(opcode, tlv.encode(fields))
    return await exchange.receive()


@virtual_time
async def test_both_sides_share_keys_after_the_right_passcode() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        session = await client.pase(PASSCODE)
        (established,) = device.established
        assert established.accessor == Accessor(AuthMode.PASE)
        assert established.attestation_challenge == session.attestation_challenge
        assert device.stack.sessions.of_pase() == [established]
        assert (await client.request(session, 2, b"hello")).payload == b"hello"


@virtual_time
async def test_a_commissioner_that_knows_salt_and_iterations_is_not_told_them() -> None:
    network = Network()
    async with device_of(network), client_of(network) as client:
        session = await client.pase(PASSCODE, known=(VERIFIER.iterations, VERIFIER.salt))
        assert (await client.request(session, 2, b"hello")).payload == b"hello"
        assert not any(VERIFIER.salt in sent.datagram for sent in network.sent)


@virtual_time
async def test_a_wrong_passcode_is_refused_and_leaves_no_session() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        assert await refusal(client, WRONG_PASSCODE) == INVALID_PARAMETER
        assert len(device.stack.sessions) == 0
        assert device.established == []
        assert (await client.pase(PASSCODE)).is_secure


@virtual_time
async def test_pase_is_refused_while_no_window_is_open() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        device.pase.close()
        assert await refusal(client) == INVALID_PARAMETER


@virtual_time
async def test_a_window_that_closes_during_the_handshake_fails_it() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:

        def close_at_pake3(sent: Sent) -> bool:
            if opcode_of(sent) == SecureChannelOpcode.PAKE3:
                device.pase.close()
            return True

        network.passes = close_at_pake3
        assert await refusal(client) == INVALID_PARAMETER
        assert len(device.stack.sessions) == 0


def opcode_of(sent: Sent) -> int:
    _, offset = MessageHeader.decode(sent.datagram)
    return ProtocolHeader.decode(sent.datagram[offset:])[0].opcode


@virtual_time
async def test_twenty_guesses_close_the_window_and_the_listener_is_notified_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        closed: list[bool] = []
        device.pase.on_guessing_limit(lambda: closed.append(device.pase.is_open))
        for number in range(20):
            assert device.pase.is_open, number
            await refusal(client, WRONG_PASSCODE)
            await asyncio.sleep(1)
        assert not device.pase.is_open
        assert closed == [False]
        assert await refusal(client) == INVALID_PARAMETER
        assert closed == [False]


@virtual_time
async def test_a_guess_counts_even_if_the_guesser_leaves_once_it_has_seen_our_confirmation() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        for _ in range(20):
            async with open_handshake(client) as exchange:
                await ask(exchange, SecureChannelOpcode.PBKDF_PARAM_REQUEST, REQUEST_FIELDS)
                share = spake2p.encode_point(spake2p.generator())
                assert (await ask(exchange, SecureChannelOpcode.PAKE1, {1: share})).opcode == SecureChannelOpcode.PAKE2
            await asyncio.sleep(20)
        assert not device.pase.is_open


@virtual_time
async def test_handshakes_that_reveal_nothing_do_not_close_the_window() -> None:
    network = Network()
    async with device_of(network), client_of(network) as client:
        for _ in range(25):
            async with open_handshake(client) as exchange:
                await ask(exchange, SecureChannelOpcode.PBKDF_PARAM_REQUEST, REQUEST_FIELDS)
                assert (
                    await ask(exchange, SecureChannelOpcode.PAKE1, {1: bytes(65)})
                ).opcode == SecureChannelOpcode.STATUS_REPORT
            await asyncio.sleep(1)
        assert (await client.pase(PASSCODE)).is_secure


@virtual_time
async def test_opening_a_window_again_forgets_the_guesses_of_the_last() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        for _ in range(19):
            await refusal(client, WRONG_PASSCODE)
        device.pase.open(VERIFIER)
        await refusal(client, WRONG_PASSCODE)
        assert device.pase.is_open


@virtual_time
async def test_who_knows_the_passcode_clears_the_guesses() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        for _ in range(2):
            for _ in range(19):
                await refusal(client, WRONG_PASSCODE)
            await client.pase(PASSCODE)
            device.stack.sessions.close(device.established[-1], notify=True)
        assert device.pase.is_open


@virtual_time
async def test_a_host_has_one_handshake_at_a_time_and_all_wait_during_a_session() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as first, client_of(network, "second") as second:
        async with open_handshake(first) as exchange:
            await ask(exchange, SecureChannelOpcode.PBKDF_PARAM_REQUEST, REQUEST_FIELDS)
            await ask(exchange, SecureChannelOpcode.PAKE1, {1: spake2p.encode_point(spake2p.generator())})
            assert await refusal(first) == busy(pase.BUSY_WAIT_MS)
        await asyncio.sleep(20)
        await first.pase(PASSCODE)
        async with open_handshake(second) as exchange:
            answer = await ask(exchange, SecureChannelOpcode.PBKDF_PARAM_REQUEST, REQUEST_FIELDS)
            assert answer.payload == busy(pase.BUSY_WAIT_MS).encode()
        device.stack.sessions.close(device.established[0], notify=True)
        assert (await second.pase(PASSCODE)).is_secure


@virtual_time
async def test_who_guesses_without_a_pause_keeps_no_commissioner_at_another_host_out() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network, "thief") as thief, client_of(network) as owner:

        async def guess() -> None:
            for wrong in range(pase.MAX_GUESSES - 1):
                async with open_handshake(thief) as exchange:
                    opened = await ask(exchange, SecureChannelOpcode.PBKDF_PARAM_REQUEST, REQUEST_FIELDS)
                    if opened.opcode == SecureChannelOpcode.PBKDF_PARAM_RESPONSE:
                        share = {1: spake2p.encode_point(spake2p.generator())}
                        await ask(exchange, SecureChannelOpcode.PAKE1, share)
                        await asyncio.sleep(5)  # as long as it may think
                        await ask(exchange, SecureChannelOpcode.PAKE3, {1: bytes((wrong,)) * 32})

        guessing = asyncio.ensure_future(guess())
        for _ in range(10):
            await asyncio.sleep(3)
            assert (await owner.pase(PASSCODE)).is_secure
            device.stack.sessions.close(device.established[-1], notify=False)
        assert not guessing.done()
        guessing.cancel()


@virtual_time
async def test_openers_that_are_answered_and_go_no_further_leave_room_for_another_host() -> None:
    network = Network()
    async with device_of(network), client_of(network, "thief") as thief, client_of(network) as owner:
        for _ in range(16):
            await ask(open_handshake(thief), SecureChannelOpcode.PBKDF_PARAM_REQUEST, REQUEST_FIELDS)
        assert (await owner.pase(PASSCODE)).is_secure


@virtual_time
async def test_three_hosts_try_at_once_and_a_fourth_is_told_to_wait() -> None:
    """The figures of docs/SECURITY.md: three handshakes, one a host."""
    network = Network()
    share = {1: spake2p.encode_point(spake2p.generator())}
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(device_of(network))
        answers = []
        for number in range(4):
            client = await stack.enter_async_context(client_of(network, f"host {number}"))
            exchange = await stack.enter_async_context(open_handshake(client))
            await ask(exchange, SecureChannelOpcode.PBKDF_PARAM_REQUEST, REQUEST_FIELDS)
            answers.append(await ask(exchange, SecureChannelOpcode.PAKE1, share))
        assert [answer.opcode == SecureChannelOpcode.PAKE2 for answer in answers] == [True, True, True, False]
        assert answers[3].payload == busy(pase.BUSY_WAIT_MS).encode()


@virtual_time
async def test_of_two_handshakes_in_step_the_second_is_told_to_wait() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        share = {1: spake2p.encode_point(spake2p.generator())}
        async with open_handshake(client) as first, open_handshake(client) as second:
            for exchange in (first, second):
                assert (
                    await ask(exchange, SecureChannelOpcode.PBKDF_PARAM_REQUEST, REQUEST_FIELDS)
                ).opcode != SecureChannelOpcode.STATUS_REPORT
            assert (await ask(first, SecureChannelOpcode.PAKE1, share)).opcode == SecureChannelOpcode.PAKE2
            assert (await ask(second, SecureChannelOpcode.PAKE1, share)).payload == busy(pase.BUSY_WAIT_MS).encode()
        assert device.pase._guesses == 1


@virtual_time
async def test_forged_openers_lock_out_no_commissioner() -> None:
    """They are whole and valid, but their sender never sees an answer."""
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        forger = client_of(network, "forger")
        for _ in range(48):
            async with forger:
                open_handshake(forger).post(SecureChannelOpcode.PBKDF_PARAM_REQUEST, tlv.encode(REQUEST_FIELDS))
                await asyncio.sleep(0.0005)
        assert len(device.stack.unsecured) == 4
        started = asyncio.get_running_loop().time()
        assert (await client.pase(PASSCODE)).is_secure
        assert asyncio.get_running_loop().time() - started < 0.1
        await asyncio.sleep(30)
        assert device.stack.exchange_count == 0
        assert device.stack.sessions._reserved == set()


@virtual_time
async def test_a_handshake_that_has_begun_outlives_any_number_of_forged_openers() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client, open_handshake(client) as exchange:
        await ask(exchange, SecureChannelOpcode.PBKDF_PARAM_REQUEST, REQUEST_FIELDS)
        await asyncio.sleep(0.5)
        for number in range(48):
            forged = (
                MessageHeader(0, 1, source_node_id=1000 + number).encode()
                + ProtocolHeader(
                    is_initiator=True,
                    opcode=SecureChannelOpcode.PBKDF_PARAM_REQUEST,
                    exchange_id=1,
                    protocol_id=0,
                    needs_ack=True,
                ).encode()
            )
            device.stack.receive(forged + tlv.encode(REQUEST_FIELDS), "nobody")
            await asyncio.sleep(0.001)
        share = {1: spake2p.encode_point(spake2p.generator())}
        assert (await ask(exchange, SecureChannelOpcode.PAKE1, share)).opcode == SecureChannelOpcode.PAKE2


@virtual_time
async def test_a_silent_commissioner_is_given_up_and_the_next_one_served() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        exchange = open_handshake(client)
        await ask(exchange, SecureChannelOpcode.PBKDF_PARAM_REQUEST, REQUEST_FIELDS)
        await ask(exchange, SecureChannelOpcode.PAKE1, {1: spake2p.encode_point(spake2p.generator())})
        await exchange.close()
        assert await refusal(client) == busy(pase.BUSY_WAIT_MS)
        await asyncio.sleep(16)
        assert (await client.pase(PASSCODE)).is_secure
        assert device.stack.sessions._reserved == set()


@virtual_time
async def test_a_commissioner_that_dawdles_is_aborted_after_20_seconds() -> None:
    """Its retransmission parameters say that it may sleep for an hour, so MRP alone would wait for it."""
    network = Network()
    async with device_of(network), client_of(network) as client:
        async with open_handshake(client) as exchange:
            sleepy = {1: uint(3_600_000), 2: uint(3_600_000)}
            await ask(exchange, SecureChannelOpcode.PBKDF_PARAM_REQUEST, {**REQUEST_FIELDS, 5: sleepy})
            exchange.post(SecureChannelOpcode.PAKE1, tlv.encode({1: spake2p.encode_point(spake2p.generator())}))
            await asyncio.sleep(0.0005)
            network.detach("client")
        await asyncio.sleep(19)
        network.attach("client", client.stack.receive)
        assert await refusal(client) == busy(pase.BUSY_WAIT_MS)
        await asyncio.sleep(2)
        assert (await client.pase(PASSCODE)).is_secure


@virtual_time
async def test_a_status_report_of_the_commissioner_ends_the_handshake_without_an_answer() -> None:
    network = Network()
    async with device_of(network), client_of(network) as client:
        async with open_handshake(client) as exchange:
            await ask(exchange, SecureChannelOpcode.PBKDF_PARAM_REQUEST, REQUEST_FIELDS)
            await exchange.send(SecureChannelOpcode.STATUS_REPORT, INVALID_PARAMETER.encode())
        await asyncio.sleep(1)
        answers = [opcode_of(sent) for sent in network.sent if sent.source == "device"]
        assert answers == [SecureChannelOpcode.PBKDF_PARAM_RESPONSE, SecureChannelOpcode.STANDALONE_ACK]
        assert (await client.pase(PASSCODE)).is_secure


@pytest.mark.parametrize(
    "change",
    [
        {1: bytes(31)},
        {1: None},
        {2: uint(0)},
        {2: uint(0x10000)},
        {3: uint(1)},
        {4: uint(0)},
        {5: {1: -1}},
        {5: []},
    ],
    ids=str,
)
@virtual_time
async def test_a_malformed_request_is_refused(change: dict[int, Any]) -> None:
    network = Network()
    async with device_of(network), client_of(network) as client:
        async with open_handshake(client) as exchange:
            answer = await ask(exchange, SecureChannelOpcode.PBKDF_PARAM_REQUEST, {**REQUEST_FIELDS, **change})
            assert (answer.opcode, answer.payload) == (SecureChannelOpcode.STATUS_REPORT, INVALID_PARAMETER.encode())
        assert (await client.pase(PASSCODE)).is_secure


@virtual_time
async def test_unknown_fields_are_ignored() -> None:
    """matter.js sends session parameters 8 and 9."""
    network = Network()
    async with device_of(network), client_of(network) as client, open_handshake(client) as exchange:
        fields = {**REQUEST_FIELDS, 5: {1: uint(300), 8: uint(1), 9: uint(64000)}, 77: "new"}
        assert (
            await ask(exchange, SecureChannelOpcode.PBKDF_PARAM_REQUEST, fields)
        ).opcode == SecureChannelOpcode.PBKDF_PARAM_RESPONSE


OFF_CURVE = b"\x04" + bytes(31) + b"\x01" + bytes(31) + b"\x01"
SMALL_X, ITS_Y = 5, 0x459243B9AA581806FE913BCE99817ADE11CA503C64D9A3C533415C083248FBCC
NOT_REDUCED = b"\x04" + (spake2p._PRIME + SMALL_X).to_bytes(32) + ITS_Y.to_bytes(32)
COMPRESSED = b"\x02" + spake2p.encode_point(spake2p.generator())[1:33]
W0_M = spake2p.encode_point(spake2p.multiply(spake2p.decode_point(spake2p.M_OCTETS), int.from_bytes(VERIFIER.w0)))


def test_the_point_that_is_not_reduced_would_be_on_the_curve() -> None:
    spake2p.decode_point(b"\x04" + SMALL_X.to_bytes(32) + ITS_Y.to_bytes(32))


@pytest.mark.parametrize(
    "share",
    [b"\x04" + bytes(64), OFF_CURVE, NOT_REDUCED, COMPRESSED, b"\x06" + W0_M[1:], bytes(64), W0_M],
    ids=["infinity", "off curve", "not reduced", "compressed", "hybrid", "short", "makes the secret infinity"],
)
@virtual_time
async def test_a_dishonest_share_is_refused(share: bytes) -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client, open_handshake(client) as exchange:
        await ask(exchange, SecureChannelOpcode.PBKDF_PARAM_REQUEST, REQUEST_FIELDS)
        answer = await ask(exchange, SecureChannelOpcode.PAKE1, {1: share})
        assert (answer.opcode, answer.payload) == (SecureChannelOpcode.STATUS_REPORT, INVALID_PARAMETER.encode())
        assert device.stack.drops.counts == {}


@pytest.mark.parametrize(
    "opcode", [SecureChannelOpcode.PAKE3, SecureChannelOpcode.SIGMA1, SecureChannelOpcode.PBKDF_PARAM_REQUEST]
)
@virtual_time
async def test_a_message_out_of_turn_is_refused(opcode: SecureChannelOpcode) -> None:
    network = Network()
    async with device_of(network), client_of(network) as client, open_handshake(client) as exchange:
        await ask(exchange, SecureChannelOpcode.PBKDF_PARAM_REQUEST, REQUEST_FIELDS)
        answer = await ask(exchange, opcode, {1: bytes(32)})
        assert (answer.opcode, answer.payload) == (SecureChannelOpcode.STATUS_REPORT, INVALID_PARAMETER.encode())


@pytest.mark.parametrize("confirmation", [bytes(32), b"", bytes(31)], ids=["wrong", "empty", "short"])
@virtual_time
async def test_a_wrong_confirmation_is_refused(confirmation: bytes) -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client, open_handshake(client) as exchange:
        await ask(exchange, SecureChannelOpcode.PBKDF_PARAM_REQUEST, REQUEST_FIELDS)
        await ask(exchange, SecureChannelOpcode.PAKE1, {1: spake2p.encode_point(spake2p.generator())})
        answer = await ask(exchange, SecureChannelOpcode.PAKE3, {1: confirmation})
        assert (answer.opcode, answer.payload) == (SecureChannelOpcode.STATUS_REPORT, INVALID_PARAMETER.encode())
        assert device.established == []


@virtual_time
async def test_no_secret_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        await refusal(client, WRONG_PASSCODE)
        session = await client.pase(PASSCODE)
        await client.request(session, 2, b"hello")
        secrets = [VERIFIER.w0, VERIFIER.l, device.established[0].attestation_challenge]
    for secret in secrets:
        assert secret.hex() not in caplog.text
        assert repr(secret) not in caplog.text
    assert str(PASSCODE) not in caplog.text
    assert "w0" not in repr(VERIFIER)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"iterations": 999}, "iterations=999 must be 1000 to 100000"),
        ({"iterations": 100_001}, "iterations"),
        ({"salt": bytes(15)}, "salt of 15 bytes must have 16 to 32"),
        ({"salt": bytes(33)}, "salt"),
        ({"blob": bytes(96)}, "verifier of 96 bytes must have 97"),
        ({"blob": bytes(32) + VERIFIER.l}, "w0"),
        ({"blob": GROUP_ORDER.to_bytes(32) + VERIFIER.l}, "w0"),
        ({"blob": VERIFIER.w0 + OFF_CURVE}, "not on P-256"),
        ({"blob": VERIFIER.w0 + b"\x04" + bytes(64)}, "infinity"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_verifier_that_a_window_must_not_open_with_is_refused_by_name(change: dict[str, Any], why: str) -> None:
    fields = {"blob": VERIFIER.w0 + VERIFIER.l, "salt": VERIFIER.salt, "iterations": 1000, **change}
    with pytest.raises(ValueError, match=why):
        PaseVerifier.from_blob(**fields)


def test_infinity_has_no_encoding() -> None:
    with pytest.raises(DecodeError):
        spake2p.encode_point(spake2p.multiply(spake2p.generator(), GROUP_ORDER))
