"""MCP3208, MCP3204, MCP3008 and MCP3004 over spidev: single conversions, and bursts of up to 32 in one kernel call.

One conversion is one frame of three bytes with its own chip select. D2..D0 is the channel, `0` the null bit that the
chip drives low before its first data bit, `x` what the chip does not drive.

    MCP320x    byte 0      byte 1      byte 2         MCP300x    byte 0      byte 1      byte 2
    to chip    0000 01SD2  D1D0xx xxxx xxxx xxxx      to chip    0000 0001   SD2D1D0 xxxx  xxxx xxxx
    from chip  xxxx xxxx   xxx0 BA98   7654 3210      from chip  xxxx xxxx   xxxx x098   7654 3210

S = 1 asks for a single-ended conversion. Source: Microchip DS21298E figure 6-1, DS21295D figure 6-1.
"""

from __future__ import annotations

import fcntl
import struct
import sys
from array import array
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from hal.errors import BadReading, naming

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hal.linear_scale import LinearScale
    from hal.units import Millivolts

FRAME_BYTES = 3
FRAME_BITS = 8 * FRAME_BYTES
MAX_BURST = 32
"""spidev aligns each transfer to 128 bytes in its 4096-byte buffer on 64-bit kernels; one more gives EMSGSIZE."""

# struct spi_ioc_transfer of linux/spi/spidev.h:
# tx_buf, rx_buf, len, speed_hz, delay_usecs, bits_per_word, cs_change, tx_nbits, rx_nbits, word_delay_usecs, pad
_TRANSFER = struct.Struct("<QQIIHBBBBBB")


class AdcChip(Enum):
    """Converters of one family, equal on the wire but for width and number of channels."""

    MCP3208 = "mcp3208"
    MCP3204 = "mcp3204"
    MCP3008 = "mcp3008"
    MCP3004 = "mcp3004"

    @property
    def bits(self) -> int:
        """Return the width of a code."""
        return 12 if self in (AdcChip.MCP3208, AdcChip.MCP3204) else 10

    @property
    def channels(self) -> int:
        """Return the number of inputs."""
        return 8 if self in (AdcChip.MCP3208, AdcChip.MCP3008) else 4

    @property
    def full_scale(self) -> int:
        """Return the largest code."""
        return (1 << self.bits) - 1

    @property
    def max_speed_hz(self) -> int:
        """Return the fastest clock, at 5 V. Source: DS21298E, DS21295D, electrical characteristics."""
        return 2_000_000 if self.bits == 12 else 3_600_000


@dataclass(frozen=True, slots=True)
class Conversions:
    """A prepared run of conversions, with its buffers; build it once, run it often."""

    count: int
    messages: tuple[tuple[int, bytearray], ...]
    sent: array[int]
    received: array[int]
    unanswered: bytes


def _no_stamp() -> None:
    """Leave out the instants."""


