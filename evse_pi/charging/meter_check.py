"""Whether a meter can be believed: its registers against each other, its currents against the contactor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evse_pi.api.troubles import MeterTrouble, MeterTroubleKind
from evse_pi.charging.metering import BACKWARDS_MW, REGISTER_STEP_MWH, STALE_NS, energy_of
from hal.units import SECOND

if TYPE_CHECKING:
    from hal.interfaces import MeterReading

OPEN_MA = 1_000  # with open contacts flows what the box itself needs
PATIENCE_NS = 10 * SECOND  # contactor and meter settle, and a reading is up to 2 s old
UNCOUNTED_MWH = 3 * REGISTER_STEP_MWH
"""What the power must amount to before a register that has not moved is called frozen: a minute at 3.7 kW."""


@dataclass(frozen=True, slots=True)
class MeterCheck:
    """What speaks against the meter, over its readings. Hazard: H-16 a frozen meter is taken for a good one.

    `power_mw` was imported last, at `at_ns`; `uncounted_mwh` is what power amounted to since the register last moved
    from `energy_mwh`. Since `backwards_ns` power flows backwards, since `open_ns` a current though contacts are open.
    """

    at_ns: int | None = None
    power_mw: int = 0
    energy_mwh: int = 0
    uncounted_mwh: int = 0
    backwards_ns: int | None = None
    open_ns: int | None = None
    trouble: MeterTrouble | None = None
    backwards: bool = False

    def accept(self, reading: MeterReading, *, contacts_closed: bool | None) -> MeterCheck:
        """Return the check after one more reading; `contacts_closed` is None while nothing is known of them."""
        now_ns, former_ns = reading.read_ns, self.at_ns
        current_ma = max((abs(each) for each in reading.current_ma), default=0)
        moved = former_ns is None or reading.energy_mwh != self.energy_mwh or now_ns - former_ns > STALE_NS
        imported_mw, elapsed_ns = max(reading.total_power_mw, 0), now_ns - (former_ns or 0)
        grown_mwh = 0 if moved else energy_of((self.power_mw + imported_mw) // 2, elapsed_ns)[0]
        seen = replace(
            self,
            at_ns=now_ns,
            power_mw=imported_mw,
            energy_mwh=reading.energy_mwh,
            uncounted_mwh=0 if moved else self.uncounted_mwh + grown_mwh,
            backwards_ns=_since(self.backwards_ns, now_ns, held=-reading.total_power_mw >= BACKWARDS_MW),
            open_ns=_since(self.open_ns, now_ns, held=contacts_closed is False and current_ma >= OPEN_MA),
        )
        return seen.judged(reading.total_power_mw, current_ma)

    @property
    def believed(self) -> bool:
        """Whether its currents may be used; one that was wired backwards shows them right but for their sign."""
        return self.trouble is None or self.backwards

    def judged(self, power_mw: int, current_ma: int) -> MeterCheck:
        """Return the check with what it comes to, the worst first."""
        now_ns, kind = self.at_ns or 0, None
        backwards = self.backwards_ns is not None and now_ns - self.backwards_ns >= PATIENCE_NS
        if self.open_ns is not None and now_ns - self.open_ns >= PATIENCE_NS:
            kind = MeterTroubleKind.CURRENT_THOUGH_OPEN
        elif backwards:
            kind = MeterTroubleKind.BACKWARDS
        elif self.uncounted_mwh >= UNCOUNTED_MWH:
            kind = MeterTroubleKind.ENERGY_STANDS_STILL
        trouble = None if kind is None else MeterTrouble(kind, current_ma, power_mw)
        return replace(self, trouble=trouble, backwards=backwards and self.open_ns is None)


def _since(begun_ns: int | None, now_ns: int, *, held: bool) -> int | None:
    if not held:
        return None
    return now_ns if begun_ns is None else begun_ns
