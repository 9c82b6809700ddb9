"""Framing on a fake line: what is taken for an answer, and what a late one can do."""

from __future__ import annotations

import os
import pty
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_pi.sim.harness.virtual_clock import VirtualClock
from hal.errors import BadReading, BusTimeout, DeviceBusy, DeviceNotFound
from hal.meters.modbus_rtu import ModbusRtu, crc16


def frame(*body: int) -> bytes:
    return bytes(body) + crc16(bytes(body))


class Line:
    """A serial port whose answers are scripted; each read without data takes one time-out."""

    def __init__(self, clock: VirtualClock, answers: tuple[bytes, ...]) -> None:
        self.clock, self.answers = clock, list(answers)
        self.waiting, self.chatter = b"", b""
        self.sent: list[Any] = []

    def __call__(self, port: str, baud: int, **settings: Any) -> HostileLine | Line:
        self.timeout_ns = int(settings["timeout"] * 1e9)
        return self

    def reset_input_buffer(self) -> None:
        self.waiting = b""

    @property
    def in_waiting(self) -> Any:
        return len(self.waiting)

    def write(self, data: bytes) -> None:
        self.sent.append(data)
        self.waiting += self.answers.pop(0) if self.answers else b""

    def read(self, size: int) -> bytes:
        if not self.waiting and self.chatter:
            self.waiting = self.chatter
        if not self.waiting:
            self.clock.advance(self.timeout_ns)
        taken, self.waiting = self.waiting[:size], self.waiting[size:]
        return taken

    def close(self) -> None:
        pass


def bus(*answers: bytes) -> tuple[ModbusRtu, Line]:
    clock = VirtualClock(0)
    line = Line(clock, answers)
    return ModbusRtu("/dev/fake", 9_600, open_port=line, clock=clock), line


def test_the_request_is_the_one_of_the_specification() -> None:
    rtu, line = bus(frame(1, 4, 4, 0x43, 0x66, 0x33, 0x34))
    assert rtu.read_input_registers(1, 0x0006, 2) == (0x4366, 0x3334)
    assert line.sent == [bytes.fromhex("010400060002") + crc16(bytes.fromhex("010400060002"))]


def test_the_crc_is_the_one_of_the_specification() -> None:
    """MODBUS over Serial Line V1.02, appendix B: the frame 02 07 has the CRC 0x1241."""
    assert crc16(b"\x02\x07") == b"\x41\x12"


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b"", BusTimeout, "0 of 3 bytes"),
        (frame(1, 4, 4, 0, 0, 0, 0)[:-3], BusTimeout, "3 of 6 bytes"),
        (frame(2, 4, 4, 0, 0, 0, 0), BadReading, "begins 020404"),
        (frame(1, 3, 4, 0, 0, 0, 0), BadReading, "begins 010304"),
        (frame(1, 4, 2, 0, 0), BadReading, "begins 010402"),
        (frame(1, 4, 4, 0, 0, 0, 0)[:-1] + b"\xee", BadReading, "CRC"),
        (frame(1, 0x84, 2), BadReading, "illegal data address"),
        (frame(1, 0x84, 2)[:-1] + b"\xee", BadReading, "CRC"),
    ],
)
def test_anything_but_the_answer_is_an_error(answer: bytes, kind: type[BadReading | BusTimeout], words: str) -> None:
    rtu, _ = bus(answer)
    with pytest.raises(kind, match=words):
        rtu.read_input_registers(1, 0, 2)


@pytest.mark.parametrize("rest", [b"", frame(1, 4, 4, 0, 0, 0, 1)], ids=["alone", "and then the answer"])
def test_an_adapter_that_echoes_and_a_second_master_are_named(rest: bytes) -> None:
    rtu, _ = bus(frame(1, 4, 0, 0, 0, 2) + rest, b"", frame(7, 3, 0, 1, 0, 2) + rest)
    with pytest.raises(BadReading, match="hears what it sends"):
        rtu.read_input_registers(1, 0, 2)
    with pytest.raises(BusTimeout):
        rtu.read_input_registers(1, 0, 2)
    with pytest.raises(BadReading, match="a request to unit 7 came: there is a second master"):
        rtu.read_input_registers(1, 0, 2)


