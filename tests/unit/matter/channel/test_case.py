from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.matter.channel import case
from evse_pi.matter.channel.crypto import generate_key, public_octets
from evse_pi.matter.channel.secure_channel import (
    INVALID_PARAMETER,
    NO_SHARED_TRUST_ROOTS,
    SESSION_ESTABLISHED,
    SecureChannelOpcode,
    busy,
)
from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.identity.fabric import NodeCredentials
from evse_pi.matter.identity.signing import OperationalKey
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.message import PROTOCOL_SECURE_CHANNEL, MessageHeader, ProtocolHeader
from evse_pi.matter.wire.tlv import uint
from evse_pi.sim.harness.virtual_clock import VirtualClock
from tests.support.channel_device import NODE_ID, ChannelDevice
from tests.support.datagram_pipe import Network, Sent
from tests.support.matter_authority import Authority, CountingEntropy, encode_certificate
from tests.support.matter_initiator import HandshakeError, MatterInitiator, Member
from tests.support.virtual_loop import virtual_time

if TYPE_CHECKING:
    from evse_pi.matter.channel.exchange import Exchange, Message

CONTROLLER = 0x1111
PLAIN = Authority(seed="plain")
WITH_ICAC = Authority(seed="with icac", with_icac=True)
OTHER = Authority(seed="other")
ENTROPY = CountingEntropy("members")
MEMBER = Member.of(PLAIN, CONTROLLER, ENTROPY, tags=(0x0001_0002,))
STRANGER = Member.of(OTHER, CONTROLLER, ENTROPY)


def device_of(network: Network) -> ChannelDevice:
    return ChannelDevice(network.endpoint("device"))


def client_of(network: Network, name: str = "client") -> MatterInitiator:
    return MatterInitiator(network.endpoint(name), "device", entropy=CountingEntropy(name))


async def refusal(client: MatterInitiator, member: Member, node_id: int = NODE_ID) -> object:
    with pytest.raises(HandshakeError) as refused:
        await client.case(member, node_id, resume=False)
    return refused.value.report


def open_handshake(client: MatterInitiator) -> Exchange:
    return client.stack.initiate(client.handshake_session(), PROTOCOL_SECURE_CHANNEL)


async def ask(exchange: Exchange, opcode: SecureChannelOpcode, fields: dict[int, Any]) -> Message:
    await exchange.send(opcode, tlv.encode(fields))
    return await exchange.receive()


def sigma1(**changes: Any) -> dict[int, Any]:
    random = bytes(range(32))
    fields = {1: random, 2: uint(9), 3: MEMBER.destination_id(NODE_ID, random), 4: public_octets(generate_key(ENTROPY))}
    return {**fields, **{int(tag.removeprefix("tag")): value for tag, value in changes.items()}}


def opcode_of(sent: Sent) -> int:
    header, offset = MessageHeader.decode(sent.datagram)
    return -1 if header.session_id else ProtocolHeader.decode(sent.datagram[offset:])[0].opcode


@pytest.mark.parametrize("authority", [PLAIN, WITH_ICAC], ids=["root signs", "ICAC signs"])
@virtual_time
async def test_members_of_a_fabric_establish_a_session_in_both_directions_of_trust(authority: Authority) -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        fabric = device.join(authority)
        member = Member.of(authority, CONTROLLER, ENTROPY, tags=(0x0001_0002, 0x0002_0001))
        session = await client.case(member, NODE_ID)
        (established,) = device.established
        assert established.accessor == Accessor(AuthMode.CASE, fabric.index, CONTROLLER, (0x0001_0002, 0x0002_0001))
        assert established.attestation_challenge == session.attestation_challenge
        assert established.peer_id == session.local_id
        assert device.stack.sessions.newest(fabric.index, CONTROLLER) is established
        assert (await client.request(session, 2, b"hello")).payload == b"hello"


@virtual_time
async def test_the_fabric_is_the_one_that_sigma1_addresses() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        first, second = device.join(PLAIN, 0x21), device.join(OTHER, 0x22)
        await client.case(STRANGER, 0x22)
        await client.case(MEMBER, 0x21)
        assert [session.fabric_index for session in device.established] == [second.index, first.index]


