"""How well the duty cycle of the pilot is known from windows of it, at any phase that stays.

The kernel is modelled by its documented behaviour: a system call a message, and something between two transfers.
"""

from __future__ import annotations

import struct
from random import Random
from statistics import mean

import pytest

from boards.loader import load_board
from evse_pi.core.duty_monitor import MAX_ERROR_PPM, WINDOWS
from evse_pi.core.pilot import measure
from hal.mcp3xxx import FRAME_BYTES, AdcChip, Mcp3xxx
from hal.pilot_adc import SpiPilotAdc

BOARD = load_board("reference")
PERIOD_NS = 1_000_000
FRAME_NS, SAMPLED_NS = 24_000, 8_000
TRANSFER = struct.Struct("<QQIIHBBBBBB")  # struct spi_ioc_transfer of linux/spi/spidev.h


class Bus:
    """A kernel with a clock, and a converter that sees a square wave of 1 kHz that is locked to that clock."""

    def __init__(self, duty_ppm: int, phase_ns: int, gap_us: int, rng: Random) -> None:
        self.now_ns = phase_ns
        self.duty_ppm, self.gap_ns, self.rng = duty_ppm, 1_000 * gap_us, rng
        self.held_up_ns = 0

    def open(self, *_: int) -> None: ...

    def close(self) -> None: ...

    def fileno(self) -> int:
        return 3

    def message(self, _fd: int, _request: int, message: bytearray, _mutate: bool) -> int:
        import ctypes

        call_ns = self.rng.randrange(20_000, 60_000)
        self.now_ns += call_ns // 2
        transfers = list(TRANSFER.iter_unpack(message))
        for _, target, _, _, delay_us, *_ in transfers:
            high = (self.now_ns + SAMPLED_NS) % PERIOD_NS < self.duty_ppm
            code = BOARD.pilot_adc.scale.code(6_000 if high else -12_000)
            ctypes.memmove(target, (code).to_bytes(FRAME_BYTES, "big"), FRAME_BYTES)
            self.now_ns += FRAME_NS + 1_000 * delay_us + self.rng.randrange(self.gap_ns + 1)
        self.now_ns += call_ns // 2 + self.held_up_ns
        return FRAME_BYTES * len(transfers)


def windows_of(bus: Bus, count: int = WINDOWS) -> list[int | None]:
    """Return what the real driver and the real estimator make of a second of windows."""
    adc = Mcp3xxx(0, 0, AdcChip.MCP3208, 1_000_000, open_bus=lambda: bus, ioctl=bus.message)
    pilot = SpiPilotAdc(adc, 0, lambda: bus.now_ns, bus.rng, before=(2,), after=(2, 3))
    begun_ns, found = bus.now_ns, []
    for number in range(count):
        bus.now_ns = begun_ns + 10_000_000 * number + bus.rng.randrange(15_000)
        found.append(measure(pilot.read_window(), BOARD.pilot_adc.scale).duty_ppm)
    return found


@pytest.mark.hazard("H-04")
@pytest.mark.parametrize("duty_ppm", [100_000, 333_333, 500_000, 533_333, 960_000])
@pytest.mark.parametrize(("gap_us", "held_up_ns"), [(0, 0), (10, 0), (20, 0), (10, 300_000)])
def test_no_locked_phase_makes_the_mean_of_a_second_wrong_by_more_than_half_a_point(
    gap_us: int, held_up_ns: int, duty_ppm: int
) -> None:
    for phase_ns in range(0, PERIOD_NS, 50_000):
        bus = Bus(duty_ppm, phase_ns, gap_us, Random(phase_ns))
        bus.held_up_ns = held_up_ns
        seen = windows_of(bus)
        known = [each for each in seen if each is not None]
        assert len(known) > WINDOWS * 3 // 4
        assert abs(mean(known) - duty_ppm) < MAX_ERROR_PPM // 4, (phase_ns, mean(known))


def test_a_message_that_was_held_up_tells_no_duty() -> None:
    bus = Bus(500_000, 0, 0, Random(1))
    adc = Mcp3xxx(0, 0, AdcChip.MCP3208, 1_000_000, open_bus=lambda: bus, ioctl=bus.message)
    pilot = SpiPilotAdc(adc, 0, lambda: bus.now_ns, bus.rng)
    assert pilot.read_window().sampled_ns
    bus.held_up_ns = 1_500_000
    window = pilot.read_window()
    assert (window.sampled_ns, window.before) == ((), {})
    assert measure(window, BOARD.pilot_adc.scale).duty_ppm is None
