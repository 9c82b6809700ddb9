"""ADS1115 behind two peak detectors: the plateaus of the control pilot without sampling its edges.

    15  | 14 13 12 | 11 10 9 | 8    | 7 6 5 | 4 .. 0
    OS  | mux      | gain    | mode | rate  | comparator off = 00011        Source: Texas Instruments SBAS444

With at most 860 conversions a second it is far too slow to see the pilot itself. It is meant for a bench, or beside
another converter: a stuck detector keeps its last peak, and only the reset line shows that.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from hal.errors import BadReading, BusTimeout
from hal.interfaces import PilotPeaks
from hal.sensors.i2c import I2cChip, signed

if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.gpio import OutputLine
    from hal.linear_scale import LinearScale
    from hal.units import Millivolts

CONVERSION = 0
CONFIG = 1
START = 1 << 15
READY = 1 << 15
SINGLE_ENDED = 0b100 << 12
GAIN_4096_MV = 0b001 << 9
SINGLE_SHOT = 1 << 8
RATE_860 = 0b111 << 5
COMPARATOR_OFF = 0b00011
UV_PER_CODE = 125
CHANNELS = 4
CONVERSION_S = 0.0013
"""1/860 s and the oscillator's 10 %."""
TRIES = 4
HOLD_S = 0.0035
"""Three periods of the pilot and a half, so that each detector has seen both plateaus since its reset."""
RESET_S = 0.001


class Ads1115:
    """One ADS1115, single-ended at ±4.096 V."""

    def __init__(
        self,
        bus: int,
        address: int,
        *,
        open_bus: Callable[[int], Any] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._chip = I2cChip("ads1115", bus, address, open_bus)
        self._sleep = sleep

    def read_uv(self, channel: int) -> int:
        """Return the microvolts at one input. Raises: BusTimeout when no conversion ends, BadReading out of range."""
        if not 0 <= channel < CHANNELS:
            raise ValueError(f"channel = {channel}; must be 0..{CHANNELS - 1}")
        setting = SINGLE_ENDED | channel << 12 | GAIN_4096_MV | SINGLE_SHOT | RATE_860 | COMPARATOR_OFF
        self._chip.write_word(CONFIG, START | setting)
        for _ in range(TRIES):
            self._sleep(CONVERSION_S)
            config = self._chip.read_word(CONFIG)
            if config & ~READY != setting:
                raise BadReading(f"{self._chip.name}: config reads {config:#06x} after {setting:#06x} was written")
            if config & READY:
                break
        else:
            raise BusTimeout(f"{self._chip.name}: no conversion within {TRIES * CONVERSION_S * 1000:.1f} ms")
        code = signed(self._conversion(), 16)
        if code == (1 << 15) - 1:
            raise BadReading(f"{self._chip.name}: input {channel} is above 4.096 V")
        return code * UV_PER_CODE

    def close(self) -> None:
        """Release the bus."""
        self._chip.close()

    def _conversion(self) -> int:
        """Return the raw result; all ones is −125 µV here, which a grounded input may well show."""
        try:
            return self._chip.read_word(CONVERSION)
        except BadReading:
            self._chip.read_word(CONFIG)  # all ones again only when the bus is stuck
            return 0xFFFF


class PeakDetectorPilot:
    """The pilot's plateaus from two analogue peak detectors behind an ADS1115, each cleared before it is read.

    For boards that hold the two peaks for a slow converter: 860 conversions a second cannot sample a 1 kHz pilot.
    `evse_pi.core.pilot.measure_peaks` makes a reading of them. No board file can name it: the safety process reads
    windows of samples alone, because two peaks show neither the duty nor the noise of the pilot.
    """

    def __init__(
        self,
        adc: Ads1115,
        reset: OutputLine,
        high: tuple[int, LinearScale],
        low: tuple[int, LinearScale],
        clock: Callable[[], int],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._adc = adc
        self._reset = reset
        self._high = high
        self._low = low
        self._clock = clock
        self._sleep = sleep

    def read_peaks(self) -> PilotPeaks:
        """Return what the pilot has reached since a reset a moment ago; takes about 8 ms.

        Units: the scales count codes of 125 µV at the converter's input.
        """
        self._reset.set(True)
        try:
            self._sleep(RESET_S)
        finally:
            self._reset.set(False)
        self._sleep(HOLD_S)
        high_mv = self._plateau(*self._high)
        return PilotPeaks(high_mv, self._plateau(*self._low), self._clock())

    def close(self) -> None:
        """Release bus and line."""
        try:
            self._adc.close()
        finally:
            self._reset.close()

    def _plateau(self, channel: int, scale: LinearScale) -> Millivolts:
        return scale.millivolts(self._adc.read_uv(channel) // UV_PER_CODE)
