"""Answers one request of a connection that the service manager has accepted, without an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.admission import peer_of
from evse_pi.api.protocol import MAX_REQUEST_BYTES, answer_line, refusal_line
from evse_pi.api.refusal import Refusal

if TYPE_CHECKING:
    import socket

    from evse_pi.api.admission import Admission
    from evse_pi.api.service import Service

REQUEST_WITHIN_S = 5.0


def answer_one(connection: socket.socket, service: Service, admission: Admission) -> None:
    """Read one request and answer it. Raises: OSError when the client went away."""
    connection.settimeout(REQUEST_WITHIN_S)
    try:
        caller = admission(peer_of(connection))
        with connection.makefile("rb") as lines:
            call = service.understand(lines.readline(MAX_REQUEST_BYTES), caller)
        told = answer_line(call.begin())
    except Refusal as refusal:
        told = refusal_line(refusal)
    connection.sendall(told)