@virtual_time
async def test_a_node_without_that_fabric_says_no_shared_trust_roots() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        assert await refusal(client, MEMBER) == NO_SHARED_TRUST_ROOTS
        device.join(PLAIN)
        assert await refusal(client, MEMBER, NODE_ID + 1) == NO_SHARED_TRUST_ROOTS
        assert await refusal(client, replace(MEMBER, operational_ipk=bytes(16))) == NO_SHARED_TRUST_ROOTS
        assert await refusal(client, STRANGER) == NO_SHARED_TRUST_ROOTS
        assert len(device.stack.sessions) == 0


@virtual_time
async def test_resumption_needs_three_messages_and_keeps_the_peers_tags() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        device.join(PLAIN)
        await client.case(MEMBER, NODE_ID)
        assert not client.was_resumed
        for _ in range(3):
            before = len(network.sent)
            session = await client.case(MEMBER, NODE_ID)
            assert client.was_resumed
            handshake = [
                opcode_of(sent)
                for sent in network.sent[before:]
                if opcode_of(sent) != SecureChannelOpcode.STANDALONE_ACK
            ]
            assert handshake == [
                SecureChannelOpcode.SIGMA1,
                SecureChannelOpcode.SIGMA2_RESUME,
                SecureChannelOpcode.STATUS_REPORT,
            ]
            assert (await client.request(session, 2, b"hello")).payload == b"hello"
        assert len({established.accessor for established in device.established}) == 1
        assert len({established.attestation_challenge for established in device.established}) == 4
        assert len(device.stack.sessions) == 4


@virtual_time
async def test_a_resumption_id_serves_once() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        device.join(PLAIN)
        await client.case(MEMBER, NODE_ID)
        used = dict(client.resumptions)
        await client.case(MEMBER, NODE_ID)
        client.resumptions = used
        await client.case(MEMBER, NODE_ID)
        assert not client.was_resumed


@pytest.mark.parametrize("break_it", ["unknown id", "wrong secret", "fabric gone"])
@virtual_time
async def test_what_cannot_be_resumed_falls_back_to_the_full_handshake(break_it: str) -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        fabric = device.join(PLAIN)
        await client.case(MEMBER, NODE_ID)
        ((peer, (resumption_id, secret)),) = client.resumptions.items()
        if break_it == "unknown id":
            client.resumptions[peer] = bytes(16), secret
        elif break_it == "wrong secret":
            client.resumptions[peer] = resumption_id, bytes(32)
        else:
            device.fabrics.remove(fabric.index)
            device.join(PLAIN)
        session = await client.case(MEMBER, NODE_ID)
        assert not client.was_resumed
        assert (await client.request(session, 2, b"hello")).payload == b"hello"


@virtual_time
async def test_an_unconfirmed_resumption_makes_no_session_and_keeps_the_record() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        device.join(PLAIN)
        await client.case(MEMBER, NODE_ID)
        network.passes = lambda sent: opcode_of(sent) != SecureChannelOpcode.STATUS_REPORT
        saved = dict(client.resumptions)
        with pytest.raises(Exception, match="none of 5"):
            await client.case(MEMBER, NODE_ID)
        await asyncio.sleep(30)
        assert len(device.established) == 1
        network.passes = lambda sent: True
        client.resumptions = saved
        await client.case(MEMBER, NODE_ID)
        assert client.was_resumed


@virtual_time
async def test_a_refused_resumption_makes_no_session() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        device.join(PLAIN)
        await client.case(MEMBER, NODE_ID)
        ((resumption_id, secret),) = client.resumptions.values()
        random = bytes(32)
        mic = case.resume_mic(secret, random, resumption_id, b"Sigma1_Resume", b"NCASE_SigmaS1")
        async with open_handshake(client) as exchange:
            answer = await ask(exchange, SecureChannelOpcode.SIGMA1, sigma1(tag1=random, tag6=resumption_id, tag7=mic))
            assert answer.opcode == SecureChannelOpcode.SIGMA2_RESUME
            await exchange.send(SecureChannelOpcode.STATUS_REPORT, INVALID_PARAMETER.encode())
        await asyncio.sleep(1)
        assert len(device.established) == 1


