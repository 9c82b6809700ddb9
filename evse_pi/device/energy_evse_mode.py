"""The Energy EVSE Mode cluster: at once, as the targets allow, or as the sun shines."""

from __future__ import annotations

from evse_pi.charging.modes import ChargeMode
from evse_pi.device.energy_evse import EnergyEvseServer
from evse_pi.device.mode import ModeServer, mode_options, mode_schema
from evse_pi.matter.wire.chip_objects import EnergyEvseMode

_Tag = EnergyEvseMode.Enums.ModeTag
SCHEMA = mode_schema(EnergyEvseMode, revision=2)
MODES = (
    (ChargeMode.MANUAL, "Manual", _Tag.kManual),
    (ChargeMode.TIME_OF_USE, "Time of use", _Tag.kTimeOfUse),
    (ChargeMode.SOLAR, "Solar", _Tag.kSolarCharging),
)


class EnergyEvseModeServer(ModeServer):
    """Says when to charge; a change has the EVSE cluster plan again at once."""

    schema = SCHEMA

    def __init__(self) -> None:
        """Make the server, in manual mode until another is chosen."""
        options = mode_options(EnergyEvseMode, [(label, (int(tag),)) for _, label, tag in MODES])
        super().__init__(supported_modes=options, current_mode=0)

    def initialize(self) -> None:
        """Pass on every change."""
        evse = self.endpoint.server(EnergyEvseServer)
        self.react_to(self.events.current_mode_changed, lambda _change: evse.plan_again())

    @property
    def charge_mode(self) -> ChargeMode:
        """The current mode."""
        return MODES[self.state.current_mode][0]

    def select(self, mode: ChargeMode) -> None:
        """Choose a mode by hand."""
        self.state.current_mode = next(number for number, (one, _, _) in enumerate(MODES) if one is mode)
