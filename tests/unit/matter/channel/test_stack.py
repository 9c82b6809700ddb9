from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evse_pi.matter.channel.exchange import Exchange, ExchangeTimeout, Message
from evse_pi.matter.channel.peer_session import MAX_UNSECURED_SESSIONS, SessionParameters
from evse_pi.matter.channel.secure_channel import (
    CLOSE_SESSION,
    INVALID_PARAMETER,
    SecureChannelOpcode,
    StatusReport,
    busy,
)
from evse_pi.matter.channel.shares import Holder
from evse_pi.matter.channel.stack import MessageStack
from evse_pi.matter.channel.transport import MAX_RECEIVED_BYTES, Drop, DropLog
from evse_pi.matter.wire.message import (
    PROTOCOL_INTERACTION_MODEL,
    PROTOCOL_SECURE_CHANNEL,
    MessageHeader,
    ProtocolHeader,
    SessionType,
)
from tests.support.channel_device import PASSCODE, VERIFIER, ChannelDevice, pair
from tests.support.datagram_pipe import Network
from tests.support.matter_authority import CountingEntropy
from tests.support.matter_initiator import MatterInitiator
from tests.support.virtual_loop import run, virtual_time

if TYPE_CHECKING:
    from evse_pi.matter.channel.peer_session import PeerSession

REQUEST = 0x02


def client_of(network: Network, address: str = "client") -> MatterInitiator:
    return MatterInitiator(network.endpoint(address), "device", entropy=CountingEntropy(address))


def paired(client: MatterInitiator, device: ChannelDevice) -> PeerSession:
    return pair(client.stack, "client", device.stack, "device")[0]


def unsecured(opcode: int, *, node: int, counter: int = 1, payload: bytes = b"", **changes: object) -> bytes:
    header = MessageHeader(0, counter, source_node_id=node)
    fields = {"is_initiator": True, "exchange_id": 7, "protocol_id": PROTOCOL_SECURE_CHANNEL, "needs_ack": True}
    protocol = ProtocolHeader(opcode=opcode, **{**fields, **changes})  # type: ignore[arg-type]
    return header.encode() + protocol.encode() + payload


@virtual_time
async def test_a_failing_handler_is_answered_and_the_stack_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    network = Network()
    async with ChannelDevice(network.endpoint("device")) as device, client_of(network) as client:
        session = paired(client, device)

        async def fail(exchange: Exchange, message: Message) -> None:
            raise RuntimeError("broken handler")

        device.stack.serve(PROTOCOL_INTERACTION_MODEL, fail)
        answer = await client.request(session, REQUEST, b"")
        assert (answer.protocol, answer.opcode) == (PROTOCOL_SECURE_CHANNEL, SecureChannelOpcode.STATUS_REPORT)
        assert StatusReport.decode(answer.payload) == StatusReport(1, 0xFFFF, PROTOCOL_INTERACTION_MODEL)
        assert "broken handler" in caplog.text
        device.stack.serve(PROTOCOL_INTERACTION_MODEL, device.echo)
        assert (await client.request(session, REQUEST, b"again")).payload == b"again"
        await asyncio.sleep(1)
        assert device.stack.exchange_count == 0


