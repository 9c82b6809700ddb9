"""A GPIO chip with the second character device interface: claims, levels, bias, edges, and what a release leaves."""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass, field
from enum import IntFlag, StrEnum
from functools import partial
from typing import TYPE_CHECKING, Protocol

from evse_pi.sim.devices.shim_protocol import RELEASE, Answer, Opened, ShimRequest, ShimSession, refusal
from evse_pi.sim.signals import Drive, Sense, SignalChange

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.sim.plant import Plant

LINES = 54
EVENT = struct.Struct("<QIIII24x")
INFO = struct.Struct("<32s32sIIQ")
INFO_SIZE = 256
VALUES = struct.Struct("<QQ")
CONFIG_AT, CONSUMER_AT, COUNT_AT = 288, 256, 560
CHIP_INFO, LINE_INFO, GET_LINE, SET_CONFIG, GET_VALUES, SET_VALUES = 1, 5, 7, 0x0D, 0x0E, 0x0F
ATTRIBUTE_FLAGS, ATTRIBUTE_VALUES, ATTRIBUTE_DEBOUNCE = 1, 2, 3


class Flag(IntFlag):
    """Line flags of the second interface."""

    USED = 1
    ACTIVE_LOW = 2
    INPUT = 4
    OUTPUT = 8
    RISING = 16
    FALLING = 32
    PULL_UP = 256
    PULL_DOWN = 512
    FLOATING = 1024


DIRECTION = Flag.INPUT | Flag.OUTPUT
BIAS = Flag.PULL_UP | Flag.PULL_DOWN | Flag.FLOATING
EDGES = Flag.RISING | Flag.FALLING


class KernelRelease(StrEnum):
    """What the kernel does with an output whose holder is gone."""

    STRICT = "strict"  # dtparam=strict_gpiod: it becomes an input
    PERSIST = "persist"  # Raspberry Pi's default: it keeps driving


class LinePull(StrEnum):
    """A resistor on the board, beside the chip's own."""

    NONE = "none"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class LineWiring:
    """Where a signal of the plant meets the chip."""

    line: int
    active_low: bool = False
    pull: LinePull = LinePull.NONE


@dataclass(slots=True)
class Line:
    """One line as the pin controller has it."""

    number: int
    flags: Flag = Flag.INPUT
    driven: bool = False
    pull: LinePull = LinePull.NONE
    outside: bool | None = None  # what the world applies; None leaves it to the resistors
    holder: LineFile | None = None
    consumer: str = ""
    level: bool = False
    debounce_us: int = 0
    wired: str = ""

    def present(self) -> bool:
        """Return the electrical level; a floating line keeps its charge."""
        if self.flags & Flag.OUTPUT:
            return self.driven
        if self.outside is not None:
            return self.outside
        if self.pull is not LinePull.NONE:
            return self.pull is LinePull.UP
        if self.flags & (Flag.PULL_UP | Flag.PULL_DOWN):
            return bool(self.flags & Flag.PULL_UP)
        return self.level


class Adopter(Protocol):
    """Takes a connection that a device made itself, beside those that the server accepted."""

    def __call__(
        self, connection: socket.socket, session: ShimSession | None, ended: Callable[[int], None] | None
    ) -> None:
        """Serve requests with `session`, and tell `ended` the instant of the end of file."""


