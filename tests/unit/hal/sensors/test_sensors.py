"""Thermometers and the ADS1115 against registers of a fake bus."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from evse_pi.sim.harness.virtual_clock import VirtualClock
from hal.errors import BadReading, BusTimeout, DeviceNotFound
from hal.linear_scale import LinearScale
from hal.sensors.ads1115 import Ads1115, PeakDetectorPilot
from hal.sensors.lm75 import Lm75
from hal.sensors.mcp9808 import Mcp9808
from hal.sensors.tmp102 import Tmp102
from hal.units import Millivolts


class Bus:
    """One chip's 16-bit registers."""

    def __init__(self, registers: dict[int, int], address: int = 0x48) -> None:
        self.registers, self.address = registers, address
        self.closed = False

    def __call__(self, number: int) -> AdsBus | Bus:
        return self

    def _check(self, address: int) -> None:
        if address != self.address:
            raise OSError(errno.EREMOTEIO, "Remote I/O error")

    def read_i2c_block_data(self, address: int, register: int, count: int) -> list[int]:
        self._check(address)
        assert count == 2
        return list(self.registers[register].to_bytes(2, "big"))

    def write_i2c_block_data(self, address: int, register: int, data: list[int]) -> None:
        self._check(address)
        self.registers[register] = int.from_bytes(bytes(data), "big")

    def close(self) -> None:
        self.closed = True


def read(chip: type[Lm75 | Mcp9808 | Tmp102], word: int, extra: dict[int, int] | None = None) -> int:
    registers = {0: word, 5: word, **(extra or {})}
    return chip(1, 0x48, open_bus=Bus(registers)).read_centi_celsius()


@pytest.mark.parametrize(
    ("word", "centi"),
    [(0x7D00, 12_500), (0x1900, 2_500), (0x0010, 6), (0x0000, 0), (0xFFF0, -7), (0xE700, -2_500), (0xD800, -4_000)],
)
def test_tmp102_reads_the_table_of_its_data_sheet(word: int, centi: int) -> None:
    assert read(Tmp102, word) == centi


@pytest.mark.parametrize(
    ("word", "centi"), [(0x7D00, 12_500), (0x1900, 2_500), (0x0080, 50), (0x0000, 0), (0xFF80, -50), (0xC900, -5_500)]
)
def test_lm75_reads_the_table_of_its_data_sheet(word: int, centi: int) -> None:
    assert read(Lm75, word) == centi


def test_lm75_ignores_the_bits_that_its_clones_use() -> None:
    assert read(Lm75, 0x1900 | 0x7F) == 2_500


@pytest.mark.parametrize(
    ("word", "centi"),
    [(0xC194, 2_525), (0x0194, 2_525), (0x07D0, 12_500), (0x1FF0, -100), (0x1D80, -4_000), (0x0001, 6)],
)
def test_mcp9808_reads_through_its_alert_flags(word: int, centi: int) -> None:
    assert read(Mcp9808, word, {6: 0x0054}) == centi


@pytest.mark.parametrize(
    ("chip", "word"), [(Tmp102, 0x7E00), (Tmp102, 0xD7F0), (Lm75, 0x7D80), (Lm75, 0xC880), (Mcp9808, 0x07D1)]
)
def test_a_temperature_outside_the_chips_range_is_a_bad_reading(chip: type[Lm75 | Tmp102], word: int) -> None:
    with pytest.raises(BadReading, match=r"0x48 on /dev/i2c-1.*must be"):
        read(chip, word, {6: 0x0054})


@pytest.mark.parametrize("chip", [Tmp102, Lm75, Mcp9808])
def test_a_stuck_bus_is_a_bad_reading_and_no_half_degree_below_zero(chip: type[Lm75 | Mcp9808 | Tmp102]) -> None:
    with pytest.raises(BadReading, match="stuck"):
        read(chip, 0xFFFF, {6: 0x0054})


