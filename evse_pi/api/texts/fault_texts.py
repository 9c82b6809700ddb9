"""What happened when a fault was set, told with the readings of that moment; and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.texts import english as words
from evse_pi.api.texts.quantities import UNKNOWN, amps, degrees, volts
from evse_pi.core.states import PilotMode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evse_pi.api.readings import Readings
    from evse_pi.core.fault_kinds import Clear, Fault

NOMINAL_MV = (12_000, 9_000, 6_000, 3_000, 0)
FAR_MV = 700  # the corner resistors of IEC 61851-1 Table A.4 stay within
WHOLE_LOW_MV = -10_000
NEARLY_LOW_MV = -9_300  # no vehicle's resistors without a diode leave more than -9 V; a drift does


def happened(fault: Fault, seen: Readings) -> str:
    """Return in one sentence what was seen when `fault` was set."""
    return words.FAULT_SEEN.get(fault, words.DRIVER_ERROR).format_map(_values(seen))


def clearing(rules: Iterable[Clear]) -> str:
    """Return how a fault ends, given its rules one by one."""
    return words.CLEARS_JOINED.join(words.CLEARS[rule] for rule in rules) or words.CLEARS_BY_RESTART


def _values(seen: Readings) -> dict[str, str]:
    part = words.FAULT_PARTS
    ohms = part["no resistor"] if seen.proximity_ohms is None else part["ohms"].format(ohms=seen.proximity_ohms)
    phases = [part["phase"].format(place=place, volts=mv / 1000) for place, mv in enumerate(seen.voltage_mv or (), 1)]
    return {
        "plateaus": f"{volts(seen.high_mv)} / {volts(seen.low_mv)}",
        "high": volts(seen.high_mv),
        "low": volts(seen.low_mv),
        "supply": f"{volts(seen.positive_mv)} / {volts(seen.negative_mv)}",
        "spread": volts(seen.spread_mv),
        "driven": part["pilot"] if seen.driven is None else words.PILOT_MODES[seen.driven],
        "where": part[_side_of_short(seen)],
        "cause_of_low": part["low drifted" if seen.low_mv is not None and seen.low_mv <= NEARLY_LOW_MV else "no diode"],
        "drift": part["high drifted"] if _far_from_every_state(seen.high_mv) else "",
        "still_closed": _contacts(seen, closed=True),
        "still_open": _contacts(seen, closed=False),
        "ohms": ohms,
        "drawn": amps(max(seen.current_ma or (0,), key=abs)),
        "offered": amps(seen.driven_ma),
        "behind": _behind(seen.load_mv or ()),
        "voltages": ", ".join(phases) or UNKNOWN,
        "meter_age": _age(seen.meter_age_ms),
        "temperature_age": _age(seen.temperature_age_ms),
        "degrees": degrees(seen.centi_celsius),
    }


def _behind(load_mv: Iterable[int]) -> str:
    part = words.FAULT_PARTS
    phases = [part["instant"].format(place=place, volts=round(mv / 1000)) for place, mv in enumerate(load_mv, 1)]
    return part["behind"].format(voltages=", ".join(phases)) if phases else ""


def _side_of_short(seen: Readings) -> str:
    if seen.low_mv is not None and seen.low_mv <= WHOLE_LOW_MV:
        return "short behind the diode"
    return "short before the diode" if seen.driven is PilotMode.PWM else "short somewhere"


def _far_from_every_state(high_mv: int | None) -> bool:
    return high_mv is not None and min(abs(high_mv - nominal) for nominal in NOMINAL_MV) > FAR_MV


def _contacts(seen: Readings, *, closed: bool) -> str:
    """Return which contacts showed that the contactor was closed, or open, against its order."""
    part = words.FAULT_PARTS
    mirror, output, none = (
        ("mirror closed", "output live", "contacts silent")
        if closed
        else ("mirror open", "output dead", "contact unseen")
    )
    told = [part[name] for name, value in ((mirror, seen.mirror_closed), (output, seen.load_live)) if value is closed]
    return part["and"].join(told) or part[none]


def _age(age_ms: int | None) -> str:
    part = words.FAULT_PARTS
    return part["no age"] if age_ms is None else part["age"].format(seconds=age_ms / 1000)
