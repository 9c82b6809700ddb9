"""The datagram end points of the two processes.

One UNIX datagram socket each in the run directory, `safety.sock` and `node.sock`. Nothing here ever waits: a peer that
is absent, stopped or slow costs its own datagrams and nobody's time.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SAFETY_SOCKET = "safety.sock"
NODE_SOCKET = "node.sock"
SOCKET_MODE = 0o660  # both users are in the group of the run directory; nobody else may speak
MAX_DATAGRAMS_PER_CALL = 16  # the kernel queues 10 by default; a flood must not lengthen a tick
MAX_DATAGRAM = 4096  # the larger of both records is below 2 KiB

Received = TypeVar("Received")


class LinkError(OSError):
    """A socket of the link cannot be opened."""


@dataclass(slots=True)
class LinkCounters:
    """What became of the datagrams since the start."""

    sent: int = 0
    dropped: int = 0  # no peer, or its queue is full
    received: int = 0
    superseded: int = 0  # a newer one arrived in the same call
    malformed: int = 0


class LinkEnd(Generic[Received]):
    """Sends to the peer's socket and receives at its own; newest wins, a full queue drops.

    Raises: LinkError from the constructor only.
    """

    def __init__(self, own: Path, peer: Path, decode: Callable[[bytes], Received]) -> None:
        self.counters = LinkCounters()
        self._own = own
        self._peer = str(peer)
        self._decode = decode
        self._buffer = bytearray(MAX_DATAGRAM)
        self._socket = _bind(own)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when something arrived."""
        return self._socket.fileno()

    def send(self, datagram: bytes) -> bool:
        """Send one datagram if the peer can take it now; return whether it could."""
        try:
            self._socket.sendto(datagram, self._peer)
        except OSError:
            self.counters.dropped += 1
            return False
        self.counters.sent += 1
        return True

    def receive(self) -> Received | None:
        """Return the newest well-formed record that has arrived since the last call, or None."""
        newest: Received | None = None
        for _ in range(MAX_DATAGRAMS_PER_CALL):
            try:
                size = self._socket.recv_into(self._buffer)
            except OSError:  # nothing more; any other trouble is as good as silence, and silence ends the lease
                break
            try:
                record = self._decode(bytes(self._buffer[:size]))
            except ValueError:
                self.counters.malformed += 1
                continue
            self.counters.received += 1
            self.counters.superseded += newest is not None
            newest = record
        return newest

    def close(self) -> None:
        """Close, and take the socket out of the run directory."""
        self._socket.close()
        self._own.unlink(missing_ok=True)


def _bind(path: Path) -> socket.socket:
    """Return a non-blocking datagram socket at `path`, in place of one that a crash left behind."""
    endpoint = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        _remove_stale(path)
        former = os.umask(0o777 & ~SOCKET_MODE)
        try:
            endpoint.bind(str(path))
        finally:
            os.umask(former)
    except OSError as error:
        endpoint.close()
        if isinstance(error, LinkError):
            raise
        raise LinkError(error.errno, f"{error.strerror}, link socket", str(path)) from error
    return endpoint


def _remove_stale(path: Path) -> None:
    """Unlink a socket that nobody serves. Raises: LinkError where a living process or another kind of file is."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise LinkError(errno.EEXIST, "not a socket", str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise LinkError(errno.EADDRINUSE, "another process serves this link socket", str(path))
