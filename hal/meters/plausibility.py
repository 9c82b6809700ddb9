"""Whether the registers of one reading can all be true: power against volts and amps, the phases against the total.

A frame that was meant for another master, or a register of another model, has the right unit, length and check; only
what it says gives it away. The registers come in several requests, so a load that steps between two of them fails here
as well: one reading is lost then, and the next one is whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hal.interfaces import MeterReading

TOLERANCE_PERCENT = 5  # accuracy class 1 of each of the three, EN 50470-3, and what changes between two requests
TOLERANCE_MW = 100_000
CURRENT_MA, DEAD_MV = 500, 45_000  # below a fifth of any supply, nothing drives a current
MILLI = 1_000


def contradiction(reading: MeterReading, apparent_mva: Sequence[int] = ()) -> str | None:
    """Return what in `reading` contradicts itself, None where all of it can be true.

    `apparent_mva` is what the meter's own registers of apparent power say of each phase, where it has those.
    """
    made_mva = [abs(u * i) // MILLI for u, i in zip(reading.voltage_mv, reading.current_ma, strict=False)]
    for phase, (voltage_mv, current_ma) in enumerate(zip(reading.voltage_mv, reading.current_ma, strict=False), 1):
        if abs(current_ma) >= CURRENT_MA and voltage_mv < DEAD_MV:
            return (
                f"L{phase} shows {current_ma / 1e3:.2f} A without voltage: its voltage is not connected, "
                "another's answer, or registers of another model"
            )
    lacking = any(reading.power_mw) and not any(apparent_mva)  # a clone answers registers that it lacks with 0
    for phase, (shown_mva, own_mva) in enumerate(zip(apparent_mva, made_mva, strict=False), 1):
        if not lacking and not (_within(shown_mva, own_mva) and _within(own_mva, shown_mva)):
            return (
                f"L{phase} shows {shown_mva / 1e6:.3f} kVA and its volts and amps make {own_mva / 1e6:.3f} kVA: "
                "another's answer (is there a second master?), or registers of another model"
            )
    if len(reading.power_mw) == len(made_mva):
        for phase, (power_mw, limit_mva) in enumerate(zip(reading.power_mw, made_mva, strict=True), 1):
            if not _within(abs(power_mw), limit_mva):
                return (
                    f"L{phase} shows {power_mw / 1e6:.3f} kW at {reading.voltage_mv[phase - 1] / 1e3:.1f} V and "
                    f"{reading.current_ma[phase - 1] / 1e3:.2f} A: another's answer, or registers of another model"
                )
    elif made_mva and not _within(abs(reading.total_power_mw), sum(made_mva)):
        return (
            f"the total of {reading.total_power_mw / 1e6:.3f} kW is more than its volts and amps make, "
            f"{sum(made_mva) / 1e6:.3f} kVA: another's answer, or registers of another model"
        )
    sum_mw = sum(reading.power_mw)
    most_mw = max(abs(reading.total_power_mw), sum(map(abs, reading.power_mw)))
    if reading.power_mw and abs(reading.total_power_mw - sum_mw) > most_mw * TOLERANCE_PERCENT // 100 + TOLERANCE_MW:
        return (
            f"the phases' {sum_mw / 1e6:.3f} kW are not the total of {reading.total_power_mw / 1e6:.3f} kW: "
            "another's answer (is there a second master?), or registers of another model"
        )
    return None


def _within(power_mw: int, apparent_mva: int) -> bool:
    return power_mw <= apparent_mva * (100 + TOLERANCE_PERCENT) // 100 + TOLERANCE_MW