@dataclass(slots=True)
class GpioChip:
    """The chip and its wiring to the plant, served as /dev/gpiochip0."""

    plant: Plant
    label: str
    drives: dict[Drive, LineWiring]
    senses: dict[Sense, LineWiring]
    release: KernelRelease
    adopt: Adopter
    name: str = "gpio"
    lines: list[Line] = field(init=False)
    _outputs: dict[int, tuple[Drive, bool]] = field(init=False)
    _inputs: dict[str, tuple[int, bool]] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = [
            Line(number, flags=Flag.INPUT | (Flag.PULL_UP if number <= 8 else Flag.PULL_DOWN))
            for number in range(LINES)
        ]
        for signal, wiring in (*self.drives.items(), *self.senses.items()):
            if not 0 <= wiring.line < LINES:
                raise ValueError(f"gpio.{signal}.line {wiring.line}: allowed is 0 to {LINES - 1}")
            line = self.lines[wiring.line]
            if line.wired:
                raise ValueError(f"gpio.{signal}.line {wiring.line}: already used for {line.wired}")
            line.wired, line.pull = str(signal), wiring.pull
        self._outputs = {wiring.line: (drive, wiring.active_low) for drive, wiring in self.drives.items()}
        self._inputs = {str(sense): (wiring.line, wiring.active_low) for sense, wiring in self.senses.items()}
        for sense, (number, active_low) in self._inputs.items():
            self.lines[number].outside = self.plant.sense(Sense(sense)) is not active_low
        for line in self.lines:
            self._follow(line, self.plant.agenda.now_ns)
        self.plant.history.listeners.append(self._sensed)

    def nodes(self) -> tuple[str, ...]:
        """Return the one node."""
        return ("/dev/gpiochip0",)

    def open(self, path: str, flags: int, now_ns: int) -> Opened:  # noqa: ARG002 - a chip opens for everybody
        """Open the chip."""
        return Opened(ChipFile(self))

    def apply_outside(self, number: int, level: bool | None, now_ns: int) -> None:
        """Apply a level from outside to any line, or none."""
        self.lines[number].outside = level
        self._follow(self.lines[number], now_ns)

    def configure(self, line: Line, flags: Flag, value: bool | None, now_ns: int) -> None:
        """Give a line direction, bias and value."""
        kept = line.flags & DIRECTION if not flags & DIRECTION else Flag(0)
        bias = flags & BIAS or line.flags & BIAS
        line.flags = flags & ~BIAS | kept | bias
        if line.flags & Flag.OUTPUT and value is not None:
            line.driven = value is not bool(flags & Flag.ACTIVE_LOW)
        self._follow(line, now_ns)

    def set(self, line: Line, active: bool, now_ns: int) -> None:
        """Drive an output to its active or inactive level."""
        line.driven = active is not bool(line.flags & Flag.ACTIVE_LOW)
        self._follow(line, now_ns)

    def free(self, line: Line, now_ns: int) -> None:
        """Take the line from its holder as the kernel does: the bias stays as it was."""
        line.holder, line.consumer, line.debounce_us = None, "", 0
        line.flags &= DIRECTION | BIAS
        if self.release is KernelRelease.STRICT:
            line.flags = line.flags & BIAS | Flag.INPUT
        self._follow(line, now_ns)

    def _sensed(self, change: SignalChange) -> None:
        wired = self._inputs.get(change.signal)
        if wired is not None:
            number, active_low = wired
            self.apply_outside(number, bool(change.value) is not active_low, change.at_ns)

    def _follow(self, line: Line, now_ns: int) -> None:
        before, line.level = line.level, line.present()
        output = self._outputs.get(line.number)
        if output is not None:
            self.plant.drive(output[0], line.level is not output[1], now_ns)
        if line.level is not before and line.holder is not None and line.flags & Flag.INPUT:
            line.holder.edge(line, now_ns)


class ChipFile:
    """An open chip: line information and claims."""

    def __init__(self, chip: GpioChip) -> None:
        self._chip = chip

    def handle(self, request: ShimRequest, now_ns: int) -> Answer:
        """Serve chip information, line information and claims."""
        number = request.a & 0xFF
        if number == CHIP_INFO:
            return Answer(payload=struct.pack("<32s32sI", b"gpiochip0", self._chip.label.encode(), LINES))
        if number == LINE_INFO:
            return Answer(payload=self._info(request.payload))
        if number == GET_LINE:
            return self._claim(request.payload, now_ns)
        raise refusal(errno.ENOTTY)

    def closed(self, now_ns: int) -> None:
        """Claimed lines outlive the chip's file."""

    def _info(self, payload: bytes) -> bytes:
        (number,) = struct.unpack_from("<I", payload, 64)
        if number >= LINES:
            raise refusal(errno.EINVAL)
        line = self._chip.lines[number]
        flags = line.flags | (Flag.USED if line.holder else Flag(0))
        return INFO.pack(f"GPIO{number}".encode(), line.consumer.encode(), number, 0, flags).ljust(INFO_SIZE, b"\0")

    def _claim(self, payload: bytes, now_ns: int) -> Answer:
        (count,) = struct.unpack_from("<I", payload, COUNT_AT)
        if not 1 <= count <= 64:
            raise refusal(errno.EINVAL)
        numbers = struct.unpack_from(f"<{count}I", payload)
        if max(numbers) >= LINES or len(set(numbers)) < count:
            raise refusal(errno.EINVAL)
        chosen = [self._chip.lines[number] for number in numbers]
        for line in chosen:
            if line.holder is not None and not line.holder.gone(now_ns):
                raise refusal(errno.EBUSY)
        config = Config(payload[CONFIG_AT:], chosen)
        file = LineFile(self._chip, chosen)
        consumer = payload[CONSUMER_AT : CONSUMER_AT + 32].split(b"\0")[0].decode(errors="replace")
        for line in chosen:
            line.holder, line.consumer = file, consumer
        config.apply(self._chip, now_ns)
        file.settle()
        return Answer(payload=payload, descriptors=file.descriptors())


