"""How exact each measured quantity is, as the measurement clusters tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evse_pi.matter.wire.chip_objects import ElectricalEnergyMeasurement, ElectricalPowerMeasurement

if TYPE_CHECKING:
    from collections.abc import Iterable

Quantity = ElectricalPowerMeasurement.Enums.MeasurementTypeEnum

NOMINAL_V = 230
FREQUENCY_MHZ = (45_000, 65_000)
MID_FREQUENCY_MHZ = 60_000
ENERGY_MWH = (0, 10_000_000_000_000)  # seven digits of kWh, the widest display
PERCENT_VOLTAGE = PERCENT_CURRENT = 50  # in 0.01 %
PERCENT_FREQUENCY = 20
PERCENT_CLASS_1 = 100  # Source: IEC 62053-21, class 1
PERCENT_ESTIMATE = 10_000
"""A vehicle may draw anything from nothing to what it was offered."""


@dataclass(frozen=True, slots=True)
class MeterAccuracy:
    """What a maker promises of a meter model, whose voltage and currents are those of one phase.

    The errors are shares of the value from `least_current_ma` on; where that is None, they are shares of the greatest
    value that the meter is made for. `by_phase` says that it tells voltage, current and frequency beside totals.
    """

    phases: int
    voltage_mv: tuple[int, int]
    max_current_ma: int
    least_current_ma: int | None = None
    by_phase: bool = True

    @property
    def total_current_ma(self) -> int:
        """The greatest sum of the currents that it is made for."""
        return self.max_current_ma * self.phases

    @property
    def max_power_mw(self) -> int:
        """The greatest power that it is made for."""
        return self.total_current_ma * self.voltage_mv[1] // 1000


METERS = {
    "sdm120": MeterAccuracy(1, (176_000, 276_000), 45_000),
    "sdm230": MeterAccuracy(1, (184_000, 276_000), 100_000),
    "sdm630": MeterAccuracy(3, (100_000, 289_000), 100_000),
    "sdm72d_m": MeterAccuracy(3, (184_000, 276_000), 100_000, least_current_ma=500),
    "sdm72d_m_v1": MeterAccuracy(3, (184_000, 276_000), 100_000, least_current_ma=500, by_phase=False),
}
"""The models with a register table, by name.

Of the others' current the makers promise a share "of nominal", which is taken as that of the greatest current.
Source: Eastron manuals, "Specification" and "Accuracy": SDM120-Modbus, SDM230, SDM630-Modbus V2, SDM72D-M-2 part 1.
"""


def power_accuracies(meter: MeterAccuracy | None, rated_power_mw: int) -> list[Any]:
    """Return the Accuracy attribute of the power measurement; without a meter its power is an estimate."""
    if meter is None:
        limits = [(0, rated_power_mw, {"percentMax": PERCENT_ESTIMATE})]
        return [_accuracy(Quantity.kActivePower, limits, measured=False)]
    least_ma = None if meter.least_current_ma is None else meter.least_current_ma * meter.phases
    least_mw = None if least_ma is None else least_ma * NOMINAL_V
    found = [_accuracy(Quantity.kActivePower, _signed(least_mw, meter.max_power_mw, PERCENT_CLASS_1))]
    if not meter.by_phase:
        return found
    voltage = [_unsigned(meter, meter.voltage_mv, meter.voltage_mv[1], PERCENT_VOLTAGE)]
    derived = PERCENT_CLASS_1 + PERCENT_VOLTAGE
    if least_ma is None:  # a share of the greatest power weighs most at the lowest voltage
        derived = -(-derived * meter.voltage_mv[1] // meter.voltage_mv[0])
    current = _signed(least_ma, meter.total_current_ma, PERCENT_CURRENT)
    return [
        _accuracy(Quantity.kVoltage, voltage),
        _accuracy(Quantity.kActiveCurrent, _signed(least_ma, meter.total_current_ma, derived)),
        *found,
        _accuracy(Quantity.kRMSVoltage, voltage),
        _accuracy(Quantity.kRMSCurrent, [(max(low, 0), high, by) for low, high, by in current if high > 0]),
        _accuracy(Quantity.kFrequency, [_unsigned(meter, FREQUENCY_MHZ, MID_FREQUENCY_MHZ, PERCENT_FREQUENCY)]),
    ]


def energy_accuracy(meter: MeterAccuracy | None) -> Any:
    """Return the Accuracy attribute of the energy measurement."""
    percent = PERCENT_ESTIMATE if meter is None else PERCENT_CLASS_1
    limits = [(*ENERGY_MWH, {"percentMax": percent})]
    structs = ElectricalEnergyMeasurement.Structs
    return _accuracy(Quantity.kElectricalEnergy, limits, measured=meter is not None, structs=structs)


def _signed(least: int | None, most: int, percent: int) -> list[tuple[int, int, dict[str, int]]]:
    """Return the ranges of a quantity with a sign: one absolute error, or relative ones from `least` on."""
    if least is None:
        return [(-most, most, {"fixedMax": most * percent // 10_000})]
    return [
        (-most, -least - 1, {"percentMax": percent}),
        (-least, least, {"fixedMax": least * percent // 10_000}),
        (least + 1, most, {"percentMax": percent}),
    ]


def _unsigned(
    meter: MeterAccuracy, limits: tuple[int, int], whole: int, percent: int
) -> tuple[int, int, dict[str, int]]:
    """Return the range of a quantity that is never near zero; an absolute error is a share of `whole`."""
    by = {"fixedMax": whole * percent // 10_000} if meter.least_current_ma is None else {"percentMax": percent}
    return (*limits, by)


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
