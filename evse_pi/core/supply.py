"""Whether the supply voltage is fit to charge from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.core.faults import NO_FAULTS, Fault

if TYPE_CHECKING:
    from evse_pi.core.machine_settings import MachineSettings
    from evse_pi.core.records import MeterSample


@dataclass(frozen=True, slots=True)
class Supply:
    """Since when a voltage is out of its band, and what has come of it; bad ends `hysteresis` inside the band."""

    over_ns: int | None = None
    under_ns: int | None = None
    judged_ns: int | None = None
    bad: frozenset[Fault] = NO_FAULTS

    def advance(self, now_ns: int, sample: MeterSample | None, settings: MachineSettings) -> Supply:
        """Return the judgement after a tick; without a fresh reading it stays, a stale meter has its own rule.

        A phase that the meter does not measure is not one without voltage.
        """
        if sample is None or (sample.at_ns == self.judged_ns and self.over_ns is None and self.under_ns is None):
            return self
        limits, nominal = settings.voltage, settings.installation.nominal_voltage_mv
        phases = sample.voltage_mv[: settings.installation.phases]
        if not phases:
            return self
        highest, lowest = max(phases) * 100, min(phases) * 100
        over_edge = limits.over_percent - limits.hysteresis_percent * (Fault.OVERVOLTAGE in self.bad)
        low_now = self.bad & {Fault.UNDERVOLTAGE, Fault.POWER_QUALITY}
        under_edge = limits.under_percent + limits.hysteresis_percent * bool(low_now)
        over_ns = _since(self.over_ns, now_ns, held=highest > nominal * over_edge)
        under_ns = _since(self.under_ns, now_ns, held=lowest < nominal * under_edge)
        bad = NO_FAULTS
        if over_ns is not None and (Fault.OVERVOLTAGE in self.bad or now_ns - over_ns >= limits.over_ns):
            bad |= {Fault.OVERVOLTAGE}
        if under_ns is not None and (low_now or now_ns - under_ns >= limits.under_ns):
            lost = lowest < nominal * limits.lost_percent <= highest
            bad |= {Fault.POWER_QUALITY if lost else Fault.UNDERVOLTAGE}
        return Supply(over_ns, under_ns, sample.at_ns, bad)


def _since(begun_ns: int | None, now_ns: int, *, held: bool) -> int | None:
    if not held:
        return None
    return now_ns if begun_ns is None else begun_ns