@virtual_time
async def test_a_peer_that_vanishes_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    network = Network()
    async with ChannelDevice(network.endpoint("device")) as device, client_of(network) as client:
        client.stack.initiate(paired(client, device), PROTOCOL_INTERACTION_MODEL).post(REQUEST, b"")
        await asyncio.sleep(0.0005)
        network.detach("client")
        await asyncio.sleep(60)
        assert device.stack.exchange_count == 0
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@virtual_time
async def test_each_session_has_a_bounded_number_of_exchanges_and_the_rest_are_told_busy() -> None:
    network = Network()
    async with ChannelDevice(network.endpoint("device")) as device, client_of(network) as client:
        session = paired(client, device)
        most = 0

        async def slow(exchange: Exchange, message: Message) -> None:
            nonlocal most
            most = max(most, device.stack.exchange_count)
            await asyncio.sleep(0.25)
            await exchange.send(message.opcode + 1, message.payload)

        device.stack.serve(PROTOCOL_INTERACTION_MODEL, slow)
        wanted = [bytes((number,)) for number in range(32)]
        answers = await asyncio.gather(*(client.request(session, REQUEST, payload) for payload in wanted))
        handled = [answer.payload for answer in answers if answer.protocol == PROTOCOL_INTERACTION_MODEL]
        refused = [answer.payload for answer in answers if answer.opcode == SecureChannelOpcode.STATUS_REPORT]
        assert set(handled) <= set(wanted)
        assert len(handled) == len(set(handled)) == most == 16
        assert len([sent for sent in network.sent if sent.source == "client"]) <= 64
        assert refused == [busy(1000).encode()] * 16
        assert device.stack.drops.counts == {Drop.NO_ROOM: 16}


@virtual_time
async def test_interactions_without_a_session_are_ignored() -> None:
    network = Network()
    async with ChannelDevice(network.endpoint("device")) as device:
        device.stack.receive(unsecured(REQUEST, node=5, protocol_id=PROTOCOL_INTERACTION_MODEL), "client")
        device.stack.receive(unsecured(SecureChannelOpcode.SIGMA1, node=5, vendor_id=0xFFF1), "client")
        await asyncio.sleep(1)
        assert (device.handled, network.sent) == ([], [])
        assert device.stack.drops.counts == {Drop.UNKNOWN_PROTOCOL: 2}
        assert len(device.stack.unsecured) == 0


@virtual_time
async def test_only_the_first_message_of_a_handshake_makes_an_unsecured_session() -> None:
    network = Network()
    async with ChannelDevice(network.endpoint("device")) as device:
        strays = [
            unsecured(SecureChannelOpcode.PAKE1, node=1),
            unsecured(SecureChannelOpcode.STATUS_REPORT, node=2, payload=CLOSE_SESSION.encode()),
            unsecured(SecureChannelOpcode.STANDALONE_ACK, node=3, needs_ack=False, acknowledged_counter=9),
            unsecured(SecureChannelOpcode.SIGMA1, node=4, is_initiator=False),
        ]
        for stray in strays:
            device.stack.receive(stray, "client")
        assert len(device.stack.unsecured) == 0
        assert network.sent == []
        assert device.stack.drops.counts == {Drop.UNSOLICITED: len(strays)}


@virtual_time
async def test_unknown_protocols_and_stray_messages_of_a_peer_are_acked_and_dropped() -> None:
    network = Network()
    async with ChannelDevice(network.endpoint("device")) as device, client_of(network) as client:
        session = paired(client, device)
        await client.stack.initiate(session, 0x0002).send(1, b"")
        await client.stack.initiate(session, PROTOCOL_SECURE_CHANNEL).send(SecureChannelOpcode.STATUS_REPORT, b"short")
        answer = client.stack._add_exchange(session, 0x99, PROTOCOL_INTERACTION_MODEL, is_initiator=False)
        await answer.send(REQUEST, b"")
        assert device.handled == []
        assert device.stack.drops.counts == {Drop.UNKNOWN_PROTOCOL: 1, Drop.UNSOLICITED: 1}


@virtual_time
async def test_a_known_initiator_that_opens_an_exchange_with_anything_else_is_only_acked() -> None:
    network = Network()
    async with ChannelDevice(network.endpoint("device")) as device:
        device.stack.receive(unsecured(SecureChannelOpcode.SIGMA1, node=5, counter=1), "client")
        await asyncio.sleep(30)
        network.sent.clear()
        for counter, opcode in enumerate(
            (SecureChannelOpcode.PAKE1, SecureChannelOpcode.STATUS_REPORT, SecureChannelOpcode.SIGMA3), start=2
        ):
            device.stack.receive(unsecured(opcode, node=5, counter=counter, exchange_id=counter), "client")
            await asyncio.sleep(1)
        opcodes = []
        for sent in network.sent:
            _, offset = MessageHeader.decode(sent.datagram)
            opcodes.append(ProtocolHeader.decode(sent.datagram[offset:])[0].opcode)
        assert opcodes == [SecureChannelOpcode.STANDALONE_ACK] * 3


