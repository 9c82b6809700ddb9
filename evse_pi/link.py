"""The datagram end points of the two processes.

One UNIX datagram socket each, in a folder of the run directory that its own user alone may write: no third party can
enter it, or put a socket in its place. Beside that every datagram must come from the peer's user, which the kernel
says of each (SCM_CREDENTIALS). Nothing here ever waits: a peer that is absent, stopped or slow costs its own datagrams
and no time of either process.
"""

from __future__ import annotations

import errno
import os
import pwd
import socket
import stat
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOCKET_MODE = 0o660  # the peer is in the socket's group; the folder keeps out everybody else in that group
FOLDER_MODE = 0o700  # where no service manager made it, both processes are one user's
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
MAX_DATAGRAMS_PER_CALL = 16  # the kernel queues 10 by default; a flood must not lengthen a tick
MAX_DATAGRAM = 4096  # the larger of both records is below 2 KiB

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid. Source: unix(7), SCM_CREDENTIALS
_ANCILLARY_BYTES = socket.CMSG_SPACE(_CREDENTIALS.size)  # no room for descriptors: the kernel closes what is sent

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
    foreign: int = 0  # not of the peer's user


class LinkEnd(Generic[Received]):
    """Sends to the peer's socket and receives at its own, from the peer's user alone; newest wins, a full queue drops.

    Raises: LinkError from the constructor only. Hazard: H-10, H-14 another hand on the contactor.
    """

    def __init__(self, own: Path, peer: Path, decode: Callable[[bytes], Received], peer_uid: int | None = None) -> None:
        """Bind `own`; `peer_uid` is the user to be listened to, without it this process's own."""
        self.counters = LinkCounters()
        self._peer_uid = os.geteuid() if peer_uid is None else peer_uid
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
                size, ancillary, _, _ = self._socket.recvmsg_into((self._buffer,), _ANCILLARY_BYTES)
            except OSError:  # nothing more; any other trouble is as good as silence, and silence ends the lease
                break
            if _sender(ancillary) != self._peer_uid:
                self.counters.foreign += 1
                continue
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


def uid_of(name: str | None) -> int:
    """Return the number of a user, of this process's own for None. Raises: LinkError when there is no such user."""
    if name is None:
        return os.geteuid()
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise LinkError(errno.ESRCH, f"no such user: {name}") from None


def _sender(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    """Return the user whom the kernel names as the sender, None when it names none."""
    for level, kind, content in ancillary:
        if (level, kind, len(content)) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, _CREDENTIALS.size):
            uid: int = _CREDENTIALS.unpack(content)[1]
            return uid
    return None


def _bind(path: Path) -> socket.socket:
    """Return a non-blocking datagram socket at `path`, in place of one that a crash left behind."""
    endpoint = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)  # before the first datagram can be queued
        _own_folder(path.parent)
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


def _own_folder(folder: Path) -> None:
    """Make `folder` where it is missing. Raises: LinkError where another user could put a socket of his own into it."""
    with suppress(FileExistsError):
        folder.mkdir(FOLDER_MODE)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (0, os.geteuid()) or found.st_mode & OTHERS_WRITE:
        told = f"owner {found.st_uid}, mode {stat.filemode(found.st_mode)}: only this process's user may write it"
        raise LinkError(errno.EPERM, told, str(folder))


def _remove_stale(path: Path) -> None:
    """Unlink a socket that no process serves. Raises: LinkError where a living process or another kind of file is."""
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
