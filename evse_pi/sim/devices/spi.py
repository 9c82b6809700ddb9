"""SPI buses with MCP3xxx converters, bit for bit and in the time that the transfers take."""

from __future__ import annotations

import errno
import struct
from array import array
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from evse_pi.sim.converter import AdcInput, ConverterRange, codes
from evse_pi.sim.devices.shim_protocol import READ, SPI, WRITE, Answer, Opened, ShimRequest, refusal

if TYPE_CHECKING:
    from evse_pi.sim.plant import Plant

BUFFER = 4096  # spidev's bufsiz
ALIGNMENT = 128  # ARCH_DMA_MINALIGN of 64-bit Arm: each transfer takes at least this much of the buffer
CS_CHANGE_NS = 10_000  # the SPI core's delay when chip select toggles between transfers
EARLY_NS = 100_000  # an answer that would be due this soon is given at once: a timer is not finer
TRANSFER = struct.Struct("<IIHBBBB2x")  # length, Hz, delay µs, cs_change, sends, receives, bits
DEFAULT_HZ = 500_000
MODE_BITS = 0x3F


@dataclass(frozen=True, slots=True)
class AdcModel:
    """How a member of the MCP3xxx family talks."""

    bits: int
    channel_bits: int


MODELS = {
    "mcp3208": AdcModel(12, 3),
    "mcp3204": AdcModel(12, 2),
    "mcp3008": AdcModel(10, 3),
    "mcp3004": AdcModel(10, 2),
}


class ConverterFrame(NamedTuple):
    """What one chip select period asks for: which input, and when it is sampled."""

    channel: int
    sampled_bit: int
    first_bit: int
    bits: int


def read_frame(sent: bytes, model: AdcModel) -> ConverterFrame | None:
    """Return the conversion that the bits sent ask for, None without a start bit or with too few clocks.

    Source: MCP3204/3208 and MCP3004/3008 data sheets: start, SGL/DIFF, D2, D1, D0, sample, null, then the result;
    the four channel versions ignore D2.
    """
    bits = int.from_bytes(sent, "big")
    total = 8 * len(sent)
    start = total - bits.bit_length()
    if bits == 0 or start + 7 >= total:
        return None
    channel = bits >> (total - start - 5) & ((1 << model.channel_bits) - 1)
    return ConverterFrame(channel, start + 6, start + 7, total)