@virtual_time
async def test_an_ack_for_nothing_opens_no_exchange_and_is_no_drop() -> None:
    network = Network()
    async with ChannelDevice(network.endpoint("device")) as device, client_of(network) as client:
        session = paired(client, device)
        client.stack.initiate(session, PROTOCOL_INTERACTION_MODEL).acknowledge(7)
        await asyncio.sleep(0.0015)
        assert device.stack.exchange_count == 0
        assert not device.stack._tasks
        assert device.stack.drops.counts == {}


@virtual_time
async def test_close_session_forgets_the_session_silently() -> None:
    network = Network()
    async with ChannelDevice(network.endpoint("device")) as device, client_of(network) as client:
        session = paired(client, device)
        closed: list[PeerSession] = []
        device.stack.sessions.closed.append(closed.append)
        client.stack.sessions.close(session, notify=True)
        await asyncio.sleep(1)
        assert len(device.stack.sessions) == 0
        assert [one.local_id for one in closed] == [2]
        assert [sent.source for sent in network.sent] == ["client"]


@virtual_time
async def test_an_unsecured_close_session_closes_nothing() -> None:
    network = Network()
    async with ChannelDevice(network.endpoint("device")) as device, client_of(network) as client:
        paired(client, device)
        device.stack.receive(
            unsecured(SecureChannelOpcode.STATUS_REPORT, node=2, payload=CLOSE_SESSION.encode()), "client"
        )
        await asyncio.sleep(1)
        assert len(device.stack.sessions) == 1


@virtual_time
async def test_a_session_is_closed_before_its_counter_repeats() -> None:
    network = Network()
    async with ChannelDevice(network.endpoint("device")) as device, client_of(network) as client:
        session = paired(client, device)
        session.counter._next = 2**32 - 1
        with pytest.raises(ExchangeTimeout):
            await client.request(session, REQUEST, b"")
        assert len(client.stack.sessions) == 0


@virtual_time
async def test_stopping_cancels_handlers_and_wakes_waiting_exchanges() -> None:
    network = Network()
    device = ChannelDevice(network.endpoint("device"))
    async with client_of(network) as client:
        await device.stack.start(network.endpoint("device"))
        session = paired(client, device)
        cancelled = asyncio.Event()

        async def wait(exchange: Exchange, message: Message) -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                cancelled.set()

        device.stack.serve(PROTOCOL_INTERACTION_MODEL, wait)
        client.stack.initiate(session, PROTOCOL_INTERACTION_MODEL).post(REQUEST, b"")
        await asyncio.sleep(0.01)
        await device.stack.stop()
        assert cancelled.is_set()
        assert device.stack.exchange_count == 0


@virtual_time
async def test_a_handler_may_stop_the_stack_it_runs_in() -> None:
    network = Network()
    async with client_of(network) as client:
        device = ChannelDevice(network.endpoint("device"))
        await device.stack.start(network.endpoint("device"))
        session = paired(client, device)

        async def leave(exchange: Exchange, message: Message) -> None:
            await exchange.send(message.opcode + 1, b"bye")
            await device.stack.stop()

        device.stack.serve(PROTOCOL_INTERACTION_MODEL, leave)
        assert (await client.request(session, REQUEST, b"")).payload == b"bye"
        await asyncio.sleep(1)
        assert device.stack.exchange_count == 0


