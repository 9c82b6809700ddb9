"""Exchanges: conversations over a session, made reliable by MRP.

An exchange is written to as a plain sequence of `send` and `receive`; acknowledgements, retransmissions and duplicates
stay in here. Source: Matter core 4.10 (exchanges), 4.12 (message reliability protocol).
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from evse_pi.matter.channel.secure_channel import SecureChannelOpcode
from evse_pi.matter.wire.message import MAX_PAYLOAD_BYTES, PROTOCOL_SECURE_CHANNEL, ProtocolHeader

if TYPE_CHECKING:
    from types import TracebackType

    from evse_pi.matter.channel.peer_session import PeerSession
    from evse_pi.matter.environment import Entropy
    from evse_pi.matter.identity.accessor import Accessor

RESPONSE_TIMEOUT_S = (
    15.0  # MRP alone may take a peer 7 s with its idle interval; matter.js and chip then wait 5 to 30 s
)
MAX_TRANSMISSIONS = 5
STANDALONE_ACK_TIMEOUT_MS = 200
MAX_WAITING_MESSAGES = 4  # a peer has one message under way at a time; more come only from one that ignores MRP
_JITTER_STEPS = 250  # MRP_BACKOFF_JITTER 0.25 in steps of a thousandth


class ExchangeTimeout(Exception):  # noqa: N818 (the peer's silence is an ordinary outcome)
    """The peer did not acknowledge or answer in time, or its session was closed."""


@dataclass(frozen=True, slots=True)
class Message:
    """An application message as it travels in an exchange."""

    protocol: int
    opcode: int
    payload: bytes


class Carrier(Protocol):
    """What an exchange needs of the stack that it lives in."""

    entropy: Entropy

    def transmit(self, session: PeerSession, datagram: bytes) -> None:
        """Send a sealed datagram to the session's peer."""

    def retire(self, exchange: Exchange) -> None:
        """Forget an exchange that neither side needs any more."""


@dataclass(slots=True)
class _Outgoing:
    """A reliable message until the peer acknowledges it."""

    message: Message
    acknowledged: asyncio.Future[None] | None
    counter: int = 0
    datagram: bytes = b""
    transmissions: int = 0