@lru_cache(maxsize=1 << 16)
def reply(code: int, first_bit: int, total: int, bits: int) -> bytes:
    """Return what the chip shifts out: the result, then the same bits again with the least significant first."""
    mirrored = int(f"{code:0{bits}b}"[::-1], 2) & ((1 << (bits - 1)) - 1)
    pattern = code << (bits - 1) | mirrored
    shift = total - first_bit - (2 * bits - 1)
    shifted = pattern << shift if shift >= 0 else pattern >> -shift
    return (shifted & ((1 << total) - 1)).to_bytes(total // 8, "big")


@dataclass(frozen=True, slots=True)
class Burst:
    """A decoded SPI message: offsets from its begin at which its frames sample, and its whole span."""

    frames: tuple[ConverterFrame | None, ...]
    offsets_ns: tuple[int, ...]
    span_ns: int
    total: int
    receives: tuple[tuple[int, int, int], ...]  # frame, first and last byte within it
    channels: frozenset[int]


@lru_cache(maxsize=512)
def decode(payload: bytes, count: int, default_hz: int, model: AdcModel) -> Burst:
    """Return what a message of `count` transfers does and how long it takes."""
    position = count * TRANSFER.size
    sent, at_ns, begun_ns, hz = b"", 0, 0, default_hz
    frames: list[ConverterFrame | None] = []
    offsets: list[int] = []
    receives: list[tuple[int, int, int]] = []
    total = 0
    for index in range(count):
        length, hz, delay_us, cs_change, sends, gets, _ = TRANSFER.unpack_from(payload, index * TRANSFER.size)
        hz = hz or default_hz
        if gets:
            receives.append((len(frames), len(sent), len(sent) + length))
        sent += payload[position : position + length] if sends else bytes(length)
        position += length if sends else 0
        total += length
        at_ns += 8 * length * 1_000_000_000 // hz + 1000 * delay_us
        last = index == count - 1
        if cs_change or last:
            frame = read_frame(sent, model)
            frames.append(frame)
            offsets.append(begun_ns + (frame.sampled_bit * 1_000_000_000 // hz if frame else 0))
            at_ns += 0 if last else CS_CHANGE_NS
            sent, begun_ns = b"", at_ns
    channels = frozenset(frame.channel for frame in frames if frame)
    return Burst(tuple(frames), tuple(offsets), at_ns, total, tuple(receives), channels)


class SpiBus:
    """Chip selects that share a clock: their messages follow one another."""

    def __init__(self) -> None:
        self.busy_until_ns = 0


class EmulatedMcp3xxx:
    """One converter at one chip select, served as /dev/spidevB.C."""

    def __init__(
        self,
        name: str,
        node: str,
        bus: SpiBus,
        model: str,
        reference_mv: int,
        inputs: dict[int, AdcInput],
        plant: Plant,
    ) -> None:
        if model not in MODELS:
            raise ValueError(f"spi model {model!r}: allowed are {', '.join(MODELS)}")
        self.name = name
        self.node = node
        self.bus = bus
        self.model = MODELS[model]
        self.range = ConverterRange(reference_mv, 1 << self.model.bits)
        self.inputs = inputs
        self.plant = plant
        self.conversions = 0

    def nodes(self) -> tuple[str, ...]:
        """Return the one node."""
        return (self.node,)

    def open(self, path: str, flags: int, now_ns: int) -> Opened:  # noqa: ARG002 - a converter opens for everybody
        """Open the chip select; the result tells the shim the default clock."""
        return Opened(SpiFile(self), DEFAULT_HZ)

    def convert(self, burst: Burst, begun_ns: int, late_ns: int = 0) -> bytes:
        """Return what a message receives that began at `begun_ns` and took `late_ns` longer than its bits."""
        count = len(burst.offsets_ns)
        instants = [begun_ns + offset + late_ns * index // count for index, offset in enumerate(burst.offsets_ns)]
        if len(burst.channels) == 1:
            (channel,) = burst.channels
            values = self._read(channel, instants)
        else:
            values = [
                self._read(frame.channel, [at])[0] if frame else 0
                for frame, at in zip(burst.frames, instants, strict=True)
            ]
        self.conversions += len(values)
        bits = self.model.bits
        frames = [
            reply(value, frame.first_bit, frame.bits, bits) if frame else None
            for value, frame in zip(values, burst.frames, strict=True)
        ]
        return b"".join(
            (frames[index] or bytes(last))[first:last].ljust(last - first, b"\0")
            for index, first, last in burst.receives
        )

    def _read(self, channel: int, instants_ns: list[int]) -> list[int]:
        selected = self.plant.fault_injection.selected
        wired = next((each for each in self.inputs.values() if each.source is selected), None)
        wired = self.inputs.get(channel) if wired is None else wired
        return [0] * len(instants_ns) if wired is None else codes(self.plant, wired, self.range, instants_ns)


class SpiFile:
    """An open spidev file with its own clock and mode."""

    def __init__(self, chip: EmulatedMcp3xxx) -> None:
        self._chip = chip
        self._settings = {1: 0, 2: 0, 3: 8, 4: DEFAULT_HZ, 5: 0}

    def handle(self, request: ShimRequest, now_ns: int) -> Answer:
        """Serve a message or a setting."""
        if request.operation == SPI:
            return self._message(request, now_ns)
        if request.operation in (READ, WRITE):
            return self._half_duplex(request, now_ns)
        number, size, writes = request.a & 0xFF, request.a >> 16 & 0x3FFF, request.a >> 30 & 1
        if number not in self._settings or size not in (1, 4):
            raise refusal(errno.ENOTTY)
        if not writes:
            return Answer(payload=self._settings[number].to_bytes(size, "little"))
        self._set(number, int.from_bytes(request.payload[:size], "little"))
        return Answer()

    def closed(self, now_ns: int) -> None:
        """Nothing is held."""

    def _half_duplex(self, request: ShimRequest, now_ns: int) -> Answer:
        reads = request.operation == READ
        length = request.b if reads else len(request.payload)
        message = TRANSFER.pack(length, 0, 0, 0, not reads, reads, 8) + request.payload
        return self._message(ShimRequest(SPI, 1, now_ns, message), now_ns)

    def _set(self, number: int, value: int) -> None:
        if number == 3 and value not in (0, 8):
            raise refusal(errno.EINVAL)
        if number in (1, 5):
            if value & ~MODE_BITS:
                raise refusal(errno.EINVAL)
            self._settings[1] = self._settings[5] = value
        elif number == 4 and value == 0:
            raise refusal(errno.EINVAL)
        else:
            self._settings[number] = value or 8 if number == 3 else value

    def _message(self, request: ShimRequest, now_ns: int) -> Answer:
        lengths = array("I", request.payload[: request.a * TRANSFER.size])[:: TRANSFER.size // 4]
        if sum(-(-length // ALIGNMENT) for length in lengths) * ALIGNMENT > BUFFER:
            raise refusal(errno.EMSGSIZE)
        burst = decode(request.payload, request.a, self._settings[4], self._chip.model)
        bus = self._chip.bus
        begun_ns = max(min(request.b, now_ns), bus.busy_until_ns)
        end_ns = bus.busy_until_ns = begun_ns + burst.span_ns

        def answer(at_ns: int) -> Answer:
            """Answer at `at_ns`; what the timer was late by went by between the transfers, as on a slow processor."""
            late_ns = max(0, at_ns - end_ns)
            self._chip.plant.advance(end_ns + late_ns)
            return Answer(burst.total, self._chip.convert(burst, begun_ns, late_ns))

        return answer(now_ns) if end_ns <= now_ns + EARLY_NS else Answer(due_ns=end_ns, make=answer)
