"""What a node answers on the secure channel protocol."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from evse_pi.matter.channel.handshake import HandshakeRefused
from evse_pi.matter.channel.secure_channel import CLOSE_SESSION, INVALID_PARAMETER, SecureChannelOpcode, StatusReport
from evse_pi.matter.wire.status_code import DecodeError

if TYPE_CHECKING:
    from evse_pi.matter.channel.case import CaseResponder
    from evse_pi.matter.channel.exchange import Exchange, Message
    from evse_pi.matter.channel.pase import PaseResponder
    from evse_pi.matter.channel.peer_session import SessionTable

log = logging.getLogger(__name__)


class SecureChannelResponder:
    """Hands handshakes to PASE and CASE and tells the peer how they ended."""

    def __init__(self, sessions: SessionTable, *, pase: PaseResponder, case: CaseResponder) -> None:
        self._sessions = sessions
        self._pase = pase
        self._case = case

    async def __call__(self, exchange: Exchange, message: Message) -> None:
        """Answer the message that opened `exchange`; one that opens no conversation is only acknowledged."""
        try:
            if exchange.session.is_secure:
                self._on_secure(exchange, message)
            elif message.opcode == SecureChannelOpcode.PBKDF_PARAM_REQUEST:
                await self._pase.respond(exchange, message.payload)
            elif message.opcode == SecureChannelOpcode.SIGMA1:
                await self._case.respond(exchange, message.payload)
        except HandshakeRefused as refused:
            self._refuse(exchange, refused.report, refused)
        except DecodeError as error:
            self._refuse(exchange, INVALID_PARAMETER, error)

    def _on_secure(self, exchange: Exchange, message: Message) -> None:
        """Obey a CloseSession; nothing else opens an exchange of this protocol on a secure session."""
        if (
            message.opcode == SecureChannelOpcode.STATUS_REPORT
            and StatusReport.decode(message.payload) == CLOSE_SESSION
        ):
            self._sessions.close(exchange.session, notify=False)

    def _refuse(self, exchange: Exchange, report: StatusReport | None, reason: Exception) -> None:
        # Not above debug: every host on the network can cause it as often as it likes.
        log.debug("secure channel refused session=%s reason=%s", exchange.session, reason)
        if report is not None and not exchange.is_closed:
            exchange.post(SecureChannelOpcode.STATUS_REPORT, report.encode())
