"""The Temperature Measurement cluster: how warm it is inside the box."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema
from evse_pi.matter.wire.chip_objects import TemperatureMeasurement

if TYPE_CHECKING:
    from evse_pi.device.charge_point_view import ChargePointInterface, ChargePointView

LOWEST, HIGHEST = -4_000, 12_500
"""What the sensors are made for, in 0.01 °C. Source: LM75 and MCP9808 data sheets."""
STEP = 50  # half a degree is news, the sensor's noise is not

SCHEMA = ClusterSchema(
    TemperatureMeasurement,
    revision=4,
    attributes=(
        Attribute("MeasuredValue", "temperature", "R V", "X", default=None),
        Attribute("MinMeasuredValue", "temperature", "R V", "X", "M", "max 32766", LOWEST),
        Attribute("MaxMeasuredValue", "temperature", "R V", "X", default=HIGHEST),
        Attribute("Tolerance", "uint16", "R V", "", "O", "max 2048"),
    ),
)


class TemperatureMeasurementServer(ClusterServer):
    """Shows the box's sensor; null while it is silent or outside what it is made for."""

    schema = SCHEMA

    def __init__(self, charger: ChargePointInterface) -> None:
        """Make the server of `charger`."""
        super().__init__()
        self._charger = charger

    def initialize(self) -> None:
        """Follow the box."""
        self.react_to(self._charger.changed, self.follow)
        self.follow(self._charger.view())

    def follow(self, view: ChargePointView) -> None:
        """Show a temperature that has moved by half a degree."""
        found, shown = view.temperature, self.state.measured_value
        if found is not None and not LOWEST <= found <= HIGHEST:
            found = None
        if found is None or shown is None or abs(found - shown) >= STEP:
            self.state.measured_value = found