def test_bits_that_a_tmp102_keeps_at_zero_are_a_bad_reading() -> None:
    with pytest.raises(BadReading, match="0x1901"):
        read(Tmp102, 0x1901)


@pytest.mark.parametrize("chip", [Tmp102, Lm75])
def test_an_absent_chip_is_named(chip: type[Lm75 | Tmp102]) -> None:
    sensor = chip(1, 0x49, open_bus=Bus({0: 0}))
    with pytest.raises(DeviceNotFound, match="0x49"):
        sensor.read_centi_celsius()


def test_another_chip_at_the_mcp9808s_address_is_refused_and_the_bus_released() -> None:
    bus: Any = Bus({5: 0, 6: 0x1234})
    with pytest.raises(DeviceNotFound, match="0x1234"):
        Mcp9808(1, 0x48, open_bus=bus)
    assert bus.closed


def test_an_absent_bus_is_named() -> None:
    def missing(number: int) -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    with pytest.raises(DeviceNotFound, match="i2c-1"):
        Tmp102(1, 0x48, open_bus=missing)


class AdsBus(Bus):
    """An ADS1115 that is ready after `busy` polls and converts `microvolts` per channel."""

    def __init__(self, microvolts: list[int], busy: int = 1) -> None:
        super().__init__({0: 0, 1: 0x8583})
        self.microvolts, self.busy, self.polls = microvolts, busy, 0

    def write_i2c_block_data(self, address: int, register: int, data: list[int]) -> None:
        super().write_i2c_block_data(address, register, data)
        config = self.registers[1]
        assert config >> 15
        assert config >> 14 & 1
        assert config >> 8 & 1
        self.registers[0] = min(32767, self.microvolts[config >> 12 & 3] // 125) & 0xFFFF
        self.registers[1] = config & 0x7FFF
        self.polls = 0

    def read_i2c_block_data(self, address: int, register: int, count: int) -> list[int]:
        if register == 1:
            self.polls += 1
            if self.polls > self.busy:
                self.registers[1] |= 0x8000
        return super().read_i2c_block_data(address, register, count)


def ads(microvolts: list[int], busy: int = 1) -> tuple[Ads1115, list[Any]]:
    slept: list[Any] = []
    return Ads1115(1, 0x48, open_bus=AdsBus(microvolts, busy), sleep=slept.append), slept


def test_ads1115_waits_for_its_conversion_and_reads_the_channel() -> None:
    adc, slept = ads([100_000, 200_000, 300_000, 4_095_875 - 125])
    assert [adc.read_uv(channel) for channel in range(4)] == [100_000, 200_000, 300_000, 4_095_750]
    assert len(slept) == 8


def test_ads1115_reads_just_below_ground_though_all_its_bits_are_ones() -> None:
    adc, _ = ads([-125, 0, 0, 0])
    assert adc.read_uv(0) == -125


def test_ads1115_that_never_ends_is_a_time_out_and_over_range_a_bad_reading() -> None:
    with pytest.raises(BusTimeout):
        ads([0] * 4, busy=99)[0].read_uv(0)
    with pytest.raises(BadReading, match="above"):
        ads([5_000_000] * 4)[0].read_uv(0)


def test_peak_detectors_are_reset_then_given_three_periods_then_read() -> None:
    events = []

    class Line:
        def set(self, active: bool) -> None:
            events.append(active)

    adc, _ = ads([2_000_000, 500_000, 0, 0])
    high, low = LinearScale(1_000, Millivolts(-7_000)), LinearScale(1_000, Millivolts(-16_000))
    clock = VirtualClock(now_ns=42)
    pilot = PeakDetectorPilot(adc, Line(), (0, high), (1, low), clock, sleep=events.append)  # type: ignore[arg-type]
    peaks = pilot.read_peaks()
    assert (peaks.high_mv, peaks.low_mv, peaks.read_ns) == (9_000, -12_000, 42)
    assert events[0] is True
    assert events[2] is False
    assert events[3] >= 0.003
