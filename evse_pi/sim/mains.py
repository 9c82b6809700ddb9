"""The supply and the energy meter in front of the contactor."""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class MeterRegisters:
    """What the meter knows; tuples have one entry per phase.

    Units: V, A, W, Hz and kWh as a meter shows them, floating point.
    """

    volts: tuple[float, ...]
    amps: tuple[float, ...]
    watts: tuple[float, ...]
    power_factor: float
    hertz: float
    import_kwh: tuple[float, ...]

    @property
    def total_watts(self) -> float:
        """Return the sum over the phases."""
        return sum(self.watts)

    @property
    def total_kwh(self) -> float:
        """Return the sum over the phases."""
        return sum(self.import_kwh)


@dataclass(slots=True)
class Mains:
    """Phase voltages, what the load takes from each, and the energy that flowed."""

    settings: MainsSettings
    open_volts: list[float] = field(init=False)
    present: list[bool] = field(init=False)
    amps: list[float] = field(init=False)
    energy_wh: list[float] = field(init=False)
    hertz: float = field(init=False)
    swapped: bool = False  # live and neutral
    meter_order: tuple[int, ...] = field(init=False)
    frozen: MeterRegisters | None = None

    def __post_init__(self) -> None:
        phases = self.settings.phases
        if phases not in (1, 2, 3):
            raise ValueError(f"mains.phases {phases}: allowed are 1, 2 and 3")
        self.amps = [0.0] * phases
        self.energy_wh = [0.0] * phases
        self.restore()

    def restore(self) -> None:
        """Let the supply and the meter be as installed; load and counted energy stay."""
        phases = self.settings.phases
        self.open_volts = [self.settings.voltage_mv / 1000] * phases
        self.present = [True] * phases
        self.hertz = self.settings.frequency_mhz / 1000
        self.swapped, self.frozen = False, None
        self.meter_order = tuple(range(phases))

    @property
    def power_factor(self) -> float:
        """Return the share of active in apparent power."""
        return self.settings.power_factor_ppm / 1e6

    def volts(self, phase: int) -> float:
        """Return the voltage of one phase under its present load."""
        if not self.present[phase]:
            return 0.0
        return self.open_volts[phase] - self.amps[phase] * self.settings.line_milliohm / 1000

    def watts(self, phase: int) -> float:
        """Return the active power on one phase."""
        return self.volts(phase) * self.amps[phase] * self.power_factor

    def flow(self, span_ns: int) -> float:
        """Let the present currents flow for `span_ns` and return the energy in Wh."""
        total = 0.0
        for phase, amps in enumerate(self.amps):
            if amps:
                energy = self.watts(phase) * span_ns / NS_PER_HOUR
                self.energy_wh[phase] += energy
                total += energy
        return total

    def registers(self) -> MeterRegisters:
        """Return the meter's registers, or the ones it got stuck with."""
        if self.frozen is not None:
            return self.frozen
        order = self.meter_order
        return MeterRegisters(
            volts=tuple(self.volts(phase) for phase in order),
            amps=tuple(self.amps[phase] for phase in order),
            watts=tuple(self.watts(phase) for phase in order),
            power_factor=self.power_factor if any(self.amps) else 1.0,
            hertz=self.hertz,
            import_kwh=tuple(self.energy_wh[phase] / 1000 for phase in order),
        )
