"""How exact each measured quantity is, as the measurement clusters tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evse_pi.matter.wire.chip_objects import ElectricalEnergyMeasurement, ElectricalPowerMeasurement

if TYPE_CHECKING:
    from collections.abc import Iterable

Quantity = ElectricalPowerMeasurement.Enums.MeasurementTypeEnum

VOLTAGE_MV = (184_000, 276_000)
"""Where the accuracy of the voltage is promised: 80 to 120 % of 230 V. Source: Eastron SDM72D-M-2 manual, part 1."""
FREQUENCY_MHZ = (45_000, 65_000)
BASE_CURRENT_MA = 500  # from 5 % of 10 A on the class of accuracy holds
BASE_POWER_MW = BASE_CURRENT_MA * 230
ENERGY_MWH = (0, 10_000_000_000_000)  # seven digits of kWh, the widest display
PERCENT_VOLTAGE = PERCENT_CURRENT = 50  # in 0.01 %
PERCENT_FREQUENCY = 20
PERCENT_CLASS_1 = 100  # Source: IEC 62053-21, class 1
PERCENT_ESTIMATE = 10_000
"""A vehicle may draw anything from nothing to what it was offered."""


@dataclass(frozen=True, slots=True)
class MeterAccuracy:
    """A meter model. `by_phase` says that it tells voltage, current and frequency beside totals."""

    phases: int
    max_current_ma: int
    by_phase: bool = True

    @property
    def max_power_mw(self) -> int:
        """The greatest power that it is made for."""
        return self.max_current_ma * VOLTAGE_MV[1] * self.phases // 1000


METERS = {
    "sdm120": MeterAccuracy(1, 45_000),
    "sdm230": MeterAccuracy(1, 100_000),
    "sdm630": MeterAccuracy(3, 100_000),
    "sdm72d_m": MeterAccuracy(3, 100_000),
    "sdm72d_m_v1": MeterAccuracy(3, 100_000, by_phase=False),
}
"""The models with a register table, by name. Source: Eastron manuals, "Specification"."""


def power_accuracies(meter: MeterAccuracy | None, rated_power_mw: int) -> list[Any]:
    """Return the Accuracy attribute of the power measurement; without a meter its power is an estimate."""
    if meter is None:
        limits = [(0, rated_power_mw, {"percentMax": PERCENT_ESTIMATE})]
        return [_accuracy(Quantity.kActivePower, limits, measured=False)]
    power = _signed(BASE_POWER_MW * meter.phases, meter.max_power_mw, PERCENT_CLASS_1)
    found = [_accuracy(Quantity.kActivePower, power)]
    if not meter.by_phase:
        return found
    base_ma, most_ma = BASE_CURRENT_MA * meter.phases, meter.max_current_ma * meter.phases
    voltage = [(*VOLTAGE_MV, {"percentMax": PERCENT_VOLTAGE})]
    current = _signed(base_ma, most_ma, PERCENT_CURRENT)
    return [
        _accuracy(Quantity.kVoltage, voltage),
        _accuracy(Quantity.kActiveCurrent, _signed(base_ma, most_ma, PERCENT_CLASS_1 + PERCENT_VOLTAGE)),
        *found,
        _accuracy(Quantity.kRMSVoltage, voltage),
        _accuracy(Quantity.kRMSCurrent, [(0, *current[1][1:]), current[2]]),
        _accuracy(Quantity.kFrequency, [(*FREQUENCY_MHZ, {"percentMax": PERCENT_FREQUENCY})]),
    ]


def energy_accuracy(meter: MeterAccuracy | None) -> Any:
    """Return the Accuracy attribute of the energy measurement."""
    percent = PERCENT_ESTIMATE if meter is None else PERCENT_CLASS_1
    limits = [(*ENERGY_MWH, {"percentMax": percent})]
    structs = ElectricalEnergyMeasurement.Structs
    return _accuracy(Quantity.kElectricalEnergy, limits, measured=meter is not None, structs=structs)


def _signed(base: int, most: int, percent: int) -> list[tuple[int, int, dict[str, int]]]:
    """Return the ranges of a quantity with a sign: relative errors, and absolute ones around zero."""
    near_zero = {"fixedMax": base * percent // 10_000}
    return [
        (-most, -base - 1, {"percentMax": percent}),
        (-base, base, near_zero),
        (base + 1, most, {"percentMax": percent}),
    ]


def _accuracy(
    quantity: Any,
    limits: Iterable[tuple[int, int, dict[str, int]]],
    *,
    measured: bool = True,
    structs: Any = ElectricalPowerMeasurement.Structs,
) -> Any:
    """Return the accuracy of a quantity, made of the structures of the cluster that tells it."""
    ranges = [structs.MeasurementAccuracyRangeStruct(rangeMin=low, rangeMax=high, **by) for low, high, by in limits]
    return structs.MeasurementAccuracyStruct(
        measurementType=quantity,
        measured=measured,
        minMeasuredValue=ranges[0].rangeMin,
        maxMeasuredValue=ranges[-1].rangeMax,
        accuracyRanges=ranges,
    )