@virtual_time
async def test_a_fabric_removed_during_the_handshake_fails_it() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        fabric = device.join(PLAIN)

        def remove_at_sigma3(sent: Sent) -> bool:
            if opcode_of(sent) == SecureChannelOpcode.SIGMA3 and device.fabrics.get(fabric.index):
                device.fabrics.remove(fabric.index)
            return True

        network.passes = remove_at_sigma3
        assert await refusal(client, MEMBER) == NO_SHARED_TRUST_ROOTS
        assert len(device.stack.sessions) == 0


def impostor(**changes: Any) -> Member:
    """Return a member whose NOC breaks a rule."""
    noc = PLAIN.make_noc(CONTROLLER, MEMBER.key.public_key, **changes)
    return replace(MEMBER, noc=encode_certificate(noc))


FOREIGN_NOC = encode_certificate(replace(OTHER, fabric_id=PLAIN.fabric_id).make_noc(CONTROLLER, MEMBER.key.public_key))
OTHER_FABRIC_NOC = encode_certificate(replace(PLAIN, fabric_id=0x99).make_noc(CONTROLLER, MEMBER.key.public_key))
IMPOSTORS = {
    "another key signs": replace(MEMBER, key=OperationalKey.generate(ENTROPY)),
    "another root": replace(MEMBER, noc=FOREIGN_NOC),
    "another fabric of the same root": replace(MEMBER, noc=OTHER_FABRIC_NOC),
    "a CA certificate": replace(MEMBER, noc=PLAIN.root),
    "no certificate": replace(MEMBER, noc=b"\x15\x18"),
    "not TLV": replace(MEMBER, noc=b"noc"),
    "an ICAC that did not sign": replace(MEMBER, icac=WITH_ICAC.icac),
    "expired": impostor(not_after=100),
    "a key that is no point": replace(MEMBER, noc=encode_certificate(PLAIN.make_noc(CONTROLLER, b"\x04" + bytes(64)))),
}


@pytest.mark.parametrize("why", IMPOSTORS)
@virtual_time
async def test_an_initiator_that_cannot_prove_itself_is_refused(why: str) -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        device.join(PLAIN)
        device.case._clock = VirtualClock(unix_s=1_800_000_000)
        real = IMPOSTORS[why]

        def destination_id(peer_node_id: int, initiator_random: bytes) -> bytes:
            return MEMBER.destination_id(peer_node_id, initiator_random)

        assert await refusal_of_impostor(client, real, destination_id) == INVALID_PARAMETER
        assert device.established == []
        assert (await client.case(MEMBER, NODE_ID)).is_secure


async def refusal_of_impostor(client: MatterInitiator, member: Member, destination_id: Any) -> object:
    """Do Sigma1 to Sigma3 with the credentials of `member`, addressing the fabric of a true member."""
    key = generate_key(ENTROPY)
    fields = sigma1(tag4=public_octets(key))
    async with open_handshake(client) as exchange:
        sent = tlv.encode(fields)
        await exchange.send(SecureChannelOpcode.SIGMA1, sent)
        answer = await exchange.receive()
        with pytest.raises(HandshakeError) as refused:
            await client._authenticate(exchange, sent, answer, key, Impostor(member), NODE_ID)  # type: ignore[arg-type]
    return refused.value.report


class Impostor:
    """Credentials of one node with the fabric of another, as the initiator's own checks need it."""

    def __init__(self, member: Member) -> None:
        self.noc, self.icac, self.key = member.noc, member.icac, member.key
        self.root, self.operational_ipk = MEMBER.root, MEMBER.operational_ipk
        self.node_id, self.fabric_id = MEMBER.node_id, MEMBER.fabric_id


@virtual_time
async def test_validity_is_compared_in_seconds_since_2000() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        device.join(PLAIN)
        device.case._clock = VirtualClock(unix_s=946_684_800 + 500)
        assert (await client.case(impostor(not_before=400, not_after=600), NODE_ID)).is_secure
        for outside in (impostor(not_before=501), impostor(not_after=499)):
            assert await refusal(client, outside) == INVALID_PARAMETER


@virtual_time
async def test_an_expired_certificate_passes_while_the_clock_is_unknown() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        device.join(PLAIN)
        assert (await client.case(IMPOSTORS["expired"], NODE_ID)).is_secure