def junk(seed: int, count: int) -> list[bytes]:
    """Return random datagrams: a third noise, a third well-formed handshake headers, a third mixtures."""
    chance = random.Random(seed)
    datagrams = []
    for number in range(count):
        noise = chance.randbytes(chance.randrange(0, 120))
        opener = chance.choice(
            [SecureChannelOpcode.PBKDF_PARAM_REQUEST, SecureChannelOpcode.SIGMA1, SecureChannelOpcode.PAKE1, 0x99]
        )
        formed = unsecured(opener, node=chance.getrandbits(64), counter=number, payload=noise)
        cut = formed[: chance.randrange(len(formed))] + noise
        datagrams.append(chance.choice([noise, formed, cut]))
    return datagrams


@virtual_time
async def test_a_flood_of_junk_leaves_bounded_tables_one_line_and_a_node_that_can_be_commissioned(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    network = Network()
    async with ChannelDevice(network.endpoint("device")) as device, client_of(network) as client:
        device.pase.open(VERIFIER)
        for number, datagram in enumerate(junk(1, 4000)):
            device.stack.receive(datagram, f"stranger {number % 7}")
            if number % 50 == 0:
                await asyncio.sleep(0.001)
            assert len(device.stack.unsecured) <= MAX_UNSECURED_SESSIONS
            assert device.stack.exchange_count <= 2 * MAX_UNSECURED_SESSIONS
        (line,) = [record.message for record in caplog.records]
        assert line.startswith("datagrams dropped")
        assert (await client.pase(PASSCODE)).is_secure
        await asyncio.sleep(120)
        assert device.stack.exchange_count == 0


@virtual_time
async def test_a_commissioner_connects_during_the_flood() -> None:
    network = Network()
    async with ChannelDevice(network.endpoint("device")) as device, client_of(network) as client:
        device.pase.open(VERIFIER)

        async def flood() -> None:
            for number, datagram in enumerate(junk(2, 3000)):
                device.stack.receive(datagram, "stranger")
                if number % 20 == 0:
                    await asyncio.sleep(0.001)

        flooding = asyncio.ensure_future(flood())
        await asyncio.sleep(0.02)
        session = await client.pase(PASSCODE)
        assert (await client.request(session, REQUEST, b"hello")).payload == b"hello"
        assert not flooding.done()
        await flooding


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(max_size=80), max_size=10), st.integers(0, 2**32))
def test_mutated_real_messages_do_no_harm(noise: list[bytes], seed: int) -> None:
    async def main() -> None:
        chance = random.Random(seed)
        network = Network()
        async with ChannelDevice(network.endpoint("device")) as device, client_of(network) as client:
            device.pase.open(VERIFIER)
            session = await client.pase(PASSCODE)
            await client.request(session, REQUEST, b"hello")
            real = [sent.datagram for sent in network.sent if sent.source == "client"]
            for datagram in noise + [mutated(chance, chance.choice(real)) for _ in range(20)]:
                device.stack.receive(datagram, "stranger")
            assert (await client.request(session, REQUEST, b"still here")).payload == b"still here"

    run(main())


def mutated(chance: random.Random, datagram: bytes) -> bytes:
    changed = bytearray(datagram)
    for _ in range(chance.randrange(1, 4)):
        changed[chance.randrange(len(changed))] = chance.getrandbits(8)
    return bytes(changed[: chance.randrange(len(changed) + 1)])


@virtual_time
async def test_each_kind_of_unusable_datagram_is_counted_under_its_name() -> None:
    network = Network()
    async with ChannelDevice(network.endpoint("device")) as device, client_of(network) as client:
        session = paired(client, device)
        _, sealed = session.seal(b"too short")
        group = MessageHeader(1, 1, 1, destination_group_id=5, session_type=SessionType.GROUP).encode()
        _, unsealable = session.seal(ProtocolHeader(True, 1, 1, 1).encode())
        for datagram in (
            b"",
            sealed[:-1] + b"\x00",
            unsealable[:-3],
            MessageHeader(0x7777, 1).encode() + bytes(30),
            group + bytes(30),
            bytes(MAX_RECEIVED_BYTES + 1),
        ):
            device.stack.receive(datagram, "client")
        device.stack.receive(session.seal(b"tiny")[1], "client")
        assert device.stack.drops.counts == {
            Drop.MALFORMED: 2,
            Drop.UNAUTHENTIC: 2,
            Drop.UNKNOWN_SESSION: 1,
            Drop.UNSUPPORTED_GROUP: 1,
            Drop.OVERSIZED: 1,
        }


