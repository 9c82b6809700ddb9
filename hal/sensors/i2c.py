"""One chip on an I2C bus: 16-bit registers, most significant byte first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hal.errors import BadReading, naming

if TYPE_CHECKING:
    from collections.abc import Callable

STUCK_HIGH = 0xFFFF
"""What a bus without a driving chip reads; no chip here can mean it."""


class I2cChip:
    """Reads and writes registers of one address; `open_bus` replaces smbus2 in tests.

    Raises: DeviceNotFound, BusTimeout, BadReading.
    """

    def __init__(self, kind: str, bus: int, address: int, open_bus: Callable[[int], Any] | None = None) -> None:
        if open_bus is None:
            from smbus2 import SMBus

            open_bus = SMBus
        self.name = f"{kind} at {address:#04x} on /dev/i2c-{bus}"
        self._address = address
        with naming(self.name):
            self._bus = open_bus(bus)

    def read_word(self, register: int) -> int:
        """Return a register of two bytes. Raises: BadReading when all bits are high."""
        with naming(self.name):
            high, low = self._bus.read_i2c_block_data(self._address, register, 2)
        word = int(high) << 8 | int(low)
        if word == STUCK_HIGH:
            raise BadReading(f"{self.name}: register {register} reads all ones, so the bus is stuck")
        return word

    def write_word(self, register: int, word: int) -> None:
        """Write a register of two bytes."""
        with naming(self.name):
            self._bus.write_i2c_block_data(self._address, register, [word >> 8, word & 0xFF])

    def close(self) -> None:
        """Release the bus."""
        with naming(self.name):
            self._bus.close()


def signed(value: int, bits: int) -> int:
    """Return the two's complement number of `bits` width."""
    return value - (1 << bits) if value >> (bits - 1) else value