@pytest.mark.parametrize(
    "change",
    [
        {"tag1": bytes(31)},
        {"tag2": uint(0)},
        {"tag3": bytes(31)},
        {"tag4": bytes(65)},
        {"tag4": b"\x04" + bytes(64)},
        {"tag4": bytes(33)},
        {"tag4": b"\x06" + MEMBER.key.public_key[1:]},
        {"tag4": b"\x07" + MEMBER.key.public_key[1:]},
        {"tag5": uint(1)},
        {"tag6": bytes(16)},
        {"tag7": bytes(16)},
        {"tag6": bytes(15), "tag7": bytes(16)},
        {"tag6": bytes(16), "tag7": bytes(15)},
    ],
    ids=str,
)
@virtual_time
async def test_a_malformed_sigma1_is_refused(change: dict[str, Any]) -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        device.join(PLAIN)
        async with open_handshake(client) as exchange:
            answer = await ask(exchange, SecureChannelOpcode.SIGMA1, sigma1(**change))
            assert (answer.opcode, answer.payload) == (SecureChannelOpcode.STATUS_REPORT, INVALID_PARAMETER.encode())
        assert device.stack.sessions._reserved == set()


@pytest.mark.parametrize(
    "fields",
    [{}, {1: b""}, {1: bytes(15)}, {1: bytes(200)}, {1: "text"}],
    ids=["none", "empty", "short", "wrong", "text"],
)
@virtual_time
async def test_a_malformed_sigma3_is_refused(fields: dict[int, Any]) -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        device.join(PLAIN)
        async with open_handshake(client) as exchange:
            assert (await ask(exchange, SecureChannelOpcode.SIGMA1, sigma1())).opcode == SecureChannelOpcode.SIGMA2
            answer = await ask(exchange, SecureChannelOpcode.SIGMA3, fields)
            assert (answer.opcode, answer.payload) == (SecureChannelOpcode.STATUS_REPORT, INVALID_PARAMETER.encode())


def fresh_sigma1() -> dict[int, Any]:
    random = ENTROPY.octets(32)
    return sigma1(tag1=random, tag3=MEMBER.destination_id(NODE_ID, random))


async def hold(client: MatterInitiator, handshakes: int) -> list[Exchange]:
    """Return handshakes that `client` has begun and does not go on with."""
    held = [open_handshake(client) for _ in range(handshakes)]
    for exchange in held:
        assert (await ask(exchange, SecureChannelOpcode.SIGMA1, fresh_sigma1())).opcode == SecureChannelOpcode.SIGMA2
    return held


@virtual_time
async def test_one_host_holds_some_handshakes_and_the_others_keep_their_room() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network, "greedy") as greedy, client_of(network) as client:
        device.join(PLAIN)
        held = await hold(greedy, 3)
        assert await refusal(greedy, MEMBER) == busy(case.BUSY_WAIT_MS)
        assert (await client.case(MEMBER, NODE_ID)).is_secure
        for exchange in held:
            await exchange.close()
        await asyncio.sleep(11)
        assert (await greedy.case(MEMBER, NODE_ID)).is_secure
        assert device.stack.sessions._reserved == set()


@virtual_time
async def test_more_handshakes_than_slots_are_told_to_wait() -> None:
    network = Network()
    async with AsyncExitStack() as stack:
        device = await stack.enter_async_context(device_of(network))
        device.join(PLAIN)
        for number in range(8):
            await hold(await stack.enter_async_context(client_of(network, f"host {number}")), 1)
        client = await stack.enter_async_context(client_of(network))
        assert await refusal(client, MEMBER) == busy(case.BUSY_WAIT_MS)
        await asyncio.sleep(11)
        assert (await client.case(MEMBER, NODE_ID)).is_secure


@virtual_time
async def test_a_recorded_sigma1_begins_no_second_handshake_and_holds_no_place() -> None:
    network = Network()
    async with AsyncExitStack() as stack:
        device = await stack.enter_async_context(device_of(network))
        client = await stack.enter_async_context(client_of(network))
        device.join(PLAIN)
        recorded = fresh_sigma1()
        async with open_handshake(client) as exchange:
            assert (await ask(exchange, SecureChannelOpcode.SIGMA1, recorded)).opcode == SecureChannelOpcode.SIGMA2
        for number in range(4 * case.MAX_HANDSHAKES):
            thief = await stack.enter_async_context(client_of(network, f"thief {number}"))
            answer = await ask(open_handshake(thief), SecureChannelOpcode.SIGMA1, recorded)
            assert answer.payload == INVALID_PARAMETER.encode()
            assert (await client.case(MEMBER, NODE_ID, resume=False)).is_secure


