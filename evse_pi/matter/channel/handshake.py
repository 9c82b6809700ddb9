"""What the handshakes of a secure session share: the next message, the expected report, the refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.matter.channel.secure_channel import INVALID_PARAMETER, SecureChannelOpcode, StatusReport
from evse_pi.matter.wire.message import PROTOCOL_SECURE_CHANNEL

if TYPE_CHECKING:
    from evse_pi.matter.channel.exchange import Exchange


class HandshakeRefused(Exception):  # noqa: N818 (an answer to the peer)
    """A handshake ends here, and `report` tells the peer why; None when the peer itself ended it."""

    def __init__(self, report: StatusReport | None, reason: str) -> None:
        super().__init__(reason)
        self.report = report


async def receive(exchange: Exchange, opcode: SecureChannelOpcode) -> bytes:
    """Return the payload of the peer's next message, which must be `opcode`.

    Raises: HandshakeRefused when it is another one, DecodeError when it is a malformed StatusReport; ExchangeTimeout.
    """
    message = await exchange.receive()
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