class Mcp3xxx:
    """One converter on a spidev chip select.

    `open_bus` and `ioctl` replace spidev and the kernel in tests.
    Raises: DeviceNotFound, DevicePermission; every reading may raise BadReading.
    """

    def __init__(
        self,
        bus: int,
        device: int,
        chip: AdcChip,
        speed_hz: int,
        *,
        open_bus: Callable[[], Any] | None = None,
        ioctl: Callable[[int, int, bytearray, bool], int] = fcntl.ioctl,
    ) -> None:
        if not 0 < speed_hz <= chip.max_speed_hz:
            raise ValueError(f"speed_hz = {speed_hz}; {chip.value} allows 1..{chip.max_speed_hz}")
        if open_bus is None:
            from spidev import SpiDev

            open_bus = SpiDev
        self.chip = chip
        self.speed_hz = speed_hz
        self.name = f"{chip.value} on /dev/spidev{bus}.{device}"
        self._ioctl = ioctl
        data_bits = chip.bits - 8
        self._null_bit = 1 << data_bits
        self._mask = bytes(byte & self._null_bit - 1 for byte in range(256))
        self._null_low = bytes(byte for byte in range(256) if not byte & self._null_bit)
        with naming(self.name):
            self._spi = open_bus()
            self._spi.open(bus, device)
            self._spi.mode = 0
            self._spi.max_speed_hz = speed_hz
            self._fd: int = self._spi.fileno()

    def read(self, channel: int) -> int:
        """Return one code of `channel`."""
        with naming(self.name):
            frame: list[int] = self._spi.xfer2(list(self._command(channel)))
        _, high, low = frame
        if high & self._null_bit:
            raise BadReading(f"{self.name}: no null bit in {high:#04x} {low:#04x}, so no chip answers")
        return self._mask[high] << 8 | low

    def prepare(self, channels: Sequence[int], delays_us: Sequence[int]) -> Conversions:
        """Return a run of one conversion per channel; each delay follows its conversion, before the next one."""
        commands = {channel: FRAME_BYTES * place for place, channel in enumerate(dict.fromkeys(channels))}
        sent = array("B", b"".join(map(self._command, commands)))
        received = array("B", bytes(FRAME_BYTES * len(delays_us)))
        address, _ = received.buffer_info()
        messages = []
        for start in range(0, len(channels), MAX_BURST):
            part = list(zip(channels, delays_us, strict=True))[start : start + MAX_BURST]
            message = bytearray()
            for index, (channel, delay_us) in enumerate(part):
                target = address + FRAME_BYTES * (start + index)
                more = index < len(part) - 1  # the last transfer's cs_change would mean the opposite
                command = sent.buffer_info()[0] + commands[channel]
                message += _TRANSFER.pack(command, target, FRAME_BYTES, self.speed_hz, delay_us, 8, more, 0, 0, 0, 0)
            # _IOW('k', 0, char[len(message)])
            messages.append((1 << 30 | len(message) << 16 | ord("k") << 8, message))
        return Conversions(len(channels), tuple(messages), sent, received, b"\xff" * len(received))

    def run(self, conversions: Conversions, stamp: Callable[[], object] = _no_stamp) -> array[int]:
        """Return the codes of all conversions of a prepared run, never those of an earlier one.

        A bus that says it is done and has moved nothing leaves the marks of before, and no null bit in them.
        `stamp` is called before the first message and after each.
        """
        memoryview(conversions.received)[:] = conversions.unanswered
        with naming(self.name):
            transferred = 0
            stamp()
            for request, message in conversions.messages:
                transferred += self._ioctl(self._fd, request, message, True)
                stamp()
        if transferred != FRAME_BYTES * conversions.count:
            raise BadReading(f"{self.name}: {transferred} bytes of {FRAME_BYTES * conversions.count} transferred")
        return self._codes(conversions.received.tobytes())

    def close(self) -> None:
        """Release the bus."""
        with naming(self.name):
            self._spi.close()

    def _command(self, channel: int) -> bytes:
        if not 0 <= channel < self.chip.channels:
            raise ValueError(f"channel = {channel}; {self.chip.value} has 0..{self.chip.channels - 1}")
        start_and_single = 0b11 << 3 | channel
        return (start_and_single << (6 if self.chip.bits == 12 else 4)).to_bytes(2, "big") + b"\0"

    def _codes(self, frames: bytes) -> array[int]:
        """Take the codes out of three-byte frames without a loop in Python: 96 in about 5 µs."""
        high = frames[1::FRAME_BYTES]
        if missing := high.translate(None, self._null_low):
            raise BadReading(f"{self.name}: no null bit in {len(missing)} of {len(high)} frames, so no chip answers")
        pairs = bytearray(2 * len(high))
        pairs[0::2] = frames[2::FRAME_BYTES]
        pairs[1::2] = high.translate(self._mask)
        codes = array("H", pairs)
        if sys.byteorder == "big":
            codes.byteswap()
        return codes


class Mcp3xxxInput:
    """One channel as a slow analogue input."""

    def __init__(self, adc: Mcp3xxx, channel: int, scale: LinearScale) -> None:
        self._adc = adc
        self._channel = channel
        self._scale = scale

    def read_mv(self) -> Millivolts:
        """Return the voltage at the input."""
        return self._scale.millivolts(self._adc.read(self._channel))
