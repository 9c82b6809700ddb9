"""Charging sessions: from plugging in to unplugging."""

from typing import NamedTuple

from hal.units import MilliwattHours


class SessionSummary(NamedTuple):
    """One session, running or ended; `estimated` says that no meter counted at least a part of its energy."""

    number: int
    started_unix_s: int | None
    ended_unix_s: int | None
    ended: bool
    duration_s: int
    charging_s: int
    energy_mwh: MilliwattHours
    estimated: bool
