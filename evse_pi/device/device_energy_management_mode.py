"""The Device Energy Management Mode cluster: for whose sake the box lets itself be controlled."""

from __future__ import annotations

from evse_pi.device.mode import ModeServer, mode_options, mode_schema
from evse_pi.matter.wire.chip_objects import DeviceEnergyManagement, DeviceEnergyManagementMode

_Tag = DeviceEnergyManagementMode.Enums.ModeTag
_OptOut = DeviceEnergyManagement.Enums.OptOutStateEnum
SCHEMA = mode_schema(DeviceEnergyManagementMode, revision=2)
MODES = (
    ("No energy management", (_Tag.kNoOptimization,), _OptOut.kOptOut),
    ("Device optimizes", (_Tag.kDeviceOptimization,), _OptOut.kOptOut),
    ("Optimized for the building", (_Tag.kDeviceOptimization, _Tag.kLocalOptimization), _OptOut.kGridOptOut),
    ("Optimized for the grid", (_Tag.kDeviceOptimization, _Tag.kGridOptimization), _OptOut.kLocalOptOut),
    (
        "Optimized for building and grid",
        (_Tag.kDeviceOptimization, _Tag.kLocalOptimization, _Tag.kGridOptimization),
        _OptOut.kNoOptOut,
    ),
)
ALL = len(MODES) - 1


class DeviceEnergyManagementModeServer(ModeServer):
    """Says which power adjustments the user allows; the Device Energy Management cluster acts on it."""

    schema = SCHEMA

    def __init__(self) -> None:
        """Make the server, with every adjustment allowed until the user says otherwise."""
        options = mode_options(
            DeviceEnergyManagementMode, [(label, tuple(int(tag) for tag in tags)) for label, tags, _ in MODES]
        )
        super().__init__(supported_modes=options, current_mode=ALL)

    @property
    def opt_out(self) -> int:
        """What the current mode opts out of."""
        return int(MODES[self.state.current_mode][2])

    def select(self, opt_out: int) -> None:
        """Choose a mode by what it opts out of."""
        self.state.current_mode = max(number for number, (_, _, out) in enumerate(MODES) if out == opt_out)
