"""The endpoints of a wallbox: which clusters it has, and how they are put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.device.charger import EVSE_ENDPOINT
from evse_pi.device.energy_evse import EnergyEvseServer
from evse_pi.matter.clusters.identify import IdentifyServer
from evse_pi.matter.model.endpoint import DeviceType, Endpoint
from evse_pi.matter.wire.chip_objects import Identify

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.device.charger import Charger
    from evse_pi.matter.model.events import Change
    from evse_pi.matter.world import WallClock

ENERGY_EVSE = DeviceType(0x050C, 2)
FEATURES = ("PREF", "SOC", "PNC", "RFID", "V2X")

_IdentifyType = Identify.Enums.IdentifyTypeEnum


class StatusLedIdentifyServer(IdentifyServer):
    """Identify by the status LED; a board without one cannot show itself, and says so."""

    def __init__(self, charger: Charger, *, fitted: bool) -> None:
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
class Surroundings:
    """What the wallbox's clusters live on; `governed` tells whether a controller's word counts now."""

    charger: Charger
    clock: WallClock
    governed: Callable[[], bool]
    led_fitted: bool


def wallbox(around: Surroundings, features: tuple[str, ...] = ()) -> tuple[Endpoint, EnergyEvseServer]:
    """Return the endpoint of the wallbox and, of its servers, the one that permits charging.

    Raises: ValueError for a feature that the cluster does not have.
    """
    kind = EnergyEvseServer.with_features(*features)
    evse = kind(around.charger, around.clock, governed=around.governed)
    identify = StatusLedIdentifyServer(around.charger, fitted=around.led_fitted)
    return Endpoint(EVSE_ENDPOINT, [ENERGY_EVSE], [identify, evse]), evse
