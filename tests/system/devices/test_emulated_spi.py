from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.sim.devices.spi import MODELS, TRANSFER, decode, read_frame, reply
from evse_pi.sim.wiring import SpiWiring
from tests.support.emulation import QUIET, emulation

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.emulation import Emulation

BURST = """
    import ctypes, fcntl, os, struct, time

    def burst(fd, count, length=3, hz=1_000_000, delay_us=0, first=6):
        sent = (ctypes.c_ubyte * length)(first)
        got = (ctypes.c_ubyte * (length * count))()
        message = bytearray().join(
            struct.pack("<QQIIHBBBBBB", ctypes.addressof(sent), ctypes.addressof(got) + length * index, length, hz,
                        delay_us, 8, index < count - 1, 0, 0, 0, 0)
            for index in range(count)
        )
        fcntl.ioctl(fd, 1 << 30 | len(message) << 16 | 0x6B00, message, True)
        frames = bytes(got)
        return [(frames[at + 1] & 15) << 8 | frames[at + 2] for at in range(0, len(frames), length)]
"""


def test_unmodified_spidev_reads_pilot_and_proximity(emulated: Emulation) -> None:
    emulated.client.verb("plug_in", cable_ma=32_000)
    lines = emulated.python("""
        import spidev
        spi = spidev.SpiDev()
        spi.open(0, 0)
        spi.max_speed_hz, spi.mode = 1_000_000, 0
        print(spi.max_speed_hz, spi.mode, spi.bits_per_word)
        for channel in (0, 1, 7):
            _, high, low = spi.xfer2([6 | channel >> 2, (channel & 3) << 6, 0])
            print((high & 15) << 8 | low)
        print(spi.readbytes(2), spi.fileno() > 2)
        spi.close()
    """)
    assert lines[0] == "1000000 0 8"
    pilot, proximity, unwired = map(int, lines[1:4])
    assert pilot == int((1650 - 12_000 * 0.12) * 4096 / 3300)
    assert proximity == pytest.approx(3300 * 220 / 1220 * 4096 / 3300, abs=1)
    assert unwired == 0
    assert lines[4] == "[0, 0] True"


@pytest.mark.parametrize("model", MODELS)
def test_each_converter_of_the_family_answers_its_own_framing(tmp_path: Path, model: Any) -> None:
    wiring = replace(QUIET.wiring, spi=(SpiWiring(bus=1, chip_select=2, model=model, reference_mv=5_000),))
    bits = MODELS[model].bits
    with emulation(tmp_path, replace(QUIET, wiring=wiring)) as emulated:
        emulated.client.verb("stick_adc", source="proximity", mv=2_500)
        (code,) = emulated.python(f"""
            import spidev
            spi = spidev.SpiDev(1, 2)
            command = 0b11001 << {7 if bits == 10 else 9} - 3
            frame = spi.xfer3([command >> 8, command & 255, 0]) if {bits} == 12 else spi.xfer3([1, 0b10010000, 0])
            print((frame[1] << 8 | frame[2]) & ((1 << {bits}) - 1))
        """)
    assert int(code) == 1 << bits - 1


def test_a_burst_of_32_sees_the_duty_cycle_and_takes_its_time(emulated: Emulation) -> None:
    emulated.client.verb("plug_in")
    lines = emulated.python(
        BURST
        + """
    from tests.support.pilot_channel import start_pilot
    start_pilot(266_667)
    fd = os.open("/dev/spidev0.0", os.O_RDWR)
    begun, codes = time.monotonic(), []
    for _ in range(30):
        codes += burst(fd, 32, delay_us=7)
    print((time.monotonic() - begun) / 30)
    print(sum(code > 2048 for code in codes) / len(codes), max(codes), min(codes))
    """
    )
    assert float(lines[0]) >= 32 * (24e-6 + 7e-6) + 31 * 10e-6
    share, highest, lowest = lines[1].split()
    assert float(share) == pytest.approx(0.2667, abs=0.03)
    assert int(highest) == pytest.approx((1650 + 8979 * 0.12) * 4096 / 3300, abs=2)
    assert int(lowest) == int((1650 - 12_000 * 0.12) * 4096 / 3300)


