"""An I2C bus with temperature sensors and an ADS1115, as register files behind the i2c-dev calls."""

from __future__ import annotations

import errno
import random
import struct
from functools import partial
from typing import TYPE_CHECKING, Protocol

from evse_pi.sim.converter import AdcInput, millivolts
from evse_pi.sim.devices.shim_protocol import IOCTL, Answer, Opened, ShimRequest, refusal
from evse_pi.sim.signals import Analog, I2cFault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evse_pi.sim.plant import Plant

SLAVE, SLAVE_FORCE, FUNCS, RDWR, PEC, SMBUS, RETRIES, TIMEOUT, TENBIT = (
    0x0703, 0x0706, 0x0705, 0x0707, 0x0708, 0x0720, 0x0701, 0x0702, 0x0704,
)  # fmt: skip
FUNCTIONALITY = 0x0EFF0009  # plain I2C and all of SMBus that an adapter does by messages
READS = 1
TMP102_EXTENDED = 0x0010  # 13 bits instead of 12
QUICK, BYTE, BYTE_DATA, WORD_DATA, I2C_BLOCK = 0, 1, 2, 3, 8


class Chip(Protocol):
    """What answers at an address."""

    def write(self, data: bytes, now_ns: int) -> None:
        """Take the bytes after the address."""

    def read(self, count: int, now_ns: int) -> bytes:
        """Give bytes, as many as are clocked."""


class Registers:
    """A chip with a pointer register and 16-bit registers, most significant byte first."""

    def __init__(self, values: Mapping[int, int], writable: Mapping[int, int]) -> None:
        self.values = dict(values)
        self.pointer = 0
        self._writable = writable  # register: mask of the bits that can be written

    def write(self, data: bytes, now_ns: int) -> None:  # noqa: ARG002 - chips that measure do by time
        """Set the pointer, and the register it points to."""
        if not data:
            return
        self.pointer = data[0]
        mask = self._writable.get(self.pointer)
        if len(data) >= 2 and mask is not None:
            mask &= 0xFFFF if len(data) > 2 else 0xFF00  # registers of one byte are the upper half
            kept = self.values[self.pointer] & ~mask
            self.values[self.pointer] = kept | int.from_bytes(data[1:3].ljust(2, b"\0"), "big") & mask

    def read(self, count: int, now_ns: int) -> bytes:
        """Return the register's bytes; what is clocked beyond them reads as ones."""
        return self.fetch(self.pointer, now_ns).to_bytes(2, "big")[:count].ljust(count, b"\xff")

    def fetch(self, pointer: int, now_ns: int) -> int:  # noqa: ARG002 - chips that measure do by time
        """Return one register."""
        return self.values.get(pointer, 0)


class EmulatedThermometer(Registers):
    """TMP102, LM75 or MCP9808: one temperature register, the rest as after power on."""

    KINDS = {  # noqa: RUF012 - registers at power on, writable bits, temperature register and unused low bits
        "tmp102": ({0: 0, 1: 0x60A0, 2: 0x4B00, 3: 0x5000}, {1: 0xFFD0, 2: 0xFFF0, 3: 0xFFF0}, 0, 4),
        "lm75": ({0: 0, 1: 0x0000, 2: 0x4B00, 3: 0x5000}, {1: 0xFF00, 2: 0xFF80, 3: 0xFF80}, 0, 7),
        "mcp9808": (
            {1: 0, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0x0054, 7: 0x0400, 8: 0x0300},
            {1: 0x07FF, 2: 0x1FFC, 3: 0x1FFC, 4: 0x1FFC, 8: 0x0300},
            5,
            0,
        ),
    }

    def __init__(self, kind: str, sensor: str, plant: Plant) -> None:
        values, writable, self._register, self._unused = self.KINDS[kind]
        super().__init__(values, writable)
        self._kind = kind
        self._sensor = sensor
        self._plant = plant

    def fetch(self, pointer: int, now_ns: int) -> int:
        """Return one register; the temperature is that of the plant."""
        if pointer != self._register:
            return super().fetch(pointer, now_ns)
        celsius = self._plant.analog(Analog.TEMPERATURE, self._sensor)
        if self._kind == "mcp9808":
            return round(celsius * 16) & 0x1FFF
        extended = self._kind == "tmp102" and self.values[1] & TMP102_EXTENDED
        unused = self._unused - bool(extended)
        return (round(celsius * 256) >> self._unused << unused | bool(extended)) & 0xFFFF


