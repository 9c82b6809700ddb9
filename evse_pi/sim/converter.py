"""What an analogue to digital converter makes of the plant: scaling, drift, stuck inputs, codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.sim.signals import LOAD_PHASES, Analog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evse_pi.sim.plant import Plant


@dataclass(frozen=True, slots=True)
class AdcInput:
    """How one quantity reaches a converter input.

    Units: converter mV = `zero_mv` + thousandths of V, A or °C × `gain_ppm` / 1,000,000.
    """

    source: Analog
    zero_mv: int = 0
    gain_ppm: int = 1_000_000
    sensor: str = "board"


@dataclass(frozen=True, slots=True)
class ConverterRange:
    """A converter's unipolar range: `codes` steps from 0 V to `reference_mv`."""

    reference_mv: int = 3_300
    codes: int = 4_096


def millivolts(plant: Plant, wired: AdcInput, instants_ns: Sequence[int]) -> list[float]:
    """Return the voltage at the converter input at instants up to the plant's present one."""
    stuck = plant.fault_injection.stuck_mv.get(wired.source)
    if stuck is not None:
        return [float(stuck)] * len(instants_ns)
    if wired.source is Analog.PILOT:
        quantities = plant.sample_pilot(instants_ns)
    elif wired.source in LOAD_PHASES:
        quantities = [plant.load.volts(LOAD_PHASES.index(wired.source), at_ns) for at_ns in instants_ns]
    else:
        quantities = [plant.analog(wired.source, wired.sensor)] * len(instants_ns)
    offset_mv, drift_ppm = plant.fault_injection.drift.get(wired.source, (0, 1_000_000))
    if wired.source is not Analog.PROXIMITY:  # its pull-up hangs on the same reference
        drift_ppm = drift_ppm * 1_000_000 // plant.fault_injection.reference_ppm
    gain = wired.gain_ppm / 1000 * drift_ppm / 1e6
    zero = wired.zero_mv + offset_mv
    return [zero + gain * quantity for quantity in quantities]


def codes(plant: Plant, wired: AdcInput, span: ConverterRange, instants_ns: Sequence[int]) -> list[int]:
    """Return the converter's codes at instants up to the plant's present one."""
    per_mv, top = span.codes / span.reference_mv, span.codes - 1
    raw = [mv * per_mv for mv in millivolts(plant, wired, instants_ns)]
    return [0 if code < 0 else int(min(code, top)) for code in raw]