@virtual_time
async def test_a_sigma1_is_known_again_until_256_others_have_come() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        device.join(PLAIN)

        async def begin(sigma1: Any) -> Any:
            async with open_handshake(client) as exchange:
                return await ask(exchange, SecureChannelOpcode.SIGMA1, sigma1)

        first = fresh_sigma1()
        await begin(first)
        for _ in range(255):
            await client.case(MEMBER, NODE_ID, resume=False)
        assert (await begin(first)).payload == INVALID_PARAMETER.encode()
        await client.case(MEMBER, NODE_ID, resume=False)
        assert (await begin(first)).opcode == SecureChannelOpcode.SIGMA2, "the list is bounded"


@virtual_time
async def test_an_initiator_that_no_answer_reached_may_send_its_sigma1_again() -> None:
    """It repeats the same bytes until it is answered, and our end may have given up, or made room, meanwhile."""
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        device.join(PLAIN)
        first = fresh_sigma1()
        network.passes = lambda sent: sent.source != "device"
        async with open_handshake(client) as exchange:
            exchange.post(SecureChannelOpcode.SIGMA1, tlv.encode(first))
            await asyncio.sleep(15)
        assert device.stack.sessions._reserved == set(), "given up"
        network.passes = lambda _: True
        answer = await ask(open_handshake(client), SecureChannelOpcode.SIGMA1, first)
        assert answer.opcode == SecureChannelOpcode.SIGMA2


@virtual_time
async def test_an_initiator_that_dawdles_is_aborted_after_20_seconds() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        device.join(PLAIN)
        sleepy = {1: uint(3_600_000), 2: uint(3_600_000)}
        async with open_handshake(client) as exchange:
            exchange.post(SecureChannelOpcode.SIGMA1, tlv.encode(sigma1(tag5=sleepy)))
            await asyncio.sleep(0.0005)
            network.detach("client")
        await asyncio.sleep(19)
        assert len(device.stack.sessions._reserved) == 1
        await asyncio.sleep(2)
        assert device.stack.sessions._reserved == set()


@virtual_time
async def test_a_retransmitted_sigma2_is_the_same_bytes() -> None:
    """ECDSA is randomised; a second Sigma2 would not fit the first's transcript."""
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        device.join(PLAIN)
        lost: list[Sent] = []

        def lose_sigma2_twice(sent: Sent) -> bool:
            if opcode_of(sent) == SecureChannelOpcode.SIGMA2 and len(lost) < 2:
                lost.append(sent)
                return False
            return True

        network.passes = lose_sigma2_twice
        assert (await client.case(MEMBER, NODE_ID)).is_secure
        assert len({sent.datagram for sent in network.sent if opcode_of(sent) == SecureChannelOpcode.SIGMA2}) == 1


@virtual_time
async def test_an_updated_certificate_is_used_from_the_next_handshake_on() -> None:
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        fabric = device.join(PLAIN)
        key = OperationalKey.generate(ENTROPY)
        device.fabrics.update(fabric.index, NodeCredentials(PLAIN.issue(0x77, key.public_key), None, key))
        assert await refusal(client, MEMBER) == NO_SHARED_TRUST_ROOTS
        assert (await client.case(MEMBER, 0x77)).is_secure


@virtual_time
async def test_no_secret_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    network = Network()
    async with device_of(network) as device, client_of(network) as client:
        device.join(PLAIN)
        for _ in range(2):
            await client.case(MEMBER, NODE_ID)
        ((_, secret),) = client.resumptions.values()
        for octets in (secret, PLAIN.ipk, PLAIN.operational_ipk, device.established[0].attestation_challenge):
            assert octets.hex() not in caplog.text
            assert repr(octets) not in caplog.text


def test_the_success_report_is_that_of_the_specification() -> None:
    assert SESSION_ESTABLISHED.encode() == bytes(8)
    assert NO_SHARED_TRUST_ROOTS.encode().hex() == "0100000000000100"
    assert busy(5000).encode().hex() == "08000000000004008813"