def test_a_message_of_33_transfers_is_refused_as_on_arm64(emulated: Emulation) -> None:
    lines = emulated.python(
        BURST
        + """
    fd = os.open("/dev/spidev0.0", os.O_RDWR)
    print(len(burst(fd, 32)))
    for count, length in ((33, 3), (17, 130), (1, 4097)):
        try:
            burst(fd, count, length)
        except OSError as error:
            print(error.errno)
    """
    )
    assert lines == ["32", "90", "90", "90"]


def test_a_change_in_the_middle_of_a_burst_is_seen_from_there_on(emulated: Emulation) -> None:
    emulated.client.verb("plug_in")
    with emulated.running(
        BURST
        + """
    from tests.support.pilot_channel import start_pilot
    start_pilot(1_000_000)
    fd = os.open("/dev/spidev0.0", os.O_RDWR)
    print("ready", flush=True)
    codes = burst(fd, 32, delay_us=20_000)
    print(codes[0] > codes[-1], sorted(codes, reverse=True) == codes, len(set(codes)), flush=True)
    """
    ) as child:
        emulated.client.call("verb", verb="close_s2")
        assert child.says().split()[-1] in ("1", "2")


def test_bad_modes_are_refused(emulated: Emulation) -> None:
    lines = emulated.python("""
        import fcntl, os
        fd = os.open("/dev/spidev0.0", os.O_RDWR)
        for request, value in ((0x40046B04, bytes(4)), (0x40016B03, b"\\x10"), (0x40016B01, b"\\xff")):
            try:
                fcntl.ioctl(fd, request, bytearray(value), True)
            except OSError as error:
                print(error.errno)
    """)
    assert lines == ["22", "22", "22"]


def test_a_dead_or_hanging_bus_fails_and_comes_back(emulated: Emulation) -> None:
    with emulated.running("""
        import spidev, sys
        spi = spidev.SpiDev(0, 0)
        print("ready", flush=True)
        for _ in sys.stdin:
            try:
                print(len(spi.xfer2([6, 0, 0])), flush=True)
            except OSError as error:
                print(error.errno, flush=True)
    """) as child:
        emulated.client.call("device", device="spi", error="EIO")
        child.hear()
        assert child.says() == "5"
        emulated.client.call("device", device="spi", hang=True)
        child.hear()
        emulated.client.call("device", device="spi")
        assert child.says() == "3"


def test_frames_are_decoded_wherever_the_start_bit_is() -> None:
    model = MODELS["mcp3208"]
    for lead in range(8):
        frame = read_frame((0b11101 << 27 - lead).to_bytes(4, "big"), model)
        assert frame is not None
        assert (frame.channel, frame.first_bit) == (5, lead + 7)
        code = int.from_bytes(reply(0xABC, frame.first_bit, frame.bits, 12), "big")
        assert code >> 32 - frame.first_bit - 12 & 0xFFF == 0xABC
    assert read_frame(bytes(3), model) is None
    assert read_frame(b"\x01", model) is None


def test_after_the_last_bit_the_chip_shifts_the_result_back_with_the_least_significant_bit_first() -> None:
    assert f"{int.from_bytes(reply(0b101100111000, 7, 32, 12), 'big'):032b}"[7:30] == "10110011100000111001101"


def test_a_transfer_without_chip_select_change_belongs_to_the_same_frame() -> None:
    transfers = TRANSFER.pack(1, 1_000_000, 0, 0, 1, 0, 8) + TRANSFER.pack(2, 1_000_000, 5, 0, 1, 1, 8)
    burst = decode(transfers + b"\x06\x40\x00", 2, 500_000, MODELS["mcp3208"])
    assert [frame.channel for frame in burst.frames if frame] == [1]
    assert burst.receives == ((0, 1, 3),)
    assert (burst.span_ns, burst.offsets_ns, burst.total) == (29_000, (11_000,), 3)


def test_a_message_lasts_as_long_as_clock_delays_and_chip_select_say() -> None:
    one = TRANSFER.pack(3, 0, 7, 1, 1, 1, 8)
    last = TRANSFER.pack(3, 2_000_000, 0, 0, 1, 1, 8)
    burst = decode(one + one + last + b"\x06\x00\x00" * 3, 3, 1_000_000, MODELS["mcp3208"])
    pause_ns = 24_000 + 7_000 + 10_000
    assert burst.span_ns == 2 * pause_ns + 12_000
    assert burst.offsets_ns == (11_000, pause_ns + 11_000, 2 * pause_ns + 5_500)