class EmulatedAds1115(Registers):
    """The 16-bit converter with multiplexer, gain, single shots and conversion time.

    Source: TI ADS1113/4/5 data sheet, register map.
    """

    RANGES_MV = (6144, 4096, 2048, 1024, 512, 256, 256, 256)
    RATES_HZ = (8, 16, 32, 64, 128, 250, 475, 860)
    PAIRS = ((0, 1), (0, 3), (1, 3), (2, 3), (0, None), (1, None), (2, None), (3, None))

    def __init__(self, inputs: Mapping[int, AdcInput], plant: Plant) -> None:
        super().__init__({0: 0, 1: 0x0583, 2: 0x8000, 3: 0x7FFF}, {1: 0x7FFF, 2: 0xFFFF, 3: 0xFFFF})
        self._inputs = inputs
        self._plant = plant
        self._done_ns: int | None = None

    def write(self, data: bytes, now_ns: int) -> None:
        """Set the pointer or a register; writing the top bit of the configuration starts a single shot."""
        super().write(data, now_ns)
        single = self.values[1] & 0x0100
        if self.pointer == 1 and len(data) >= 3 and single and data[1] & 0x80:
            self._done_ns = now_ns + 1_000_000_000 // self.RATES_HZ[self.values[1] >> 5 & 7]

    def fetch(self, pointer: int, now_ns: int) -> int:
        """Return one register; the conversion register holds the last finished conversion."""
        if self._done_ns is not None and now_ns >= self._done_ns:
            self._done_ns = None
            self.values[0] = self._convert(now_ns)
        if pointer == 1:
            return self.values[1] | (0x8000 if self._done_ns is None else 0)
        if pointer == 0 and not self.values[1] & 0x0100:
            return self._convert(now_ns)
        return super().fetch(pointer, now_ns)

    def _convert(self, now_ns: int) -> int:
        positive, negative = self.PAIRS[self.values[1] >> 12 & 7]
        mv = self._input_mv(positive, now_ns) - (0.0 if negative is None else self._input_mv(negative, now_ns))
        steps = round(mv * 32768 / self.RANGES_MV[self.values[1] >> 9 & 7])
        return max(-32768, min(32767, steps)) & 0xFFFF

    def _input_mv(self, channel: int, now_ns: int) -> float:
        wired = self._inputs.get(channel)
        return 0.0 if wired is None else millivolts(self._plant, wired, (now_ns,))[0]


class BrokenBus:
    """A chip as a broken bus shows it: what is written is lost, what is read is not the chip's."""

    def __init__(self, how: I2cFault) -> None:
        self._how = how
        self._noise = random.Random(how.value)

    def write(self, data: bytes, now_ns: int) -> None:
        """Lose the bytes."""

    def read(self, count: int, now_ns: int) -> bytes:  # noqa: ARG002 - the bus is broken at all times
        """Return what the lines show."""
        if self._how is I2cFault.GARBAGE:
            return self._noise.randbytes(count)
        return (b"\xff" if self._how is I2cFault.STUCK_HIGH else b"\0") * count


REFUSED = {I2cFault.NO_ACKNOWLEDGE: errno.EREMOTEIO, I2cFault.LOST_ARBITRATION: errno.EAGAIN}
HANG_NS = 1_000_000_000  # the time-out of an adapter. Source: linux/drivers/i2c/i2c-core-base.c, adap->timeout = HZ
STRETCH_NS = 400_000_000