def test_the_drop_line_comes_at_most_every_ten_seconds_and_says_what_is_new(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = 0.0
    drops = DropLog(lambda: now)
    for now in (0.0, 1.0, 9.9, 10.0, 10.1, 30.0):
        drops.note(Drop.MALFORMED if now < 10.1 else Drop.UNKNOWN_SESSION)
    assert [record.message for record in caplog.records] == [
        "datagrams dropped malformed=1",
        "datagrams dropped malformed=3",
        "datagrams dropped unknown_session=2",
    ]


@virtual_time
async def test_an_address_changes_only_with_a_new_authentic_message() -> None:
    network = Network()
    async with ChannelDevice(network.endpoint("device")) as device, client_of(network) as client:
        session = paired(client, device)
        await client.request(session, REQUEST, b"")
        there = device.stack.sessions.get(2)
        assert there is not None
        first = next(sent for sent in network.sent if sent.source == "client")
        device.stack.receive(first.datagram, "thief")
        assert there.address == "client"
        _, fresh = session.seal(ProtocolHeader(True, REQUEST, 99, PROTOCOL_INTERACTION_MODEL).encode())
        device.stack.receive(fresh, "moved")
        assert there.address == "moved"


@virtual_time
async def test_a_stack_that_is_not_started_drops_what_it_should_send() -> None:
    stack = MessageStack(entropy=CountingEntropy(), session_parameters=SessionParameters())
    session, _ = pair(stack, "a", MessageStack(entropy=CountingEntropy(), session_parameters=SessionParameters()), "b")
    stack.initiate(session, PROTOCOL_INTERACTION_MODEL).post(REQUEST, b"")
    assert stack.drops.counts == {Drop.NOT_SENT: 1}
    await stack.stop()


@virtual_time
async def test_a_malformed_handshake_is_told_so() -> None:
    network = Network()
    async with ChannelDevice(network.endpoint("device")) as device:
        device.pase.open(VERIFIER)
        for node, opcode in enumerate((SecureChannelOpcode.PBKDF_PARAM_REQUEST, SecureChannelOpcode.SIGMA1), start=1):
            device.stack.receive(unsecured(opcode, node=node, payload=b"\x15\x18"), "client")
        await asyncio.sleep(0.001)
        reports = []
        for sent in network.sent:
            header, offset = MessageHeader.decode(sent.datagram)
            protocol, length = ProtocolHeader.decode(sent.datagram[offset:])
            assert (header.source_node_id, protocol.opcode) == (None, SecureChannelOpcode.STATUS_REPORT)
            reports.append((header.destination_node_id, StatusReport.decode(sent.datagram[offset + length :])))
        assert reports == [(1, INVALID_PARAMETER), (2, INVALID_PARAMETER)]


def test_there_are_128_exchanges_24_a_group_and_two_are_kept_for_each() -> None:
    """Administrators and others of sixteen fabrics, and commissioners, each as greedy as it can be."""
    shares = MessageStack(entropy=CountingEntropy(), session_parameters=SessionParameters())._shares
    groups = [(fabric, administers) for fabric in range(1, 17) for administers in (True, False)] + [(0, False)]
    held = [sum(shares.take(Holder(group, (group, peer))) for peer in (1, 2) for _ in range(16)) for group in groups]
    assert held == [24, 24, 20, *[2] * 30]
    assert sum(held) == 128
