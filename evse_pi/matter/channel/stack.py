"""The message stack: transport, sessions and exchanges put together.

A datagram goes header, session, decryption, duplicate check, exchange, acknowledgement, handler; the first of these
that does not want it drops it, and only the drop log says so. Source: Matter core 4.7 (message processing), 4.10.5.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from evse_pi.matter.channel.exchange import Exchange, ExchangeTimeout, Message, is_standalone_ack
from evse_pi.matter.channel.peer_session import PeerSession, SessionParameters, SessionTable, UnsecuredSessionTable
from evse_pi.matter.channel.secure_channel import CLOSE_SESSION, GeneralCode, SecureChannelOpcode, StatusReport, busy
from evse_pi.matter.channel.shares import Holder, Shares
from evse_pi.matter.channel.transport import MAX_RECEIVED_BYTES, Drop, DropLog
from evse_pi.matter.identity.accessor import AuthMode
from evse_pi.matter.wire.message import PROTOCOL_SECURE_CHANNEL, MessageHeader, ProtocolHeader, SessionType
from evse_pi.matter.wire.status_code import DecodeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from evse_pi.matter.channel.transport import DatagramTransport
    from evse_pi.matter.environment import Entropy
    from evse_pi.matter.identity.accessor import Accessor

    Handler = Callable[[Exchange, Message], Awaitable[None]]

log = logging.getLogger(__name__)

MAX_EXCHANGES_PER_PEER = 16  # a hub that reads and writes at once stays below 8; over however many sessions
MAX_EXCHANGES_PER_GROUP = 24  # administrators of a fabric, or its other members
MAX_EXCHANGES_PER_HANDSHAKE = 2  # an initiator takes a new node id for each handshake; one more for a second attempt
MAX_EXCHANGES = (
    128  # opened by secure peers: a task and a few kilobytes each; who asks for more is told that we are busy
)
OWN_EXCHANGES = 2  # of each group: an owner's command goes through though all others want everything
BUSY_WAIT_MS = 1000
HANDSHAKE_OPENERS = frozenset({SecureChannelOpcode.PBKDF_PARAM_REQUEST, SecureChannelOpcode.SIGMA1})
_EXCHANGE_ID_LIMIT = 1 << 16
_NO_PROTOCOL_CODE = 0xFFFF


class _Dropped(Exception):  # noqa: N818 (an ordinary outcome)
    """A datagram goes no further."""

    def __init__(self, reason: Drop) -> None:
        super().__init__(reason.value)
        self.reason = reason


class MessageStack:
    """Carries application messages to and from peers; protocols are served by the handlers that are put in."""

    def __init__(self, *, entropy: Entropy, session_parameters: SessionParameters) -> None:
        self.entropy = entropy
        self.session_parameters = session_parameters
        self.sessions = SessionTable(entropy=entropy, farewell=self._say_farewell)
        self.sessions.closed.append(_abort_exchanges)
        self.unsecured = UnsecuredSessionTable(entropy=entropy)
        self.drops = DropLog(self._now)
        self._handlers: dict[int, Handler] = {}
        self._transport: DatagramTransport | None = None
        self.is_administrator: Callable[[Accessor], bool] = lambda _accessor: False
        """Tells who administers the node; set by the node, which knows its access control list."""
        self._exchanges: set[Exchange] = set()
        self._shares = Shares(
            total=MAX_EXCHANGES,
            own=OWN_EXCHANGES,
            per_group=MAX_EXCHANGES_PER_GROUP,
            per_peer=MAX_EXCHANGES_PER_PEER,
        )
        self._holders: dict[Exchange, Holder] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_exchange_id = entropy.below(_EXCHANGE_ID_LIMIT)

    @property
    def exchange_count(self) -> int:
        """How many exchanges are open or wait for a last acknowledgement."""
        return len(self._exchanges)

    def serve(self, protocol: int, handler: Handler) -> None:
        """Let `handler` answer each exchange that a peer opens with `protocol`, in a task of its own."""
        self._handlers[protocol] = handler

    def initiate(self, session: PeerSession, protocol: int) -> Exchange:
        """Return a new exchange on `session` that we open."""
        while True:
            exchange_id = self._next_exchange_id
            self._next_exchange_id = (exchange_id + 1) % _EXCHANGE_ID_LIMIT
            if (exchange_id, True) not in session.exchanges:
                return self._add_exchange(session, exchange_id, protocol, is_initiator=True)

    async def start(self, transport: DatagramTransport) -> None:
        """Receive from and send through `transport` from now on."""
        self._transport = transport
        transport.start(self.receive)

    async def stop(self) -> None:
        """Cancel every handler, forget every exchange and close the transport; sessions are kept."""
        others = self._tasks - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for exchange in tuple(self._exchanges):
            exchange.abort()
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def receive(self, datagram: bytes, address: Hashable) -> None:
        """Take in a datagram from any sender."""
        try:
            self._receive(datagram, address)
        except _Dropped as dropped:
            self.drops.note(dropped.reason)
        except DecodeError:
            self.drops.note(Drop.MALFORMED)

    def transmit(self, session: PeerSession, datagram: bytes) -> None:
        """Send a sealed datagram to the session's peer."""
        session.last_used = self._now()
        if self._transport is None or not self._transport.send(datagram, session.address):
            self.drops.note(Drop.NOT_SENT)
        if session.is_secure and session.counter.is_exhausted:
            self.sessions.close(session, notify=False)

    def holder(self, session: PeerSession) -> Holder:
        """Return whose share of bounded tables the peer of a secure session uses; a commissioner has no fabric yet."""
        accessor = session.accessor
        if accessor.auth_mode is not AuthMode.CASE:
            return Holder((0, True), session)
        group = accessor.fabric_index, self.is_administrator(accessor)
        return Holder(group, (accessor.fabric_index, accessor.node_id))

    def retire(self, exchange: Exchange) -> None:
        """Forget an exchange that neither side needs any more."""
        self._exchanges.discard(exchange)
        holder = self._holders.pop(exchange, None)
        if holder is not None:
            self._shares.give_back(holder)
        exchange.session.exchanges.pop((exchange.exchange_id, exchange.is_initiator), None)

    def _receive(self, datagram: bytes, address: Hashable) -> None:
        if len(datagram) > MAX_RECEIVED_BYTES:
            raise _Dropped(Drop.OVERSIZED)
        header, offset = MessageHeader.decode(datagram)
        if header.session_type is SessionType.GROUP:
            raise _Dropped(Drop.UNSUPPORTED_GROUP)
        if header.session_id:
            session = self.sessions.get(header.session_id)
            if session is None:
                raise _Dropped(Drop.UNKNOWN_SESSION)
            plaintext = _open(session, datagram, offset)
            protocol, offset = ProtocolHeader.decode(plaintext)
        else:
            plaintext = datagram
            protocol, length = ProtocolHeader.decode(datagram[offset:])
            offset += length
            session = self._unsecured_session(header, protocol, address)
        self._deliver(session, header.counter, protocol, plaintext[offset:], address)

    def _unsecured_session(self, header: MessageHeader, protocol: ProtocolHeader, address: Hashable) -> PeerSession:
        """Return the session of a cleartext message, a new one only for the first message of a handshake."""
        if protocol.protocol_id != PROTOCOL_SECURE_CHANNEL or protocol.vendor_id:
            raise _Dropped(Drop.UNKNOWN_PROTOCOL)
        session = self.unsecured.get(header)
        if session is not None:
            return session
        if not protocol.is_initiator or protocol.opcode not in HANDSHAKE_OPENERS:
            raise _Dropped(Drop.UNSOLICITED)
        session = self.unsecured.add(header, address)
        if session is None:
            raise _Dropped(Drop.NO_ROOM)
        return session

    def _deliver(
        self, session: PeerSession, counter: int, header: ProtocolHeader, payload: bytes, address: Hashable
    ) -> None:
        is_duplicate = not session.window.is_new(counter)
        exchange = session.exchanges.get((header.exchange_id, not header.is_initiator))
        if not is_duplicate:
            session.note_received(counter, address, self._now())
        if exchange is not None:
            exchange.handle(header, counter, payload, is_duplicate=is_duplicate)
        elif is_duplicate or is_standalone_ack(header):
            self._acknowledge_stray(session, counter, header)
        elif not header.is_initiator:
            self._acknowledge_stray(session, counter, header)
            raise _Dropped(Drop.UNSOLICITED)
        elif header.protocol_id not in self._handlers or header.vendor_id:
            self._acknowledge_stray(session, counter, header)
            raise _Dropped(Drop.UNKNOWN_PROTOCOL)
        else:
            self._open_exchange(session, counter, header, payload)

    def _open_exchange(self, session: PeerSession, counter: int, header: ProtocolHeader, payload: bytes) -> None:
        """Serve a peer's first message. Raises: _Dropped, after the peer was told, where its share is used up."""
        holder = self.holder(session) if session.is_secure else None
        crowded = (
            len(session.exchanges) >= MAX_EXCHANGES_PER_HANDSHAKE if holder is None else not self._shares.take(holder)
        )
        if crowded:
            self._answer_busy(session, counter, header)
            raise _Dropped(Drop.NO_ROOM)
        exchange = self._add_exchange(session, header.exchange_id, header.protocol_id, is_initiator=False)
        if holder is not None:
            self._holders[exchange] = holder
        exchange.begin(header, counter)
        message = Message(header.protocol_id, header.opcode, payload)
        task = asyncio.get_running_loop().create_task(self._run(exchange, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _add_exchange(self, session: PeerSession, exchange_id: int, protocol: int, *, is_initiator: bool) -> Exchange:
        exchange = Exchange(session, exchange_id, protocol, is_initiator=is_initiator, carrier=self)
        session.exchanges[exchange_id, is_initiator] = exchange
        self._exchanges.add(exchange)
        return exchange

    async def _run(self, exchange: Exchange, message: Message) -> None:
        """Let the handler answer; whatever it raises ends here, with an answer to the peer."""
        try:
            await self._handlers[message.protocol](exchange, message)
        except ExchangeTimeout as timeout:
            log.debug("exchange ended session=%s reason=%s", exchange.session, timeout)
        except Exception:
            log.exception("handler failed protocol=%d opcode=0x%02X", message.protocol, message.opcode)
            if not exchange.is_closed:
                failure = StatusReport(GeneralCode.FAILURE, _NO_PROTOCOL_CODE, message.protocol)
                exchange.post(SecureChannelOpcode.STATUS_REPORT, failure.encode(), protocol=PROTOCOL_SECURE_CHANNEL)
        finally:
            await exchange.close()

    def _acknowledge_stray(self, session: PeerSession, counter: int, header: ProtocolHeader) -> None:
        """Acknowledge a message of an exchange that is over or never was, so that its sender stops repeating it."""
        if header.needs_ack:
            self._stray_exchange(session, header).acknowledge(counter)

    def _answer_busy(self, session: PeerSession, counter: int, header: ProtocolHeader) -> None:
        """Answer a message that would open one exchange too many, without keeping anything of it."""
        stray = self._stray_exchange(session, header)
        stray.begin(header, counter)
        report = busy(BUSY_WAIT_MS).encode()
        stray.post(SecureChannelOpcode.STATUS_REPORT, report, protocol=PROTOCOL_SECURE_CHANNEL, reliable=False)

    def _stray_exchange(self, session: PeerSession, header: ProtocolHeader) -> Exchange:
        """Return our end of an exchange that is over, never was or may not be, only to send something once."""
        is_initiator = not header.is_initiator
        return Exchange(session, header.exchange_id, header.protocol_id, is_initiator=is_initiator, carrier=self)

    def _say_farewell(self, session: PeerSession) -> None:
        header = ProtocolHeader(
            is_initiator=True,
            opcode=SecureChannelOpcode.STATUS_REPORT,
            exchange_id=self._next_exchange_id,
            protocol_id=PROTOCOL_SECURE_CHANNEL,
        )
        _, datagram = session.seal(header.encode() + CLOSE_SESSION.encode())
        self.transmit(session, datagram)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _open(session: PeerSession, datagram: bytes, offset: int) -> bytes:
    try:
        return session.open(datagram, offset)
    except DecodeError:
        raise _Dropped(Drop.UNAUTHENTIC) from None


def _abort_exchanges(session: PeerSession) -> None:
    for exchange in tuple(session.exchanges.values()):
        exchange.abort()
