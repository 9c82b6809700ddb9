"""Tells the service manager that a process lives: the safety process by its ticks, the node by its demands."""

from __future__ import annotations

import socket
from contextlib import suppress


class ServiceManager:
    """One datagram socket to systemd; without NOTIFY_SOCKET every call does nothing.

    Source: sd_notify(3); a path that starts with "@" is an abstract socket.
    """

    def __init__(self, address: str | None) -> None:
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
            self._socket.connect("\0" + address[1:] if address.startswith("@") else address)

    def tell(self, message: bytes) -> None:
        """Send `message` (READY=1, WATCHDOG=1, STATUS=…) if it can be sent at once."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.send(message)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
