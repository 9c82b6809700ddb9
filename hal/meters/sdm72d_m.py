"""Eastron SDM72D-M: three phases, 100 A, in two versions that share a name.

Version 2 has every quantity per phase; version 1 has the totals alone, so nothing can judge its single phases.
Source: Eastron SDM72D-M v2 Modbus Protocol; B+G e-tech SDM72D-M user manual V1.5, part 3.
"""

from __future__ import annotations

from hal.meters.eastron import RegisterTable

SDM72D_M = RegisterTable(
    model="sdm72d_m",
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

SDM72D_M_V1 = RegisterTable(
    model="sdm72d_m_v1",
    voltage=(),
    current=(),
    power=(),
    total_power=0x0034,
    import_energy=0x0048,
    frequency=None,
    overload_ma=125_000,
)
