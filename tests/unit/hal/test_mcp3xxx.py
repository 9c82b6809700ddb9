"""The converter's wire format, against a kernel that reads the same structures as spidev does."""

from __future__ import annotations

import ctypes
import errno
import struct
from typing import TYPE_CHECKING, Any

import pytest

from hal.errors import BadReading, DeviceNotFound
from hal.mcp3xxx import MAX_BURST, AdcChip, Mcp3xxx

if TYPE_CHECKING:
    from collections.abc import Callable


class Kernel:
    """spidev's descriptor and its SPI_IOC_MESSAGE, in front of a chip whose input is `source`."""

    def __init__(self, chip: AdcChip, source: Callable[..., Any]) -> None:
        self.chip, self.source = chip, source
        self.messages: list[Any] = []
        self.opened: tuple[int, int] | None = None
        self.closed = False
        self.short_by = 0

    def open(self, bus: int, device: int) -> None:
        self.opened = (bus, device)

    def fileno(self) -> int:
        return 7

    def close(self) -> None:
        self.closed = True

    def xfer2(self, frame: list[int]) -> list[int]:
        return list(self.answer(bytes(frame)))

    def answer(self, frame: bytes) -> bytes:
        bits = int.from_bytes(frame, "big")
        start = 18 if self.chip.bits == 12 else 16
        assert bits >> start == 1, "leading zeros, then the start bit"
        assert bits >> (start - 1) & 1, "single-ended"
        channel = bits >> (start - 4) & 7
        code = self.source(channel)
        undriven = 0xFFE000 if self.chip.bits == 12 else 0xFFF800
        return (undriven | code).to_bytes(3, "big")

    def ioctl(self, fd: int, request: int, message: bytearray, mutate: bool) -> int:
        assert (fd, mutate) == (7, True)
        assert request == (1 << 30 | len(message) << 16 | ord("k") << 8)
        transfers = list(struct.iter_unpack("<QQIIHBBBBBB", message))
        if len(transfers) > MAX_BURST:
            raise OSError(errno.EMSGSIZE, "Message too long")
        self.messages.append(transfers)
        for tx, rx, length, *_ in transfers:
            ctypes.memmove(rx, self.answer(ctypes.string_at(tx, length)), length)
        return 3 * len(transfers) - self.short_by


def converter(
    chip: AdcChip = AdcChip.MCP3208, source: Callable[..., Any] = lambda channel: 100 * channel + 1
) -> tuple[Mcp3xxx, Kernel]:
    kernel = Kernel(chip, source)
    return Mcp3xxx(0, 1, chip, 1_000_000, open_bus=lambda: kernel, ioctl=kernel.ioctl), kernel


@pytest.mark.parametrize("chip", AdcChip)
def test_every_channel_of_every_chip_is_addressed_and_decoded(chip: AdcChip) -> None:
    adc, kernel = converter(chip)
    assert kernel.opened == (0, 1)
    for channel in range(chip.channels):
        assert adc.read(channel) == 100 * channel + 1
        assert adc.run(adc.prepare([channel] * 5, [0] * 5)).tolist() == [100 * channel + 1] * 5


@pytest.mark.parametrize("chip", AdcChip)
def test_lowest_and_highest_code_survive_the_undriven_bits(chip: AdcChip) -> None:
    codes = iter([0, chip.full_scale, 0, chip.full_scale])
    adc, _ = converter(chip, lambda channel: next(codes))
    assert adc.read(0) == 0
    assert adc.read(0) == chip.full_scale
    assert adc.run(adc.prepare([0, 0], [0, 0])).tolist() == [0, chip.full_scale]


def test_a_run_is_cut_into_messages_of_at_most_32_with_a_chip_select_per_conversion() -> None:
    adc, kernel = converter()
    delays = list(range(70))
    assert len(adc.run(adc.prepare([0] * 70, delays))) == 70
    assert [len(message) for message in kernel.messages] == [32, 32, 6]
    assert [transfer[4] for message in kernel.messages for transfer in message] == delays
    for message in kernel.messages:
        changes = [transfer[6] for transfer in message]
        assert changes == [1] * (len(message) - 1) + [0]
        assert all(transfer[2:4] == (3, 1_000_000) for transfer in message)


def test_one_run_may_ask_for_several_channels() -> None:
    adc, kernel = converter()
    assert adc.run(adc.prepare([2, 5, 2, 7], [0, 1, 2, 3])).tolist() == [201, 501, 201, 701]
    assert len(kernel.messages) == 1


def test_a_run_keeps_the_order_of_its_conversions() -> None:
    codes = iter(range(96))
    adc, _ = converter(source=lambda channel: next(codes))
    assert adc.run(adc.prepare([0] * 96, [0] * 96)).tolist() == list(range(96))


def test_a_bus_that_no_device_drives_is_a_bad_reading() -> None:
    adc, kernel = converter()
    kernel.answer = lambda frame: b"\xff\xff\xff"  # type: ignore[method-assign]
    with pytest.raises(BadReading, match="no null bit"):
        adc.read(0)
    with pytest.raises(BadReading, match="no null bit in 4 of 4 frames"):
        adc.run(adc.prepare([0] * 4, [0] * 4))


def test_a_short_transfer_is_a_bad_reading_and_not_the_old_codes() -> None:
    adc, kernel = converter()
    run = adc.prepare([0] * 4, [0] * 4)
    adc.run(run)
    kernel.short_by = 3
    with pytest.raises(BadReading, match="9 bytes of 12"):
        adc.run(run)


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize("silent_message", [0, 1, 2])
def test_a_bus_that_says_done_and_moves_nothing_is_a_bad_reading_and_not_the_old_codes(silent_message: int) -> None:
    adc, kernel = converter()
    run = adc.prepare([0] * 96, [0] * 96)
    assert adc.run(run).tolist() == [1] * 96
    answered, real = iter(range(99)), kernel.ioctl
    adc._ioctl = lambda fd, request, message, mutate: (
        3 * (len(message) // 32) if next(answered) == silent_message else real(fd, request, message, mutate)
    )
    with pytest.raises(BadReading, match="no null bit in 32 of 96 frames"):
        adc.run(run)
    adc._ioctl = real
    assert adc.run(run).tolist() == [1] * 96


def test_a_missing_device_node_is_named() -> None:
    def missing() -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    with pytest.raises(DeviceNotFound, match=r"mcp3208 on /dev/spidev0\.1"):
        Mcp3xxx(0, 1, AdcChip.MCP3208, 1_000_000, open_bus=missing)


def test_an_input_or_a_clock_that_the_chip_lacks_is_refused() -> None:
    adc, _ = converter(AdcChip.MCP3204)
    with pytest.raises(ValueError, match=r"channel = 4; mcp3204 has 0\.\.3"):
        adc.read(4)
    with pytest.raises(ValueError, match="speed_hz = 2500000"):
        Mcp3xxx(0, 0, AdcChip.MCP3204, 2_500_000, open_bus=lambda: None)


def test_closing_closes_the_descriptor() -> None:
    adc, kernel = converter()
    adc.close()
    assert kernel.closed
