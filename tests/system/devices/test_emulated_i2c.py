from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.sim.signals import Analog
from evse_pi.sim.wiring import ChannelWiring, I2cWiring
from tests.support.emulation import QUIET, emulation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHIPS = (
    I2cWiring(0x48, "tmp102"),
    I2cWiring(0x4F, "lm75"),
    I2cWiring(0x18, "mcp9808"),
    I2cWiring(0x4A, "ads1115", channels=(ChannelWiring(0, Analog.PROXIMITY), ChannelWiring(1, Analog.TEMPERATURE))),
)


@pytest.fixture
def sensors(tmp_path: Path) -> Iterator[Any]:
    with emulation(tmp_path, replace(QUIET, wiring=replace(QUIET.wiring, i2c=CHIPS))) as running:
        yield running


@pytest.mark.parametrize(
    ("celsius", "tmp102", "lm75", "mcp9808"),
    [(25.0, 0x1900, 0x1900, 0x0190), (-10.5, 0xF580, 0xF580, 0x1F58), (85.25, 0x5540, 0x5500, 0x0554)],
)
def test_each_thermometer_has_its_own_format(sensors: Any, celsius: Any, tmp102: Any, lm75: Any, mcp9808: Any) -> None:
    sensors.client.verb("set_temperature", celsius=celsius)
    lines = sensors.python("""
        import smbus2
        with smbus2.SMBus(1) as bus:
            for address, register in ((0x48, 0), (0x4F, 0), (0x18, 5)):
                word = bus.read_word_data(address, register)
                block = bus.read_i2c_block_data(address, register, 2)
                write, read = smbus2.i2c_msg.write(address, [register]), smbus2.i2c_msg.read(address, 2)
                bus.i2c_rdwr(write, read)
                print(word & 255, word >> 8, block, list(read))
    """)
    for line, value in zip(lines, (tmp102, lm75, mcp9808), strict=True):
        high, low = value >> 8, value & 255
        assert line == f"{high} {low} [{high}, {low}] [{high}, {low}]"


def test_registers_keep_what_can_be_written_and_identify_the_chip(sensors: Any) -> None:
    lines = sensors.python("""
        import smbus2
        with smbus2.SMBus(1) as bus:
            print(bus.read_i2c_block_data(0x18, 6, 2), bus.read_i2c_block_data(0x18, 7, 2))
            bus.write_i2c_block_data(0x48, 1, [0x70, 0xB0])
            print(bus.read_i2c_block_data(0x48, 1, 2), bus.read_i2c_block_data(0x48, 0, 2))
            bus.write_byte_data(0x18, 8, 0)
            print(bus.read_byte_data(0x18, 8), bus.read_byte(0x18))
            bus.write_byte(0x48, 3)
            print(bus.read_byte(0x48))
    """)
    assert lines == ["[0, 84] [4, 0]", "[112, 176] [12, 129]", "0 0", "80"]


def test_the_converter_takes_its_time_and_multiplexes(sensors: Any) -> None:
    sensors.client.verb("plug_in", cable_ma=32_000)
    lines = sensors.python("""
        import smbus2, time
        with smbus2.SMBus(1) as bus:
            def convert(mux, rate=0b111):
                bus.write_i2c_block_data(0x4A, 1, [0x80 | mux << 4 | 0b0011, rate << 5 | 3])
                busy = not bus.read_i2c_block_data(0x4A, 1, 2)[0] & 0x80
                begun = time.monotonic()
                while not bus.read_i2c_block_data(0x4A, 1, 2)[0] & 0x80:
                    pass
                high, low = bus.read_i2c_block_data(0x4A, 0, 2)
                code = high << 8 | low
                return busy, time.monotonic() - begun > 0.5 / 64 if rate == 3 else True, code - (code >> 15 << 16)
            print(*convert(0b100, 3), *convert(0b101), *convert(0b000))
    """)
    busy, slow, proximity, _, _, temperature, _, _, difference = lines[0].split()
    assert (busy, slow) == ("True", "True")
    assert int(proximity) == pytest.approx(3300 * 220 / 1220 * 8, abs=1)
    assert int(temperature) == 32767, "25 °C at 1 V per °C is beyond 4.096 V"
    assert int(difference) == -32768


def test_an_absent_address_answers_as_the_kernel_does(sensors: Any) -> None:
    sensors.client.call("i2c", address=0x4F)
    code = """
        import smbus2
        with smbus2.SMBus(1) as bus:
            for address in (0x20, 0x4F):
                for call in (bus.read_byte, lambda a: bus.read_i2c_block_data(a, 0, 2), lambda a: bus.write_byte(a, 0)):
                    try:
                        print(call(address))
                    except OSError as error:
                        print(error.errno)
    """
    assert sensors.python(code) == ["121"] * 6
    sensors.client.call("i2c", address=0x4F, silent=False)
    assert sensors.python(code)[3:] == ["25", "[25, 0]", "None"]
