"""Eastron energy meters as Modbus RTU slaves: frames, register maps, and answers that went wrong."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.sim.meter_model import MeterFault

if TYPE_CHECKING:
    from evse_pi.sim.meter_model import MeterRegisters
    from evse_pi.sim.plant import Plant

READ_HOLDING, READ_INPUT, WRITE_ONE, WRITE_MANY = 3, 4, 6, 16
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
MOST_REGISTERS = 80  # the meters answer at most 40 values
LAST_INPUT = 0x0502
TURN_AROUND_NS = 15_000_000
SPLIT_NS = 30_000_000
FLOOD_NS, FLOOD = 10_000_000, b"\x01\x04\x24\x43"  # all that 9,600 baud carry is ten bytes in so long
TRICKLE_NS = 40_000_000
SECOND_MASTER_NS = 250_000_000
_OTHER_REQUEST, _OTHER_ANSWER = bytes((2, 4, 0, 0, 0, 2)), bytes((2, 4, 4, 0x43, 0x66, 0, 0))


def crc(frame: bytes) -> bytes:
    """Return the check of a frame in the order of the wire. Source: Modbus over serial line, 6.2.2."""
    value = 0xFFFF
    for byte in frame:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value.to_bytes(2, "little")


def single_phase(meter: MeterRegisters) -> dict[int, float]:
    """Return the input registers of SDM120 and SDM230."""
    apparent = meter.volts[0] * meter.amps[0]
    return {
        0x00: meter.volts[0],
        0x06: meter.amps[0],
        0x0C: meter.watts[0],
        0x12: apparent,
        0x18: max(0.0, apparent**2 - meter.watts[0] ** 2) ** 0.5,
        0x1E: meter.power_factor,
        0x46: meter.hertz,
        0x48: meter.import_kwh[0],
        0x4A: meter.export_kwh[0],
        0x156: meter.import_kwh[0],
    }


def three_phase(meter: MeterRegisters) -> dict[int, float]:
    """Return the input registers of SDM630 and of the SDM72D-M's second version."""
    values = totals(meter)
    for phase, (volts, amps, watts, kwh) in enumerate(
        zip(meter.volts, meter.amps, meter.watts, meter.import_kwh, strict=True)
    ):
        at = 2 * phase
        values |= {at: volts, 0x06 + at: amps, 0x0C + at: watts, 0x12 + at: volts * amps}
        values |= {0x1E + at: meter.power_factor, 0x15A + at: kwh}
    values |= {0x2A: sum(meter.volts) / len(meter.volts), 0x2E: sum(meter.amps) / len(meter.amps)}
    values |= {0xC8 + 2 * pair: volts for pair, volts in enumerate(meter.line_volts)}
    return values | {0x30: sum(meter.amps), 0x3E: meter.power_factor, 0x46: meter.hertz}


def totals(meter: MeterRegisters) -> dict[int, float]:
    """Return the input registers of the SDM72D-M's first version, which knows no phases."""
    watts, kwh, exported = meter.total_watts, meter.total_kwh, meter.exported_kwh
    ways = {0x500: max(watts, 0.0), 0x502: max(-watts, 0.0)}
    return {0x34: watts, 0x48: kwh, 0x4A: exported, 0x156: kwh + exported} | ways


MAPS = {
    "sdm120": single_phase,
    "sdm230": single_phase,
    "sdm630": three_phase,
    "sdm72d_m": three_phase,
    "sdm72d_m_v1": totals,
}


@dataclass(slots=True)
class ModbusMeter:
    """One slave: a complete frame goes in, the bytes of the answer come out."""

    model: str
    address: int
    plant: Plant

    def __post_init__(self) -> None:
        if self.model not in MAPS:
            raise ValueError(f"meter.model {self.model!r}: allowed are {', '.join(MAPS)}")
        if not 1 <= self.address <= 247:
            raise ValueError(f"meter.address {self.address}: allowed is 1 to 247")

    @property
    def fault(self) -> MeterFault | None:
        """What goes wrong on its line."""
        return self.plant.energy_meter.line_fault

    def transmission(self, frame: bytes) -> list[tuple[int, bytes]]:
        """Return what comes over the line after a frame: bytes, each with the ns after which they begin to come."""
        reply = self.answer(frame)
        half = len(reply) // 2
        if self.fault is MeterFault.SPLIT and reply:
            return [(TURN_AROUND_NS, reply[:half]), (SPLIT_NS, reply[half:])]
        if self.fault in (MeterFault.CUT, MeterFault.ENDLESS):
            reply = reply[:half]
        answer = [(TURN_AROUND_NS, reply)] if reply else []
        return [(0, frame), *answer] if self.fault is MeterFault.ECHO else answer

    def chatter(self) -> tuple[int, bytes] | None:
        """Return what comes again and again though it was not asked for, with the ns between, None without."""
        if self.fault is MeterFault.FLOOD:
            return FLOOD_NS, FLOOD
        if self.fault is MeterFault.ENDLESS:
            return TRICKLE_NS, b"\0"
        if self.fault is MeterFault.SECOND_MASTER:
            return SECOND_MASTER_NS, _OTHER_REQUEST + crc(_OTHER_REQUEST) + _OTHER_ANSWER + crc(_OTHER_ANSWER)
        return None

    def answer(self, frame: bytes) -> bytes:
        """Return the answer to a frame, nothing when it is not for this slave or damaged."""
        if len(frame) < 4 or crc(frame[:-2]) != frame[-2:] or frame[0] != self.address:
            return b""
        if self.fault is MeterFault.SILENT:
            return b""
        body = self._body(frame)
        address = self.address ^ (0x40 if self.fault is MeterFault.WRONG_ADDRESS else 0)
        reply = bytes((address,)) + body
        check = crc(reply)
        if self.fault is MeterFault.BAD_CRC:
            check = bytes((check[0] ^ 0xFF, check[1]))
        noise = b"\x00\xff\x55" if self.fault is MeterFault.NOISE else b""
        return noise + reply + check

    def _body(self, frame: bytes) -> bytes:
        function = frame[1]
        if self.fault is MeterFault.EXCEPTION:
            return bytes((function | 0x80, 4))
        if function not in (READ_HOLDING, READ_INPUT) or len(frame) != 8:
            return bytes((function | 0x80, ILLEGAL_FUNCTION))
        start, count = struct.unpack_from(">HH", frame, 2)
        if not 0 < count <= MOST_REGISTERS or count % 2 or start % 2:
            return bytes((function | 0x80, ILLEGAL_VALUE))
        values = self._values(function)
        if self.fault is MeterFault.FOREIGN_ANSWER:
            start = 0x00 if start else 0x34
        if start + count - 2 > LAST_INPUT:
            return bytes((function | 0x80, ILLEGAL_ADDRESS))
        data = b"".join(struct.pack(">f", values.get(at, 0.0)) for at in range(start, start + count, 2))
        if self.fault is MeterFault.BYTE_SHIFTED:
            data = b"\0" + data[:-1]
        return bytes((function, len(data))) + data

    def _values(self, function: int) -> dict[int, float]:
        if function == READ_HOLDING:
            return {0x14: float(self.address), 0x12: 0.0, 0x1C: 2.0}
        values = MAPS[self.model](self.plant.meter())
        if self.fault is MeterFault.NOT_A_NUMBER:
            return dict.fromkeys(values, float("nan"))
        return values


def frame_length(head: bytes) -> int | None:
    """Return how long the request that begins so is, None while that cannot be told."""
    if len(head) < 2:
        return None
    if head[1] != WRITE_MANY:
        return 8
    return 9 + head[6] if len(head) > 6 else None
