"""The Electrical Power Measurement cluster: what the meter reads, or what was offered where none is fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evse_pi.core.duty import MAX_OFFER_MA
from evse_pi.device.measurement_accuracy import FREQUENCY_MHZ, power_accuracies
from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Event, Feature, Field, Struct
from evse_pi.matter.wire.chip_objects import ElectricalPowerMeasurement

if TYPE_CHECKING:
    from evse_pi.device.charge_point_view import ChargePointInterface, ChargePointView
    from evse_pi.device.measurement_accuracy import MeterAccuracy
    from hal.interfaces import MeterReading

_MEASURED = "-2^62 to 2^62"
BY_PHASE = ("Voltage", "ActiveCurrent", "RMSVoltage", "RMSCurrent", "Frequency")

SCHEMA = ClusterSchema(
    ElectricalPowerMeasurement,
    revision=3,
    features=(
        Feature("DIRC", "DirectCurrent", "O.a+"),
        Feature("ALTC", "AlternatingCurrent", "O.a+"),
        Feature("POLY", "PolyphasePower", "[ALTC]"),
        Feature("HARM", "Harmonics", "[ALTC]"),
        Feature("PWRQ", "PowerQuality", "[ALTC]"),
    ),
    attributes=(
        Attribute("PowerMode", "enum8", default=ElectricalPowerMeasurement.Enums.PowerModeEnum.kAc),
        Attribute("NumberOfMeasurementTypes", "uint8", "R V", "F", "M", "max 32", 1),
        Attribute("Accuracy", "list", "R V", "F", "M", "min 1"),
        Attribute("Ranges", "list", "R V", "Q", "O"),
        Attribute("Voltage", "voltage-mv", "R V", "X Q", "O", _MEASURED, None),
        Attribute("ActiveCurrent", "amperage-ma", "R V", "X Q", "O", _MEASURED, None),
        Attribute("ReactiveCurrent", "amperage-ma", "R V", "X Q", "[ALTC]", _MEASURED, None),
        Attribute("ApparentCurrent", "amperage-ma", "R V", "X Q", "[ALTC]", _MEASURED, None),
        Attribute("ActivePower", "power-mw", "R V", "X Q", "M", _MEASURED, None),
        Attribute("ReactivePower", "power-mw", "R V", "X Q", "[ALTC]", _MEASURED, None),
        Attribute("ApparentPower", "power-mw", "R V", "X Q", "[ALTC]", _MEASURED, None),
        Attribute("RMSVoltage", "voltage-mv", "R V", "X Q", "[ALTC]", _MEASURED, None),
        Attribute("RMSCurrent", "amperage-ma", "R V", "X Q", "[ALTC]", _MEASURED, None),
        Attribute("RMSPower", "power-mw", "R V", "X Q", "[ALTC]", _MEASURED, None),
        Attribute("Frequency", "int64", "R V", "X Q", "[ALTC]", "0 to 1000000", None),
        Attribute("HarmonicCurrents", "list", "R V", "X Q", "HARM", "max 25", None),
        Attribute("HarmonicPhases", "list", "R V", "X Q", "PWRQ", "max 25", None),
        Attribute("PowerFactor", "int64", "R V", "X Q", "[ALTC]", "-10000 to 10000", None),
        Attribute("NeutralCurrent", "amperage-ma", "R V", "X Q", "[POLY]", _MEASURED, None),
    ),
    events=(Event("MeasurementPeriodRanges", "info", conformance="Ranges"),),
    structs=(
        Struct(
            "MeasurementAccuracyStruct",
            (
                Field("minMeasuredValue", "int64", "-2^62 to 2^62"),
                Field("maxMeasuredValue", "int64", "-2^62 to 2^62"),
                Field("accuracyRanges", "list", "min 1"),
            ),
        ),
        Struct(
            "MeasurementAccuracyRangeStruct",
            (
                Field("rangeMin", "int64", "-2^62 to 2^62"),
                Field("rangeMax", "int64", "-2^62 to 2^62"),
                Field("percentMax", "percent100ths"),
                Field("percentMin", "percent100ths"),
                Field("percentTypical", "percent100ths"),
                Field("fixedMax", "uint64", "max 4611686018427387903"),
            ),
        ),
        Struct(
            "MeasurementRangeStruct",
            (
                Field("min", "int64", "-2^62 to 2^62"),
                Field("max", "int64", "-2^62 to 2^62"),
                Field("startTimestamp", "epoch-s"),
                Field("endTimestamp", "epoch-s"),
                Field("minTimestamp", "epoch-s"),
                Field("maxTimestamp", "epoch-s"),
            ),
        ),
        Struct(
            "HarmonicMeasurementStruct",
            (
                Field("order", "uint8", "min 1"),
                Field("measurement", "int64", "-2^62 to 2^62"),
            ),
        ),
        Struct("MeasurementPeriodRanges", (Field("ranges", "list"),)),
    ),
)


def measured(view: ChargePointView, meter: MeterAccuracy | None) -> dict[str, int | None]:
    """Return all attributes that follow from the box; what is unknown, or has no known accuracy, is None.

    The voltage is the mean of the phases that are connected, currents are the sum of all phases.
    """
    reading = view.meter
    if reading is None or meter is None:
        nothing = dict.fromkeys(("voltage", "active_current", "rms_voltage", "rms_current", "frequency"))
        return {**nothing, "active_power": view.power_mw}
    voltage_mv = _mean_voltage_mv(reading, meter)
    return {
        "active_power": view.power_mw,
        "voltage": voltage_mv,
        "rms_voltage": voltage_mv,
        "active_current": None if voltage_mv is None else reading.total_power_mw * 1000 // voltage_mv,
        "rms_current": sum(reading.current_ma) if reading.current_ma else None,
        "frequency": _inside(reading.frequency_mhz, FREQUENCY_MHZ),
    }


def _mean_voltage_mv(reading: MeterReading, meter: MeterAccuracy) -> int | None:
    live = [voltage_mv for voltage_mv in reading.voltage_mv if voltage_mv]
    return _inside(sum(live) // len(live), meter.voltage_mv) if live else None


def _inside(value: int | None, limits: tuple[int, int]) -> int | None:
    return value if value is not None and limits[0] <= value <= limits[1] else None


class ElectricalPowerMeasurementServer(ClusterServer, features=("ALTC",)):
    """Shows the power; made by `power_measurement`, so that it has what the meter tells and nothing else."""

    schema = SCHEMA

    def __init__(self, charger: ChargePointInterface, meter: MeterAccuracy | None) -> None:
        """Make the server of `charger`, whose meter is `meter`."""
        view = charger.view()
        rated_power_mw = MAX_OFFER_MA * view.voltage_mv * view.phases // 1000
        accuracies = power_accuracies(meter, rated_power_mw)
        super().__init__(accuracy=accuracies, number_of_measurement_types=len(accuracies))
        self._charger = charger
        self._meter = meter

    def initialize(self) -> None:
        """Follow the box."""
        self.react_to(self._charger.changed, self.follow)
        self.follow(self._charger.view())

    def follow(self, view: ChargePointView) -> None:
        """Show what is measured now."""
        for key, value in measured(view, self._meter).items():
            if key in self.defaults:
                setattr(self.state, key, value)


def power_measurement(charger: ChargePointInterface, meter: MeterAccuracy | None) -> Any:
    """Return the server of `charger`, with the attributes that its meter can fill."""
    by_phase = meter is not None and meter.by_phase
    kind: Any = ElectricalPowerMeasurementServer.enable(attributes=BY_PHASE if by_phase else ())
    return kind(charger, meter)
