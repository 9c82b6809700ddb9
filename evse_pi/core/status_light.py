"""What the status LED says of the box."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hal.units import MILLISECOND

if TYPE_CHECKING:
    from evse_pi.core.faults import Fault

FAULT_BLINK_NS = 500 * MILLISECOND
IDENTIFY_BLINK_NS = FAULT_BLINK_NS // 2  # tells the box that is looked for from one with a fault


def lit(now_ns: int, *, faults: frozenset[Fault], close_ordered: bool, identify: bool) -> bool:
    """Return whether the LED shines: steady while charging, blinking with a fault, faster while identifying."""
    if identify:
        return now_ns // IDENTIFY_BLINK_NS % 2 == 0
    if faults:
        return now_ns // FAULT_BLINK_NS % 2 == 0
    return close_ordered
