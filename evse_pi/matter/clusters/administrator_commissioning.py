"""AdministratorCommissioning: an administrator lets another one in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evse_pi.matter.channel.pase import PaseVerifier
from evse_pi.matter.clusters.commissioning_window import (
    MAX_TIMEOUT_S,
    MIN_TIMEOUT_S,
    CommissioningWindow,
    Opener,
    OpenWindow,
    WindowMode,
)
from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Command, Feature, Field
from evse_pi.matter.wire.chip_objects import AdministratorCommissioning
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

if TYPE_CHECKING:
    from evse_pi.matter.identity.accessor import Accessor
    from evse_pi.matter.identity.fabric import Fabric
    from evse_pi.matter.identity.ownership import Ownership

MAX_DISCRIMINATOR = 0xFFF
_Status = AdministratorCommissioning.Enums.StatusCode
_Window = AdministratorCommissioning.Enums.CommissioningWindowStatusEnum
_STATUS = {WindowMode.BASIC: _Window.kBasicWindowOpen, WindowMode.ENHANCED: _Window.kEnhancedWindowOpen}

SCHEMA = ClusterSchema(
    AdministratorCommissioning,
    revision=1,
    features=(Feature("BC", "Basic", "X"),),
    attributes=(
        Attribute("WindowStatus", "enum8"),
        Attribute("AdminFabricIndex", "fabric-idx", "R V", "X"),
        Attribute("AdminVendorId", "vendor-id", "R V", "X"),
    ),
    commands=(
        Command(
            "OpenCommissioningWindow",
            "A T",
            fields=(
                Field("commissioningTimeout", "uint16"),
                Field("discriminator", "uint16"),
                Field("iterations", "uint32"),
            ),
        ),
        Command("RevokeCommissioning", "A T"),
    ),
)


class AdministratorCommissioningServer(ClusterServer):
    """Opens and closes the commissioning window for administrators; a factory-fresh node's own window is not shown."""

    schema = SCHEMA

    def __init__(self, ownership: Ownership, window: CommissioningWindow, **state: Any) -> None:
        super().__init__(**state)
        self._ownership = ownership
        self._window = window

    def initialize(self) -> None:
        """Follow the window."""
        self.react_to(self._window.changed, self._window_changed)
        self._ownership.fabrics.on_removed.append(self._fabric_removed)

    def read_window_status(self, _accessor: Accessor | None) -> Any:
        """Return how the window was opened, if an administrator opened it."""
        current = self._window.current
        return _Window.kWindowNotOpen if current is None or current.opener is None else _STATUS[current.mode]

    def read_admin_fabric_index(self, _accessor: Accessor | None) -> int | None:
        """Return who opened the window, or null if that fabric is gone."""
        opener = self._opener()
        return opener.fabric_index if opener and self._ownership.fabrics.get(opener.fabric_index) else None

    def read_admin_vendor_id(self, _accessor: Accessor | None) -> int | None:
        """Return the vendor of who opened the window."""
        opener = self._opener()
        return opener.vendor_id if opener else None

    def open_commissioning_window(self, request: Any) -> None:
        """Accept a commissioner that knows the passcode behind the verifier."""
        accessor = self.accessor
        fabric = self._ownership.fabrics.get(accessor.fabric_index) if accessor else None
        if fabric is None:
            raise MatterStatus(StatusCode.UNSUPPORTED_ACCESS, "only an administrator with a fabric opens a window")
        if self._window.current is not None or self._ownership.failsafe.is_armed:
            raise _refused(_Status.kBusy, "a window is open or the fail-safe is armed")
        if not MIN_TIMEOUT_S <= request.commissioningTimeout <= MAX_TIMEOUT_S:
            raise MatterStatus(StatusCode.INVALID_COMMAND, f"timeout: allowed is {MIN_TIMEOUT_S} to {MAX_TIMEOUT_S} s")
        if request.discriminator > MAX_DISCRIMINATOR:
            raise _refused(_Status.kPAKEParameterError, f"discriminator: allowed is 0 to {MAX_DISCRIMINATOR}")
        try:
            verifier = PaseVerifier.from_blob(request.PAKEPasscodeVerifier, request.salt, request.iterations)
        except ValueError as error:
            raise _refused(_Status.kPAKEParameterError, str(error)) from error
        opener = Opener(fabric.index, fabric.admin_vendor_id)
        window = OpenWindow(WindowMode.ENHANCED, request.discriminator, opener)
        self._window.open(window, verifier, request.commissioningTimeout)

    def revoke_commissioning(self) -> None:
        """Close the window and take back what a commissioner has begun behind it."""
        if self._window.current is None:
            raise _refused(_Status.kWindowNotOpen, "no window is open")
        self._window.close()
        self._ownership.failsafe.expire()

    def _opener(self) -> Opener | None:
        return self._window.current.opener if self._window.current else None

    def _fabric_removed(self, fabric: Fabric) -> None:
        opener = self._opener()
        if opener is not None and opener.fabric_index == fabric.index:
            self.changed("admin_fabric_index")

    def _window_changed(self, _window: OpenWindow | None) -> None:
        self.changed("window_status", "admin_fabric_index", "admin_vendor_id")


def _refused(status: int, reason: str) -> MatterStatus:
    return MatterStatus(StatusCode.FAILURE, reason, cluster_status=int(status))
