"""A serial port with a Modbus meter at its end: a new pty for every open, so that every open can set the parity.

A pty accepts a parity only once and then keeps none, so the meter hears its master whatever the parity.
"""

from __future__ import annotations

import os
import termios
import tty
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from evse_pi.sim.devices.modbus import ModbusMeter, frame_length
from evse_pi.sim.devices.shim_protocol import Opened

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.sim.agenda import Agenda

BAUDS = {getattr(termios, f"B{baud}"): baud for baud in (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)}
FORGET_NS = 50_000_000  # a frame that is not complete by then was noise


class Watcher(Protocol):
    """The part of the server that listens to descriptors."""

    def watch(self, fd: int, ready: Callable[[int], None]) -> None:
        """Call `ready` with the instant whenever the descriptor can be read."""

    def unwatch(self, fd: int) -> None:
        """Stop that."""


@dataclass(slots=True)
class SerialPort:
    """The port; the baud rate must match the meter's, or it hears nothing it understands."""

    path: str
    meter: ModbusMeter
    baud: int
    watcher: Watcher
    agenda: Agenda
    name: str = "serial"
    _received: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.baud not in BAUDS.values():
            raise ValueError(f"meter.baud {self.baud}: allowed are {', '.join(map(str, sorted(BAUDS.values())))}")

    def nodes(self) -> tuple[str, ...]:
        """Return the one node."""
        return (self.path,)

    def open(self, path: str, flags: int, now_ns: int) -> Opened:  # noqa: ARG002 - every open is a new line
        """Open a new pty and give its slave away."""
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self._received[master] = b""
        self.watcher.watch(master, partial(self._readable, master))
        return Opened(descriptors=(slave,))

    def matches(self, master: int) -> bool:
        """Return whether the other end talks as fast as the meter does."""
        return BAUDS.get(termios.tcgetattr(master)[5]) == self.baud

    def _readable(self, master: int, now_ns: int) -> None:
        try:
            data = os.read(master, 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # EIO: no process holds the slave any more
        if not data:
            self._end(master)
            return
        self._received[master] += data
        length = frame_length(self._received[master])
        self.agenda.at(f"serial.forget.{master}", now_ns + FORGET_NS, partial(self._forget, master))
        if length is None or len(self._received[master]) < length:
            return
        frame, self._received[master] = self._received[master][:length], b""
        if self.matches(master):
            self._send_later(master, frame, now_ns)
        self._chatter(master)

    def _send_later(self, master: int, frame: bytes, now_ns: int) -> None:
        at_ns = now_ns
        for part, (after_ns, data) in enumerate(self.meter.transmission(frame)):
            at_ns += after_ns + len(data) * 11 * 1_000_000_000 // self.baud
            self.agenda.at(f"serial.send.{part}.{master}", at_ns, partial(self._send, master, data))

    def _chatter(self, master: int) -> None:
        """Let come what was not asked for, as long as the meter's line is so."""
        talk = self.meter.chatter()
        timer = f"serial.chatter.{master}"
        if talk is not None and master in self._received and not self.agenda.pending(timer):
            self.agenda.after(timer, talk[0], partial(self._talk, master, talk[1]))

    def _talk(self, master: int, data: bytes) -> None:
        self._send(master, data)
        self._chatter(master)

    def _send(self, master: int, data: bytes) -> None:
        if master not in self._received:
            return
        try:
            os.write(master, data)
        except BlockingIOError:
            return  # no process reads what floods it
        except OSError:
            self._end(master)

    def _forget(self, master: int) -> None:
        if master in self._received:
            self._received[master] = b""

    def _end(self, master: int) -> None:
        for timer in ("forget", "send.0", "send.1", "chatter"):
            self.agenda.cancel(f"serial.{timer}.{master}")
        del self._received[master]
        self.watcher.unwatch(master)
        os.close(master)
