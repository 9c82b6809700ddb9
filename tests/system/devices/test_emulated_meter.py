from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.sim.devices.modbus import MAPS, ModbusMeter, crc, frame_length
from evse_pi.sim.plant import Plant, PlantSettings

if TYPE_CHECKING:
    from tests.support.emulation import Emulation

ASK = """
    import serial, struct, sys, time
    from evse_pi.sim.devices.modbus import crc

    def ask(port, address, count=2, unit=1):
        frame = struct.pack(">BBHH", unit, 4, address, count)
        port.write(frame + crc(frame))
        return port.read(5 + 2 * count)
"""


def test_pymodbus_reads_the_meter(emulated: Emulation) -> None:
    lines = emulated.python("""
        from pymodbus.client import ModbusSerialClient
        client = ModbusSerialClient("/dev/ttyAMA0", baudrate=9600, timeout=1)
        assert client.connect()
        print(client.read_input_registers(0, count=6, device_id=1).registers)
        print(client.read_input_registers(0x600, count=2, device_id=1).exception_code)
        client.close()
    """)
    assert lines == [str([0x4366, 0] * 3), "2"]


@pytest.mark.parametrize("parity", ["N", "E", "O"])
def test_every_open_may_set_the_parity_again(emulated: Emulation, parity: Any) -> None:
    lines = emulated.python(
        ASK
        + f"""
    for _ in range(3):
        with serial.Serial("/dev/ttyAMA0", 9600, parity={parity!r}, timeout=1) as port:
            print(len(ask(port, 0)))
    """
    )
    assert lines == ["9"] * 3


def test_a_port_at_another_speed_receives_nothing(emulated: Emulation) -> None:
    lines = emulated.python(
        ASK
        + """
    with serial.Serial("/dev/ttyAMA0", 19_200, timeout=0.3) as port:
        print(len(ask(port, 0)))
    """
    )
    assert lines == ["0"]


@pytest.mark.parametrize(
    ("fault", "reads"),
    [
        ("silent", "b''"),
        ("bad_crc", "9"),
        ("split", "9"),
        ("cut", "4"),
        ("wrong_address", "9"),
        ("noise", "9"),
        ("not_a_number", "9"),
        ("exception", "5"),
    ],
)
def test_each_fault_spoils_the_answer_in_its_way(emulated: Emulation, fault: Any, reads: Any) -> None:
    emulated.client.call("meter", fault=fault)
    code = (
        ASK
        + """
    with serial.Serial("/dev/ttyAMA0", 9600, timeout=0.3) as port:
        answer = ask(port, 0)
    print(len(answer) or answer, crc(answer[:-2]) == answer[-2:], answer[:1] == b"\\x01")
    """
    )
    (line,) = emulated.python(code)
    length, checked, mine = line.split()
    assert length == reads
    assert (checked == "True") is (fault in ("split", "wrong_address", "not_a_number", "exception"))
    assert (mine == "True") is (fault not in ("silent", "wrong_address", "noise"))
    emulated.client.call("meter")
    assert emulated.python(code) == ["9 True True"]


def test_a_frozen_meter_goes_on_answering_the_same(emulated: Emulation) -> None:
    emulated.client.verb("freeze_meter")
    emulated.client.verb("set_voltage", volts=200.0)
    lines = emulated.python(
        ASK
        + """
    with serial.Serial("/dev/ttyAMA0", 9600, timeout=1) as port:
        print(*struct.unpack(">f", ask(port, 0)[3:7]))
    """
    )
    assert lines == ["230.0"]


def test_garbage_before_a_request_is_forgotten(emulated: Emulation) -> None:
    lines = emulated.python(
        ASK
        + """
    with serial.Serial("/dev/ttyAMA0", 9600, timeout=1) as port:
        port.write(b"\\x01\\x04\\x00")
        time.sleep(0.1)
        print(len(ask(port, 0)))
    """
    )
    assert lines == ["9"]


def meter(model: str) -> ModbusMeter:
    return ModbusMeter(model, 1, Plant(PlantSettings()))


def asked(slave: ModbusMeter, function: int, start: int, count: int) -> bytes:
    frame = struct.pack(">BBHH", 1, function, start, count)
    answer = slave.answer(frame + crc(frame))
    assert answer[-2:] == crc(answer[:-2])
    return answer[1:-2]


@pytest.mark.parametrize("model", MAPS)
def test_each_model_has_total_power_and_energy_where_its_protocol_says(model: Any) -> None:
    slave = meter(model)
    slave.plant.mains.amps = [10.0, 0.0, 0.0]
    power_at = 0x0C if model in ("sdm120", "sdm230") else 0x34
    function, size, value = struct.unpack(">BBf", asked(slave, 4, power_at, 2))
    assert (function, size) == (4, 4)
    assert value == pytest.approx(228.5 * 10 * 0.99)
    assert struct.unpack(">BBf", asked(slave, 4, 0x156, 2))[2] == 0.0


@pytest.mark.parametrize(
    ("function", "start", "count", "code"),
    [(4, 0, 82, 3), (4, 0, 0, 3), (4, 1, 2, 3), (4, 0, 3, 3), (4, 0x504, 2, 2), (5, 0, 2, 1)],
)
def test_bad_requests_get_their_exception(function: Any, start: Any, count: Any, code: Any) -> None:
    assert asked(meter("sdm630"), function, start, count) == bytes((function | 0x80, code))


def test_frames_for_others_and_damaged_ones_are_not_answered() -> None:
    slave = meter("sdm630")
    other = struct.pack(">BBHH", 2, 4, 0, 2)
    assert slave.answer(other + crc(other)) == b""
    assert slave.answer(other + b"\0\0") == b""
    assert slave.answer(b"\x01") == b""


def test_the_check_is_that_of_the_specification() -> None:
    assert crc(bytes.fromhex("02 07")) == bytes.fromhex("41 12")
    assert frame_length(b"\x01") is None
    assert frame_length(b"\x01\x04") == 8
    assert frame_length(bytes.fromhex("01 10 00 14 00 02 04")) == 13
