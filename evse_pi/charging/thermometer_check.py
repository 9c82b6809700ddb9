"""Whether thermometers can be believed: one that stands still under load, or that jumps as no part of a box can."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evse_pi.core.duty import MIN_OFFER_MA
from evse_pi.core.records import TemperatureSample
from hal.units import SECOND, Milliamps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hal.units import CentiCelsius

STILL_NS = 3_600 * SECOND
"""So long under load without a step of one code. A box in balance with a coarse sensor may be as steady, so that the
current is halved and not ended: the change moves a sensor that works, and half of it makes a quarter of the heat."""
JUMP_CENTI_C = 10_00
"""From one reading to the next, 2 s later, no part of a box warms up or cools down by as much."""
GAP_NS = 15 * SECOND


@dataclass(frozen=True, slots=True)
class ThermometerCheck:
    """One thermometer over its readings.

    `used` is the newest reading that counts; `strange` one that jumped away from it and counts once the next agrees.
    For `still_ns` of load it has shown the same. Hazard: H-16 a frozen thermometer is taken for a cool one.
    """

    used: TemperatureSample | None = None
    strange: TemperatureSample | None = None
    still_ns: int = 0

    def accept(self, sample: TemperatureSample, *, loaded: bool) -> ThermometerCheck:
        """Return the check after a reading; the same one again changes nothing."""
        before = self.strange or self.used
        if before is not None and sample.at_ns <= before.at_ns:
            return self
        # Compared is the last that jumped: two that agree far from the others are the truth, and so is any after a gap.
        near = before is None or abs(sample.centi_celsius - before.centi_celsius) < JUMP_CENTI_C
        late = before is None or sample.at_ns - before.at_ns >= GAP_NS
        if not near and not late:
            return replace(self, strange=sample)
        moved = self.used is None or sample.centi_celsius != self.used.centi_celsius
        elapsed_ns = 0 if before is None else sample.at_ns - before.at_ns
        return ThermometerCheck(sample, None, 0 if moved else self.still_ns + elapsed_ns * loaded)

    @property
    def still(self) -> bool:
        """Whether it has stood still under load for too long."""
        return self.still_ns >= STILL_NS

    @property
    def jumps(self) -> bool:
        """Whether its newest reading is not used."""
        return self.strange is not None


@dataclass(frozen=True, slots=True)
class ThermometerChecks:
    """Every thermometer of the box, by its place."""

    by_place: Mapping[str, ThermometerCheck] = field(default_factory=dict)

    def accept(self, samples: Mapping[str, TemperatureSample], *, loaded: bool) -> ThermometerChecks:
        """Return the checks after the newest reading of each thermometer."""
        known = {place: self.by_place.get(place, ThermometerCheck()) for place in samples}
        return ThermometerChecks(
            {place: known[place].accept(sample, loaded=loaded) for place, sample in samples.items()}
        )

    @property
    def hottest(self) -> TemperatureSample | None:
        """The hottest place, as old as the reading of the most silent thermometer.

        Hazard: H-12 a silent sensor is not a cool one.
        """
        used = [each.used for each in self.by_place.values() if each.used is not None]
        if not used:
            return None
        hottest: CentiCelsius = max(each.centi_celsius for each in used)
        return TemperatureSample(min(each.at_ns for each in used), hottest)

    @property
    def still(self) -> tuple[str, ...]:
        """The places whose thermometers stand still under load."""
        return tuple(place for place, each in self.by_place.items() if each.still)

    @property
    def jumping(self) -> tuple[str, ...]:
        """The places whose thermometers jump."""
        return tuple(place for place, each in self.by_place.items() if each.jumps)


def careful_ma(full_ma: Milliamps) -> Milliamps:
    """Return what is offered while a thermometer is in doubt: half, which makes a quarter of the heat."""
    return Milliamps(max(full_ma // 2, MIN_OFFER_MA))
