"""Integer units; a value's name carries the same suffix as its type says."""

from __future__ import annotations

from typing import NewType

Milliamps = NewType("Milliamps", int)
Millivolts = NewType("Millivolts", int)
Milliwatts = NewType("Milliwatts", int)
MilliwattHours = NewType("MilliwattHours", int)
Millihertz = NewType("Millihertz", int)
CentiCelsius = NewType("CentiCelsius", int)
Ohms = NewType("Ohms", int)
DutyPpm = NewType("DutyPpm", int)
"""Parts per million of the 1 ms pilot period, which makes it nanoseconds as well: 533_333 means 32 A."""
Nanoseconds = NewType("Nanoseconds", int)
"""A duration, or an instant of CLOCK_MONOTONIC, which all processes of the box share."""

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
