"""Eastron SDM630-Modbus: three phases, 100 A. Source: the maker's Modbus protocol, input registers (function 04)."""

from __future__ import annotations

from hal.meters.eastron import RegisterTable

SDM630 = RegisterTable(
    model="sdm630",
    voltage=(0x0000, 0x0002, 0x0004),
    current=(0x0006, 0x0008, 0x000A),
    power=(0x000C, 0x000E, 0x0010),
    apparent=(0x0012, 0x0014, 0x0016),
    total_power=0x0034,
    import_energy=0x0048,
    frequency=0x0046,
    overload_ma=125_000,
    line_voltage=(0x00C8, 0x00CA, 0x00CC),
)
