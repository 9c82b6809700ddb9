"""Eastron SDM120-Modbus: one phase, 45 A. Source: the maker's Modbus protocol, input registers (function 04)."""

from __future__ import annotations

from hal.meters.eastron import RegisterTable

SDM120 = RegisterTable(
    model="sdm120",
    voltage=(0x0000,),
    current=(0x0006,),
    power=(0x000C,),
    apparent=(0x0012,),
    total_power=0x000C,
    import_energy=0x0048,
    frequency=0x0046,
    overload_ma=60_000,
)
