"""Who may connect, and as what: a server asks this once a connection."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from typing import TypeAlias

from evse_pi.api.service import Caller, PeerProcess

Admission: TypeAlias = Callable[[PeerProcess], Caller]
"""Returns who asks. Raises: Refusal when this process may not."""

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid. Source: unix(7), SO_PEERCRED


def peer_of(connection: socket.socket) -> PeerProcess:
    """Return the process at the other end, as the kernel knows it. Raises: OSError."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return PeerProcess(*_CREDENTIALS.unpack(found))


def owners_and_installer(peer: PeerProcess) -> Caller:
    """Accept every user that the socket's mode admits; root, and the user the service runs as, are installers."""
    return Caller(peer.uid, installer=peer.uid in (0, os.geteuid()))