class HostileLine(Line):
    """A port into which a device sends without end, faster or slower than the time-out of a read."""

    gap_ns = 0

    def read(self, size: int) -> bytes:
        filled = size if not self.gap_ns else min(size, self.timeout_ns // self.gap_ns)
        self.clock.advance(filled * self.gap_ns or self.timeout_ns)
        self.read_bytes = getattr(self, "read_bytes", 0) + filled
        return (b"\x01\x04\xfa" * size)[:filled]


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize("gap_ms", [0.1, 1, 25, 140, 290, 1_000])
def test_a_line_that_never_falls_silent_costs_bounded_time_and_memory(gap_ms: float) -> None:
    """A bus thread that is kept for more than 5 s is told as hung; 115,200 bit/s are 11 bytes a ms."""
    clock = VirtualClock(0)
    line = HostileLine(clock, ())
    line.gap_ns = int(gap_ms * 1e6)
    rtu = ModbusRtu("/dev/fake", 9_600, open_port=line, clock=clock)
    for _ in range(3):
        begun_ns = clock.now_ns
        with pytest.raises((BadReading, BusTimeout)):
            rtu.read_input_registers(1, 0, 2)
        assert clock.now_ns - begun_ns <= 3_300_000_000
    assert line.read_bytes <= 3 * (8 * 256 + 300)


def test_a_late_answer_is_never_taken_for_the_next_ones() -> None:
    """It has the right unit, function, length and CRC; only the silence before the next request tells it apart."""
    late, right = frame(1, 4, 4, 0, 0, 0, 1), frame(1, 4, 4, 0, 0, 0, 2)
    rtu, line = bus(b"", right)
    with pytest.raises(BusTimeout):
        rtu.read_input_registers(1, 0x0000, 2)
    line.waiting = late
    assert rtu.read_input_registers(1, 0x0048, 2) == (0, 2)


def test_after_a_good_answer_the_next_request_does_not_wait() -> None:
    rtu, line = bus(*[frame(1, 4, 2, 0, 7)] * 3)
    rtu.read_input_registers(1, 0, 1)
    before_ns = line.clock.now_ns
    rtu.read_input_registers(1, 0, 1)
    rtu.read_input_registers(1, 0, 1)
    assert line.clock.now_ns == before_ns


@pytest.mark.parametrize(("size", "counts"), [(1, False), (3, False), (4, True), (17, True)])
def test_bytes_that_came_unasked_are_not_thrown_away_unsaid(size: Any, counts: Any) -> None:
    """Only one master may be on a line (MODBUS over Serial Line V1.02, 2.1); its shortest frame has four bytes."""
    rtu, line = bus(frame(1, 4, 2, 0, 7), frame(1, 4, 2, 0, 8))
    rtu.read_input_registers(1, 0, 1)
    line.waiting = b"\x02" * size
    if counts:
        with pytest.raises(BadReading, match=f"{size} bytes came unasked: is there a second master"):
            rtu.read_input_registers(1, 0, 1)
    assert rtu.read_input_registers(1, 0, 1) == (8,)


def test_a_line_that_never_falls_silent_is_named() -> None:
    rtu, line = bus()
    line.chatter = b"x" * 256
    with pytest.raises(BadReading, match="second master"):
        rtu.read_input_registers(1, 0, 1)


@given(st.binary(max_size=40))
def test_random_bytes_are_an_error_and_nothing_else(noise: bytes) -> None:
    rtu, _ = bus(noise)
    with pytest.raises((BadReading, BusTimeout)):
        rtu.read_input_registers(1, 0, 2)


def test_a_port_that_another_master_holds_or_that_is_missing_is_named() -> None:
    master, slave = pty.openpty()
    try:
        first = ModbusRtu(os.ttyname(slave), 9_600)
        with pytest.raises(DeviceBusy, match="another process holds the port"):
            ModbusRtu(os.ttyname(slave), 9_600)
        first.close()
    finally:
        os.close(master)
        os.close(slave)
    with pytest.raises(DeviceNotFound, match="/dev/nothing"):
        ModbusRtu("/dev/nothing", 9_600)


def test_a_port_that_goes_away_is_a_hal_error() -> None:
    master, slave = pty.openpty()
    rtu = ModbusRtu(os.ttyname(slave), 9_600, timeout_ms=20)
    os.close(slave)
    os.close(master)
    with pytest.raises(BadReading, match="/dev/pts"):
        rtu.read_input_registers(1, 0, 2)
