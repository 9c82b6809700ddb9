"""The endpoints of a wallbox: which clusters it has, and how they are put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.device.charge_point_view import EVSE_ENDPOINT
from evse_pi.device.device_energy_management import DeviceEnergyManagementServer
from evse_pi.device.device_energy_management_mode import DeviceEnergyManagementModeServer
from evse_pi.device.electrical_energy_measurement import ElectricalEnergyMeasurementServer
from evse_pi.device.electrical_power_measurement import power_measurement
from evse_pi.device.energy_evse import EnergyEvseServer
from evse_pi.device.energy_evse_mode import EnergyEvseModeServer
from evse_pi.device.measurement_accuracy import METERS
from evse_pi.device.power_source import PowerSourceServer
from evse_pi.device.power_topology import PowerTopologyServer
from evse_pi.device.temperature_measurement import TemperatureMeasurementServer
from evse_pi.matter.clusters.identify import IdentifyServer
from evse_pi.matter.model.endpoint import Endpoint
from evse_pi.matter.model.tree_interface import DeviceType
from evse_pi.matter.wire.chip_objects import Identify

if TYPE_CHECKING:
    from evse_pi.device.charge_point_view import ChargePointInterface
    from evse_pi.device.equipment import Equipment
    from evse_pi.matter.environment import WallClock
    from evse_pi.matter.model.cluster_server import ClusterServer
    from evse_pi.matter.model.event_source import Change

ENERGY_EVSE = DeviceType(0x050C, 2)
ELECTRICAL_SENSOR = DeviceType(0x0510, 1)
DEVICE_ENERGY_MANAGEMENT = DeviceType(0x050D, 2)
POWER_SOURCE = DeviceType(0x0011, 1)
DEVICE_TYPES = (ENERGY_EVSE, ELECTRICAL_SENSOR, DEVICE_ENERGY_MANAGEMENT, POWER_SOURCE)
"""Source: Matter device library 1.4.2, 14.1: an EVSE is measured, managed and powered as well."""

_IdentifyType = Identify.Enums.IdentifyTypeEnum


class StatusLedIdentifyServer(IdentifyServer):
    """Identify by the status LED; a board without one cannot show itself, and says so."""

    def __init__(self, charger: ChargePointInterface, *, fitted: bool) -> None:
        super().__init__(identify_type=_IdentifyType.kVisibleIndicator if fitted else _IdentifyType.kNone)
        self._charger = charger

    def initialize(self) -> None:
        """Blink for as long as there is time left."""
        super().initialize()
        self.react_to(self.events.identify_time_changed, self._show)

    def close(self) -> None:
        """Let the LED show the box again."""
        super().close()
        self._charger.identify(active=False)

    def _show(self, change: Change) -> None:
        self._charger.identify(active=change.value > 0)


@dataclass(frozen=True, slots=True)
class DeviceDependencies:
    """What the wallbox's clusters live on."""

    charger: ChargePointInterface
    clock: WallClock
    equipment: Equipment


def wallbox(around: DeviceDependencies, features: tuple[str, ...] = ()) -> tuple[Endpoint, EnergyEvseServer]:
    """Return the endpoint of the wallbox and, of its servers, the one that permits charging.

    Raises: ValueError for a feature that the cluster does not have.
    """
    charger, equipment = around.charger, around.equipment
    meter = None if equipment.meter_model is None else METERS[equipment.meter_model]
    kind = EnergyEvseServer.with_features(*features)
    evse = kind(charger)
    servers: list[ClusterServer] = [
        StatusLedIdentifyServer(charger, fitted=equipment.status_led),
        evse,
        EnergyEvseModeServer(charger),
        DeviceEnergyManagementServer(charger),
        DeviceEnergyManagementModeServer(),
        power_measurement(charger, meter),
        ElectricalEnergyMeasurementServer(charger, around.clock, meter),
        PowerTopologyServer(),
        PowerSourceServer(),
    ]
    if equipment.temperature:
        servers.append(TemperatureMeasurementServer(charger))
    return Endpoint(EVSE_ENDPOINT, DEVICE_TYPES, servers), evse
