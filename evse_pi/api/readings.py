"""What the box read at one tick."""

from typing import NamedTuple

from evse_pi.core.states import LimitSource, PilotMode, PilotState
from hal.units import CentiCelsius, DutyPpm, Milliamps, Millivolts


class Readings(NamedTuple):
    """The readings by name and unit; None is what is not fitted, not seen or not known.

    `driven`, `driven_ppm` and `driven_ma` are what was driven and offered while it was read. `close_ordered` is the
    contactor's output, `mirror_closed` its mirror contact. `positive_mv` and `negative_mv` are the rails of the pilot's
    generator. `load_mv` is of each phase of the load side against PE the further from 0 V of two instants of the tick.
    """

    at_ns: int | None = None
    high_mv: Millivolts | None = None
    low_mv: Millivolts | None = None
    spread_mv: Millivolts | None = None
    high_ppm: int | None = None
    driven: PilotMode | None = None
    driven_ppm: DutyPpm | None = None
    driven_ma: Milliamps | None = None
    pilot_state: PilotState | None = None
    close_ordered: bool | None = None
    mirror_closed: bool | None = None
    load_live: bool | None = None
    rcd_tripped: bool | None = None
    emergency_stop: bool | None = None
    locked: bool | None = None
    proximity_ohms: int | None = None
    voltage_mv: tuple[Millivolts, ...] | None = None
    current_ma: tuple[Milliamps, ...] | None = None
    meter_age_ms: int | None = None
    centi_celsius: CentiCelsius | None = None
    temperature_age_ms: int | None = None
    limit_ma: Milliamps | None = None
    limit_source: LimitSource | None = None
    late_us: int | None = None
    took_us: int | None = None
    positive_mv: Millivolts | None = None
    negative_mv: Millivolts | None = None
    load_mv: tuple[Millivolts, ...] | None = None


NO_READINGS = Readings()
