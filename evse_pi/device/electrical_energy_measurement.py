"""The Electrical Energy Measurement cluster: all the energy that vehicles were ever charged with.

It is the sum of the sessions, which comes from the meter's register as long as that grows and goes on where the
register is replaced. One write to the store a session keeps it.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from evse_pi.charging.stored_fields import HIGHEST_NUMBER, UnknownRecord, parsed
from evse_pi.device.measurement_accuracy import energy_accuracy
from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S
from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Event, Feature, Field, Struct
from evse_pi.matter.wire.chip_objects import ElectricalEnergyMeasurement
from hal.units import MILLISECOND, SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evse_pi.device.charge_point_view import ChargePointInterface, ChargePointView
    from evse_pi.device.measurement_accuracy import MeterAccuracy
    from evse_pi.matter.environment import WallClock

log = logging.getLogger(__name__)

REPORT_S = 10.0
EVENT_SPACING_NS = 60 * SECOND

SCHEMA = ClusterSchema(
    ElectricalEnergyMeasurement,
    revision=1,
    features=(
        Feature("IMPE", "ImportedEnergy", "O.a+"),
        Feature("EXPE", "ExportedEnergy", "O.a+"),
        Feature("CUME", "CumulativeEnergy", "O.b+"),
        Feature("PERE", "PeriodicEnergy", "O.b+"),
    ),
    attributes=(
        Attribute("Accuracy", "struct", "R V", "F"),
        Attribute("CumulativeEnergyImported", "struct", "R V", "X Q", "IMPE & CUME", default=None),
        Attribute("CumulativeEnergyExported", "struct", "R V", "X Q", "EXPE & CUME", default=None),
        Attribute("PeriodicEnergyImported", "struct", "R V", "X Q", "IMPE & PERE", default=None),
        Attribute("PeriodicEnergyExported", "struct", "R V", "X Q", "EXPE & PERE", default=None),
        Attribute("CumulativeEnergyReset", "struct", "R V", "X", "[CUME]", default=None),
    ),
    events=(
        Event("CumulativeEnergyMeasured", "info", conformance="CUME"),
        Event("PeriodicEnergyMeasured", "info", conformance="PERE"),
    ),
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
            "EnergyMeasurementStruct",
            (
                Field("energy", "energy-mwh", "0 to 2^62"),
                Field("startTimestamp", "epoch-s"),
                Field("endTimestamp", "epoch-s"),
            ),
        ),
        Struct(
            "CumulativeEnergyResetStruct",
            (
                Field("importedResetTimestamp", "epoch-s"),
                Field("exportedResetTimestamp", "epoch-s"),
            ),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Total:
    """The energy of all sessions up to number `through`."""

    energy_mwh: int = 0
    through: int = 0

    def advance(self, view: ChargePointView) -> Total:
        """Return the total with the session that has ended, if it is not in it yet."""
        last = view.last_session
        if last is None or last.number <= self.through:
            return self
        return Total(self.energy_mwh + last.energy_mwh, last.number)

    def now_mwh(self, view: ChargePointView) -> int:
        """Return the total with the present session."""
        present = view.session
        return self.energy_mwh + (0 if present is None or present.number <= self.through else present.energy_mwh)


def _total(stored: Any) -> Total:
    """Return a stored total. Raises: UnknownRecord."""
    match stored:
        case [int(energy_mwh), int(through)] if 0 <= energy_mwh <= HIGHEST_NUMBER and 0 <= through <= HIGHEST_NUMBER:
            return Total(energy_mwh, through)
    raise UnknownRecord("no total of the energy")


class ElectricalEnergyMeasurementServer(ClusterServer, features=("IMPE", "CUME")):
    """Shows the total; the event comes at most once a minute while energy flows, and when charging ends."""

    schema = SCHEMA
    quiet_interval_s = MappingProxyType({"cumulative_energy_imported": REPORT_S})

    class Internal:
        """What no peer sees."""

        total = Total()
        stored: Total | None = None
        told_mwh: int | None = None
        told_ns = -EVENT_SPACING_NS

    def __init__(self, charger: ChargePointInterface, clock: WallClock, meter: MeterAccuracy | None) -> None:
        """Make the server of `charger`, whose meter is `meter`."""
        super().__init__(accuracy=energy_accuracy(meter))
        self._charger = charger
        self._clock = clock

    def initialize(self) -> None:
        """Take up the stored total, and follow the box."""
        self.internal.total = self.internal.stored = self._recalled()
        self.react_to(self._charger.changed, self.follow)
        self.follow(self._charger.view())

    def follow(self, view: ChargePointView) -> None:
        """Show the total where it has grown, and tell it from time to time."""
        internal = self.internal
        internal.total = internal.total.advance(view)
        energy_mwh = max(internal.total.now_mwh(view), 0)
        shown = self.state.cumulative_energy_imported
        if shown is None or shown.energy != energy_mwh or internal.total != internal.stored:
            self.state.cumulative_energy_imported = shown = self._struct(energy_mwh, view.now_ns)
        first = internal.told_mwh is None
        if first:
            internal.told_mwh = energy_mwh
        due = not view.current_may_flow or view.now_ns - internal.told_ns >= EVENT_SPACING_NS
        if energy_mwh != internal.told_mwh and due:
            internal.told_mwh, internal.told_ns = energy_mwh, view.now_ns
            self.events.cumulative_energy_measured.emit(energyImported=shown)

    def records(self, values: Mapping[int, Any]) -> list[tuple[str, bytes]]:
        """Return the total as well, where a session has ended."""
        rows = super().records(values)
        total = self.internal.total
        if total != self.internal.stored:
            rows.append((self._total_key, json.dumps([total.energy_mwh, total.through]).encode()))
            self.internal.stored = total
        return rows

    def _struct(self, energy_mwh: int, now_ns: int) -> Any:
        """Return a measurement; its end is a date, or in ms since the machine's start while the time is unknown."""
        unix_us = self._clock.unix_us()
        kind = ElectricalEnergyMeasurement.Structs.EnergyMeasurementStruct
        if unix_us is None:
            return kind(energy=energy_mwh, endSystime=now_ns // MILLISECOND)
        return kind(energy=energy_mwh, endTimestamp=unix_us // 1_000_000 - MATTER_EPOCH_UNIX_S)

    @property
    def _total_key(self) -> str:
        return f"charged-energy/{self.endpoint.id}"

    def _recalled(self) -> Total:
        record = self.node.store.get(self._total_key)
        try:
            return Total() if record is None else _total(parsed(record))
        except UnknownRecord as error:
            log.warning("stored total of the energy dropped: %s", error)
            return Total()
