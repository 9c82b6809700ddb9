"""Datagrams in and out: one UDP socket for IPv6 and IPv4, and one log line for all that had to be dropped."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

log = logging.getLogger(__name__)

MATTER_PORT = 5540
MAX_RECEIVED_BYTES = 1583  # the largest that the reference implementation sends; we never send more than 1232
MAX_DATAGRAMS_PER_WAKE_UP = 32  # a flood must leave the loop time for timers and handlers
DROP_LINE_INTERVAL_S = 10.0


class Drop(Enum):
    """Why a datagram went no further; the closed list keeps the line short whatever a stranger sends."""

    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    UNAUTHENTIC = "unauthentic"
    UNKNOWN_SESSION = "unknown_session"
    UNSUPPORTED_GROUP = "unsupported_group"
    UNSOLICITED = "unsolicited"
    UNKNOWN_PROTOCOL = "unknown_protocol"
    NO_ROOM = "no_room"
    NOT_SENT = "not_sent"


class DropLog:
    """Counts dropped datagrams by reason and says so in at most one line per interval."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.counts: Counter[Drop] = Counter()
        self._reported: Counter[Drop] = Counter()
        self._now = now
        self._next_line = float("-inf")

    def note(self, reason: Drop) -> None:
        """Count one datagram."""
        self.counts[reason] += 1
        now = self._now()
        if now >= self._next_line:
            self._next_line = now + DROP_LINE_INTERVAL_S
            fresh = self.counts - self._reported
            self._reported = self.counts.copy()
            log.info("datagrams dropped %s", " ".join(f"{drop.value}={count}" for drop, count in fresh.items()))


class DatagramTransport(Protocol):
    """A way to send and receive datagrams: UDP, or a pipe in memory."""

    def start(self, receiver: Callable[[bytes, Hashable], None]) -> None:
        """Deliver every datagram and its sender's address to `receiver` from now on."""

    def send(self, datagram: bytes, address: Any) -> bool:
        """Send a datagram; False when the network did not take it."""

    def close(self) -> None:
        """Stop receiving and free the port."""


class UdpTransport:
    """A UDP socket on all addresses of the machine."""

    def __init__(self, port: int = MATTER_PORT) -> None:
        self._socket = _bind(port)
        self._receiver: Callable[[bytes, Hashable], None] | None = None

    @property
    def port(self) -> int:
        """The bound port, which differs from the one asked for when that was 0."""
        return int(self._socket.getsockname()[1])

    def start(self, receiver: Callable[[bytes, Hashable], None]) -> None:
        """Deliver every datagram and its sender's address to `receiver` from now on."""
        self._receiver = receiver
        asyncio.get_running_loop().add_reader(self._socket, self._on_readable)

    def send(self, datagram: bytes, address: Any) -> bool:
        """Send a datagram to the very address that one came from; False when the network did not take it."""
        try:
            self._socket.sendto(datagram, address)
        except OSError as error:
            log.debug("datagram not sent to=%s error=%s", address[0], error)
            return False
        return True

    def close(self) -> None:
        """Stop receiving and free the port."""
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _on_readable(self) -> None:
        for _ in range(MAX_DATAGRAMS_PER_WAKE_UP):
            try:
                datagram, address = self._socket.recvfrom(MAX_RECEIVED_BYTES + 1)
            except BlockingIOError:
                return
            except OSError as error:
                log.debug("receive failed error=%s", error)  # e.g. ECONNREFUSED of an earlier datagram to a closed port
                return
            if self._receiver is not None:
                self._receiver(datagram, address)


def _bind(port: int) -> socket.socket:
    """Return a non-blocking socket that serves IPv6 and, by mapped addresses, IPv4; only IPv4 where IPv6 is off."""
    try:
        bound = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    except OSError as error:
        if error.errno != errno.EAFNOSUPPORT:
            raise
        log.warning("no IPv6 on this machine, which Matter requires; serving IPv4 only")
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        if bound.family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.setblocking(False)
        bound.bind(("", port))
    except OSError:
        bound.close()
        raise
    return bound
