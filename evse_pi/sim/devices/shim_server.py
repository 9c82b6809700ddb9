"""Serves device nodes to the preloaded shim from one thread, and lets the plant's own events happen on time."""

from __future__ import annotations

import array
import errno
import os
import selectors
import socket
import struct
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from evse_pi.sim.agenda import NEVER_NS, Agenda
from evse_pi.sim.devices.shim_protocol import (
    ANSWER,
    LARGEST,
    OPEN,
    REQUEST,
    Answer,
    EmulatedDevice,
    ShimRequest,
    ShimSession,
    refusal,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evse_pi.sim.plant import Plant

BUFFER = 1 << 18


@dataclass(slots=True)
class OpenDescriptor:
    """One connected descriptor: a node once it is opened, or the hidden half of a GPIO line."""

    socket: socket.socket
    device: str = ""
    session: ShimSession | None = None
    ended: Callable[[int], None] | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """A device whose every call fails with `code`, or does not return while that is None."""

    code: int | None


class DeviceServer:
    """The loop: requests are served inline, deferred answers and the plant's events by time."""

    def __init__(self, path: Path, plant: Plant, clock: Callable[[], int]) -> None:
        self.plant = plant
        self.clock = clock
        self.agenda = Agenda(clock())
        self.devices: list[EmulatedDevice] = []
        self.trouble: dict[str, Trouble] = {}
        self.stopping = False
        self.requests = 0
        self._hanging: list[tuple[OpenDescriptor, int, ShimRequest]] = []
        self._deferred = 0
        self._selector = selectors.SelectSelector()  # its time-outs are finer than a millisecond, unlike epoll's
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def prefixes(self) -> tuple[str, ...]:
        """Return the prefixes of all nodes."""
        return tuple(node for device in self.devices for node in device.nodes())

    def watch(self, fd: int, ready: Callable[[int], None]) -> None:
        """Call `ready` with the instant whenever the descriptor can be read."""
        self._selector.register(fd, selectors.EVENT_READ, ready)

    def unwatch(self, fd: int) -> None:
        """Stop that."""
        self._selector.unregister(fd)

    def adopt(
        self, connection: socket.socket, session: ShimSession | None, ended: Callable[[int], None] | None
    ) -> None:
        """Serve a connection that a device made itself."""
        self._add(OpenDescriptor(connection, "gpio", session, ended))

    def cause(self, device: str, trouble: Trouble | None) -> None:
        """Let the calls on a device fail or hang; None mends it and serves those that hung."""
        names = sorted({each.name for each in self.devices})
        if device not in names:
            raise ValueError(f"device {device!r}: allowed are {', '.join(names)}")
        if trouble is None:
            self.trouble.pop(device, None)
        else:
            self.trouble[device] = trouble
        hanging, self._hanging = self._hanging, []
        for connection, number, request in hanging:
            self._respond(connection, number, request, self.clock())

    def run(self) -> None:
        """Serve until `stopping` is set."""
        while not self.stopping:
            self.step()
        self._selector.close()
        self._listener.close()

    def step(self) -> None:
        """Wait for the next request or timer and serve what is there."""
        due_ns = min(self.plant.next_ns, self.agenda.next_ns)
        timeout = None if due_ns == NEVER_NS else max(0, due_ns - self.clock()) / 1e9
        ready = self._selector.select(timeout)
        now_ns = self.clock()
        self.plant.advance(now_ns)
        while (action := self.agenda.take_due(now_ns)) is not None:
            action()
        for key, _ in ready:
            if key.fileobj in self._selector.get_map():  # an earlier one may have closed it
                key.data(now_ns)

    def _accept(self, now_ns: int) -> None:  # noqa: ARG002 - the signature of every handler
        self._add(OpenDescriptor(self._listener.accept()[0]))

    def _add(self, connection: OpenDescriptor) -> None:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        self._selector.register(connection.socket, selectors.EVENT_READ, partial(self._serve, connection))

    def _serve(self, connection: OpenDescriptor, now_ns: int) -> None:
        try:
            message = connection.socket.recv(LARGEST)
        except OSError:
            message = b""
        if len(message) < REQUEST.size:
            self._end(connection, now_ns)
            return
        self.requests += 1
        operation, number, a, b = REQUEST.unpack_from(message)
        self._respond(connection, number, ShimRequest(operation, a, b, message[REQUEST.size :]), now_ns)

    def _end(self, connection: OpenDescriptor, now_ns: int) -> None:
        self._selector.unregister(connection.socket)
        connection.socket.close()
        self._hanging = [each for each in self._hanging if each[0] is not connection]
        if connection.ended is not None:
            connection.ended(now_ns)

    def _respond(self, connection: OpenDescriptor, number: int, request: ShimRequest, now_ns: int) -> None:
        trouble = self.trouble.get(connection.device) if connection.session is not None else None
        if trouble is not None and trouble.code is None:
            self._hanging.append((connection, number, request))
            return
        try:
            answer = self._call(connection, request, trouble, now_ns)
        except OSError as error:
            self._send(connection, ANSWER.pack(-1, error.errno or errno.EIO, number), ())
        except struct.error:
            self._send(connection, ANSWER.pack(-1, errno.EINVAL, number), ())
        else:
            self._answer(connection, number, answer)

    def _call(self, connection: OpenDescriptor, request: ShimRequest, trouble: Trouble | None, now_ns: int) -> Answer:
        if trouble is not None and trouble.code is not None:
            raise refusal(trouble.code)
        if request.operation == OPEN:
            return self._open(connection, request, now_ns)
        if connection.session is None:
            raise refusal(errno.EBADF)
        return connection.session.handle(request, now_ns)

    def _open(self, connection: OpenDescriptor, request: ShimRequest, now_ns: int) -> Answer:
        path = request.payload.decode(errors="replace")
        for device in self.devices:
            if not any(path.startswith(node) if node.endswith("/") else path == node for node in device.nodes()):
                continue
            trouble = self.trouble.get(device.name)
            if trouble is not None and trouble.code is not None:
                raise refusal(trouble.code)
            opened = device.open(path, request.a, now_ns)
            connection.device, connection.session = device.name, opened.session
            connection.ended = opened.session.closed if opened.session is not None else None
            return Answer(opened.result, descriptors=opened.descriptors)
        raise refusal(errno.ENOENT)

    def _answer_later(self, connection: OpenDescriptor, number: int, make: Callable[[int], Answer]) -> None:
        try:
            answer = make(self.clock())
        except OSError as error:
            self._send(connection, ANSWER.pack(-1, error.errno or errno.EIO, number), ())
        else:
            self._answer(connection, number, answer)

    def _answer(self, connection: OpenDescriptor, number: int, answer: Answer) -> None:
        if answer.make is not None:
            self._deferred += 1
            make = answer.make
            later = partial(self._answer_later, connection, number, make)
            self.agenda.at(f"answer.{self._deferred}", answer.due_ns, later)
            return
        self._send(connection, ANSWER.pack(answer.result, 0, number) + answer.payload, answer.descriptors)
        for fd in answer.descriptors:
            os.close(fd)

    @staticmethod
    def _send(connection: OpenDescriptor, message: bytes, descriptors: tuple[int, ...]) -> None:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        try:
            connection.socket.sendmsg([message], ancillary)
        except OSError:
            return  # the caller died while it waited; its end of file follows
