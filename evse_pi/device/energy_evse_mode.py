"""The Energy EVSE Mode cluster: at once, as the targets allow, or as the sun shines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evse_pi.charging.modes import ChargeMode
from evse_pi.device.mode import ModeServer, mode_options, mode_schema
from evse_pi.matter.wire.chip_objects import EnergyEvseMode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evse_pi.device.charge_point_view import ChargePointInterface, ChargePointView

_Tag = EnergyEvseMode.Enums.ModeTag
SCHEMA = mode_schema(EnergyEvseMode, revision=2)
MODES = (
    (ChargeMode.MANUAL, "Manual", _Tag.kManual),
    (ChargeMode.TIME_OF_USE, "Time of use", _Tag.kTimeOfUse),
    (ChargeMode.SOLAR, "Solar", _Tag.kSolarCharging),
)


class EnergyEvseModeServer(ModeServer):
    """Shows when the charge point charges, and takes a change to it. The charge point keeps the mode."""

    schema = SCHEMA

    def __init__(self, charger: ChargePointInterface) -> None:
        """Make the server of `charger`."""
        options = mode_options(EnergyEvseMode, [(label, (int(tag),)) for _, label, tag in MODES])
        super().__init__(supported_modes=options, current_mode=0)
        self._charger = charger

    def initialize(self) -> None:
        """Follow the charge point."""
        self.react_to(self._charger.changed, self.follow)
        self.follow(self._charger.view())

    def reset(self) -> None:
        """Go back to manual mode."""
        self.choose(0)

    def choose(self, number: int) -> None:
        """Have the charge point charge by mode `number`, and show it."""
        self._charger.apply(replace(self._charger.view().settings, mode=MODES[number][0]))
        self.follow(self._charger.view())

    def follow(self, view: ChargePointView) -> None:
        """Show the mode of the charge point."""
        self.state.current_mode = next(
            number for number, (mode, _, _) in enumerate(MODES) if mode is view.settings.mode
        )

    def records(self, values: Mapping[int, Any]) -> list[tuple[str, bytes]]:  # noqa: ARG002 (of the base class)
        """Return nothing: the mode is stored with all else that is set at the charge point."""
        return []
