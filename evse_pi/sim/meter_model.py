"""The energy meter in front of the contactor: how it is wired, what it counts, and what goes wrong with it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from evse_pi.sim.mains import NS_PER_HOUR

if TYPE_CHECKING:
    from evse_pi.sim.mains import Mains

SWING_NS = 97_000_000_000  # no whole number of any reader's periods


class MeterFault(StrEnum):
    """How what comes over the meter's line goes wrong."""

    SILENT = "silent"
    BAD_CRC = "bad_crc"
    SPLIT = "split"  # two halves with a pause longer than a frame gap between them
    CUT = "cut"  # the second half never comes
    WRONG_ADDRESS = "wrong_address"
    NOISE = "noise"  # stray bytes in front of the answer
    NOT_A_NUMBER = "not_a_number"
    EXCEPTION = "exception"  # slave device failure
    BYTE_SHIFTED = "byte_shifted"  # the data begin one byte late, under a right check
    FOREIGN_ANSWER = "foreign_answer"  # what a second master asked for: other registers, the same unit, as many
    SECOND_MASTER = "second_master"  # asks another unit, which answers, again and again
    ECHO = "echo"  # the adapter hears what it sends
    FLOOD = "flood"  # bytes without end and without a pause
    ENDLESS = "endless"  # the answer begins right, and then a byte comes now and then, for ever


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
    export_kwh: tuple[float, ...] = (0.0,)
    line_volts: tuple[float, ...] = ()
    """Between L1 and L2, L2 and L3, L3 and L1; none on one phase."""

    @property
    def total_watts(self) -> float:
        """Return the sum over the phases."""
        return sum(self.watts)

    @property
    def total_kwh(self) -> float:
        """Return what was imported, over all phases."""
        return sum(self.import_kwh)

    @property
    def exported_kwh(self) -> float:
        """Return what was exported, over all phases."""
        return sum(self.export_kwh)


class EnergyMeter:
    """The meter's registers, and its faults; `restore` undoes the faults and keeps what was counted.

    `backwards` are the phases whose current goes through the other way round, `missing` those that are not connected.
    """

    def __init__(self, mains: Mains, swing_mhz: int) -> None:
        self._mains = mains
        self._swing_mhz = swing_mhz
        self._import_wh = [0.0] * mains.settings.phases
        self._export_wh = [0.0] * mains.settings.phases
        self.restore()

    def restore(self) -> None:
        """Let it be as installed."""
        self.order = tuple(range(self._mains.settings.phases))
        self.backwards: frozenset[int] = frozenset()
        self.missing: frozenset[int] = frozenset()
        self.frozen: MeterRegisters | None = None
        self.power_scale = 1.0
        self.step_kwh = 0.0
        self.line_fault: MeterFault | None = None

    def count(self, span_ns: int) -> None:
        """Count what flows for `span_ns`, each phase into import or export by the way it is wired."""
        for phase, amps in enumerate(self._mains.amps):
            if amps and phase not in self.missing:
                counted = self._export_wh if phase in self.backwards else self._import_wh
                counted[phase] += self._mains.watts(phase) * span_ns / NS_PER_HOUR

    def registers(self, now_ns: int) -> MeterRegisters:
        """Return what it shows now, or what it froze with."""
        if self.frozen is not None:
            return self.frozen
        mains, order = self._mains, self.order
        sign = [-1.0 if phase in self.backwards else 1.0 for phase in order]
        watts = [mains.watts(phase) * self.power_scale for phase in order]
        swing = self._swing_mhz / 1000 * math.sin(2 * math.pi * now_ns / SWING_NS)
        shown = MeterRegisters(
            volts=tuple(mains.volts(phase) for phase in order),
            amps=tuple(mains.amps[phase] for phase in order),
            watts=tuple(way * each for way, each in zip(sign, watts, strict=True)),
            power_factor=mains.power_factor if any(mains.amps) else 1.0,
            hertz=mains.hertz + swing,
            import_kwh=tuple(self._import_wh[phase] / 1000 for phase in order),
            export_kwh=tuple(self._export_wh[phase] / 1000 for phase in order),
        )
        return self._spoilt(shown)

    def _spoilt(self, shown: MeterRegisters) -> MeterRegisters:
        """Return the registers of a meter that is not connected everywhere, and whose counter was moved."""

        def present(values: tuple[float, ...]) -> tuple[float, ...]:
            return tuple(0.0 if at in self.missing else each for at, each in enumerate(values))

        volts = present(shown.volts)
        first, *others = shown.import_kwh
        return replace(
            shown,
            volts=volts,
            amps=present(shown.amps),
            watts=present(shown.watts),
            import_kwh=(max(first + self.step_kwh, 0.0), *others),
            line_volts=_between_lines(volts) if len(volts) > 1 else (),
        )


def _between_lines(volts: tuple[float, ...]) -> tuple[float, ...]:
    """Return the voltages between lines that are a third of a period apart."""
    pairs = zip(volts, (*volts[1:], volts[0]), strict=True)
    return tuple(math.sqrt(a * a + b * b + a * b) for a, b in pairs)
