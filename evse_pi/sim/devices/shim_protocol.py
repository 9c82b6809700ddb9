"""What passes between the preloaded shim and the simulator, and what a device has to offer."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

OPEN, IOCTL, READ, WRITE, SPI, RELEASE = 1, 2, 3, 4, 5, 6
REQUEST = struct.Struct("<IIQQ")  # operation, id, a, b; the payload follows
ANSWER = struct.Struct("<qII")  # result, errno, id; the payload follows
LARGEST = 1 << 17


class ShimRequest(NamedTuple):
    """One system call on a node.

    `a` is the ioctl's command, the read's offset or the number of SPI transfers; `b` is the read's size or the
    instant at which the SPI transfers began.
    """

    operation: int
    a: int
    b: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What the system call returns; descriptors go to the caller and are closed here.

    An answer with `due_ns` is made by calling `make` with the time, which is not before that instant.
    """

    result: int = 0
    payload: bytes = b""
    descriptors: tuple[int, ...] = ()
    due_ns: int = 0
    make: Callable[[int], Answer] | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """An opened node: the session that serves it, or a descriptor that the caller uses natively."""

    session: ShimSession | None = None
    result: int = 0
    descriptors: tuple[int, ...] = field(default=())


class ShimSession(Protocol):
    """One open file of a device."""

    def handle(self, request: ShimRequest, now_ns: int) -> Answer:
        """Serve one system call. Raises: OSError, whose errno the call returns."""

    def closed(self, now_ns: int) -> None:
        """Notice that the last holder closed the file or died."""


class EmulatedDevice(Protocol):
    """Something with one or more nodes."""

    name: str

    def nodes(self) -> tuple[str, ...]:
        """Return the prefixes of the paths whose open comes here."""

    def open(self, path: str, flags: int, now_ns: int) -> Opened:
        """Open a node. Raises: OSError."""


def refusal(code: int) -> OSError:
    """Return the exception for an errno."""
    return OSError(code, os.strerror(code))
