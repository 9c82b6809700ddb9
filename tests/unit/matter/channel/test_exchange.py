from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

from evse_pi.matter.channel.exchange import (
    Exchange,
    ExchangeTimeout,
    Message,
    retransmission_delay_ms,
)
from evse_pi.matter.channel.peer_session import PeerSession, SessionParameters
from evse_pi.matter.channel.secure_channel import SecureChannelOpcode
from evse_pi.matter.channel.stack import MessageStack
from evse_pi.matter.wire.message import MAX_PAYLOAD_BYTES, PROTOCOL_INTERACTION_MODEL, MessageHeader, ProtocolHeader
from tests.support.channel_device import pair
from tests.support.datagram_pipe import Network, Sent
from tests.support.matter_authority import CountingEntropy
from tests.support.virtual_loop import virtual_time

REQUEST, ANSWER = 0x02, 0x05


class Jitter(CountingEntropy):
    """Makes every retransmission wait its shortest or its longest."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def below(self, limit: int) -> int:
        return self.step if limit == 251 else super().below(limit)


@dataclass
class Bench:
    """Two stacks with a session between them, and what the wire carried, decrypted."""

    network: Network = field(default_factory=Network)
    jitter: int = 0
    handled: list[Message] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self.client = MessageStack(entropy=Jitter(self.jitter), session_parameters=SessionParameters())
        self.server = MessageStack(entropy=Jitter(self.jitter), session_parameters=SessionParameters())
        await self.client.start(self.network.endpoint("client"))
        await self.server.start(self.network.endpoint("server"))
        self.here, self.there = pair(self.client, "client", self.server, "server")
        self.server.serve(PROTOCOL_INTERACTION_MODEL, self.answer)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.stop()
        await self.server.stop()

    async def answer(self, exchange: Exchange, message: Message) -> None:
        self.handled.append(message)
        await exchange.send(ANSWER, message.payload)

    def open(self) -> Exchange:
        return self.client.initiate(self.here, PROTOCOL_INTERACTION_MODEL)

    def headers(self, source: str) -> list[ProtocolHeader]:
        """Return the protocol headers of all that `source` sent."""
        receiver: PeerSession = self.there if source == "client" else self.here
        return [header_of(receiver, sent) for sent in self.network.sent if sent.source == source]

    def acks(self, source: str) -> list[ProtocolHeader]:
        return [header for header in self.headers(source) if header.opcode == SecureChannelOpcode.STANDALONE_ACK]


def header_of(receiver: PeerSession, sent: Sent) -> ProtocolHeader:
    _, offset = MessageHeader.decode(sent.datagram)
    return ProtocolHeader.decode(receiver.open(sent.datagram, offset))[0]


async def settle(seconds: float = 30.0) -> None:
    await asyncio.sleep(seconds)


@virtual_time
async def test_request_and_answer_take_three_datagrams_for_the_answer_carries_the_ack() -> None:
    async with Bench() as bench:
        async with bench.open() as exchange:
            await exchange.send(REQUEST, b"ping")
            assert await exchange.receive() == Message(PROTOCOL_INTERACTION_MODEL, ANSWER, b"ping")
        await settle()
        assert [header.opcode for header in bench.headers("client")] == [REQUEST, SecureChannelOpcode.STANDALONE_ACK]
        (answer,) = bench.headers("server")
        request, _ = (MessageHeader.decode(sent.datagram)[0] for sent in bench.network.sent if sent.source == "client")
        assert (answer.acknowledged_counter, answer.needs_ack, answer.is_initiator) == (request.counter, True, False)
        (ack,) = bench.acks("client")
        assert (ack.needs_ack, ack.is_initiator) == (False, True)
        assert bench.client.exchange_count == bench.server.exchange_count == 0


@virtual_time
async def test_a_slow_handler_is_covered_by_a_standalone_ack_after_200_ms() -> None:
    async with Bench() as bench:

        async def think(exchange: Exchange, message: Message) -> None:
            await asyncio.sleep(5)
            await exchange.send(ANSWER, b"done")

        bench.server.serve(PROTOCOL_INTERACTION_MODEL, think)
        async with bench.open() as exchange:
            await exchange.send(REQUEST, b"")
            assert asyncio.get_running_loop().time() == pytest.approx(0.202)
            assert (await exchange.receive()).payload == b"done"
        assert len(bench.acks("server")) == 1
        assert [header.opcode for header in bench.headers("client")].count(REQUEST) == 1


@pytest.mark.parametrize(
    ("jitter", "waits_ms"), [(0, [330, 330, 528, 844]), (250, [412, 412, 660, 1056])], ids=["shortest", "longest"]
)
@virtual_time
async def test_an_awake_peer_is_tried_five_times_with_growing_waits_and_identical_bytes(
    jitter: int, waits_ms: list[int]
) -> None:
    async with Bench(jitter=jitter) as bench:
        bench.here.last_received = 3600.0
        bench.network.passes = lambda sent: False
        exchange = bench.open()
        with pytest.raises(ExchangeTimeout, match="none of 5"):
            await exchange.send(REQUEST, b"anybody?")
        sent = bench.network.sent
        assert len({one.datagram for one in sent}) == 1
        times_ms = [round(one.at_s * 1000) for one in sent]
        assert [later - earlier for earlier, later in itertools.pairwise(times_ms)] == waits_ms
        gave_up_ms = round(asyncio.get_running_loop().time() * 1000)
        assert gave_up_ms - times_ms[-1] == {0: 1351, 250: 1689}[jitter]


@virtual_time
async def test_a_sleeping_peer_is_given_its_idle_interval() -> None:
    async with Bench() as bench:
        bench.network.passes = lambda sent: False
        bench.open().post(REQUEST, b"")
        await settle()
        times_ms = [round(sent.at_s * 1000) for sent in bench.network.sent]
        assert times_ms == [0, 550, 1100, 1980, 3388]


def test_the_waits_are_those_of_the_specification() -> None:
    """MRP table: i * 1.1 * 1.6^max(0, n - 1) * (1 + 0 … 0.25)."""
    for retry in range(5):
        for step in (0, 125, 250):
            exact = 300 * 1.1 * 1.6 ** max(0, retry - 1) * (1 + step / 1000)
            assert retransmission_delay_ms(300, retry, step) == pytest.approx(exact, abs=1)


@virtual_time
async def test_a_lost_ack_makes_the_peer_repeat_and_the_duplicate_is_acked_at_once_but_not_handled() -> None:
    async with Bench() as bench:
        lost: list[Any] = []

        def lose_first_answers(sent: Sent) -> bool:
            if sent.source == "server" and len(lost) < 2:
                lost.append(sent)
                return False
            return True

        bench.network.passes = lose_first_answers
        async with bench.open() as exchange:
            await exchange.send(REQUEST, b"once")
            await exchange.receive()
        await settle()
        assert [message.payload for message in bench.handled] == [b"once"]
        assert len(bench.acks("server")) >= 1


@virtual_time
async def test_a_duplicate_during_the_exchange_is_acked_without_waiting_for_the_timer() -> None:
    async with Bench() as bench:

        async def think(exchange: Exchange, message: Message) -> None:
            bench.handled.append(message)
            await asyncio.sleep(5)

        bench.server.serve(PROTOCOL_INTERACTION_MODEL, think)
        bench.open().post(REQUEST, b"")
        await asyncio.sleep(0.05)
        assert bench.acks("server") == []
        request = bench.network.sent[0]
        bench.network.carry(request.source, request.destination, request.datagram)
        await asyncio.sleep(0.01)
        assert len(bench.acks("server")) == 1
        await asyncio.sleep(1)
        assert len(bench.acks("server")) == len(bench.handled) == 1


@virtual_time
async def test_a_duplicate_after_the_exchange_ended_is_acked_and_not_handled() -> None:
    async with Bench() as bench:
        async with bench.open() as exchange:
            await exchange.send(REQUEST, b"once")
            await exchange.receive()
        await settle()
        assert bench.server.exchange_count == 0
        before = len(bench.acks("server"))
        replay = bench.network.sent[0]
        bench.network.carry(replay.source, replay.destination, replay.datagram)
        await settle()
        ack = bench.acks("server")[-1]
        assert len(bench.acks("server")) == before + 1
        assert ack.acknowledged_counter == MessageHeader.decode(replay.datagram)[0].counter
        assert (ack.exchange_id, ack.is_initiator, ack.needs_ack) == (exchange.exchange_id, False, False)
        assert len(bench.handled) == 1


@virtual_time
async def test_a_second_reliable_message_sends_the_ack_of_the_first() -> None:
    async with Bench() as bench:
        received: list[bytes] = []

        async def take_two(exchange: Exchange, message: Message) -> None:
            received.append(message.payload)
            received.append((await exchange.receive()).payload)
            await asyncio.sleep(10)

        bench.server.serve(PROTOCOL_INTERACTION_MODEL, take_two)
        exchange = bench.open()
        exchange.post(REQUEST, b"1")
        exchange._under_way = None  # a peer that ignores the rule of one message under way
        exchange.post(REQUEST, b"2")
        await asyncio.sleep(0.1)
        counters = [MessageHeader.decode(sent.datagram)[0].counter for sent in bench.network.sent[:2]]
        assert [ack.acknowledged_counter for ack in bench.acks("server")] == counters[:1]
        await asyncio.sleep(0.2)
        assert [ack.acknowledged_counter for ack in bench.acks("server")] == counters
        assert received == [b"1", b"2"]


@virtual_time
async def test_messages_posted_in_a_row_go_one_by_one() -> None:
    async with Bench() as bench:
        received: list[bytes] = []

        async def collect(exchange: Exchange, message: Message) -> None:
            received.append(message.payload)
            for _ in range(2):
                received.append((await exchange.receive()).payload)

        bench.server.serve(PROTOCOL_INTERACTION_MODEL, collect)
        async with bench.open() as exchange:
            for payload in (b"1", b"2", b"3"):
                exchange.post(REQUEST, payload)
            assert len(bench.network.sent) == 1
        await settle()
        assert received == [b"1", b"2", b"3"]
        assert bench.client.exchange_count == 0


@virtual_time
async def test_a_wrong_ack_is_ignored_and_its_message_delivered() -> None:
    async with Bench() as bench:

        async def mislead(exchange: Exchange, message: Message) -> None:
            exchange._received_counter = 0xDEAD
            await exchange.send(ANSWER, b"ok", reliable=False)

        bench.server.serve(PROTOCOL_INTERACTION_MODEL, mislead)
        exchange = bench.open()
        exchange.post(REQUEST, b"")
        assert (await exchange.receive()).payload == b"ok"
        assert exchange._under_way is not None
        await exchange.close()
        await settle()
        assert bench.client.exchange_count == 0


@virtual_time
async def test_an_ack_is_never_acked() -> None:
    async with Bench() as bench:
        async with bench.open() as exchange:
            await exchange.send(REQUEST, b"")
            await exchange.receive()
        await settle()
        assert all(not ack.needs_ack for ack in bench.acks("client") + bench.acks("server"))
        assert len(bench.network.sent) == 3


@virtual_time
async def test_closing_flushes_the_ack_at_once() -> None:
    async with Bench() as bench:

        async def say_nothing(exchange: Exchange, message: Message) -> None:
            return

        bench.server.serve(PROTOCOL_INTERACTION_MODEL, say_nothing)
        await bench.open().send(REQUEST, b"")
        assert asyncio.get_running_loop().time() == pytest.approx(0.002)


@virtual_time
async def test_a_closed_exchange_lives_until_its_last_message_is_given_up() -> None:
    async with Bench() as bench:
        exchange = bench.open()
        bench.network.passes = lambda sent: False
        exchange.post(REQUEST, b"")
        await exchange.close()
        assert bench.client.exchange_count == 1
        await settle()
        assert bench.client.exchange_count == 0
        assert len(bench.network.sent) == 5
        with pytest.raises(ExchangeTimeout):
            await exchange.send(REQUEST, b"")


@virtual_time
async def test_waiting_for_a_silent_peer_ends() -> None:
    async with Bench() as bench:
        exchange = bench.open()
        with pytest.raises(ExchangeTimeout, match="within 15"):
            await exchange.receive()
        assert asyncio.get_running_loop().time() == pytest.approx(15.0)


@virtual_time
async def test_closing_the_session_wakes_senders_and_receivers() -> None:
    async with Bench() as bench:
        bench.network.passes = lambda sent: False
        sending, receiving = bench.open(), bench.open()
        waits = [asyncio.ensure_future(sending.send(REQUEST, b"")), asyncio.ensure_future(receiving.receive())]
        await asyncio.sleep(0.1)
        bench.client.sessions.close(bench.here, notify=False)
        outcomes = await asyncio.gather(*waits, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ExchangeTimeout, ExchangeTimeout]
        assert asyncio.get_running_loop().time() == pytest.approx(0.1)
        assert bench.client.exchange_count == 0
        with pytest.raises(ExchangeTimeout):
            await receiving.receive()


@virtual_time
async def test_a_payload_beyond_the_mtu_is_refused() -> None:
    async with Bench() as bench:
        exchange = bench.open()
        with pytest.raises(ValueError, match="at most 1178"):
            exchange.post(REQUEST, bytes(MAX_PAYLOAD_BYTES + 1))
        exchange.post(REQUEST, bytes(MAX_PAYLOAD_BYTES))
        await asyncio.sleep(0.1)
        assert max(len(sent.datagram) for sent in bench.network.sent) <= 1232


@virtual_time
async def test_a_flood_within_an_exchange_is_bounded() -> None:
    async with Bench() as bench:
        stuck: list[Exchange] = []

        async def sleep(exchange: Exchange, message: Message) -> None:
            stuck.append(exchange)
            await asyncio.sleep(60)

        bench.server.serve(PROTOCOL_INTERACTION_MODEL, sleep)
        exchange = bench.open()
        for _ in range(100):
            await exchange.send(REQUEST, b"", reliable=False)
        await asyncio.sleep(1)
        assert stuck[0]._inbox.qsize() == 4


@virtual_time
async def test_a_cancelled_send_leaves_the_exchange_usable() -> None:
    async with Bench() as bench:
        exchange = bench.open()
        bench.network.passes = lambda sent: False
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(exchange.send(REQUEST, b"lost"), 0.1)
        bench.network.passes = lambda sent: True
        assert (await exchange.receive()).payload == b"lost"
