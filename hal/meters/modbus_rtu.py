"""Modbus RTU over pyserial: reading input registers, one request at a time.

    request   unit  04  address(2)  count(2)  CRC(2, low byte first)
    answer    unit  04  bytes       data      CRC(2)
    refusal   unit  84  code        CRC(2)

An answer carries no address, so a late one would pass for the next one's. After any failure the line is therefore
listened to until it has been silent for a whole time-out. Source: MODBUS over Serial Line V1.02, section 2.5.
"""

from __future__ import annotations

import errno
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from hal.errors import BadReading, BusTimeout, DeviceBusy, naming
from hal.units import MILLISECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READ_INPUT_REGISTERS = 0x04
REFUSED = 0x80
MAX_REGISTERS = 125
REFUSALS = {1: "illegal function", 2: "illegal data address", 3: "illegal data value", 4: "device failure", 6: "busy"}
STRAY_BYTES = 3  # a line that turns round may make so many of nothing; what a master and a slave say is longer
_POLYNOMIAL = 0xA001


class ModbusRtu:
    """A serial line with Modbus slaves, used by one thread.

    Raises: DeviceNotFound, DevicePermission, DeviceBusy; requests also BusTimeout and BadReading.
    """

    def __init__(
        self,
        port: str,
        baud: int,
        parity: str = "N",
        *,
        timeout_ms: int = 300,
        open_port: Callable[..., Any] | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        import termios

        import serial

        self.name = port
        self._clock = clock
        self._timeout_ns = timeout_ms * MILLISECOND
        self._suspect = True  # whatever an earlier owner of the port left on its way
        self._termios_error = termios.error
        seconds = timeout_ms / 1000
        with self._translating():
            try:
                self._port = (open_port or serial.Serial)(
                    port, baud, parity=parity, timeout=seconds, write_timeout=seconds, exclusive=True
                )
            except serial.SerialException as error:
                if error.errno == errno.EAGAIN:
                    raise DeviceBusy(f"{port}: another process holds the port") from error
                raise

    def read_input_registers(self, unit: int, address: int, count: int) -> tuple[int, ...]:
        """Return `count` registers of 16 bits from `address` on. Raises: BusTimeout, BadReading."""
        if not 0 < count <= MAX_REGISTERS:
            raise ValueError(f"count = {count}; must be 1..{MAX_REGISTERS}")
        body = bytes((unit, READ_INPUT_REGISTERS)) + address.to_bytes(2, "big") + count.to_bytes(2, "big")
        with self._translating():
            if self._suspect:
                self._fall_silent()
            unasked, self._suspect = 0 if self._suspect else self._port.in_waiting, True
            if unasked > STRAY_BYTES:
                raise BadReading(f"{self.name}: {unasked} bytes came unasked: is there a second master on the line?")
            self._port.reset_input_buffer()
            self._port.write(body + crc16(body))
            data = self._answer(body + crc16(body), count)
        self._suspect = False
        return tuple(data[index] << 8 | data[index + 1] for index in range(0, len(data), 2))

    def close(self) -> None:
        """Release the port."""
        with self._translating():
            self._port.close()

    def _answer(self, request: bytes, count: int) -> bytes:
        unit, deadline_ns = request[0], self._clock() + self._timeout_ns
        head = self._take(3, deadline_ns)
        if head[1] == READ_INPUT_REGISTERS | REFUSED:
            self._check(head + self._take(2, deadline_ns))
            raise BadReading(f"{self.name}: unit {unit} refuses: {REFUSALS.get(head[2], head[2])}")
        if head != bytes((unit, READ_INPUT_REGISTERS, 2 * count)):
            self._name_request(head, request, deadline_ns)
            raise BadReading(f"{self.name}: answer begins {head.hex()}, not unit {unit}, 04, {2 * count} bytes")
        rest = self._take(2 * count + 2, deadline_ns)
        self._check(head + rest)
        return rest[:-2]

    def _name_request(self, head: bytes, request: bytes, deadline_ns: int) -> None:
        """Raise BadReading that says whose request came in place of an answer; return if it was none."""
        frame = head
        with suppress(BusTimeout):
            frame += self._take(len(request) - len(head), deadline_ns)
        if frame == request:
            raise BadReading(f"{self.name}: hears what it sends: the adapter echoes")
        if len(frame) == len(request) and crc16(frame[:-2]) == frame[-2:]:
            raise BadReading(f"{self.name}: a request to unit {frame[0]} came: there is a second master on the line")

    def _take(self, size: int, deadline_ns: int) -> bytes:
        """Return exactly `size` bytes."""
        taken = b""
        while len(taken) < size:
            if self._clock() >= deadline_ns:
                raise BusTimeout(
                    f"{self.name}: {len(taken)} of {size} bytes within {self._timeout_ns // MILLISECOND} ms"
                )
            taken += self._port.read(size - len(taken))
        return taken

    def _check(self, frame: bytes) -> None:
        if crc16(frame[:-2]) != frame[-2:]:
            raise BadReading(f"{self.name}: CRC of {frame.hex()} must be {crc16(frame[:-2]).hex()}")

    def _fall_silent(self) -> None:
        """Wait until nothing has come for one time-out. Raises: BadReading when a device talks without end."""
        for _ in range(8):
            if not self._port.read(256):
                return
        raise BadReading(f"{self.name}: the line does not fall silent; is there a second master?")

    @contextmanager
    def _translating(self) -> Iterator[None]:
        """Name the port in every error; pyserial lets those of termios through, which are no OSError."""
        try:
            with naming(self.name):
                yield
        except self._termios_error as error:
            raise BadReading(f"{self.name}: {error}") from error


def crc16(data: bytes) -> bytes:
    """Return the CRC of a frame as it goes on the line, low byte first."""
    remainder = 0xFFFF
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ _POLYNOMIAL if remainder & 1 else remainder >> 1
    return remainder.to_bytes(2, "little")