class Config:
    """A checked line configuration."""

    def __init__(self, payload: bytes, lines: list[Line]) -> None:
        flags, count = struct.unpack_from("<QI", payload)
        self._lines = lines
        self._flags = {line.number: Flag(flags) for line in lines}
        self._values: dict[int, bool] = {}
        self._debounce: dict[int, int] = {}
        for index in range(min(count, 10)):
            kind, value, mask = struct.unpack_from("<I4xQQ", payload, 32 + 24 * index)
            for bit, line in enumerate(lines):
                if not mask >> bit & 1:
                    continue
                if kind == ATTRIBUTE_FLAGS:
                    self._flags[line.number] = Flag(value)
                elif kind == ATTRIBUTE_VALUES:
                    self._values[line.number] = bool(value >> bit & 1)
                elif kind == ATTRIBUTE_DEBOUNCE:
                    self._debounce[line.number] = value & 0xFFFFFFFF
        for each in self._flags.values():
            _check(each)

    def apply(self, chip: GpioChip, now_ns: int) -> None:
        """Configure the lines."""
        for line in self._lines:
            line.debounce_us = self._debounce.get(line.number, 0)
            flags = self._flags[line.number]
            chip.configure(line, flags, self._values.get(line.number, False), now_ns)


def _check(flags: Flag) -> None:
    """Refuse what the kernel refuses."""
    both = flags & DIRECTION == DIRECTION
    edge_of_output = flags & EDGES and not flags & Flag.INPUT
    biases = sum(bool(flags & each) for each in (Flag.PULL_UP, Flag.PULL_DOWN, Flag.FLOATING))
    homeless_bias = flags & BIAS and not flags & DIRECTION
    if both or edge_of_output or biases > 1 or homeless_bias:
        raise refusal(errno.EINVAL)


class LineFile:
    """Claimed lines: values, configuration and the stream of edges."""

    def __init__(self, chip: GpioChip, lines: list[Line]) -> None:
        self._chip = chip
        self._lines = lines
        self._sequence = 0
        self._line_sequence = dict.fromkeys((line.number for line in lines), 0)
        self._steady: dict[int, bool] = {}
        self._events, self._given_events = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control, self._given_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._events.setblocking(False)
        chip.adopt(control, self, None)
        chip.adopt(self._events, None, self.closed)

    def descriptors(self) -> tuple[int, int]:
        """Hand over the program's ends; their sender closes them."""
        return self._given_events.detach(), self._given_control.detach()

    def handle(self, request: ShimRequest, now_ns: int) -> Answer:
        """Serve values, configuration and the holder's close."""
        if request.operation == RELEASE:
            self.closed(now_ns)
            return Answer()
        number = request.a & 0xFF
        if number == SET_CONFIG:
            Config(request.payload, self._lines).apply(self._chip, now_ns)
            self.settle()
            return Answer(payload=request.payload)
        bits, mask = VALUES.unpack_from(request.payload)
        if number == GET_VALUES:
            return Answer(payload=VALUES.pack(self._values(mask), mask))
        if number != SET_VALUES:
            raise refusal(errno.EINVAL)
        chosen = [(bit, line) for bit, line in enumerate(self._lines) if mask >> bit & 1]
        if not chosen:
            raise refusal(errno.EINVAL)
        if not all(line.flags & Flag.OUTPUT for _, line in chosen):
            raise refusal(errno.EPERM)
        for bit, line in chosen:
            self._chip.set(line, bool(bits >> bit & 1), now_ns)
        return Answer(payload=request.payload)

    def edge(self, line: Line, at_ns: int) -> None:
        """Take an edge, at once or when the level has stood for the debounce period."""
        if not line.debounce_us:
            self._emit(line, at_ns)
            return
        agenda = self._chip.plant.agenda
        agenda.after(f"gpio.debounce.{line.number}", 1000 * line.debounce_us, partial(self._stood, line))

    def _stood(self, line: Line) -> None:
        if line.holder is self and self._steady.get(line.number) is not line.level:
            self._steady[line.number] = line.level
            self._emit(line, self._chip.plant.agenda.now_ns)

    def _emit(self, line: Line, at_ns: int) -> None:
        rising = line.level is not bool(line.flags & Flag.ACTIVE_LOW)
        if not line.flags & (Flag.RISING if rising else Flag.FALLING):
            return
        self._sequence += 1
        self._line_sequence[line.number] += 1
        event = EVENT.pack(at_ns, 1 if rising else 2, line.number, self._sequence, self._line_sequence[line.number])
        try:
            self._events.send(event)
        except OSError:
            return  # a full buffer drops the event, as the kernel's does; the gap in the numbers tells

    def gone(self, now_ns: int) -> bool:
        """Return whether the program has closed the lines, and free them if so."""
        try:
            ended = self._events.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            ended = True
        if ended:
            self.closed(now_ns)
        return ended

    def closed(self, now_ns: int) -> None:
        """Free what is still held."""
        for line in self._lines:
            if line.holder is self:
                self._chip.free(line, now_ns)

    def settle(self) -> None:
        """Take the present levels as those that have stood."""
        self._steady = {line.number: line.level for line in self._lines if line.debounce_us}

    def _values(self, mask: int) -> int:
        return sum(
            1 << bit
            for bit, line in enumerate(self._lines)
            if mask >> bit & 1 and self._steady.get(line.number, line.level) is not bool(line.flags & Flag.ACTIVE_LOW)
        )
