"""What the handshakes of a secure session share: their time, the next message, the expected report, the refusal."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from evse_pi.matter.channel.secure_channel import INVALID_PARAMETER, SecureChannelOpcode, StatusReport
from evse_pi.matter.wire.message import PROTOCOL_SECURE_CHANNEL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from evse_pi.matter.channel.exchange import Exchange

HANDSHAKE_TIMEOUT_S = 20.0  # two rounds of retransmissions on a bad network; who holds a place longer keeps others out
ANSWER_WITHIN_S = 10.0  # 5 s of retransmissions, and time for a phone's arithmetic


class HandshakeRefused(Exception):  # noqa: N818 (an answer to the peer)
    """A handshake ends here, and `report` tells the peer why; None when the peer itself ended it."""

    def __init__(self, report: StatusReport | None, reason: str) -> None:
        super().__init__(reason)
        self.report = report


@asynccontextmanager
async def time_bounded() -> AsyncIterator[None]:
    """End the handshake in the block after HANDSHAKE_TIMEOUT_S, however long its peer says that it sleeps.

    Raises: HandshakeRefused.
    """
    try:
        async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
            yield
    except TimeoutError:
        raise HandshakeRefused(INVALID_PARAMETER, f"not finished within {HANDSHAKE_TIMEOUT_S} s") from None


async def receive(exchange: Exchange, opcode: SecureChannelOpcode) -> bytes:
    """Return the payload of the peer's next message, which must be `opcode`.

    Raises: HandshakeRefused when it is another one, DecodeError when it is a malformed StatusReport; ExchangeTimeout.
    """
    message = await exchange.receive(ANSWER_WITHIN_S)
    if message.protocol == PROTOCOL_SECURE_CHANNEL and message.opcode == opcode:
        return message.payload
    if message.protocol == PROTOCOL_SECURE_CHANNEL and message.opcode == SecureChannelOpcode.STATUS_REPORT:
        raise HandshakeRefused(None, f"peer ended the handshake with {StatusReport.decode(message.payload)}")
    raise HandshakeRefused(INVALID_PARAMETER, f"opcode 0x{message.opcode:02X} where {opcode.name} must come")


async def receive_status(exchange: Exchange, expected: StatusReport) -> None:
    """Return when the peer has reported `expected`.

    Raises: HandshakeRefused when it reports or sends anything else, DecodeError, ExchangeTimeout.
    """
    report = StatusReport.decode(await receive(exchange, SecureChannelOpcode.STATUS_REPORT))
    if report != expected:
        raise HandshakeRefused(None, f"peer ended the handshake with {report}")