class I2cBus:
    """One adapter, served as /dev/i2c-N."""

    def __init__(self, number: int, chips: Mapping[int, Chip], plant: Plant) -> None:
        self.name = "i2c"
        self.chips = dict(chips)
        self._plant = plant
        self.silent: set[int] = set()
        self._broken: dict[I2cFault, Chip] = {}
        self._number = number

    def nodes(self) -> tuple[str, ...]:
        """Return the one node."""
        return (f"/dev/i2c-{self._number}",)

    def open(self, path: str, flags: int, now_ns: int) -> Opened:  # noqa: ARG002 - a bus opens for everybody
        """Open the adapter."""
        return Opened(I2cFile(self))

    @property
    def fault(self) -> I2cFault | None:
        """What is wrong with the bus."""
        return self._plant.fault_injection.i2c

    def chip(self, address: int) -> Chip:
        """Return what answers at an address. Raises: OSError EREMOTEIO when nothing does."""
        fault = self.fault
        if fault in (I2cFault.STUCK_HIGH, I2cFault.STUCK_LOW, I2cFault.GARBAGE):
            return self._broken.setdefault(fault, BrokenBus(fault))
        if address not in self.chips or address in self.silent:
            raise refusal(errno.EREMOTEIO)
        return self.chips[address]


class I2cFile:
    """One open adapter with the address it talks to."""

    def __init__(self, bus: I2cBus) -> None:
        self._bus = bus
        self._address = 0

    def handle(self, request: ShimRequest, now_ns: int) -> Answer:
        """Serve messages, SMBus transactions and settings."""
        if request.operation != IOCTL:
            raise refusal(errno.EOPNOTSUPP)
        if request.a == FUNCS:
            return Answer(payload=struct.pack("<Q", FUNCTIONALITY))
        if request.a in (SLAVE, SLAVE_FORCE):
            return self._select(struct.unpack("<Q", request.payload)[0])
        if request.a in (RDWR, SMBUS):
            return self._transfer(self._messages if request.a == RDWR else self._smbus, request.payload, now_ns)
        if request.a in (RETRIES, TIMEOUT) or (request.a in (PEC, TENBIT) and not any(request.payload)):
            return Answer()
        raise refusal(errno.EINVAL)

    def closed(self, now_ns: int) -> None:
        """Nothing is held."""

    def _select(self, address: int) -> Answer:
        if address > 0x7F:
            raise refusal(errno.EINVAL)
        self._address = address
        return Answer()

    def _transfer(self, serve: Callable[[bytes, int], Answer], payload: bytes, now_ns: int) -> Answer:
        """Serve a transfer as the bus lets it happen. Raises: OSError as the kernel's adapter does."""
        fault = self._bus.fault
        if fault in REFUSED:
            raise refusal(REFUSED[fault])
        if fault is I2cFault.HANG:
            return Answer(due_ns=now_ns + HANG_NS, make=_timed_out)
        if fault is I2cFault.STRETCH:
            return Answer(due_ns=now_ns + STRETCH_NS, make=partial(serve, payload))
        return serve(payload, now_ns)

    def _messages(self, payload: bytes, now_ns: int) -> Answer:
        (count,) = struct.unpack_from("<I", payload)
        position, got = 4, b""
        for _ in range(count):
            address, flags, length = struct.unpack_from("<HHH", payload, position)
            position += 6
            chip = self._bus.chip(address)
            if flags & READS:
                got += chip.read(length, now_ns)
            else:
                chip.write(payload[position : position + length], now_ns)
                position += length
        return Answer(count, got)

    def _smbus(self, payload: bytes, now_ns: int) -> Answer:
        reads, command, kind = struct.unpack_from("<BBI", payload)
        block = payload[6:]
        chip = self._bus.chip(self._address)
        if kind == QUICK:
            return Answer()
        if kind == BYTE:
            if reads:
                return Answer(payload=chip.read(1, now_ns))
            chip.write(bytes((command,)), now_ns)
            return Answer()
        if kind not in (BYTE_DATA, WORD_DATA, I2C_BLOCK):
            raise refusal(errno.EOPNOTSUPP)
        length = block[0] if kind == I2C_BLOCK else kind - 1
        head = bytes((length,)) if kind == I2C_BLOCK else b""
        if not 0 < length <= 32:
            raise refusal(errno.EINVAL)
        if reads:
            chip.write(bytes((command,)), now_ns)
            return Answer(payload=head + chip.read(length, now_ns))
        chip.write(bytes((command,)) + block[len(head) : len(head) + length], now_ns)
        return Answer()


def _timed_out(now_ns: int) -> Answer:  # noqa: ARG001 - the signature of every late answer
    raise refusal(errno.ETIMEDOUT)
