"""A whole commissioned node under fire: the receive path from datagram to cluster, in virtual time.

An input is a list of shots, each one kind byte, one length byte and that many bytes; see `FuzzedNode._shoot`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from evse_pi.matter.channel.exchange import ExchangeTimeout
from evse_pi.matter.channel.secure_channel import SecureChannelOpcode
from evse_pi.matter.channel.stack import MAX_EXCHANGES
from evse_pi.matter.wire.message import (
    PROTOCOL_INTERACTION_MODEL,
    PROTOCOL_SECURE_CHANNEL,
    MessageHeader,
    ProtocolHeader,
)
from examples.matter_lamp import lamp_endpoint
from tests.component.fuzz import codecs
from tests.support.matter_bench import Bench
from tests.support.virtual_loop import VirtualTimeLoop

if TYPE_CHECKING:
    from evse_pi.matter.channel.peer_session import PeerSession

RAW, HANDSHAKE, SECURE, TIMED, PAUSE = range(5)
INTERACTIONS = {2: "read", 3: "subscribe", 6: "write", 8: "invoke", 10: "timed", 1: "status"}
CHECK_EVERY = 50
MAX_SENT_KEPT = 100


class _Alarm(logging.Handler):
    """Keeps what the node complains about; a handler that failed is a finding."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(logging.Formatter().format(record))


class FuzzedNode:
    """One node that lives through all inputs, and a controller with a session to it."""

    def __init__(self) -> None:
        self._loop = VirtualTimeLoop()
        asyncio.set_event_loop(self._loop)
        self._alarm = _Alarm()
        logging.getLogger("evse_pi").addHandler(self._alarm)
        logging.getLogger("asyncio").addHandler(self._alarm)
        self._inputs = 0
        self._loop.run_until_complete(self._set_up())

    async def _set_up(self) -> None:
        self._bench = Bench([lamp_endpoint()])
        await self._bench.node.start()
        self._controller, self._session = await self._bench.commission()
        self._controller.stack.serve(PROTOCOL_SECURE_CHANNEL, _ignore)
        self._bench.node.open_commissioning_window()

    def feed(self, data: bytes) -> None:
        """Take one input.

        Raises: AssertionError if the node complained, grew or no longer answers.
        """
        self._inputs += 1
        self._loop.run_until_complete(self._fire(data))
        assert not self._alarm.records, self._alarm.records[0]
        stack = self._bench.node.stack
        assert stack.exchange_count <= MAX_EXCHANGES
        del self._bench.network.sent[:-MAX_SENT_KEPT]
        if self._inputs % CHECK_EVERY == 0:
            self._loop.run_until_complete(self._check())

    async def _fire(self, data: bytes) -> None:
        place = 0
        while place + 2 <= len(data):
            kind, length = data[place] % 5, data[place + 1]
            await self._shoot(kind, data[place + 2 : place + 2 + length])
            place += 2 + length
        await asyncio.sleep(0.05)

    async def _shoot(self, kind: int, body: bytes) -> None:
        """Send a raw datagram, a handshake message, an interaction, a timed interaction, or let time pass."""
        if kind == RAW:
            self._bench.network.carry("stranger", "device", body)
        elif kind == HANDSHAKE and len(body) > 2:
            self._bench.network.carry(f"stranger {body[0] % 4}", "device", _handshake(body[0], body[1], body[2:]))
        elif kind == SECURE and body:
            self._interact(body[0] % 12, body[1:])
        elif kind == TIMED and body:
            self._interact(10, codecs.seeds()["timed"][0], then=(body[0] % 12, body[1:]))
        elif kind == PAUSE:
            await asyncio.sleep(sum(body) / 10)

    def _interact(self, opcode: int, payload: bytes, then: tuple[int, bytes] | None = None) -> None:
        if self._session.exchanges and len(self._session.exchanges) > 8:
            return
        exchange = self._controller.stack.initiate(self._session, PROTOCOL_INTERACTION_MODEL)
        exchange.post(opcode, payload)
        if then is not None:
            exchange.post(*then)
        self._loop.call_later(0.04, lambda: self._loop.create_task(exchange.close()))

    async def _check(self) -> None:
        """See that the node still serves its controller, on a new session if the old one is gone."""
        await asyncio.sleep(30)
        session = await self._usable_session()
        report = await self._controller.read(session, (1, 6, 0), (0, 0x28, 0))
        assert len(report.attributes) + len(report.statuses) == 2
        assert not self._alarm.records, self._alarm.records[0]

    async def _usable_session(self) -> PeerSession:
        try:
            await self._controller.read(self._session, (1, 6, 0))
        except (ExchangeTimeout, TimeoutError):
            self._bench.node.factory_reset()
            await asyncio.sleep(1)
            self._controller, self._session = await self._bench.commission(name=f"controller {self._inputs}")
            self._controller.stack.serve(PROTOCOL_SECURE_CHANNEL, _ignore)
            self._bench.node.open_commissioning_window()
        return self._session


async def _ignore(*_: object) -> None:
    """Let what the node says on its own go unanswered."""


def _handshake(source: int, opcode: int, payload: bytes) -> bytes:
    """Return a cleartext message of the secure channel from one of a few initiators."""
    opcodes = list(SecureChannelOpcode)
    header = MessageHeader(0, int.from_bytes(payload[:4], "little"), source_node_id=1 + source)
    protocol = ProtocolHeader(
        is_initiator=True,
        opcode=opcodes[opcode % len(opcodes)],
        exchange_id=source,
        protocol_id=PROTOCOL_SECURE_CHANNEL,
        needs_ack=bool(opcode & 0x80),
    )
    return header.encode() + protocol.encode() + payload


def seeds() -> list[bytes]:
    """Return inputs that reach every kind of shot with well-formed content."""
    known = codecs.seeds()
    inputs = [_shot(RAW, known["message_header"][0] + known["protocol_header"][0])]
    for opcode, name in ((1, "param_request"), (6, "sigma1"), (10, "status_report")):
        inputs.append(_shot(HANDSHAKE, bytes((1, 0x80 | opcode)) + known[name][0]))
    for opcode, name in INTERACTIONS.items():
        inputs.append(_shot(SECURE, bytes((opcode,)) + known[name][0]))
        inputs.append(_shot(TIMED, bytes((opcode,)) + known[name][0]))
    return [*inputs, b"".join(inputs), _shot(PAUSE, b"\xff\xff")]


def _shot(kind: int, body: bytes) -> bytes:
    return bytes((kind, min(len(body), 255))) + body[:255]


_node: list[FuzzedNode] = []


def whole_node(data: bytes) -> None:
    """Feed the one node of this process."""
    if not _node:
        _node.append(FuzzedNode())
    _node[0].feed(data)
