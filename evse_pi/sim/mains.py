"""The supply in front of the contactor."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

NS_PER_HOUR = 3_600 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class MainsSettings:
    """The supply as the installer left it."""

    phases: int = 3
    voltage_mv: int = 230_000
    frequency_mhz: int = 50_000
    line_milliohm: int = 150
    power_factor_ppm: int = 990_000
    frequency_swing_mhz: int = 0  # how far the frequency wanders to both sides, as that of every grid does


@dataclass(slots=True)
class Mains:
    """Phase voltages, and what the load takes from each."""

    settings: MainsSettings
    open_volts: list[float] = field(init=False)
    present: list[bool] = field(init=False)
    amps: list[float] = field(init=False)
    hertz: float = field(init=False)
    swapped: bool = False  # live and neutral
    earthed: int | None = None  # the phase that touches earth, of a supply without an earthed point

    def __post_init__(self) -> None:
        phases = self.settings.phases
        if phases not in (1, 2, 3):
            raise ValueError(f"mains.phases {phases}: allowed are 1, 2 and 3")
        self.amps = [0.0] * phases
        self.restore()

    def restore(self) -> None:
        """Let the supply be as installed; the load stays."""
        phases = self.settings.phases
        self.open_volts = [self.settings.voltage_mv / 1000] * phases
        self.present = [True] * phases
        self.hertz = self.settings.frequency_mhz / 1000
        self.swapped, self.earthed = False, None

    @property
    def power_factor(self) -> float:
        """Return the share of active in apparent power."""
        return self.settings.power_factor_ppm / 1e6

    def volts(self, phase: int) -> float:
        """Return the voltage of one phase under its present load, against what should be the neutral."""
        volts = self._phase_volts(phase)
        return volts * math.sqrt(3) if self.swapped and phase else volts

    def _phase_volts(self, phase: int) -> float:
        if not self.present[phase]:
            return 0.0
        return self.open_volts[phase] - self.amps[phase] * self.settings.line_milliohm / 1000

    @property
    def phases(self) -> range:
        """Return the numbers of the phases."""
        return range(self.settings.phases)

    def turn(self, phase: int, at_ns: int) -> float:
        """Return where one phase is between its peaks, -1 to 1."""
        return math.sin(math.tau * (self.hertz * at_ns / 1e9 - phase / self.settings.phases))

    def instant(self, phase: int, at_ns: int) -> float:
        """Return the voltage against earth of the conductor that should be this phase."""
        if self.swapped and phase == 0:
            return 0.0
        return self._against_star(phase, at_ns) - self._shift(at_ns)

    def neutral(self, at_ns: int) -> float:
        """Return the voltage against earth of the conductor that should be the neutral."""
        return (self._against_star(0, at_ns) if self.swapped else 0.0) - self._shift(at_ns)

    def _against_star(self, phase: int, at_ns: int) -> float:
        return math.sqrt(2) * self._phase_volts(phase) * self.turn(phase, at_ns)

    def _shift(self, at_ns: int) -> float:
        return 0.0 if self.earthed is None else self._against_star(self.earthed, at_ns)

    def watts(self, phase: int) -> float:
        """Return the active power on one phase."""
        return self.volts(phase) * self.amps[phase] * self.power_factor

    def flow(self, span_ns: int) -> float:
        """Let the present currents flow for `span_ns` and return the energy in Wh."""
        total = 0.0
        for phase, amps in enumerate(self.amps):
            if amps:
                total += self.watts(phase) * span_ns / NS_PER_HOUR
        return total