class Exchange:
    """One conversation with the peer of a session, in which each side has at most one reliable message under way."""

    def __init__(
        self, session: PeerSession, exchange_id: int, protocol: int, *, is_initiator: bool, carrier: Carrier
    ) -> None:
        self.session = session
        self.exchange_id = exchange_id
        self.protocol = protocol
        self.is_initiator = is_initiator
        self.is_closed = False
        self._carrier = carrier
        self._loop = asyncio.get_running_loop()
        self._inbox: asyncio.Queue[Message | None] = asyncio.Queue()
        self._under_way: _Outgoing | None = None
        self._backlog: deque[_Outgoing] = deque()
        self._retransmission: asyncio.TimerHandle | None = None
        self._received_counter: int | None = None
        self._ack_timer: asyncio.TimerHandle | None = None

    @property
    def accessor(self) -> Accessor:
        """Who is asking."""
        return self.session.accessor

    async def send(self, opcode: int, payload: bytes, *, protocol: int | None = None, reliable: bool = True) -> None:
        """Send a message and, if `reliable`, return when the peer has acknowledged it.

        Raises: ExchangeTimeout when it never does.
        """
        if not reliable:
            self.post(opcode, payload, protocol=protocol, reliable=False)
            return
        acknowledged: asyncio.Future[None] = self._loop.create_future()
        self._enqueue(_Outgoing(self._message(opcode, payload, protocol), acknowledged))
        await acknowledged

    def post(self, opcode: int, payload: bytes, *, protocol: int | None = None, reliable: bool = True) -> None:
        """Send a message without waiting for its acknowledgement.

        Raises: ExchangeTimeout when the exchange is closed.
        """
        message = self._message(opcode, payload, protocol)
        if reliable:
            self._enqueue(_Outgoing(message, None))
        else:
            self._transmit(message, reliable=False)

    async def receive(self, timeout_s: float = RESPONSE_TIMEOUT_S) -> Message:
        """Return the peer's next message.

        Raises: ExchangeTimeout when there is none within `timeout_s`.
        """
        try:
            async with asyncio.timeout(timeout_s):
                message = await self._inbox.get()
        except TimeoutError:
            raise ExchangeTimeout(f"no message from {self.session} within {timeout_s} s") from None
        if message is None:
            self._inbox.put_nowait(None)
            raise ExchangeTimeout(f"{self.session} is closed")
        return message

    async def close(self) -> None:
        """End the conversation: acknowledge what is owed; an unacknowledged message goes on being retransmitted."""
        if self.is_closed:
            return
        self.is_closed = True
        self._settle_ack()
        if self._under_way is None:
            self._carrier.retire(self)

    def abort(self) -> None:
        """End the conversation at once, for the session is gone."""
        self.is_closed = True
        self._cancel_ack_timer()
        self._inbox.put_nowait(None)
        self._give_up(f"{self.session} is closed")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def handle(self, header: ProtocolHeader, counter: int, payload: bytes, *, is_duplicate: bool) -> None:
        """Take in a message of this exchange that arrived with `counter`."""
        if header.acknowledged_counter is not None:
            self._on_acknowledged(header.acknowledged_counter)
        if header.needs_ack:
            self._owe_ack(counter, at_once=is_duplicate or self.is_closed)
        if is_duplicate or self.is_closed or is_standalone_ack(header):
            return
        if self._inbox.qsize() < MAX_WAITING_MESSAGES:
            self._inbox.put_nowait(Message(header.protocol_id, header.opcode, payload))

    def begin(self, header: ProtocolHeader, counter: int) -> None:
        """Take in the header of the message that opened this exchange, which goes to the handler itself."""
        if header.needs_ack:
            self._owe_ack(counter, at_once=False)

    def acknowledge(self, counter: int) -> None:
        """Send a standalone acknowledgement of `counter`."""
        if counter == self._received_counter:
            self._cancel_ack_timer()
        header = ProtocolHeader(
            is_initiator=self.is_initiator,
            opcode=SecureChannelOpcode.STANDALONE_ACK,
            exchange_id=self.exchange_id,
            protocol_id=PROTOCOL_SECURE_CHANNEL,
            acknowledged_counter=counter,
        )
        _, datagram = self.session.seal(header.encode())
        self._carrier.transmit(self.session, datagram)

    def _message(self, opcode: int, payload: bytes, protocol: int | None) -> Message:
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise ValueError(f"payload of {len(payload)} bytes, a message carries at most {MAX_PAYLOAD_BYTES}")
        if self.is_closed:
            raise ExchangeTimeout(f"exchange {self.exchange_id} with {self.session} is closed")
        return Message(self.protocol if protocol is None else protocol, opcode, payload)

    def _enqueue(self, outgoing: _Outgoing) -> None:
        self._backlog.append(outgoing)
        if self._under_way is None:
            self._transmit_next()

    def _transmit_next(self) -> None:
        self._under_way = outgoing = self._backlog.popleft() if self._backlog else None
        if outgoing is None:
            if self.is_closed:
                self._carrier.retire(self)
            return
        outgoing.counter, outgoing.datagram = self._transmit(outgoing.message, reliable=True)
        outgoing.transmissions = 1
        self._schedule_retransmission()

    def _transmit(self, message: Message, *, reliable: bool) -> tuple[int, bytes]:
        """Send a new message; it acknowledges the last one received even if an ack went out, which may be lost."""
        self._cancel_ack_timer()
        header = ProtocolHeader(
            is_initiator=self.is_initiator,
            opcode=message.opcode,
            exchange_id=self.exchange_id,
            protocol_id=message.protocol,
            acknowledged_counter=self._received_counter,
            needs_ack=reliable,
        )
        counter, datagram = self.session.seal(header.encode() + message.payload)
        self._carrier.transmit(self.session, datagram)
        return counter, datagram

    def _schedule_retransmission(self) -> None:
        if self._under_way is None:
            return
        base_ms = self.session.retransmission_base_ms(self._loop.time())
        random_step = self._carrier.entropy.below(_JITTER_STEPS + 1)
        delay_ms = retransmission_delay_ms(base_ms, self._under_way.transmissions - 1, random_step)
        self._retransmission = self._loop.call_later(delay_ms / 1000, self._retransmit)

    def _retransmit(self) -> None:
        outgoing = self._under_way
        if outgoing is None:
            return
        if outgoing.transmissions >= MAX_TRANSMISSIONS:
            self._give_up(f"{self.session} acknowledged none of {MAX_TRANSMISSIONS} transmissions")
            return
        outgoing.transmissions += 1
        self._carrier.transmit(self.session, outgoing.datagram)
        self._schedule_retransmission()

    def _on_acknowledged(self, counter: int) -> None:
        outgoing = self._under_way
        if outgoing is None or outgoing.counter != counter:
            return
        self.session.has_answered = True
        self._cancel_retransmission()
        if outgoing.acknowledged is not None and not outgoing.acknowledged.done():
            outgoing.acknowledged.set_result(None)
        self._transmit_next()

    def _give_up(self, reason: str) -> None:
        """Fail the message under way and those behind it."""
        self._cancel_retransmission()
        unsent = [self._under_way, *self._backlog] if self._under_way is not None else []
        self._under_way = None
        self._backlog.clear()
        for outgoing in unsent:
            if outgoing is not None and outgoing.acknowledged is not None and not outgoing.acknowledged.done():
                outgoing.acknowledged.set_exception(ExchangeTimeout(reason))
        if self.is_closed:
            self._carrier.retire(self)

    def _owe_ack(self, counter: int, *, at_once: bool) -> None:
        if at_once:
            self.acknowledge(counter)
            return
        self._settle_ack()
        self._received_counter = counter
        self._ack_timer = self._loop.call_later(STANDALONE_ACK_TIMEOUT_MS / 1000, self.acknowledge, counter)

    def _settle_ack(self) -> None:
        """Send the acknowledgement that still waits for a message to ride on."""
        if self._ack_timer is not None and self._received_counter is not None:
            self.acknowledge(self._received_counter)

    def _cancel_ack_timer(self) -> None:
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None

    def _cancel_retransmission(self) -> None:
        if self._retransmission is not None:
            self._retransmission.cancel()
            self._retransmission = None


def retransmission_delay_ms(base_ms: int, retry: int, random_step: int) -> int:
    """Return how long to wait before the `retry`-th retransmission (0 first), or before giving up after the last.

    Units: `random_step` in thousandths, 0 to 250.
    Source: Matter core 4.12.2.1: i * MARGIN 1.1 * BASE 1.6^max(0, n - THRESHOLD 1) * (1 + random * JITTER 0.25).
    """
    power = max(0, retry - 1)
    numerator: int = base_ms * 11 * 16**power * (1000 + random_step)
    denominator: int = 10 * 10**power * 1000
    return numerator // denominator


def is_standalone_ack(header: ProtocolHeader) -> bool:
    """Tell whether a message does nothing but acknowledge."""
    return header.protocol_id == PROTOCOL_SECURE_CHANNEL and header.opcode == SecureChannelOpcode.STANDALONE_ACK
